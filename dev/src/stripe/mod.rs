//! A stand-in for Stripe, for people without an account or a network, and for tests: PaymentIntents, refunds, charges,
//! disputes, events and webhooks, in Stripe's own encoding, shapes, errors and order. `cargo dev` and the tests use it.
//! It never talks to Stripe and never takes a live key. Not simulated: manual capture, updates of an intent, customers, raw card
//! data; a call of these gets the error that Stripe gives an unknown one, or a message that says so.
//!
//! A call goes through `api` (key, idempotency, faults) to `dispatch` and from there to `intents`, `confirm`, `attempt`, `refunds`,
//! `disputes`, `events` or `account`, which work at a `desk` over the books of `store`. `webhooks` sends what they emit, `settle` does
//! what happens by itself, `journal` keeps the books over a restart, and `control` is how tests direct it.

mod account;
mod answer;
mod api;
mod app;
mod attempt;
mod auth;
mod cards;
mod challenge;
mod clock;
mod confirm;
mod control;
mod desk;
mod dispatch;
mod disputes;
mod errors;
mod events;
mod expand;
mod faults;
mod form;
mod idempotency;
mod intents;
mod journal;
mod lists;
mod money;
mod objects;
mod params;
mod refunds;
mod requests;
mod settle;
mod signature;
mod store;
mod webhooks;
mod wire;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    routing::{any, get},
    serve::Listener,
};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use url::Url;

pub(crate) use app::App;
pub use journal::JournalError;
pub use money::decimals;
pub use signature::sign;

use app::State;
use auth::ApiKeys;
use clock::Clock;
use desk::Settings;
use journal::Journal;
use store::Books;
use webhooks::{Mode, Plan, Status, Webhooks};
use wire::{Door, Scissors};

/// How the simulator is started. [`SimulatorOptions::default`] suits a test: a free port, no state file, no webhooks.
#[derive(Debug, Clone)]
pub struct SimulatorOptions {
    /// Where it listens; port 0 takes a free one.
    pub addr: SocketAddr,
    /// The secret key that the API takes; has to begin with `sk_test_`.
    pub secret_key: String,
    /// The publishable key that it takes from browsers; has to begin with `pk_test_`.
    pub publishable_key: String,
    /// What webhooks are signed with.
    pub webhook_secret: String,
    /// Where webhooks go; without one, events wait for none.
    pub webhook_target: Option<Url>,
    /// Where the books are kept over a restart; in memory only without it.
    pub state_file: Option<PathBuf>,
    /// How long a debit stays `processing`.
    pub processing_delay: Duration,
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            secret_key: "sk_test_simulator".into(),
            publishable_key: "pk_test_simulator".into(),
            webhook_secret: "whsec_simulator".into(),
            webhook_target: None,
            state_file: None,
            processing_delay: Duration::from_secs(2),
        }
    }
}

/// Why the simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not this machine's.
    #[error("the Stripe simulator can't listen on {addr}: {source}")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A key that could be a live one.
    #[error("the Stripe simulator takes test keys only: {0} has to begin with {1}")]
    Key(&'static str, &'static str),
    /// The state file can't be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The client that sends webhooks can't be built.
    #[error("the Stripe simulator can't send webhooks: {0}")]
    Client(#[from] reqwest::Error),
}

/// A running simulator. Dropping it stops it without a last save; [`Simulator::shutdown`] stops it in order.
#[derive(Debug)]
pub struct Simulator {
    app: Arc<App>,
    addr: SocketAddr,
    server: JoinHandle<std::io::Result<()>>,
}

/// How long open answers may take when the simulator stops.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

impl Simulator {
    /// Starts listening; the simulator answers as soon as this returns.
    ///
    /// # Errors
    /// When the address can't be had, a key is no test key, or the state file can't be used.
    pub async fn start(options: SimulatorOptions) -> Result<Self, StartError> {
        check_keys(&options)?;
        let listen = |source| StartError::Listen { addr: options.addr, source };
        let door = Door::open(options.addr).await.map_err(listen)?;
        let addr = door.local_addr().map_err(listen)?;
        let app = Arc::new(build(options, addr)?);
        tokio::spawn(settle::run(Arc::clone(&app)));
        tokio::spawn(Arc::clone(&app).keep_saving());
        app.resume_deliveries();
        let router = router(Arc::clone(&app)).into_make_service_with_connect_info::<Scissors>();
        let stop = app.stop.clone();
        let server = axum::serve(door, router).with_graceful_shutdown(stop.cancelled_owned());
        Ok(Self { app, addr, server: tokio::spawn(server.into_future()) })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base of the API's addresses, without a path: what `STRIPE_API_BASE` takes.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.app.base_url.clone()
    }

    /// The base of the control endpoints; `GET` prints them.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("{}/_control", self.app.base_url)
    }

    /// Sends webhooks there from now on, what is pending too. Without a target, what is pending waits, and what happens is
    /// announced to nobody.
    pub fn set_webhook_target(&self, target: Option<Url>) {
        self.app.webhooks.plan.send_modify(|plan| plan.target = target);
    }

    /// Stops: lets go held calls, ends open answers, and writes the state file.
    pub async fn shutdown(mut self) {
        self.app.stop.cancel();
        self.app.faults.remove(None);
        if tokio::time::timeout(LAST_ANSWERS, &mut self.server).await.is_err() {
            self.server.abort();
        }
        self.app.save();
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.app.stop.cancel();
        self.app.faults.remove(None);
        self.server.abort();
    }
}

fn check_keys(options: &SimulatorOptions) -> Result<(), StartError> {
    if !options.secret_key.starts_with("sk_test_") {
        return Err(StartError::Key("the secret key", "sk_test_"));
    }
    if !options.publishable_key.starts_with("pk_test_") {
        return Err(StartError::Key("the publishable key", "pk_test_"));
    }
    Ok(())
}

fn build(options: SimulatorOptions, addr: SocketAddr) -> Result<App, StartError> {
    let (journal, books) = match &options.state_file {
        Some(path) => Journal::open(path).map(|(journal, books)| (Some(journal), books))?,
        None => (None, Books::default()),
    };
    let settings = Settings {
        processing_ms: i64::try_from(options.processing_delay.as_millis()).unwrap_or(i64::MAX),
        ..Settings::default()
    };
    let plan = Plan {
        target: options.webhook_target,
        mode: Mode::Deliver,
        secrets: vec![options.webhook_secret],
        delay_ms: 0,
        status: Status::Enabled,
        enabled_events: vec!["*".into()],
    };
    Ok(App {
        keys: ApiKeys::new(options.secret_key, options.publishable_key),
        base_url: format!("http://{addr}"),
        clock: Clock::default(),
        faults: faults::Faults::default(),
        webhooks: Webhooks::new(plan)?,
        requests: Mutex::default(),
        state: Mutex::new(State { books, running: idempotency::Keys::default(), settings: settings.clone() }),
        first_settings: settings,
        journal,
        due: Notify::new(),
        changed: Notify::new(),
        stop: CancellationToken::new(),
    })
}

fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/{*path}", any(api::handle))
        .route("/3d_secure/{intent}/{token}", get(challenge::show).post(challenge::choose))
        .merge(control::routes())
        .fallback(api::not_found)
        .with_state(app)
}
