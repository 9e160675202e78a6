//! What stands in the runbooks' commands for the reader's own values.

use std::{collections::BTreeSet, fs};

use crate::harness::{files, repository};

/// What is in capitals in a text's commands: `JOB_ID`, `NUMBER`, `$TOKEN`.
fn placeholders(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    let mut commands: Vec<&str> = text.split('`').skip(1).step_by(2).filter(|told| told.contains(' ')).collect();
    let blocks = text.split("```").skip(1).step_by(2);
    commands.extend(blocks.flat_map(str::lines).map(|line| line.split(" #").next().unwrap_or_default()));
    for word in commands.iter().flat_map(|command| command.split(|c| !is_of_word(c))) {
        let name = word.trim_start_matches('$');
        let is_one = word.starts_with('$') || name.ends_with("_ID") || name == "NUMBER";
        if is_one && name.len() > 2 && name.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
            found.insert(word.to_owned());
        }
    }
    found
}

#[test]
fn placeholders_are_found_in_commands_alone() {
    let text = "An `ORDER_ID` and `kassa jobs show JOB_ID`:\n```sh\ncurl $API_URL/x -d '{}' # NUMBER\nkassa order show NUMBER\n```\nOBJECT_ID";
    let found = placeholders(text);
    let found: Vec<_> = found.iter().map(String::as_str).collect();
    assert_eq!(found, ["$API_URL", "JOB_ID", "NUMBER"]);
}

#[test]
fn each_runbook_says_at_its_head_what_its_placeholders_stand_for() {
    let read = |path| fs::read_to_string(path).expect("it can be read");
    let index = read(repository("docs/runbooks/README.md"));
    let (_, table) = index.split_once("\n## What stands for what\n").expect("the index has the table");
    let (table, _) = table.split_once("\n## ").expect("more follows");
    let mut explained = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cell = row.split(" | ").next().unwrap_or_default();
        explained.extend(cell.split('`').skip(1).step_by(2).map(str::to_owned));
    }
    let mut used = BTreeSet::new();
    for file in files("docs/runbooks", "md").into_iter().filter(|path| !path.ends_with("README.md")) {
        let text = read(file.clone());
        let (head, rest) = text.split_once("\n## ").expect("it has parts");
        let found = placeholders(rest);
        let said =
            head.lines().find(|line| line.ends_with(": [what stands for what](README.md#what-stands-for-what)."));
        let said: BTreeSet<_> =
            said.into_iter().flat_map(|line| line.split('`').skip(1).step_by(2).map(str::to_owned)).collect();
        assert_eq!(said, found, "{} names at its head what is in its commands", file.display());
        used.extend(found);
    }
    let unexplained: Vec<_> = used.difference(&explained).collect();
    assert!(unexplained.is_empty() && used.len() > 8, "{unexplained:?} of {used:?}");
}
