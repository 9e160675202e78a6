//! A cluster for tests: no fsync, a temporary folder, gone at the end. One whose keeper was killed is removed by the next.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use sqlx::postgres::PgConnectOptions;

use super::{Cluster, Kind, PostgresError, doing, leftover, owner::Owner};
use crate::{files::write_private, process::Identity};

const PREFIX: &str = "kassa-postgres-";
/// In its folder: the process that keeps it.
const KEEPER: &str = "keeper.json";

/// A cluster that is removed when it is stopped, or dropped. If its process is killed it stays behind: to be safe from that,
/// have `kassa-dev postgres` keep it.
#[derive(Debug)]
pub struct Throwaway {
    cluster: Cluster,
    folder: Folder,
}

impl Throwaway {
    /// Makes and starts one, with room for 500 connections.
    ///
    /// # Errors
    /// When there are no programs, or the server doesn't start; says what to do.
    pub async fn start() -> Result<Self, PostgresError> {
        Self::make(Kind::Throwaway, Folder::create().await?, None, None).await
    }

    /// One with the durability of a shop's own server: for what looks at that.
    ///
    /// # Errors
    /// As for [`Throwaway::start`].
    pub async fn start_durable() -> Result<Self, PostgresError> {
        Self::make(Kind::Durable, Folder::create().await?, None, None).await
    }

    /// One that loses nothing at [`Throwaway::crash`]. Takes `port`, or another one near it: a port from which the system takes
    /// those of outgoing connections might be gone when the server comes back. Logs to `log`.
    ///
    /// # Errors
    /// As for [`Throwaway::start`].
    pub async fn start_victim(port: u16, log: &Path) -> Result<Self, PostgresError> {
        Self::make(Kind::Victim, Folder::create().await?, Some(port), Some(log)).await
    }

    /// The same in a folder below `base`, whose disk may be one that fills up. The server's user must reach it.
    ///
    /// # Errors
    /// As for [`Throwaway::start`].
    pub async fn start_victim_in(base: &Path, port: u16, log: &Path) -> Result<Self, PostgresError> {
        Self::make(Kind::Victim, Folder::create_in(base)?, Some(port), Some(log)).await
    }

    /// One to be measured: as durable as a shop's (`fsync` and `synchronous_commit` are on). Logs to `log`.
    ///
    /// # Errors
    /// As for [`Throwaway::start`].
    pub async fn start_measured(log: &Path) -> Result<Self, PostgresError> {
        Self::make(Kind::Measured, Folder::create().await?, None, Some(log)).await
    }

    async fn make(kind: Kind, folder: Folder, port: Option<u16>, log: Option<&Path>) -> Result<Self, PostgresError> {
        sweep().await;
        let own = folder.0.join("server.log");
        let cluster = Cluster::start(&folder.0, kind, port, log.unwrap_or(&own)).await?;
        Ok(Self { cluster, folder })
    }

    /// Ends the server as `pg_ctl restart -m immediate` does, and starts it again where it was.
    ///
    /// # Errors
    /// When it doesn't start again.
    pub async fn crash(&mut self) -> Result<(), PostgresError> {
        self.cluster.crash().await
    }

    /// Where it listens, on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.cluster.port()
    }

    /// Its address with the password: what `DATABASE_URL` takes. `postgres` is always there.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.cluster.url(database)
    }

    /// How to connect.
    #[must_use]
    pub fn options(&self, database: &str) -> PgConnectOptions {
        self.cluster.options(database)
    }

    /// The server's process.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        self.cluster.identity()
    }

    /// Waits until the server ends by itself, which it should not, and says how.
    pub async fn ended(&mut self) -> String {
        self.cluster.ended().await
    }

    /// Stops and removes it.
    pub async fn stop(mut self) {
        self.cluster.server.stop().await;
        drop(self.folder);
    }
}

/// A temporary folder, removed when dropped.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    /// In the usual place for temporary files, or another if the server's user can't reach that.
    async fn create() -> Result<Self, PostgresError> {
        let owner = Owner::of(Path::new(""))?;
        let mut bases = bases();
        let mut base = bases.remove(0);
        for other in bases {
            if owner.reaches(&base).await {
                break;
            }
            base = other;
        }
        Self::create_in(&base)
    }

    fn create_in(base: &Path) -> Result<Self, PostgresError> {
        let folder = Self(base.join(format!("{PREFIX}{}", uuid::Uuid::new_v4().simple())));
        let owner = Owner::of(&folder.0)?;
        owner.make_private(&folder.0).map_err(doing(format!("making {}", folder.0.display())))?;
        let keeper = serde_json::to_string(&Identity::own()).expect("an identity is plain data");
        write_private(&folder.0.join(KEEPER), &keeper).map_err(doing("noting the keeper"))?;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What can't be removed now is swept by the next one.
        let _left_for_later = fs::remove_dir_all(&self.0);
    }
}

fn bases() -> Vec<PathBuf> {
    vec![env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")]
}

/// Removes clusters whose keeper is dead.
async fn sweep() {
    for base in bases() {
        for entry in fs::read_dir(base).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(PREFIX) && is_abandoned(&entry.path()) {
                let ended = leftover::end(&entry.path().join("data")).await;
                if ended.is_ok() {
                    drop(Folder(entry.path()));
                }
            }
        }
    }
}

/// A folder without a keeper's note may be one that is just being made.
fn is_abandoned(folder: &Path) -> bool {
    let keeper = fs::read(folder.join(KEEPER)).ok();
    let keeper: Option<Identity> = keeper.and_then(|note| serde_json::from_slice(&note).ok());
    keeper.is_some_and(|keeper| !keeper.is_running())
}
