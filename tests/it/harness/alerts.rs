//! The repository's rules of alerts, as they are written.

use std::fs;

use serde_json::Value;

use super::{files, yaml};

/// One rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) expression: String,
    pub(crate) severity: String,
    pub(crate) summary: String,
    pub(crate) description: String,
    /// From the root of the repository.
    pub(crate) runbook: String,
}

/// All rules as one file of rules.
pub(crate) fn text_of_rules() -> String {
    let mut all = String::from("groups:\n");
    for file in files("grafana/alerts", "yml") {
        let text = fs::read_to_string(file).expect("it can be read");
        let (_, groups) = text.split_once("groups:\n").expect("a file of rules");
        all.push_str(groups);
    }
    all
}

/// All rules.
pub(crate) fn rules() -> Vec<Rule> {
    let groups = files("grafana/alerts", "yml").into_iter().flat_map(|file| list(&yaml(file), "groups"));
    groups.flat_map(|group| list(&group, "rules")).map(|rule| Rule::read(&rule)).collect()
}

fn list(of: &Value, name: &str) -> Vec<Value> {
    of[name].as_array().unwrap_or_else(|| panic!("a list of {name}: {of}")).clone()
}

impl Rule {
    fn read(rule: &Value) -> Self {
        let told = |told: &Value| told.as_str().unwrap_or_else(|| panic!("a rule lacks a member: {rule}")).to_owned();
        let (labels, annotations) = (&rule["labels"], &rule["annotations"]);
        Self {
            name: told(&rule["alert"]),
            expression: told(&rule["expr"]),
            severity: told(&labels["severity"]),
            summary: told(&annotations["summary"]),
            description: told(&annotations["description"]),
            runbook: told(&annotations["runbook_url"]),
        }
    }
}
