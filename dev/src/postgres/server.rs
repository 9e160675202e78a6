//! The server's process: started, waited for, stopped.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::sys::signal::Signal;
use sqlx::{
    Connection,
    postgres::{PgConnectOptions, PgConnection},
};
use tokio::{
    process::Child,
    time::{Instant, timeout},
};

use super::{Binaries, Kind, PostgresError, doing, owner::Owner};
use crate::{
    files::tail,
    process::{self, Identity},
};

/// A start after a crash replays the log first.
const START: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(20);

/// The longest path of a Unix socket, less the end: Linux takes 107 bytes, macOS 103.
const LONGEST_SOCKET: usize = 103;

/// See the module. Dropping it tells the server to stop.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    identity: Identity,
    log: PathBuf,
    kind: Kind,
}

impl Server {
    pub(super) fn spawn(
        binaries: &Binaries,
        owner: Owner,
        folder: &Path,
        port: u16,
        kind: Kind,
        log: &Path,
    ) -> Result<Self, PostgresError> {
        let program = binaries.program("postgres");
        let opened =
            File::options().create(true).append(true).open(log).map_err(doing(format!("writing {}", log.display())))?;
        let mut command = owner.command(&program);
        command.arg("-D").arg(folder.join("data")).args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        command.arg("-k").arg(socket_folder(folder, port));
        for setting in kind.settings() {
            command.args(["-c", setting]);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(opened).spawn();
        let child = child.map_err(doing(format!("running {}", program.display())))?;
        let pid = child.id().expect("it was not waited for");
        let identity = Identity::of(pid).expect("a child is there until it is waited for, ended or not");
        Ok(Self { child, identity, log: log.to_owned(), kind })
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Waits until it takes connections.
    pub(super) async fn accepts(&mut self, options: &PgConnectOptions) -> Result<(), PostgresError> {
        let deadline = Instant::now() + START;
        loop {
            let error = match timeout(Duration::from_secs(5), PgConnection::connect_with(options)).await {
                Ok(Ok(connection)) => {
                    connection.close().await?;
                    return Ok(());
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            if let Ok(Some(ended)) = self.child.try_wait() {
                let tail = tail(&self.log, 15);
                return Err(PostgresError::Ended { ended: ended.to_string(), log: self.log.clone(), tail });
            }
            if Instant::now() > deadline {
                return Err(PostgresError::Silent { limit: START, error, log: self.log.clone() });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits for its end.
    pub(super) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Ends it at once; its sessions may linger for a moment.
    pub(super) async fn abort(&mut self) {
        if let Some(pid) = self.child.id() {
            process::send(pid, Signal::SIGQUIT);
            if timeout(Duration::from_secs(5), self.child.wait()).await.is_err() {
                process::send(pid, Signal::SIGKILL);
                let _ended = self.child.wait().await;
            }
        }
    }

    pub(super) async fn stop(&mut self) {
        for (signal, patience) in [(self.kind.stop_signal(), 20), (Signal::SIGQUIT, 5), (Signal::SIGKILL, 5)] {
            let Some(pid) = self.child.id() else { return };
            process::send(pid, signal);
            if timeout(Duration::from_secs(patience), self.child.wait()).await.is_ok() {
                return;
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = self.child.id() {
            process::send(pid, self.kind.stop_signal());
        }
    }
}

/// Where the Unix socket is: beside the data, or nowhere if its path would be too long for the system.
fn socket_folder(folder: &Path, port: u16) -> PathBuf {
    let socket = folder.join(format!(".s.PGSQL.{port}"));
    if socket.as_os_str().len() <= LONGEST_SOCKET { folder.to_owned() } else { PathBuf::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_whose_path_is_too_long_is_done_without() {
        assert_eq!(socket_folder(Path::new("/tmp/a"), 5433), Path::new("/tmp/a"));
        let deep = PathBuf::from(format!("/tmp/{}", "a".repeat(100)));
        assert_eq!(socket_folder(&deep, 5433), Path::new(""));
    }
}
