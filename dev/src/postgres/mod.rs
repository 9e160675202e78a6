//! A private Postgres: a cluster of our own, in a folder of our own, on a port of its own. Nothing that is installed or running
//! on the machine is touched; only the server's programs are used. It listens on loopback only and asks for a password.
//!
//! [`Cluster::durable`] keeps its data and loses nothing at a crash, as a shop needs it. [`Throwaway`] is for tests: in a temporary
//! folder, gone at the end, and fast; or, if it shall be crashed on purpose, as safe as a crash of the server alone asks for; or, if it
//! shall be measured, as safe as a shop's.

mod binaries;
mod install;
mod leftover;
mod owner;
mod place;
mod server;
mod statements;
mod throwaway;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use rand::{Rng, distr::Alphanumeric};
use sqlx::{
    Connection, Executor,
    postgres::{PgConnectOptions, PgConnection},
};

use crate::{files::write_private, ports, process::Identity};

pub use binaries::{Binaries, FindError, find};
pub use place::{Place, end_leftover, made_by_us, wipe};
pub use statements::{Logged, logged};
pub use throwaway::Throwaway;

use owner::Owner;
use server::Server;

/// The superuser of a durable cluster. An address with this name on loopback is one that `cargo dev env` has printed.
pub const DURABLE_USER: &str = "kassa_dev";

/// The database of a durable cluster.
pub const DURABLE_DATABASE: &str = "kassa";

/// How long a start is tried again that failed for a reason which passes by itself.
const RETRIES: Duration = Duration::from_secs(10);
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// Its programs are not here.
    #[error(transparent)]
    Find(#[from] FindError),
    /// Root has nobody to run it as.
    #[error("Postgres refuses to run as root, and this system has neither a user `postgres` nor `nobody` to run it as")]
    NoUser,
    /// Somebody else made the data.
    #[error("{} belongs to another user: run this as that user, or as root", .0.display())]
    NotOurs(PathBuf),
    /// The cluster could not be made.
    #[error("initdb failed:\n{0}")]
    Initdb(String),
    /// The server ended instead of starting.
    #[error("Postgres did not start ({ended}); the end of its log {}:\n{tail}", .log.display())]
    Ended {
        /// How it ended.
        ended: String,
        /// Its log.
        log: PathBuf,
        /// The end of it.
        tail: String,
    },
    /// It runs but takes no connections.
    #[error("Postgres took no connection within {limit:?}: {error}; its log is {}", .log.display())]
    Silent {
        /// How long it was tried.
        limit: Duration,
        /// What the last try said.
        error: String,
        /// Its log.
        log: PathBuf,
    },
    /// It refused to make the database.
    #[error("the database could not be made: {0}")]
    Database(#[from] sqlx::Error),
    /// The file system or the system refused.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Says what was being done when the system refused.
fn doing(what: impl Into<String>) -> impl FnOnce(io::Error) -> PostgresError {
    let what = what.into();
    move |source| PostgresError::Io { what, source }
}

/// What a cluster is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Durable,
    Throwaway,
    /// A throwaway that is crashed on purpose.
    Victim,
    /// A throwaway that is measured: with a shop's durability, and room enough that no checkpoint comes at one moment or another.
    Measured,
}

impl Kind {
    fn superuser(self) -> &'static str {
        match self {
            Self::Durable => DURABLE_USER,
            Self::Throwaway | Self::Victim | Self::Measured => "postgres",
        }
    }

    /// Postgres writes everything down at SIGINT, and nothing at SIGQUIT, where the data is not needed any more.
    fn stop_signal(self) -> Signal {
        match self {
            Self::Durable => Signal::SIGINT,
            Self::Throwaway | Self::Victim | Self::Measured => Signal::SIGQUIT,
        }
    }

    fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Durable => &["max_connections=200"],
            Self::Throwaway => &[
                "max_connections=500",
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
                "wal_level=minimal",
                "max_wal_senders=0",
            ],
            // The server crashes, the machine does not: what was written is kept, synced or not.
            Self::Victim => &["max_connections=200", "fsync=off", "full_page_writes=off"],
            Self::Measured => {
                &["max_connections=200", "shared_buffers=512MB", "max_wal_size=8GB", "checkpoint_timeout=1h"]
            }
        }
    }
}

/// A running server with its data. Dropping it tells the server to stop; [`Cluster::stop`] also waits for it.
#[derive(Debug)]
pub struct Cluster {
    kind: Kind,
    owner: Owner,
    binaries: Binaries,
    folder: PathBuf,
    log: PathBuf,
    port: u16,
    password: String,
    server: Server,
}

impl Cluster {
    /// Starts the cluster in `folder` and makes it first if it is not there. A server that a crash left over is stopped first.
    /// Takes `port`, or another one if that is taken; its log goes to `log`. The database [`DURABLE_DATABASE`] is there after.
    ///
    /// # Errors
    /// When there are no programs, or the server doesn't start; says what to do.
    pub async fn durable(folder: &Path, port: u16, log: &Path) -> Result<Self, PostgresError> {
        let cluster = Self::start(folder, Kind::Durable, Some(port), log).await?;
        cluster.create_database(DURABLE_DATABASE).await?;
        Ok(cluster)
    }

    async fn start(folder: &Path, kind: Kind, port: Option<u16>, log: &Path) -> Result<Self, PostgresError> {
        let owner = Owner::of(&folder.join("data"))?;
        owner.make_private(folder).map_err(doing(format!("making {}", folder.display())))?;
        let folder = folder.canonicalize().map_err(doing(format!("finding {}", folder.display())))?;
        let data = folder.join("data");
        leftover::end(&data).await?;
        let binaries = find(version_of(&data))?;
        let password = create_unless_there(&binaries, owner, &folder, kind).await?;

        let deadline = Instant::now() + RETRIES;
        loop {
            let port = match port {
                Some(preferred) => ports::free(preferred),
                None => ports::any(),
            };
            let port = port.map_err(doing("looking for a free port"))?;
            fs::File::create(log).map_err(doing(format!("writing {}", log.display())))?; // without what was in it
            let mut server = Server::spawn(&binaries, owner, &folder, port, kind, log)?;
            match server.accepts(&options(kind, port, &password, "postgres")).await {
                Ok(()) => {
                    let log = log.to_owned();
                    return Ok(Self { kind, owner, binaries, folder, log, port, password, server });
                }
                Err(PostgresError::Ended { tail, .. }) if passes(&tail) && Instant::now() < deadline => {
                    tokio::time::sleep(RETRY_AFTER).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn create_database(&self, name: &str) -> Result<(), PostgresError> {
        let mut connection = PgConnection::connect_with(&self.options("postgres")).await?;
        let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(name)
            .fetch_one(&mut connection)
            .await?;
        if !there {
            connection.execute(format!("CREATE DATABASE \"{name}\"").as_str()).await?;
        }
        connection.close().await?;
        Ok(())
    }

    /// How to connect to one of its databases. `postgres` is always there.
    #[must_use]
    pub fn options(&self, database: &str) -> PgConnectOptions {
        options(self.kind, self.port, &self.password, database)
    }

    /// The same as a URL, with the password: what `DATABASE_URL` takes.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{}:{}@127.0.0.1:{}/{database}", self.kind.superuser(), self.password, self.port)
    }

    /// Where it listens, on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        self.server.identity()
    }

    /// Ends the server as `pg_ctl restart -m immediate` does, without a checkpoint, and starts it again where it was.
    async fn crash(&mut self) -> Result<(), PostgresError> {
        self.server.abort().await;
        let deadline = Instant::now() + RETRIES;
        loop {
            self.server = Server::spawn(&self.binaries, self.owner, &self.folder, self.port, self.kind, &self.log)?;
            let options = self.options("postgres");
            match self.server.accepts(&options).await {
                Err(PostgresError::Ended { tail, .. }) if passes(&tail) && Instant::now() < deadline => {
                    tokio::time::sleep(RETRY_AFTER).await;
                }
                ended => return ended,
            }
        }
    }

    /// Waits until the server ends by itself, which it should not, and says how. May be dropped and called again.
    pub async fn ended(&mut self) -> String {
        self.server.ended().await
    }

    /// Stops it in order: sessions are cut, everything is written. Harder means are taken when that takes too long.
    pub async fn stop(mut self) {
        self.server.stop().await;
    }
}

/// Whether a start that failed so may succeed in a moment: somebody took the port that was free just now, or sessions of a server
/// that was killed have not noticed yet.
fn passes(tail: &str) -> bool {
    tail.contains("Address already in use") || tail.contains("pre-existing shared memory block")
}

fn options(kind: Kind, port: u16, password: &str, database: &str) -> PgConnectOptions {
    // Not `new`: the caller's PG… variables are about another server.
    PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username(kind.superuser())
        .password(password)
        .database(database)
        .ssl_mode(sqlx::postgres::PgSslMode::Disable)
}

/// The major version that made the data.
fn version_of(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()
}

/// Makes the data under another name first, so that what was interrupted is not taken for a cluster. Gives the password.
async fn create_unless_there(
    binaries: &Binaries,
    owner: Owner,
    folder: &Path,
    kind: Kind,
) -> Result<String, PostgresError> {
    let (data, half, secret) = (folder.join("data"), folder.join("data.half"), folder.join("password"));
    if data.exists() {
        return fs::read_to_string(&secret).map_err(doing(format!("reading {}", secret.display())));
    }
    if half.exists() {
        fs::remove_dir_all(&half).map_err(doing(format!("removing {}", half.display())))?;
    }
    let password: String = rand::rng().sample_iter(Alphanumeric).take(24).map(char::from).collect();
    write_private(&secret, &password)
        .and_then(|()| owner.give(&secret))
        .map_err(doing(format!("writing {}", secret.display())))?;
    // The locale of C folds the case of ASCII only; where C.UTF-8 is unknown it has to do.
    let mut failed = String::new();
    for locale in ["C.UTF-8", "C"] {
        let mut initdb = owner.command(binaries.program("initdb"));
        initdb.kill_on_drop(true).args(["--username", kind.superuser(), "--encoding", "UTF8", "--locale", locale]);
        initdb.args(["--auth-host", "password", "--auth-local", "password", "--pwfile"]).arg(&secret);
        if kind != Kind::Durable {
            initdb.arg("--no-sync");
        }
        let made = initdb.arg("-D").arg(&half).output().await;
        let made = made.map_err(doing(format!("running {}", binaries.program("initdb").display())))?;
        if made.status.success() {
            fs::rename(&half, &data).map_err(doing(format!("renaming {}", half.display())))?;
            return Ok(password);
        }
        failed = String::from_utf8_lossy(&made.stderr).trim().to_owned();
        if !failed.contains("locale") {
            break;
        }
    }
    Err(PostgresError::Initdb(failed))
}
