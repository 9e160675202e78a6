//! The configuration of all programs, as far as it can be read: for somebody who looks for what is wrong with it, and wants to know of
//! the rest all the same.

use std::{net::SocketAddr, time::Duration};

use sqlx::postgres::PgConnectOptions;

use super::{
    Api, Secret,
    images::{Images, ObjectStore},
    programs::{self, MailTransport, Stripe, Worker},
    reader::{Environment, Problems, Reader},
    values::{
        at_least, database_url, duration, http_url, mail_address, mail_transport, parsed, secrets, starts_with, strong,
        text,
    },
    variables::{API_METRICS_ADDR, Program, WORKER_METRICS_ADDR},
};
use crate::money::Currency;

/// See the module. What is `None` can't be read, or isn't set: one of the problems says so.
#[derive(Debug)]
pub struct Inspection {
    /// All that is wrong for the API or for the worker, each once.
    pub problems: Vec<String>,
    /// How to connect to the database.
    pub database: Option<PgConnectOptions>,
    /// Connections per process.
    pub max_connections: Option<u32>,
    /// The shop's currency.
    pub currency: Option<Currency>,
    /// Where clients find the shop, without a slash at the end.
    pub public_url: Option<String>,
    /// The first signs access tokens.
    pub jwt_secrets: Option<Vec<Secret>>,
    /// How Stripe is reached.
    pub stripe: Option<Stripe>,
    /// Handed to clients.
    pub stripe_publishable_key: Option<String>,
    /// Any of them may have signed a webhook.
    pub stripe_webhook_secrets: Option<Vec<Secret>>,
    /// How mail leaves, whom it is from, and the longest wait for one.
    pub mail: Option<(MailTransport, String, Duration)>,
    /// Where images are.
    pub store: Option<ObjectStore>,
    /// Where metrics and health of the API and of the worker are, if nothing else is said.
    pub metrics_addrs: Option<[SocketAddr; 2]>,
}

impl Inspection {
    /// Reads what can be read.
    pub fn of(environment: &Environment) -> Self {
        let mut problems: Vec<String> = vec![];
        let found = [Api::read(environment).err(), Worker::read(environment).err()];
        for problem in found.into_iter().flatten().flat_map(|Problems(problems)| problems) {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        // The problems of these are among those above.
        let mut r = Reader::new(environment);
        let transport = r.required("MAIL_URL", mail_transport);
        let from = r.required("MAIL_FROM", mail_address);
        let smtp_timeout = r.required("SMTP_TIMEOUT_SECONDS", duration(Duration::from_secs(1)));
        let (api, worker) = (r.metrics_addr(API_METRICS_ADDR), r.metrics_addr(WORKER_METRICS_ADDR));
        Self {
            problems,
            database: r.required("DATABASE_URL", database_url(Program::Operator)),
            max_connections: r.required("DATABASE_MAX_CONNECTIONS", at_least(2)),
            currency: r.required("STORE_CURRENCY", parsed),
            public_url: r.required("PUBLIC_URL", http_url).map(|url| url.as_str().trim_end_matches('/').to_owned()),
            jwt_secrets: r.required("JWT_SECRET", secrets(strong)),
            stripe: programs::stripe(&mut r),
            stripe_publishable_key: r.required("STRIPE_PUBLISHABLE_KEY", |value| {
                starts_with(&["pk_test_", "pk_live_"])(value)?;
                text(value)
            }),
            stripe_webhook_secrets: r.required("STRIPE_WEBHOOK_SECRET", secrets(starts_with(&["whsec_"]))),
            mail: (|| Some((transport?, from?, smtp_timeout?)))(),
            store: Images::read(&mut r).map(|images| images.store),
            metrics_addrs: (|| Some([api?, worker?]))(),
        }
    }
}
