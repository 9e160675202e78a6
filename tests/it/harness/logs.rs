//! What the programs have logged, where they log in JSON.

use serde_json::Value;

use super::text;

/// What a log in JSON holds.
pub(crate) fn lines(log: &str) -> Vec<Value> {
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// A member of the spans that a line was logged in.
pub(crate) fn in_span<'a>(line: &'a Value, name: &str, member: &str) -> &'a str {
    let spans = line["spans"].as_array().into_iter().flatten();
    spans.filter(|span| span["name"] == name).map(|span| text(&span[member])).next().unwrap_or_default()
}
