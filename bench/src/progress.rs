//! What the terminal shows meanwhile: what is under way, in one line that is written over, and a line for all that is done. On
//! standard error, so that the table can be piped.

use std::{
    fmt::Display,
    io::{IsTerminal as _, Write as _, stderr},
    time::{Duration, Instant},
};

/// Something that takes its time.
pub(crate) struct Step(Instant);

impl Step {
    /// Shows that it begins.
    pub(crate) fn begin(what: impl Display) -> Self {
        now(what);
        Self(Instant::now())
    }

    /// Shows that it is done, and what came of it.
    pub(crate) fn done(self, what: impl Display) {
        note(format_args!("{what} ({})", seconds(self.0.elapsed())));
    }
}

/// What is under way; nothing where it can't be written over.
pub(crate) fn now(what: impl Display) {
    if stderr().is_terminal() {
        show(format_args!("\r\x1b[2K  … {what}"));
    }
}

/// Something worth a line.
pub(crate) fn note(what: impl Display) {
    let clear = if stderr().is_terminal() { "\r\x1b[2K" } else { "" };
    show(format_args!("{clear}  {what}\n"));
}

/// A time as people read it.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// A terminal that went away is no reason to stop.
fn show(what: std::fmt::Arguments<'_>) {
    let mut out = stderr().lock();
    let _gone = out.write_fmt(what).and_then(|()| out.flush());
}
