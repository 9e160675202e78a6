//! How log lines get to a file: gathered for a moment and written together, as a call of the system for each would cost a busy API a
//! twelfth of its time. A line that warns is written before its thread goes on, with all that came before it.

use std::{
    fs::File,
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Longest that a line is kept back.
const LINGER: Duration = Duration::from_millis(2);
/// Most bytes that are kept back: who brings more waits until they are written.
const MOST: usize = 64 * 1024;
/// Written at once, in bytes: a pipe takes so much without mixing it with what other processes write (pipe(7), PIPE_BUF on Linux).
const TOGETHER: usize = 4096;

/// See the module.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    gathered: Mutex<Gathered>,
    /// Something is there to be written, or the end has come.
    news: Condvar,
    /// Locked before `gathered` where both are, so that lines keep their order.
    out: Mutex<Out>,
}

#[derive(Default)]
struct Gathered {
    lines: Vec<u8>,
    ended: bool,
}

struct Out {
    file: File,
    /// What is being written.
    lines: Vec<u8>,
}

/// Writes what is left when it is dropped, and ends the thread that writes.
#[must_use]
pub struct Log(Lines);

impl Drop for Log {
    fn drop(&mut self) {
        lock(&self.0.0.gathered).ended = true;
        self.0.0.news.notify_one();
        let _nobody_to_tell = self.0.0.write();
    }
}

/// Writes lines to a file from now on.
///
/// # Errors
/// When the system has no thread for it.
pub(super) fn to(file: File) -> io::Result<(Lines, Log)> {
    let out = Mutex::new(Out { file, lines: vec![] });
    let lines = Lines(Arc::new(Shared { gathered: Mutex::default(), news: Condvar::new(), out }));
    let shared = lines.0.clone();
    thread::Builder::new().name("log".to_owned()).spawn(move || shared.write_on())?;
    Ok((lines.clone(), Log(lines)))
}

impl Shared {
    fn write_on(&self) {
        loop {
            let is_idle = |gathered: &mut Gathered| gathered.lines.is_empty() && !gathered.ended;
            let gathered = self.news.wait_while(lock(&self.gathered), is_idle).unwrap_or_else(PoisonError::into_inner);
            if gathered.ended {
                return; // whoever comes now writes by itself
            }
            drop(gathered);
            thread::sleep(LINGER);
            let _nobody_to_tell = self.write();
        }
    }

    /// Writes all that is gathered.
    fn write(&self) -> io::Result<()> {
        let mut out = lock(&self.out);
        let Out { file, lines } = &mut *out;
        mem::swap(lines, &mut lock(&self.gathered).lines);
        let mut left = lines.as_slice();
        let mut outcome = Ok(());
        while !left.is_empty() && outcome.is_ok() {
            let (now, later) = left.split_at(whole_lines(left));
            outcome = file.write_all(now);
            left = later;
        }
        lines.clear();
        outcome
    }
}

/// How many bytes are to be written at once: as many whole lines as fit, at least one.
fn whole_lines(bytes: &[u8]) -> usize {
    if bytes.len() <= TOGETHER {
        return bytes.len();
    }
    let is_end = |byte: &u8| *byte == b'\n';
    let fitting = bytes[..TOGETHER].iter().rposition(is_end);
    fitting.or_else(|| bytes.iter().position(is_end)).map_or(bytes.len(), |end| end + 1)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes one line.
pub(super) struct Line<'a> {
    shared: &'a Shared,
    at_once: bool,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { shared: &self.0, at_once: true }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line<'a> {
        Line { shared: &self.0, at_once: *meta.level() <= Level::WARN }
    }
}

impl Write for Line<'_> {
    /// tracing-subscriber hands over a whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut gathered = lock(&self.shared.gathered);
        let was_empty = gathered.lines.is_empty();
        gathered.lines.extend_from_slice(line);
        let now = self.at_once || gathered.ended || gathered.lines.len() > MOST;
        drop(gathered);
        if now {
            self.shared.write()?;
        } else if was_empty {
            self.shared.news.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.shared.write()
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, os::fd::OwnedFd};

    use super::*;

    /// Lines, and where they arrive.
    fn pipe() -> (Lines, Log, io::PipeReader) {
        let (reader, writer) = io::pipe().expect("the system has a pipe");
        let (lines, log) = to(File::from(OwnedFd::from(writer))).expect("and a thread");
        (lines, log, reader)
    }

    fn line(lines: &Lines, at_once: bool, text: &str) {
        let written = Line { shared: &lines.0, at_once }.write(text.as_bytes()).expect("the pipe is open");
        assert_eq!(written, text.len());
    }

    fn arrives(reader: &mut io::PipeReader, text: &str) {
        let mut bytes = vec![0; text.len()];
        reader.read_exact(&mut bytes).expect("the pipe is open");
        assert_eq!(String::from_utf8_lossy(&bytes), text);
    }

    #[test]
    fn a_line_arrives_by_itself_and_in_its_turn() {
        let (lines, log, mut reader) = pipe();
        line(&lines, false, "one\n");
        arrives(&mut reader, "one\n");
        line(&lines, false, "two\n");
        line(&lines, true, "three\n");
        arrives(&mut reader, "two\nthree\n");
        drop(log);
    }

    #[test]
    fn what_is_left_is_written_at_the_end_and_what_comes_then_at_once() {
        let (lines, log, mut reader) = pipe();
        line(&lines, false, "one\n");
        drop(log);
        line(&lines, false, "two\n");
        drop(lines);
        let mut all = String::new();
        // The thread that wrote has gone, or the pipe would stay open.
        reader.read_to_string(&mut all).expect("the pipe is open");
        assert_eq!(all, "one\ntwo\n");
    }

    #[test]
    fn lines_are_written_whole_as_many_as_a_pipe_takes_together() {
        let short = format!("{}\n", "x".repeat(999));
        assert_eq!(whole_lines(short.repeat(3).as_bytes()), 3000);
        assert_eq!(whole_lines(short.repeat(5).as_bytes()), 4000);
        let long = format!("{}\n", "x".repeat(5000));
        assert_eq!(whole_lines(format!("{long}{short}").as_bytes()), 5001, "one that is too long goes alone");
        assert_eq!(whole_lines(format!("{short}{long}").as_bytes()), 1000);
    }
}
