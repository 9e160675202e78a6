//! What people read. The reader of standard output may hang up at any time, as `head` does when it has seen enough.

use std::io::{self, Write as _};

use anyhow::Context as _;
use serde_json::Value;

/// Writes a text and ends its line.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output can't be written to"),
    }
}

/// Writes a value for machines.
pub(crate) fn json(value: &Value) -> anyhow::Result<()> {
    line(&format!("{value:#}"))
}

/// An error and its causes in one line; a cause that the error quotes already is left out.
pub(crate) fn causes(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| match cause.to_string() {
        cause if told.ends_with(&cause) => told,
        cause if told.is_empty() => cause,
        cause => format!("{told}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let error = anyhow!("refused").context("no connection: refused").context("no database");
        assert_eq!(causes(&error), "no database: no connection: refused");
    }
}
