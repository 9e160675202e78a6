//! What the terminal shows while the shop starts and stops: a line for each step, with a mark and its time. On a terminal, the
//! step under way is shown as well; elsewhere only what is done.

use std::{
    fmt::Display,
    io::{IsTerminal, Write, stderr, stdout},
    time::{Duration, Instant},
};

/// A step under way.
#[derive(Debug)]
pub(crate) struct Step {
    started: Instant,
}

impl Step {
    /// Shows that it begins.
    pub(crate) fn begin(what: impl Display) -> Self {
        if stdout().is_terminal() {
            show(format_args!("\r\x1b[2K  … {what}"));
        }
        Self { started: Instant::now() }
    }

    /// Shows that it is done, and what came of it.
    pub(crate) fn done(self, what: impl Display) {
        let took = seconds(self.started.elapsed());
        if stdout().is_terminal() {
            show(format_args!("\r\x1b[2K  \x1b[32m✓\x1b[0m {what} \x1b[2m({took})\x1b[0m\n"));
        } else {
            show(format_args!("  ✓ {what} ({took})\n"));
        }
    }
}

/// What is under way, in the place of what was said so last; nothing where that can't be taken back.
pub(crate) fn now(what: impl Display) {
    if stdout().is_terminal() {
        show(format_args!("\r\x1b[2K  … {what}"));
    }
}

/// Whether [`now`] shows anything.
pub(crate) fn is_live() -> bool {
    stdout().is_terminal()
}

/// Something worth knowing.
pub(crate) fn note(what: impl Display) {
    let clear = if stdout().is_terminal() { "\r\x1b[2K" } else { "" };
    show(format_args!("{clear}  · {what}\n"));
}

/// Something that went wrong; goes to standard error.
pub(crate) fn alert(what: impl Display) {
    let clear = if stderr().is_terminal() { "\r\x1b[2K" } else { "" };
    let _gone = writeln!(stderr().lock(), "{clear}{what}");
}

/// Lines as they are.
pub(crate) fn print(what: impl Display) {
    show(format_args!("{what}\n"));
}

/// A time as people read it.
pub(crate) fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        1..100 => format!("{:.1} s", time.as_secs_f64()),
        seconds => format!("{} min", (seconds + 30) / 60),
    }
}

/// A terminal that went away is no reason to stop.
fn show(what: std::fmt::Arguments<'_>) {
    let mut out = stdout().lock();
    let _gone = out.write_fmt(what).and_then(|()| out.flush());
}
