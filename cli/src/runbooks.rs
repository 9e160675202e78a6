//! Tries each command that the runbooks and the rules of alerts tell an operator to type.

use std::{fs, path::Path};

use clap::{CommandFactory as _, Parser as _, error::ErrorKind};

use crate::Arguments;

/// What stands for the reader's own values.
const SAMPLES: [(&str, &str); 8] = [
    ("JOB_ID", "01890000-0000-7000-8000-000000000000"),
    ("ORDER_ID", "01890000-0000-7000-8000-000000000000"),
    ("REFUND_ID", "01890000-0000-7000-8000-000000000000"),
    ("NUMBER_OR_ID", "1002"),
    ("NUMBER", "1002"),
    ("EVENT_ID", "evt_1"),
    ("EMAIL", "ada@example.com"),
    ("DAYS", "7"),
];

fn words(command: &str) -> Vec<String> {
    let command = command.split(" #").next().unwrap_or(command);
    let (mut words, mut is_quoted) = (vec![String::new()], false);
    for c in command.chars() {
        match (c, words.last_mut()) {
            ('"', _) => is_quoted = !is_quoted,
            (' ', _) if !is_quoted => words.push(String::new()),
            (c, Some(word)) => word.push(c),
            (_, None) => {}
        }
    }
    words.retain(|word| !word.is_empty());
    let sample = |word: String| {
        SAMPLES.iter().find(|(name, _)| *name == word).map(|(_, sample)| (*sample).to_owned()).unwrap_or(word)
    };
    words.into_iter().map(sample).collect()
}

/// The texts of a folder's files with this extension, by their names.
fn texts(folder: &str, extension: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    let entries = fs::read_dir(root.join(folder)).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    let files = paths.filter(|path| path.extension().is_some_and(|found| found == extension));
    files.map(|path| (path.display().to_string(), fs::read_to_string(&path).expect("it is text"))).collect()
}

#[test]
fn each_command_of_the_runbooks_can_be_typed_as_it_stands() {
    let mut tried = 0;
    for (file, text) in texts("docs/runbooks", "md") {
        for line in text.lines().map(str::trim).filter(|line| line.starts_with("kassa ")) {
            let parsed = Arguments::try_parse_from(words(line));
            assert!(parsed.is_ok(), "{file}: {line}\n{}", parsed.map(|_| ()).expect_err("it is none"));
            tried += 1;
        }
    }
    assert!(tried > 30, "{tried}");
}

#[test]
fn each_command_in_a_sentence_is_one() {
    let mut tried = 0;
    let files = texts("docs/runbooks", "md").into_iter().chain(texts("grafana/alerts", "yml"));
    for (file, text) in files {
        // A command may go on in the next line; it is in a sentence where it stands between two backticks.
        let text = text.replace("```", "\n").split_whitespace().collect::<Vec<_>>().join(" ");
        for command in text.split('`').skip(1).step_by(2).filter(|told| told.starts_with("kassa ")) {
            let mut words = words(command);
            words.push("--help".into());
            let kind = Arguments::command().try_get_matches_from(words).map_err(|error| error.kind());
            assert_eq!(kind.map(|_| ()), Err(ErrorKind::DisplayHelp), "{file}: {command}");
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
}
