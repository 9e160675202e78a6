//! What asks for an end: signals, and the end of the caller.

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use tokio::{
    signal::unix::{self, SignalKind},
    sync::oneshot,
};

/// Listens from its making on, so that none is missed.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hangup: unix::Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self> {
        let listen = |kind| unix::signal(kind).context("listening for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.terminate.recv() => Signal::SIGTERM,
            _ = self.hangup.recv() => Signal::SIGHUP,
        }
    }
}

/// The end of standard input: with the process that has its other end, however that ends. A thread of its own reads, since a
/// blocked read can't be taken back.
pub(crate) async fn end_of_input() {
    let (ended, wait) = oneshot::channel();
    std::thread::spawn(move || {
        let _failed_or_read = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _nobody_waits = ended.send(());
    });
    let _ended = wait.await;
}
