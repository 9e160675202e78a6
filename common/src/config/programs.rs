//! What each program is configured with.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use sqlx::postgres::PgConnectOptions;
use url::Url;

use super::{
    Secret,
    http::Http,
    images::{Images, Uploads},
    reader::{Environment, Problems, Reader},
    values::{
        at_least, database_url, duration, http_url, log_filter, mail_address, mail_transport, parsed, secret, secrets,
        starts_with, strong, switch, text,
    },
    variables::{API_METRICS_ADDR, Program, WORKER_METRICS_ADDR},
};
use crate::{money::Currency, order::Unfulfillable, prune::Retention, telemetry::LogFormat};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Where the data is.
#[derive(Clone, Debug)]
pub struct Database {
    /// How to connect. Its `Debug` hides the password.
    pub options: PgConnectOptions,
    /// Connections per process.
    pub max_connections: u32,
}

/// What `kassa-api` is configured with.
#[derive(Clone, Debug)]
pub struct Api {
    /// Where the data is.
    pub database: Database,
    /// The shop's currency.
    pub currency: Currency,
    /// How it meets its clients.
    pub http: Http,
    /// Where images are.
    pub images: Images,
    /// How images come in, and where clients find them.
    pub uploads: Uploads,
    /// Where metrics and health are.
    pub metrics_addr: SocketAddr,
    /// The first signs access tokens, all verify them and the tokens of password resets.
    pub jwt_secrets: Vec<Secret>,
    /// How long an access token is good for.
    pub access_token_lifetime: Duration,
    /// How long a refresh token is good for.
    pub refresh_token_lifetime: Duration,
    /// Handed to clients, who confirm payments with it.
    pub stripe_publishable_key: String,
    /// Any of them may have signed a webhook.
    pub stripe_webhook_secrets: Vec<Secret>,
    /// How long an unpaid order holds its stock.
    pub reservation: Duration,
    /// How many unpaid orders a shopper may have.
    pub max_unpaid_orders: i64,
    /// Whether to migrate at the start.
    pub migrate: bool,
    /// What is logged, in the syntax of `tracing_subscriber::EnvFilter`.
    pub log: String,
    /// How it is logged.
    pub log_format: LogFormat,
}

/// How the worker reaches Stripe.
#[derive(Clone, Debug)]
pub struct Stripe {
    /// `sk_…` or `rk_…`.
    pub secret_key: Secret,
    /// Stripe's, or a stand-in's, without a slash at the end.
    pub api_base: Url,
    /// Longest wait for one call.
    pub timeout: Duration,
}

impl Stripe {
    /// Whether the key is one that moves real money: events of the other mode are not ours.
    pub fn livemode(&self) -> bool {
        self.secret_key.expose().contains("_live_")
    }
}

/// How mail leaves the worker.
#[derive(Clone, Debug)]
pub enum MailTransport {
    /// `smtp://` or `smtps://`, credentials included.
    Smtp(Secret),
    /// Each mail becomes a file in this folder.
    Folder(PathBuf),
}

/// When jobs are tried again, and when they are given up.
#[derive(Clone, Copy, Debug)]
pub struct JobLimits {
    /// How long a worker that went silent keeps its jobs.
    pub lease: Duration,
    /// Pause after the first failure.
    pub backoff: Duration,
    /// Longest pause in a job's first hour.
    pub backoff_cap: Duration,
    /// Age at which a job that may give up does.
    pub give_up_after: Duration,
}

/// What `kassa-worker` is configured with.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Where the data is.
    pub database: Database,
    /// The shop's currency.
    pub currency: Currency,
    /// Where clients find the shop, without a slash at the end.
    pub public_url: String,
    /// Where images are.
    pub images: Images,
    /// The shop's name in mails.
    pub store_name: String,
    /// The first signs the tokens of password resets.
    pub jwt_secrets: Vec<Secret>,
    /// Where metrics and health are.
    pub metrics_addr: SocketAddr,
    /// How Stripe is reached.
    pub stripe: Stripe,
    /// How mail leaves.
    pub mail: MailTransport,
    /// Whom it is from.
    pub mail_from: String,
    /// What becomes of money for an order that can't be completed.
    pub unfulfillable: Unfulfillable,
    /// The most units in stock that count as few.
    pub low_stock_threshold: i64,
    /// Who is told when a sale leaves so few, if anybody.
    pub operator_email: Option<String>,
    /// Between two comparisons of our books with Stripe's.
    pub reconcile_every: Duration,
    /// How long what has been settled is kept.
    pub retention: Retention,
    /// Longest wait for one mail.
    pub smtp_timeout: Duration,
    /// Jobs at once per queue.
    pub concurrency: usize,
    /// When jobs are tried again.
    pub jobs: JobLimits,
    /// What is logged, in the syntax of `tracing_subscriber::EnvFilter`.
    pub log: String,
    /// How it is logged.
    pub log_format: LogFormat,
}

/// What `kassa reconcile` is configured with.
#[derive(Clone, Debug)]
pub struct Reconciliation {
    /// How Stripe is reached.
    pub stripe: Stripe,
    /// What becomes of money for an order that can't be completed.
    pub unfulfillable: Unfulfillable,
}

impl Reconciliation {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// All that is wrong, by name.
    pub fn read(environment: &Environment) -> Result<Self, Problems> {
        let mut r = Reader::new(environment);
        let (stripe, unfulfillable) = (stripe(&mut r), r.required("UNFULFILLABLE_POLICY", parsed));
        let values = (|| Some(Self { stripe: stripe?, unfulfillable: unfulfillable? }))();
        r.finish(values)
    }
}

/// What `kassa` is configured with.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Where the data is.
    pub database: PgConnectOptions,
    /// The shop's currency.
    pub currency: Currency,
}

impl Api {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// All that is wrong, by name.
    pub fn read(environment: &Environment) -> Result<Self, Problems> {
        let mut r = Reader::new(environment);
        let database = database(&mut r, Program::Api);
        let currency = r.required("STORE_CURRENCY", parsed);
        let http = Http::read(&mut r);
        let images = Images::read(&mut r);
        let uploads = Uploads::read(&mut r);
        let metrics_addr = r.metrics_addr(API_METRICS_ADDR);
        if let (Some(http), Some(metrics_addr)) = (&http, metrics_addr)
            && meet(http.addr, metrics_addr)
        {
            r.problem("METRICS_ADDR", "is where API_ADDR is: metrics and health need an address of their own");
        }
        let jwt_secrets = r.required("JWT_SECRET", secrets(strong));
        let access_token_lifetime = r.required("ACCESS_TOKEN_MINUTES", duration(MINUTE));
        let refresh_token_lifetime = r.required("REFRESH_TOKEN_DAYS", duration(DAY));
        let stripe_publishable_key = r.required("STRIPE_PUBLISHABLE_KEY", |value| {
            starts_with(&["pk_test_", "pk_live_"])(value)?;
            text(value)
        });
        let stripe_webhook_secrets = r.required("STRIPE_WEBHOOK_SECRET", secrets(starts_with(&["whsec_"])));
        let reservation = r.required("RESERVATION_MINUTES", duration(MINUTE));
        let max_unpaid_orders = r.required("MAX_UNPAID_ORDERS", at_least(1));
        let migrate = r.required("MIGRATE", switch);
        let (log, log_format) = (r.required("LOG", log_filter), r.required("LOG_FORMAT", parsed));
        let values = (|| {
            Some(Self {
                database: database?,
                currency: currency?,
                http: http?,
                images: images?,
                uploads: uploads?,
                metrics_addr: metrics_addr?,
                jwt_secrets: jwt_secrets?,
                access_token_lifetime: access_token_lifetime?,
                refresh_token_lifetime: refresh_token_lifetime?,
                stripe_publishable_key: stripe_publishable_key?,
                stripe_webhook_secrets: stripe_webhook_secrets?,
                reservation: reservation?,
                max_unpaid_orders: max_unpaid_orders?,
                migrate: migrate?,
                log: log?,
                log_format: log_format?,
            })
        })();
        r.finish(values)
    }
}

impl Worker {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// All that is wrong, by name.
    pub fn read(environment: &Environment) -> Result<Self, Problems> {
        let mut r = Reader::new(environment);
        let database = database(&mut r, Program::Worker);
        let currency = r.required("STORE_CURRENCY", parsed);
        let public_url = r.required("PUBLIC_URL", http_url);
        let images = Images::read(&mut r);
        let jwt_secrets = r.required("JWT_SECRET", secrets(strong));
        let store_name = r.required("STORE_NAME", text);
        let metrics_addr = r.metrics_addr(WORKER_METRICS_ADDR);
        let stripe = stripe(&mut r);
        let mail = r.required("MAIL_URL", mail_transport);
        let mail_from = r.required("MAIL_FROM", mail_address);
        let unfulfillable = r.required("UNFULFILLABLE_POLICY", parsed);
        let low_stock_threshold = r.required("LOW_STOCK_THRESHOLD", at_least(0));
        let operator_email = r.optional("OPERATOR_EMAIL", mail_address);
        let reconcile_every = r.required("RECONCILE_MINUTES", duration(MINUTE));
        let retention = retention(&mut r);
        let smtp_timeout = r.required("SMTP_TIMEOUT_SECONDS", duration(SECOND));
        let concurrency = r.required("WORKER_CONCURRENCY", at_least(1));
        let lease = r.required("JOB_LEASE_SECONDS", duration(SECOND));
        let backoff = r.required("JOB_BACKOFF_SECONDS", duration(SECOND));
        let backoff_cap = r.required("JOB_BACKOFF_CAP_SECONDS", duration(SECOND));
        let give_up_after = r.required("JOB_GIVE_UP_HOURS", duration(HOUR));
        let (log, log_format) = (r.required("LOG", log_filter), r.required("LOG_FORMAT", parsed));
        let values = (|| {
            Some(Self {
                database: database?,
                currency: currency?,
                public_url: public_url?.as_str().trim_end_matches('/').to_owned(),
                images: images?,
                store_name: store_name?,
                jwt_secrets: jwt_secrets?,
                metrics_addr: metrics_addr?,
                stripe: stripe?,
                mail: mail?,
                mail_from: mail_from?,
                unfulfillable: unfulfillable?,
                low_stock_threshold: low_stock_threshold?,
                operator_email: operator_email?,
                reconcile_every: reconcile_every?,
                retention: retention?,
                smtp_timeout: smtp_timeout?,
                concurrency: concurrency?,
                jobs: JobLimits {
                    lease: lease?,
                    backoff: backoff?,
                    backoff_cap: backoff_cap?,
                    give_up_after: give_up_after?,
                },
                log: log?,
                log_format: log_format?,
            })
        })();
        r.finish(values)
    }
}

impl Operator {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// All that is wrong, by name.
    pub fn read(environment: &Environment) -> Result<Self, Problems> {
        let mut r = Reader::new(environment);
        let database = r.required("DATABASE_URL", database_url(Program::Operator));
        let currency = r.required("STORE_CURRENCY", parsed);
        let values = (|| Some(Self { database: database?, currency: currency? }))();
        r.finish(values)
    }
}

fn database(r: &mut Reader<'_>, program: Program) -> Option<Database> {
    let options = r.required("DATABASE_URL", database_url(program));
    let max_connections = r.required("DATABASE_MAX_CONNECTIONS", at_least(2));
    Some(Database { options: options?, max_connections: max_connections? })
}

fn retention(r: &mut Reader<'_>) -> Option<Retention> {
    let jobs = r.required("JOB_RETENTION_DAYS", duration(DAY));
    let events = r.required("WEBHOOK_RETENTION_DAYS", duration(DAY));
    Some(Retention { jobs: jobs?, events: events? })
}

/// Whether one process can't listen on both. Port 0 is any that is free.
fn meet(one: SocketAddr, other: SocketAddr) -> bool {
    let anywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && (one.ip() == other.ip() || anywhere)
}

impl Reader<'_> {
    /// Where metrics and health are; each program has a default of its own.
    pub(super) fn metrics_addr(&mut self, default: &str) -> Option<SocketAddr> {
        let given = self.optional("METRICS_ADDR", parsed)?;
        Some(given.unwrap_or_else(|| default.parse().expect("the default is an address")))
    }
}

pub(super) fn stripe(r: &mut Reader<'_>) -> Option<Stripe> {
    let keys = starts_with(&["sk_test_", "sk_live_", "rk_test_", "rk_live_"]);
    let secret_key = r.required("STRIPE_SECRET_KEY", secret(keys));
    let api_base = r.required("STRIPE_API_BASE", http_url);
    let timeout = r.required("STRIPE_TIMEOUT_SECONDS", duration(SECOND));
    Some(Stripe { secret_key: secret_key?, api_base: api_base?, timeout: timeout? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_and_its_metrics_are_apart() {
        let told = |api, metrics| {
            let read = Api::read(&Environment::from([("API_ADDR", api), ("METRICS_ADDR", metrics)]));
            let Problems(problems) = read.expect_err("much is missing");
            problems.iter().any(|problem| problem.starts_with("METRICS_ADDR is where API_ADDR is"))
        };
        for (api, metrics) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::1]:80", "[::]:80"),
            ("", "127.0.0.1:8080"),
        ] {
            assert!(told(api, metrics), "{api} {metrics}");
        }
        for (api, metrics) in [
            ("127.0.0.1:80", "127.0.0.1:81"),
            ("127.0.0.1:80", "127.0.0.2:80"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("", ""),
        ] {
            assert!(!told(api, metrics), "{api} {metrics}");
        }
    }

    #[test]
    fn everything_wrong_is_told_at_once_and_without_the_values() {
        let environment = Environment::from([
            ("DATABASE_URL", "mysql://u:hunter2@h/d"),
            ("JWT_SECRET", "hunter2"),
            ("STRIPE_PUBLISHABLE_KEY", "sk_test_hunter2hunter2"),
            ("RESERVATION_MINUTES", "-1"),
            ("STORE_CURRENCY", "kwd"),
        ]);
        let Problems(problems) = Api::read(&environment).expect_err("nothing of this is usable");
        let names: Vec<_> = problems.iter().filter_map(|problem| problem.split(' ').next()).collect();
        let mut wrong = vec!["DATABASE_URL", "STORE_CURRENCY", "JWT_SECRET", "STRIPE_PUBLISHABLE_KEY"];
        wrong.extend(["STRIPE_WEBHOOK_SECRET", "RESERVATION_MINUTES"]);
        assert_eq!(names, wrong);
        assert!(!problems.concat().contains("hunter2"), "{problems:?}");
    }
}
