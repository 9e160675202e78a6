//! How log lines get to a file: gathered for a moment and written together, as a call of the system for each would cost a busy API a
//! twelfth of its time (docs/adr/0021). A line that warns is written before its thread goes on, with all that came before it.

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
/// Most bytes in one write: so many a pipe takes without mixing them with what other processes write (pipe(7); its value on Linux).
const PIPE_BUF: usize = 4096;

/// See the module.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    gathered: Mutex<Gathered>,
    /// There is something to write, or the end has come.
    wake: Condvar,
    /// Locked before `gathered` where both are, so that lines keep their order.
    sink: Mutex<Sink>,
}

#[derive(Default)]
struct Gathered {
    lines: Vec<u8>,
    /// Nobody writes what is kept back any more.
    ended: bool,
}

struct Sink {
    file: File,
    /// What is being written.
    lines: Vec<u8>,
}

/// Writes what is left when it is dropped, and tells the thread that writes to end. Whatever comes then is written line by line.
#[must_use = "dropped, it has lines written one by one"]
pub struct LogGuard(Lines);

impl Drop for LogGuard {
    fn drop(&mut self) {
        let shared = &self.0.0;
        lock(&shared.gathered).ended = true;
        shared.wake.notify_one();
        let _nobody_to_tell = shared.write();
    }
}

impl Lines {
    /// Writes them to a file, by a thread of their own.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(super) fn to(file: File) -> io::Result<(Self, LogGuard)> {
        let lines = Self::new(file);
        let shared = lines.0.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || shared.run())?;
        Ok((lines.clone(), LogGuard(lines)))
    }

    fn new(file: File) -> Self {
        let sink = Mutex::new(Sink { file, lines: vec![] });
        Self(Arc::new(Shared { gathered: Mutex::default(), wake: Condvar::new(), sink }))
    }
}

impl Shared {
    fn run(&self) {
        loop {
            let is_idle = |gathered: &mut Gathered| gathered.lines.is_empty() && !gathered.ended;
            let gathered = self.wake.wait_while(lock(&self.gathered), is_idle).unwrap_or_else(PoisonError::into_inner);
            if gathered.ended {
                return;
            }
            drop(gathered);
            thread::sleep(LINGER); // others may add theirs meanwhile
            let _nobody_to_tell = self.write();
        }
    }

    /// Writes all that is gathered.
    fn write(&self) -> io::Result<()> {
        let mut sink = lock(&self.sink);
        let Sink { file, lines } = &mut *sink;
        mem::swap(lines, &mut lock(&self.gathered).lines);
        let written = write_lines(file, lines);
        lines.clear();
        written
    }
}

/// Those that can't be written are lost, and no others.
fn write_lines(file: &mut File, mut lines: &[u8]) -> io::Result<()> {
    let mut outcome = Ok(());
    while !lines.is_empty() {
        let (now, later) = lines.split_at(whole_lines(lines));
        outcome = outcome.and(file.write_all(now));
        lines = later;
    }
    outcome
}

/// How many bytes go into one write: as many whole lines as fit, at least one.
fn whole_lines(bytes: &[u8]) -> usize {
    if bytes.len() <= PIPE_BUF {
        return bytes.len();
    }
    let is_end = |byte: &u8| *byte == b'\n';
    let fitting = bytes[..PIPE_BUF].iter().rposition(is_end);
    fitting.or_else(|| bytes.iter().position(is_end)).map_or(bytes.len(), |end| end + 1)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes one line.
pub(super) struct Line<'a> {
    shared: &'a Shared,
    warns: bool,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { shared: &self.0, warns: true }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line<'a> {
        Line { shared: &self.0, warns: *meta.level() <= Level::WARN } // the graver, the less
    }
}

impl Write for Line<'_> {
    /// tracing-subscriber hands over a whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut gathered = lock(&self.shared.gathered);
        let is_first = gathered.lines.is_empty();
        gathered.lines.extend_from_slice(line);
        let is_due = self.warns || gathered.ended || gathered.lines.len() > MOST;
        drop(gathered);
        if is_due {
            self.shared.write()?;
        } else if is_first {
            self.shared.wake.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.shared.write()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{PipeReader, Read as _},
        os::fd::OwnedFd,
    };

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn pipe() -> (PipeReader, File) {
        let (reader, writer) = io::pipe().expect("the system has a pipe");
        (reader, File::from(OwnedFd::from(writer)))
    }

    fn arrives(reader: &mut PipeReader, text: &str) {
        let mut bytes = vec![0; text.len()];
        reader.read_exact(&mut bytes).expect("the pipe is open");
        assert_eq!(String::from_utf8_lossy(&bytes), text);
    }

    /// What is kept back, where no thread writes it.
    fn kept_back(lines: &Lines) -> usize {
        lock(&lines.0.gathered).lines.len()
    }

    fn line(lines: &Lines, text: &str) {
        let written = Line { shared: &lines.0, warns: false }.write(text.as_bytes()).expect("the pipe is open");
        assert_eq!(written, text.len());
    }

    #[test]
    fn a_line_that_warns_is_written_at_once_with_those_before_it() {
        let (mut reader, writer) = pipe();
        let lines = Lines::new(writer);
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_target(false).without_time();
        let subscriber = tracing_subscriber::registry().with(layer.with_writer(lines.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("one");
            assert_ne!(kept_back(&lines), 0);
            tracing::warn!("two");
            assert_eq!(kept_back(&lines), 0);
            arrives(&mut reader, " INFO one\n WARN two\n");
            tracing::error!("three");
            assert_eq!(kept_back(&lines), 0);
            arrives(&mut reader, "ERROR three\n");
        });
    }

    #[test]
    fn who_brings_too_much_waits_until_it_is_written() {
        let (mut reader, writer) = pipe();
        let lines = Lines::new(writer);
        let long = format!("{}\n", "x".repeat(MOST));
        thread::scope(|scope| {
            scope.spawn(|| line(&lines, &long)); // more than the pipe takes unread
            arrives(&mut reader, &long);
        });
        assert_eq!(kept_back(&lines), 0);
    }

    #[test]
    fn a_line_that_nothing_follows_arrives() {
        let (mut reader, writer) = pipe();
        let (lines, guard) = Lines::to(writer).expect("the system has a thread");
        for text in ["one\n", "two\n"] {
            line(&lines, text);
            arrives(&mut reader, text);
        }
        drop(guard);
    }

    #[test]
    fn what_is_left_is_written_at_the_end_and_what_comes_then_at_once() {
        let (mut reader, writer) = pipe();
        let lines = Lines::new(writer);
        line(&lines, "one\n");
        drop(LogGuard(lines.clone()));
        line(&lines, "two\n");
        assert_eq!(kept_back(&lines), 0);
        arrives(&mut reader, "one\ntwo\n");
    }

    #[test]
    fn the_thread_ends_with_the_guard() {
        let (mut reader, writer) = pipe();
        let (lines, guard) = Lines::to(writer).expect("the system has a thread");
        drop((lines, guard));
        let mut all = String::new();
        reader.read_to_string(&mut all).expect("the thread has let go of the pipe");
        assert_eq!(all, "");
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
