//! What runs: written to `.dev/state.json` at each change, read by `status`, `env`, `stop` and `buy`, and after a crash.

use std::{fs, io::ErrorKind, path::PathBuf};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use dev::{files::write_private, process::Identity};
use serde::{Deserialize, Serialize};

use crate::{
    home::Home,
    secrets::{ADMIN_EMAIL, SHOPPER_EMAIL},
};

/// How far the shop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Starting,
    Ready,
    Stopping,
}

/// A part of the shop.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) name: String,
    /// Its process; parts without one live in that of `cargo dev`.
    pub(crate) process: Option<Identity>,
    pub(crate) url: String,
    /// Answers 200 when all is well; a bare `host:port` takes connections.
    pub(crate) health: String,
    pub(crate) since: DateTime<Utc>,
    pub(crate) log: Option<PathBuf>,
}

/// Addresses and logins of the running shop.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Access {
    pub(crate) api: String,
    pub(crate) api_metrics: String,
    pub(crate) worker_metrics: String,
    pub(crate) database: String,
    pub(crate) stripe_api_base: String,
    pub(crate) stripe_secret_key: String,
    pub(crate) stripe_publishable_key: String,
    pub(crate) stripe_webhook_secret: String,
    /// Of the simulator; Stripe itself has none.
    pub(crate) stripe_control: Option<String>,
    pub(crate) jwt_secret: String,
    pub(crate) public_url: String,
    pub(crate) object_store: String,
    pub(crate) mail: String,
    pub(crate) mail_from: String,
    /// None when mail goes to the caller's own server.
    pub(crate) mail_inbox: Option<String>,
    pub(crate) admin_password: String,
    pub(crate) shopper_password: String,
}

impl Access {
    /// As environment variables, in the order in which `cargo dev env` prints them: what is only for people and tests, and what the
    /// programs run with, so that `kassa` is in the same shop.
    pub(crate) fn variables(&self) -> Vec<(&'static str, &str)> {
        let always = |name, value| (name, Some(value));
        let variables = [
            always("API_URL", self.api.as_str()),
            always("API_METRICS_URL", &self.api_metrics),
            always("WORKER_METRICS_URL", &self.worker_metrics),
            always("DATABASE_URL", &self.database),
            always("STRIPE_API_BASE", &self.stripe_api_base),
            always("STRIPE_SECRET_KEY", &self.stripe_secret_key),
            always("STRIPE_PUBLISHABLE_KEY", &self.stripe_publishable_key),
            always("STRIPE_WEBHOOK_SECRET", &self.stripe_webhook_secret),
            ("STRIPE_CONTROL_URL", self.stripe_control.as_deref()),
            always("JWT_SECRET", &self.jwt_secret),
            always("PUBLIC_URL", &self.public_url),
            always("OBJECT_STORE_URL", &self.object_store),
            always("MAIL_URL", &self.mail),
            always("MAIL_FROM", &self.mail_from),
            ("MAIL_INBOX_URL", self.mail_inbox.as_deref()),
            always("ADMIN_EMAIL", ADMIN_EMAIL),
            always("ADMIN_PASSWORD", &self.admin_password),
            always("SHOPPER_EMAIL", SHOPPER_EMAIL),
            always("SHOPPER_PASSWORD", &self.shopper_password),
        ];
        variables.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// See the module.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct State {
    /// The process of `cargo dev`.
    pub(crate) supervisor: Identity,
    pub(crate) phase: Phase,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) parts: Vec<Part>,
    pub(crate) access: Access,
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            supervisor: Identity::own(),
            phase: Phase::Starting,
            started_at: Utc::now(),
            parts: Vec::new(),
            access: Access::default(),
        }
    }

    /// What the last run wrote, if there was one. A file that can't be read is as good as none: it is only a help.
    pub(crate) fn load(home: &Home) -> Option<Self> {
        serde_json::from_slice(&fs::read(home.state()).ok()?).ok()
    }

    /// The state of the shop that runs.
    pub(crate) fn running(home: &Home) -> Result<Self> {
        let state = Self::load(home).filter(|state| state.supervisor.is_running());
        match state {
            Some(state) if home.is_locked()? => Ok(state),
            _ if Self::load(home).is_some_and(|last| last.has_leftovers()) => bail!(
                "the shop is not running, but a run that crashed has left processes over: `cargo dev` or `cargo dev stop` ends them"
            ),
            _ => bail!("the shop is not running: start it with `cargo dev` or `cargo dev --detach`"),
        }
    }

    fn has_leftovers(&self) -> bool {
        self.parts.iter().filter_map(|part| part.process.as_ref()).any(Identity::is_running)
    }

    /// The state of the shop that runs and is ready to be used.
    pub(crate) fn ready(home: &Home) -> Result<Self> {
        let state = Self::running(home)?;
        match state.phase {
            Phase::Ready => Ok(state),
            Phase::Starting => bail!("the shop is still starting; `cargo dev status` tells more"),
            Phase::Stopping => bail!("the shop is stopping"),
        }
    }

    pub(crate) fn save(&self, home: &Home) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("writing the state")?;
        write_private(&home.state(), &text).with_context(|| format!("writing {}", home.state().display()))
    }

    /// Forgets it, as nothing runs any more.
    pub(crate) fn remove(home: &Home) -> Result<()> {
        match fs::remove_file(home.state()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context("removing the state"),
            _ => Ok(()),
        }
    }
}
