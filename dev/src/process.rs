//! Which process a number means: a process id is given to another process after a while, so it is kept with its start time.

use std::{fs, process::Command, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

/// How often a process that ends is looked at, where nobody is told of its end.
const LOOK: Duration = Duration::from_millis(20);

/// A process, told from any later one with the same id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its process id.
    pub pid: u32,
    /// When it started, in the system's own terms; means nothing but "the same" or "another".
    started: String,
}

impl Identity {
    /// The process with this id, if there is one: a child is there until it was waited for, ended or not.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        look(pid).map(|(started, _)| Self { pid, started })
    }

    /// This process.
    ///
    /// # Panics
    /// Where the system tells nothing of its processes: neither `/proc` nor `ps` is there.
    #[must_use]
    pub fn own() -> Self {
        Self::of(std::process::id()).expect("the system tells of a running process, by /proc or by ps")
    }

    /// Whether it still runs. One that ended and was not yet waited for does not.
    #[must_use]
    pub fn is_running(&self) -> bool {
        look(self.pid).is_some_and(|(started, runs)| runs && started == self.started)
    }

    /// Sends it a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        if self.is_running() {
            send(self.pid, signal);
        }
    }

    /// Waits for its end; false if it still runs after `limit`.
    pub async fn ended_within(&self, limit: Duration) -> bool {
        let gone = async {
            while self.is_running() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(limit, gone).await.is_ok()
    }
}

/// Signals a process that is known to be ours. That it has just ended is no error.
pub fn send(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _gone = kill(Pid::from_raw(pid), signal);
    }
}

/// When a process started, and whether it still runs. Linux counts from the start of the system, so that one is named too.
fn look(pid: u32) -> Option<(String, bool)> {
    let Ok(boot) = fs::read_to_string("/proc/sys/kernel/random/boot_id") else { return ask_ps(pid) };
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything; the fields after it are plain: state is the third, start time the 22nd.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let (state, ticks) = (fields.first()?, fields.get(19)?);
    Some((format!("{}:{ticks}", boot.trim()), !matches!(*state, "Z" | "X")))
}

fn ask_ps(pid: u32) -> Option<(String, bool)> {
    let out = Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).output().ok()?;
    let line = String::from_utf8(out.stdout).ok()?;
    let (state, started) = line.trim().split_once(' ')?;
    Some((started.trim().to_owned(), !state.starts_with('Z')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_itself_until_it_ends() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep is everywhere");
        let identity = Identity::of(child.id()).expect("it runs");
        assert!(identity.is_running());
        assert_eq!(Identity::of(child.id()), Some(identity.clone()));
        identity.signal(Signal::SIGKILL);
        child.wait().expect("it is our child");
        assert!(!identity.is_running());
    }

    #[tokio::test]
    async fn a_child_that_was_not_waited_for_is_known_but_does_not_run() {
        let mut child = Command::new("true").spawn().expect("true is everywhere");
        let identity = Identity::of(child.id()).expect("it was not waited for");
        assert!(identity.ended_within(Duration::from_secs(10)).await);
        assert_eq!(Identity::of(child.id()), Some(identity));
        child.wait().expect("it is our child");
    }

    #[test]
    fn another_process_with_the_same_id_is_not_it() {
        let other = Identity { pid: std::process::id(), started: "long ago".into() };
        assert!(!other.is_running());
        assert!(Identity::own().is_running());
    }
}
