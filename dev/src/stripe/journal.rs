//! The state file: one line for each change, appended shortly after it, so that the books survive a restart, an unclean one
//! too. At the start the file is read, and rewritten without what has been replaced since.

use std::{
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::store::Books;

/// An open state file.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: Mutex<std::fs::File>,
}

/// Why a state file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file or its folder can't be read or written.
    #[error("the state file {path} can't be used: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("line {line} of the state file {path} is not the simulator's ({source}): move the file away to begin anew")]
    Content {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl Journal {
    /// Reads the books from the file, if there is one, and opens it for what comes.
    pub(crate) fn open(path: &Path) -> Result<(Self, Books), JournalError> {
        let io = |source| JournalError::Io { path: path.to_owned(), source };
        let mut books = match std::fs::read_to_string(path) {
            Ok(text) => read(&text, path)?,
            Err(error) if error.kind() == ErrorKind::NotFound => Books::default(),
            Err(error) => return Err(io(error)),
        };
        books.schedule_restored();
        let file = rewrite(path, &books.take_all()).map_err(io)?;
        Ok((Self { path: path.to_owned(), file: Mutex::new(file) }, books))
    }

    /// Appends the records that changed. They are taken while nobody else writes, so that no older state follows a newer one.
    pub(crate) fn append(&self, changes: impl FnOnce() -> Vec<u8>) -> std::io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&changes())
    }

    /// Begins anew with what there is now.
    pub(crate) fn restart(&self, all: impl FnOnce() -> Vec<u8>) -> std::io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        *file = rewrite(&self.path, &all())?;
        Ok(())
    }
}

fn read(text: &str, path: &Path) -> Result<Books, JournalError> {
    let mut books = Books::default();
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        match books.restore(line) {
            Ok(()) => {}
            // The process was killed while it wrote the last line.
            Err(_) if index + 1 == lines.len() && !text.ends_with('\n') => {}
            Err(source) => return Err(JournalError::Content { path: path.to_owned(), line: index + 1, source }),
        }
    }
    Ok(books)
}

/// Replaces the file at once and leaves it open at its end.
fn rewrite(path: &Path, lines: &[u8]) -> std::io::Result<std::fs::File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let draft = path.with_extension("new");
    let mut file = std::fs::File::create(&draft)?;
    file.write_all(lines)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    Ok(file)
}
