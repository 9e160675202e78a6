//! What the programs say to the database: a server of the test's own logs each statement, and a role for each program tells whose it is.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use dev::{
    ports,
    postgres::{Logged, Throwaway, logged},
};

use super::{
    database::{Database, url},
    shop::{Shop, Urls},
};

/// Below those that the system gives to outgoing connections.
const PORTS: u16 = 21_400;

/// A server whose log is read.
#[derive(Debug)]
pub(crate) struct Overheard {
    pub(crate) server: Throwaway,
    log: PathBuf,
}

/// Who sent a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    Api,
    Worker,
}

impl Shop {
    /// One whose statements are logged, also where somebody waits for a lock for a millisecond.
    pub(crate) async fn overheard() -> (Self, Overheard) {
        static LOGS: AtomicU32 = AtomicU32::new(0);
        let log = format!("kassa-tests-{}-overheard-{}.log", std::process::id(), LOGS.fetch_add(1, Ordering::Relaxed));
        let log = std::env::temp_dir().join(log);
        let port = ports::free(PORTS).expect("there are free ports");
        let server = Throwaway::start_victim(port, &log).await.expect("there is Postgres");
        let database = Database::migrated_on(&server).await;
        let role = async |name: &str| {
            let role = format!("CREATE ROLE {name} SUPERUSER LOGIN PASSWORD '{name}'");
            let settings = ["log_statement = 'all'", "log_lock_waits = on", "deadlock_timeout = '1ms'"];
            let settings = settings.map(|setting| format!("ALTER ROLE {name} SET {setting}")).join("; ");
            database.run(&format!("{role}; {settings}")).await;
            url(&database.options().username(name).password(name))
        };
        let urls = Urls { api: role("api").await, worker: role("worker").await };
        (Self::on(database, urls, &[]).await, Overheard { server, log })
    }
}

impl Overheard {
    /// How far the log goes by now.
    pub(crate) fn so_far(&self) -> usize {
        self.text().len()
    }

    /// What was logged since then.
    pub(crate) fn since(&self, then: usize) -> String {
        self.text()[then..].to_owned()
    }

    /// The statements that were sent since then, in their order, with who sent them.
    pub(crate) async fn statements(&self, shop: &Shop, then: usize) -> Vec<(Speaker, Logged)> {
        let sessions = "SELECT pid, usename::text FROM pg_stat_activity WHERE usename IN ('api', 'worker')";
        let sessions: Vec<(i32, String)> =
            sqlx::query_as(sessions).fetch_all(&shop.pool).await.expect("it can be asked");
        let speaker = |statement: &Logged| {
            let (_, role) = sessions.iter().find(|(pid, _)| u32::try_from(*pid) == Ok(statement.session))?;
            Some(if role == "api" { Speaker::Api } else { Speaker::Worker })
        };
        let statements = logged(&self.since(then)).into_iter();
        statements.filter_map(|statement| Some((speaker(&statement)?, statement))).collect()
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.log).expect("the server logs")
    }

    /// Ends the server.
    pub(crate) async fn stop(self) {
        self.server.stop().await;
        let _gone = fs::remove_file(&self.log);
    }
}
