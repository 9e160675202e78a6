//! A database of its own for a test, and the operator's tool on it.

use std::process::Stdio;

use common::db;
use dev::postgres::Throwaway;
use sqlx::{
    ConnectOptions as _, Executor as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{io::AsyncWriteExt as _, process::Command};

use super::ground::{Ground, TEMPLATE};

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) pool: PgPool,
    options: PgConnectOptions,
    ground: &'static Ground,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    /// What it said on standard output.
    pub(crate) out: String,
    /// And on standard error.
    pub(crate) err: String,
}

impl Database {
    /// One with the schema in it, and nothing else.
    pub(crate) async fn migrated() -> Self {
        Self::like(TEMPLATE).await
    }

    /// One with nothing in it.
    pub(crate) async fn empty() -> Self {
        Self::like("template0").await
    }

    /// A copy of this one, to which nobody may be connected any more.
    pub(crate) async fn copy(&self) -> Self {
        Self::like(&self.name).await
    }

    /// One with the schema in it, on a server of the test's own.
    pub(crate) async fn migrated_on(server: &Throwaway) -> Self {
        let ground = Ground::get().await;
        let options = server.options("postgres").disable_statement_logging();
        let pool = pool(&options);
        db::migrate(&pool, "usd".parse().expect("a currency")).await.expect("the migrations run");
        Self { name: format!("on_{}", server.port()), pool, options, ground }
    }

    async fn like(template: &str) -> Self {
        let ground = Ground::get().await;
        let name = ground.copy(template).await;
        let options = ground.options(&name);
        Self { name, pool: pool(&options), options, ground }
    }

    /// How to connect to it.
    pub(crate) fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// Runs some statements, of which the first that fails ends the test.
    pub(crate) async fn run(&self, statements: &str) {
        self.pool.execute(statements).await.unwrap_or_else(|error| panic!("{error}: {statements}"));
    }

    /// Runs `kassa` on it.
    pub(crate) async fn kassa(&self, arguments: &[&str]) -> Ended {
        self.kassa_with(arguments, &[], "").await
    }

    /// Runs `kassa` on it with some settings of its own, of which `DATABASE_URL` may be one, and with an input.
    pub(crate) async fn kassa_with(&self, arguments: &[&str], settings: &[(&str, &str)], input: &str) -> Ended {
        self.program("kassa", arguments, settings, input).await
    }

    /// Runs one of the programs on it, until it ends by itself.
    pub(crate) async fn program(
        &self,
        name: &str,
        arguments: &[&str],
        settings: &[(&str, &str)],
        input: &str,
    ) -> Ended {
        let mut command = Command::new(self.ground.programs().join(name));
        command.args(arguments).env_clear().env("DATABASE_URL", url(&self.options())).envs(settings.iter().copied());
        command.current_dir(std::env::temp_dir()); // no .env of the developer's
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut program = command.spawn().expect("it was built");
        let mut stdin = program.stdin.take().expect("it is piped");
        let _ended_unread = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = program.wait_with_output().await.expect("it can be waited for");
        let text = |bytes| String::from_utf8(bytes).expect("it prints text");
        let code = output.status.code().expect("nobody kills it");
        Ended { code, out: text(output.stdout), err: text(output.stderr) }
    }
}

/// What `DATABASE_URL` takes.
pub(crate) fn url(options: &PgConnectOptions) -> String {
    options.to_url_lossy().to_string()
}

/// The test's own connections, of which each is asked before it is used whether it is alive: a test may cut all but one.
fn pool(options: &PgConnectOptions) -> PgPool {
    PgPoolOptions::new().max_connections(5).connect_lazy_with(options.clone().options(db::SESSION))
}
