//! The ground that is measured on: the server, the stand-ins for Stripe and mail, and the programs.

use std::{env, fs, path::PathBuf};

use anyhow::{Context as _, Result};
use dev::{
    mail::{Catcher, CatcherOptions},
    postgres::{self, Throwaway},
    stripe::{Simulator, SimulatorOptions},
};
use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};

use crate::{pgbench::Pgbench, programs, progress::Step};

/// What the API signs its tokens with.
pub(crate) const JWT_SECRET: &str = "a-secret-of-the-measurements-that-is-long-enough";
/// What Stripe's events are signed with.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_of_the_measurements";

/// See the module. All of it goes with this process.
pub(crate) struct Ground {
    pub(crate) server: Throwaway,
    /// The server's.
    pub(crate) log: PathBuf,
    pub(crate) programs: PathBuf,
    pub(crate) stripe: Simulator,
    pub(crate) mail: Catcher,
    pub(crate) pgbench: Pgbench,
    pub(crate) work: Work,
}

/// A folder for logs and whatever else is of no interest afterwards.
pub(crate) struct Work(pub(crate) PathBuf);

impl Work {
    fn create() -> Result<Self> {
        let folder = env::temp_dir().join(format!("kassa-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

impl Ground {
    /// Builds and starts it.
    pub(crate) async fn prepare() -> Result<Self> {
        let step = Step::begin("building the programs");
        let programs = programs::build().await?;
        step.done("the programs are built");
        let step = Step::begin("starting Postgres");
        let work = Work::create()?;
        let log = work.0.join("postgres.log");
        let server = Throwaway::start_measured(&log).await?;
        let simulator = SimulatorOptions { webhook_secret: WEBHOOK_SECRET.into(), ..SimulatorOptions::default() };
        let stripe = Simulator::start(simulator).await?;
        let mail = Catcher::start(CatcherOptions::default()).await?;
        let (scratch, kept) = (work.0.join("pgbench"), work.0.join("printed"));
        for folder in [&scratch, &kept] {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        let pgbench = Pgbench {
            program: postgres::find(None)?.folder.join("pgbench"),
            password: password(&server)?,
            scratch,
            kept,
        };
        step.done(format_args!("Postgres is up on port {}, with fsync and synchronous_commit on", server.port()));
        Ok(Self { server, log, programs, stripe, mail, pgbench, work })
    }

    /// How to connect to a database.
    pub(crate) fn options(&self, database: &str) -> PgConnectOptions {
        self.server.options(database).disable_statement_logging()
    }

    /// What the shop's programs are started with.
    pub(crate) fn variables(&self, database: &str) -> Vec<(String, String)> {
        let images = self.work.0.join("images");
        [
            ("DATABASE_URL", self.server.url(database)),
            ("JWT_SECRET", JWT_SECRET.to_owned()),
            ("STRIPE_API_BASE", self.stripe.base_url()),
            ("STRIPE_SECRET_KEY", "sk_test_simulator".to_owned()),
            ("STRIPE_PUBLISHABLE_KEY", "pk_test_simulator".to_owned()),
            ("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET.to_owned()),
            ("MAIL_URL", self.mail.smtp_url()),
            ("MAIL_FROM", "Kassa <shop@kassa.example>".to_owned()),
            ("OBJECT_STORE_URL", format!("file:{}", images.display())),
            ("RATE_LIMITS", "off".to_owned()), // a crowd comes from one address here
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// pgbench wants it apart from the address.
fn password(server: &Throwaway) -> Result<String> {
    let url = server.url("postgres");
    let password = url.split_once("://").and_then(|(_, rest)| rest.split_once('@')?.0.split_once(':'));
    Ok(password.context("the server's address has a password")?.1.to_owned())
}
