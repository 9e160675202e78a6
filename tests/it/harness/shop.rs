//! A shop for one test.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use common::{
    account::{AccessTokens, Claims},
    clock::Clock,
    config::Secret,
    id::UserId,
    verify,
};
use dev::{
    mail::{Catcher, CatcherOptions},
    proxy::Proxy,
    stripe::{Simulator, SimulatorOptions},
};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    client::{Client, Reply, http, text},
    database::{Database, url},
    ground::Ground,
    program::Program,
    wait::{eventually, with_defaults},
};

/// Everybody's.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// What the API signs its tokens with.
pub(crate) const JWT_SECRET: &str = "a-secret-of-the-tests-that-is-long-enough";
/// What the simulator signs events with; the API also takes [`Shop::OLD_WEBHOOK_SECRET`].
pub(crate) const WEBHOOK_SECRET: &str = "whsec_of_the_tests";

/// What tests shorten.
const TIMES: [&str; 5] = [
    "JOB_LEASE_SECONDS",
    "JOB_BACKOFF_SECONDS",
    "JOB_BACKOFF_CAP_SECONDS",
    "STRIPE_TIMEOUT_SECONDS",
    "SMTP_TIMEOUT_SECONDS",
];

/// API and worker as processes, with all that they need. Every test ends with [`Shop::finish`]: one that forgets it fails.
#[derive(Debug)]
pub(crate) struct Shop {
    // Dropped in this order: the processes first.
    pub(crate) api: Program,
    pub(crate) worker: Program,
    /// The Stripe simulator.
    pub(crate) stripe: Simulator,
    /// The mail catcher.
    pub(crate) mail: Catcher,
    /// The shop's database.
    pub(crate) pool: PgPool,
    pub(crate) database: Database,
    pub(super) http: reqwest::Client,
    /// What both programs are started with, but for what is each one's own.
    pub(super) variables: Vec<(String, String)>,
    /// Each one's way to the database.
    pub(super) urls: Urls,
    finished: bool,
}

/// The ways of the programs to their database.
#[derive(Clone, Debug)]
pub(super) struct Urls {
    pub(super) api: String,
    pub(super) worker: String,
}

impl Shop {
    /// A second webhook secret, as while one is replaced.
    pub(crate) const OLD_WEBHOOK_SECRET: &str = "whsec_of_yesterday";

    /// The time, as seconds since 1970.
    pub(crate) fn now() -> i64 {
        Clock::System.now().timestamp()
    }

    /// One with the usual settings.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// One with some settings of its own.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        Self::over(Database::migrated().await, settings).await
    }

    /// One whose programs reach their database through a proxy, which can be cut.
    pub(crate) async fn behind_a_proxy(settings: &[(&str, &str)]) -> (Self, Proxy) {
        let database = Database::migrated().await;
        let (proxy, url) = proxy_before(&database).await;
        (Self::on(database, Urls { api: url.clone(), worker: url }, settings).await, proxy)
    }

    /// One whose worker alone reaches the database through a proxy.
    pub(crate) async fn with_its_worker_behind_a_proxy(settings: &[(&str, &str)]) -> (Self, Proxy) {
        let database = Database::migrated().await;
        let (proxy, worker) = proxy_before(&database).await;
        let urls = Urls { api: url(&database.options()), worker };
        (Self::on(database, urls, settings).await, proxy)
    }

    /// One on a database of which the test has special plans.
    pub(crate) async fn over(database: Database, settings: &[(&str, &str)]) -> Self {
        let url = url(&database.options());
        Self::over_at(database, &url, settings).await
    }

    /// One whose programs have their own way to the database.
    pub(crate) async fn over_at(database: Database, url: &str, settings: &[(&str, &str)]) -> Self {
        Self::on(database, Urls { api: url.to_owned(), worker: url.to_owned() }, settings).await
    }

    pub(super) async fn on(database: Database, urls: Urls, settings: &[(&str, &str)]) -> Self {
        let ground = Ground::get().await;
        let http = http();
        let stripe = Simulator::start(SimulatorOptions {
            webhook_secret: WEBHOOK_SECRET.into(),
            processing_delay: Duration::from_secs(600), // a test settles it itself
            ..SimulatorOptions::default()
        });
        let stripe = stripe.await.expect("the simulator starts");
        let mail = Catcher::start(CatcherOptions::default()).await.expect("the mail catcher starts");
        let mut variables: Vec<(String, String)> = [
            ("DATABASE_MAX_CONNECTIONS", "5"),
            ("JWT_SECRET", JWT_SECRET),
            ("STRIPE_API_BASE", &stripe.base_url()),
            ("STRIPE_SECRET_KEY", "sk_test_simulator"),
            ("STRIPE_PUBLISHABLE_KEY", "pk_test_simulator"),
            ("STRIPE_WEBHOOK_SECRET", &format!("{WEBHOOK_SECRET},{}", Self::OLD_WEBHOOK_SECRET)),
            ("MAIL_URL", &mail.smtp_url()),
            ("MAIL_FROM", "Kassa <shop@kassa.example>"),
            ("OBJECT_STORE_URL", &format!("file:{}", images_of(&database).display())),
            ("RATE_LIMITS", "off"), // crowds come from one address here
            ("JOB_BACKOFF_SECONDS", "0.05"),
            ("JOB_BACKOFF_CAP_SECONDS", "1"),
        ]
        .into_iter()
        .map(own)
        .collect();
        for &(name, value) in settings {
            variables.retain(|(other, _)| other != name);
            variables.push(own((name, value)));
        }
        if with_defaults() {
            variables.retain(|(name, _)| !TIMES.contains(&name.as_str()));
        }
        let start = async |name: &'static str, url: &str| {
            let variables = with_database(&variables, url);
            Program::start(name, ground.programs(), &variables, log_of(name, &database), &http, "ready").await
        };
        let (api, worker) = tokio::join!(start("kassa-api", &urls.api), start("kassa-worker", &urls.worker));
        let pool = database.pool.clone();
        let shop = Self { api, worker, stripe, mail, pool, database, http, variables, urls, finished: false };
        shop.stripe_tells_the_api();
        shop
    }

    /// What both programs are started with, but for their addresses and the database's.
    pub(crate) fn settings(&self) -> Vec<(&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// Somebody without an account.
    pub(crate) fn visitor(&self) -> Client {
        Client::new(self.http.clone(), format!("http://{}", self.api.api))
    }

    /// A client of the simulator's control endpoints.
    pub(crate) fn control(&self) -> Client {
        Client::new(self.http.clone(), self.stripe.control_url())
    }

    /// A client of Stripe's API, without a key.
    pub(crate) fn stripe_api(&self) -> Client {
        Client::new(self.http.clone(), self.stripe.base_url())
    }

    /// Clients of what the API and the worker have for operators.
    pub(crate) fn operations(&self) -> [Client; 2] {
        [&self.api, &self.worker]
            .map(|program| Client::new(self.http.clone(), format!("http://{}", program.operations)))
    }

    /// Somebody who registers.
    pub(crate) async fn shopper(&self) -> Client {
        let email = format!("shopper-{}@kassa.example", Uuid::new_v4().simple());
        let account = json!({ "email": email, "password": PASSWORD, "name": "Sam Shopper" });
        let session = self.visitor().post("/auth/register", &account).await.expect(201);
        let user = text(&session["user"]["id"]).parse().expect("an id");
        self.visitor().known_as(text(&session["access_token"]).into(), user, email)
    }

    /// Somebody who runs the shop.
    pub(crate) async fn admin(&self) -> Client {
        self.insert_user("admin").await
    }

    /// Many shoppers, whose passwords nobody has hashed.
    pub(crate) async fn crowd(&self, size: usize) -> Vec<Client> {
        let mut crowd = Vec::with_capacity(size);
        for _ in 0..size {
            crowd.push(self.insert_user("customer").await);
        }
        crowd
    }

    async fn insert_user(&self, role: &str) -> Client {
        let (id, email) = (Uuid::now_v7(), format!("{role}-{}@kassa.example", Uuid::new_v4().simple()));
        let insert = sqlx::query("INSERT INTO users (id, email, password_hash, role) VALUES ($1, $2, 'none', $3)");
        insert.bind(id).bind(&email).bind(role).execute(&self.pool).await.expect("the user is new");
        let tokens = AccessTokens::new(&[Secret::new(JWT_SECRET)], Duration::from_secs(900), Clock::System);
        let token = tokens.issue(Claims { user: UserId(id), version: 1 });
        self.visitor().known_as(token, id, email)
    }

    /// Waits until all that is on its way has arrived.
    pub(crate) async fn settle(&self) {
        eventually("events are delivered and no job is due, running or to be tried again", async || {
            let settled = self.no_job_waits().await && self.no_event_waits().await && self.no_job_waits().await;
            settled.then_some(())
        })
        .await;
    }

    async fn no_job_waits(&self) -> bool {
        // One that was put off, because there was other news of its object at that moment, comes again soon.
        let waiting = "SELECT count(*) FROM jobs WHERE status = 'Running'
                       OR (status = 'Pending' AND (run_at <= now() + interval '0.1 s' OR failures > 0
                                                   OR (attempts > 0 AND run_at <= now() + interval '0.5 s')))";
        self.count(waiting).await == 0
    }

    async fn no_event_waits(&self) -> bool {
        if self.control().get("/webhooks").await.body["mode"] != "deliver" {
            return true;
        }
        let stripe = self.stripe_api().with_token("sk_test_simulator");
        let undelivered = stripe.get("/v1/events?delivery_success=false&limit=1").await.expect(200);
        undelivered["data"].as_array().is_some_and(Vec::is_empty)
    }

    /// What a `SELECT count(*)` counts.
    pub(crate) async fn count(&self, query: &str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.pool).await.expect(query)
    }

    /// A digest of each table: two that are equal say that nothing was written between them. Everything on its way arrives
    /// first. When jobs are due that nobody asks for is left out: a worker notes that by itself, some time after its start.
    pub(crate) async fn contents(&self) -> Vec<(String, String)> {
        self.settle().await;
        let digests = "SELECT tablename::text, (xpath('//digest/text()', query_to_xml(format(
                         'SELECT md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), %L)) AS digest FROM %I t', '', tablename),
                         true, true, '')))[1]::text
                       FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schedules' ORDER BY 1";
        sqlx::query_as(digests).fetch_all(&self.pool).await.expect("the tables can be read")
    }

    /// All that is on its way arrives, no job is dead, and every invariant holds.
    pub(crate) async fn check(&self) {
        self.settle().await;
        assert_eq!(self.count("SELECT count(*) FROM jobs WHERE status = 'Killed'").await, 0, "a job is dead");
        let report = verify::verify(&self.pool).await.expect("the database answers");
        assert!(report.violations.is_empty(), "{:#?}", report.violations);
    }

    /// Ends the test: all is well, and both programs still run.
    pub(crate) async fn finish(mut self) {
        self.is_well().await;
        self.leave();
    }

    /// Ends the test as [`finish`](Self::finish) does, and gives all that the API and the worker logged: who would show that something is
    /// not there has to wait for the last line.
    pub(crate) async fn finish_with_logs(mut self) -> [String; 2] {
        self.is_well().await;
        for program in [&mut self.api, &mut self.worker] {
            program.ask_to_end();
            program.end().await;
        }
        let logs = [self.api.log(), self.worker.log()];
        self.leave();
        logs
    }

    async fn is_well(&mut self) {
        self.check().await;
        assert!(self.api.is_alive(), "the API has ended");
        assert!(self.worker.is_alive(), "the worker has ended");
    }

    /// Ends the shop as [`finish`](Self::finish) does, and gives its database, to which nobody is connected any more.
    pub(crate) async fn close(self) -> Database {
        let database = self.database.clone();
        self.finish().await;
        database.pool.close().await;
        database
    }

    /// Ends a test that has stopped a program, or broken the database, on purpose.
    pub(crate) fn leave(mut self) {
        self.finished = true;
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _was_never_made = std::fs::remove_dir_all(images_of(&self.database));
        assert!(self.finished || std::thread::panicking(), "a test has to end with `shop.finish().await`");
    }
}

pub(super) async fn proxy_before(database: &Database) -> (Proxy, String) {
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, database.options().get_port()));
    let proxy = Proxy::start(server).await.expect("a free port");
    let url = url(&database.options().host("127.0.0.1").port(proxy.addr().port()));
    (proxy, url)
}

/// What a program is started with.
pub(super) fn with_database(variables: &[(String, String)], url: &str) -> Vec<(String, String)> {
    [own(("DATABASE_URL", url))].into_iter().chain(variables.iter().cloned()).collect()
}

/// Where a program logs to: a file for each start.
pub(super) fn log_of(name: &str, database: &Database) -> PathBuf {
    static STARTS: AtomicU32 = AtomicU32::new(0);
    let start = STARTS.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("kassa-tests-{}-{}-{start}-{name}.log", std::process::id(), database.name))
}

/// Where a shop's images are, unless its settings say otherwise.
pub(super) fn images_of(database: &Database) -> PathBuf {
    std::env::temp_dir().join(format!("kassa-tests-{}-{}-images", std::process::id(), database.name))
}

fn own((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The answer to a form that a browser sends to Stripe.
pub(crate) async fn send_form(client: &Client, path: &str, form: &[(&str, &str)]) -> Reply {
    Reply::read(client.request(reqwest::Method::POST, path).form(form)).await
}

/// A member of an order's `payment`.
pub(crate) fn payment<'a>(order: &'a Value, member: &str) -> &'a str {
    text(&order["payment"][member])
}
