//! The repository's rules of alerts, as they are written.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One rule.
#[derive(Debug, Default)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) expression: String,
    pub(crate) severity: String,
    pub(crate) summary: String,
    pub(crate) description: String,
    /// From the root of the repository.
    pub(crate) runbook: String,
}

/// A file or folder of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository").join(path)
}

/// The files of a folder that end so, in the order of their names.
pub(crate) fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository(folder)).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    files.sort();
    files
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

/// All rules, read as far as they are written in the one style of these files: what is folded (`>-`) is indented below its name.
pub(crate) fn rules() -> Vec<Rule> {
    let text = text_of_rules();
    let mut rules: Vec<Rule> = Vec::new();
    let mut folded: Option<(usize, String)> = None;
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let indent = line.len() - line.trim_start().len();
        let told = line.trim();
        if let Some((deeper_than, name)) = &folded
            && indent > *deeper_than
        {
            let name = name.clone();
            let rule = rules.last_mut().expect("a rule begins with its name");
            let member = rule.member(&name).expect("it was one before");
            member.push_str(if member.is_empty() { "" } else { " " });
            member.push_str(told);
            continue;
        }
        folded = None;
        if let Some(name) = told.strip_prefix("- alert: ") {
            rules.push(Rule { name: name.to_owned(), ..Rule::default() });
        }
        let Some((name, value)) = told.split_once(": ") else { continue };
        let Some(rule) = rules.last_mut() else { continue };
        if name == "labels" {
            rule.severity = value.trim_start_matches("{ severity: ").trim_end_matches(" }").to_owned();
        } else if let Some(member) = rule.member(name) {
            if value == ">-" {
                folded = Some((indent, name.to_owned()));
            } else {
                *member = value.trim_matches('"').to_owned();
            }
        }
    }
    rules
}

impl Rule {
    fn member(&mut self, name: &str) -> Option<&mut String> {
        match name {
            "expr" => Some(&mut self.expression),
            "summary" => Some(&mut self.summary),
            "description" => Some(&mut self.description),
            "runbook_url" => Some(&mut self.runbook),
            _ => None,
        }
    }
}
