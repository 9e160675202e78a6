//! What all handlers share.

use std::sync::Arc;

use common::{account::Accounts, clock::Clock, config, db, images::Storage};
use sqlx::PgPool;

use crate::{cache::Answers, gate::Gate, limits::Limits, load::Load, ops::Readiness, wait::Waiters};

/// What handlers get by `State(app): State<AppState>`.
pub type AppState = Arc<App>;

/// The parts of a running API.
#[derive(Debug)]
pub struct App {
    /// The way to the database.
    pub pool: PgPool,
    /// Another one, for the catalogue alone: see [`db::connections_apart`].
    pub catalogue: PgPool,
    /// Another one, for Stripe's events alone.
    pub webhooks: PgPool,
    /// What was configured.
    pub config: config::Api,
    /// Where the bytes of images are.
    pub storage: Storage,
    /// What time it is.
    pub clock: Clock,
    /// Who may come in.
    pub accounts: Accounts,
    /// Closed until the database has been found fit.
    pub gate: Gate,
    /// How often one may ask.
    pub(crate) limits: Limits,
    /// How much is in work.
    pub(crate) load: Load,
    /// Those who wait for an order to change.
    pub(crate) waiters: Waiters,
    /// What was answered a moment ago.
    pub(crate) answers: Answers,
    /// What probes were told.
    pub(crate) readiness: Readiness,
}

impl App {
    /// Takes a moment: a password is hashed. The database isn't touched yet.
    pub fn new(config: config::Api, storage: Storage) -> Self {
        let clock = Clock::System;
        let accounts =
            Accounts::new(&config.jwt_secrets, config.access_token_lifetime, config.refresh_token_lifetime, clock);
        let config::Database { options, max_connections } = &config.database;
        let pool = db::pool(options.clone(), *max_connections);
        let apart = || db::pool(options.clone(), db::connections_apart(*max_connections));
        let (catalogue, webhooks) = (apart(), apart());
        let limits = Limits::new(config.http.rate_limits);
        let load = Load::new(&config.http);
        Self {
            pool,
            catalogue,
            webhooks,
            config,
            storage,
            clock,
            accounts,
            gate: Gate::default(),
            limits,
            load,
            waiters: Waiters::default(),
            answers: Answers::default(),
            readiness: Readiness::default(),
        }
    }
}
