//! Files that only their owner may read, and the ends of logs.

use std::{
    fs,
    io::{self, ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// Writes a file that only its owner can read, all of it or nothing.
///
/// # Errors
/// The system's.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let half = path.with_extension("half");
    match fs::remove_file(&half) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&half)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&half, path)
}

/// The last lines of a log.
pub fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    if all.is_empty() {
        return "(it is empty)".into();
    }
    all[all.len().saturating_sub(lines)..].join("\n")
}
