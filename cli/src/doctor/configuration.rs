//! Whether the programs would start with this configuration.

use common::config::Inspection;

use super::finding::Finding;

const NAME: &str = "configuration";

pub(super) fn check(inspection: &Inspection) -> Vec<Finding> {
    if inspection.problems.is_empty() {
        return vec![Finding::well(NAME, "API and worker would start with it")];
    }
    let remedy = "set it as .env.example shows; the programs don't start like this";
    inspection.problems.iter().map(|problem| Finding::wrong(NAME, problem, remedy)).collect()
}
