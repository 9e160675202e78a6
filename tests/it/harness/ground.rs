//! What all tests of a run share: the programs, built from the code that is tested, a throwaway cluster, and in it a migrated
//! database that each test copies.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use common::db;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, postgres::PgConnectOptions};
use tokio::sync::OnceCell;

/// The migrated database.
pub(super) const TEMPLATE: &str = "template_shop";

static GROUND: OnceCell<Ground> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Ground {
    programs: PathBuf,
    cluster: PgConnectOptions,
    /// The cluster goes when its standard input ends: with this process, however that ends.
    _keeper: Child,
}

impl Ground {
    /// Made by whoever comes first; the others wait.
    pub(super) async fn get() -> &'static Self {
        GROUND.get_or_init(Self::make).await
    }

    async fn make() -> Self {
        rustls::crypto::ring::default_provider().install_default().expect("nobody else chooses one");
        let programs = dev::cargo::build_for_test(&["api", "worker", "cli", "dev"]);
        let (keeper, url) = keep_postgres(&programs.join("kassa-dev"));
        let cluster: PgConnectOptions = url.trim().parse().expect("kassa-dev prints a URL first");
        let ground = Self { programs, cluster: cluster.disable_statement_logging(), _keeper: keeper };
        ground.run(&format!("CREATE DATABASE {TEMPLATE}")).await;
        let pool = db::pool(ground.options(TEMPLATE), 2);
        db::migrate(&pool, "usd".parse().expect("a currency")).await.expect("the migrations run");
        pool.close().await;
        ground
    }

    /// The folder of the programs.
    pub(super) fn programs(&self) -> &Path {
        &self.programs
    }

    /// A new database that is a copy of another, to which nobody may be connected; its name.
    pub(super) async fn copy(&self, template: &str) -> String {
        let name = format!("shop_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        // The backends of a program that was killed may outlive it for a moment.
        let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{template}'");
        self.run(&end).await;
        self.run(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        name
    }

    /// How to connect to a database of the cluster.
    pub(super) fn options(&self, database: &str) -> PgConnectOptions {
        self.cluster.clone().database(database)
    }

    async fn run(&self, statement: &str) {
        let mut connection = self.cluster.connect().await.expect("the cluster answers");
        connection.execute(statement).await.expect(statement);
        connection.close().await.expect("it was open");
    }
}

/// The folder of the programs, for a test that runs one in its own way.
pub(crate) async fn programs() -> &'static Path {
    Ground::get().await.programs()
}

fn keep_postgres(program: &Path) -> (Child, String) {
    let mut command = Command::new(program);
    let mut keeper =
        command.arg("postgres").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("kassa-dev runs");
    let mut url = String::new();
    let output = keeper.stdout.as_mut().expect("it is piped");
    BufReader::new(output).read_line(&mut url).expect("kassa-dev prints text");
    assert!(url.starts_with("postgres"), "there is no Postgres for the tests; kassa-dev says why");
    (keeper, url)
}
