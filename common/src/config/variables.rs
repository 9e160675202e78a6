//! The table of all variables: what `--help` prints and what `.env.example` is held to.

use std::fmt::Write as _;

/// The programs that read a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `kassa-api`
    Api,
    /// `kassa-worker`
    Worker,
    /// `kassa`
    Operator,
}

impl Program {
    /// What it is called at the shell.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "kassa-api",
            Self::Worker => "kassa-worker",
            Self::Operator => "kassa",
        }
    }
}

/// One environment variable.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What holds where it is not set; `None` where it must be set or may be left out.
    pub default: Option<&'static str>,
    /// What it says, in a line.
    pub help: &'static str,
    /// Who reads it.
    pub programs: &'static [Program],
}

const fn variable(
    name: &'static str,
    default: Option<&'static str>,
    programs: &'static [Program],
    help: &'static str,
) -> Variable {
    Variable { name, default, help, programs }
}

const ALL: &[Program] = &[Program::Api, Program::Worker, Program::Operator];
const BOTH: &[Program] = &[Program::Api, Program::Worker];
const API: &[Program] = &[Program::Api];
const WORKER: &[Program] = &[Program::Worker];
/// Those that speak to Stripe: `kassa` does so for `kassa reconcile` alone.
const STRIPE: &[Program] = &[Program::Worker, Program::Operator];

/// The address of the metrics and health listener where METRICS_ADDR doesn't say: it differs between the programs.
pub(super) const API_METRICS_ADDR: &str = "127.0.0.1:9464";
pub(super) const WORKER_METRICS_ADDR: &str = "127.0.0.1:9465";

/// Every variable, in the order in which `--help` shows them.
pub const VARIABLES: &[Variable] = &[
    variable("DATABASE_URL", None, ALL, "Postgres 14 or newer: postgres://user:password@host:port/database"),
    variable(
        "DATABASE_MAX_CONNECTIONS",
        Some("16"),
        BOTH,
        "connections per process for its work; an API has a quarter as many each for the catalogue and for Stripe's events and 1 to listen beside, a worker 4 to listen and to keep its leases",
    ),
    variable("API_ADDR", Some("127.0.0.1:8080"), API, "address of the HTTP API"),
    variable(
        "API_MAX_CONNECTIONS",
        Some("4096"),
        API,
        "connections at once; one address that is no trusted proxy may hold a quarter of them",
    ),
    variable(
        "API_MAX_REQUESTS",
        Some("768"),
        API,
        "requests in work at once, an eighth of them each kept for reads, Stripe's events and changes; what comes beyond is told to come later",
    ),
    variable(
        "METRICS_ADDR",
        None,
        BOTH,
        "address of metrics and health, never public [default: 127.0.0.1:9464 (API), 127.0.0.1:9465 (worker)]",
    ),
    variable("PUBLIC_URL", Some("http://localhost:8080"), BOTH, "the shop's URL, for links in mails and to images"),
    variable("JWT_SECRET", None, BOTH, "at least 32 bytes; several, comma-separated: the first signs, all verify"),
    variable("STRIPE_SECRET_KEY", None, STRIPE, "sk_test_… or sk_live_… (a restricted rk_… will do)"),
    variable("STRIPE_PUBLISHABLE_KEY", None, API, "pk_test_… or pk_live_…, handed to clients"),
    variable("STRIPE_WEBHOOK_SECRET", None, API, "whsec_…; several, comma-separated, while one is replaced"),
    variable("STRIPE_API_BASE", Some("https://api.stripe.com"), STRIPE, "where Stripe's API is"),
    variable("STRIPE_TIMEOUT_SECONDS", Some("20"), STRIPE, "longest wait for one call to Stripe"),
    variable("STORE_NAME", Some("Kassa"), WORKER, "the shop's name in mails"),
    variable("STORE_CURRENCY", Some("usd"), ALL, "lower-case ISO 4217 code; fixed once the database is made"),
    variable(
        "MAIL_URL",
        None,
        WORKER,
        "smtp://host:port, smtps://user:password@host, smtp://user:password@host:587?tls=required, or file:folder",
    ),
    variable("MAIL_FROM", None, WORKER, "sender of mails: shop@example.com or Name <shop@example.com>"),
    variable(
        "OPERATOR_EMAIL",
        None,
        WORKER,
        "who is told of low stock: ops@example.com or Name <ops@example.com> [default: none]",
    ),
    variable(
        "LOW_STOCK_THRESHOLD",
        Some("5"),
        WORKER,
        "the most units in stock that count as few: for that mail, and for kassa_products_low_on_stock",
    ),
    variable("SMTP_TIMEOUT_SECONDS", Some("60"), WORKER, "longest wait for one mail"),
    variable(
        "OBJECT_STORE_URL",
        Some("file:images"),
        BOTH,
        "where images are kept: file:folder, one that API and worker share and no other shop uses, or s3://bucket/prefix",
    ),
    variable(
        "IMAGES_PUBLIC_URL",
        None,
        API,
        "where clients find images: a bucket's or a cache's URL, say [default: PUBLIC_URL and /images]",
    ),
    variable("IMAGE_MAX_BYTES", Some("10485760"), API, "largest image that may be uploaded, in bytes"),
    variable(
        "IMAGE_MAX_PIXELS",
        Some("40000000"),
        BOTH,
        "most pixels of an image; each takes the worker up to 12 bytes",
    ),
    variable("RESERVATION_MINUTES", Some("30"), API, "how long an unpaid order holds its stock; fractions allowed"),
    variable("MAX_UNPAID_ORDERS", Some("3"), API, "how many unpaid orders a shopper may have at once"),
    variable(
        "UNFULFILLABLE_POLICY",
        Some("refund"),
        STRIPE,
        "what becomes of money for an order that can't be completed: refund, or manual (it waits for an operator)",
    ),
    variable(
        "TRUSTED_PROXIES",
        None,
        API,
        "networks whose X-Forwarded-For is believed, such as 10.0.0.0/8, comma-separated [default: none]",
    ),
    variable("ACCESS_TOKEN_MINUTES", Some("15"), API, "how long an access token is good for"),
    variable("REFRESH_TOKEN_DAYS", Some("30"), API, "how long a refresh token is good for"),
    variable(
        "CORS_ORIGINS",
        None,
        API,
        "origins whose scripts may call the API, such as https://shop.example, comma-separated [default: none]",
    ),
    variable("RATE_LIMITS", Some("on"), API, "off: nothing is counted, for load tests"),
    variable(
        "RATE_LIMIT_LOGIN",
        Some("10"),
        API,
        "a minute for one account, to log in, register or get a new password; six times that for one address",
    ),
    variable("RATE_LIMIT_CHECKOUT", Some("30"), API, "checkouts a minute of one user"),
    variable("RATE_LIMIT_REQUESTS", Some("6000"), API, "requests a minute of one address; webhooks are not counted"),
    variable("TLS_CERT", None, API, "PEM file of the certificate: the API then speaks HTTPS itself [default: none]"),
    variable("TLS_KEY", None, API, "PEM file of the certificate's private key [default: none]"),
    variable("WORKER_CONCURRENCY", Some("16"), WORKER, "jobs at once per queue and process"),
    variable("JOB_LEASE_SECONDS", Some("30"), WORKER, "how long a worker that went silent keeps its jobs"),
    variable("JOB_BACKOFF_SECONDS", Some("1"), WORKER, "pause after a job's first failure; doubles with each"),
    variable(
        "JOB_BACKOFF_CAP_SECONDS",
        Some("60"),
        WORKER,
        "longest pause in a job's first hour; ten times that later",
    ),
    variable("JOB_GIVE_UP_HOURS", Some("24"), WORKER, "age at which a job that may give up does"),
    variable("JOB_RETENTION_DAYS", Some("7"), WORKER, "how long done jobs are kept; dead ones are kept for ever"),
    variable("WEBHOOK_RETENTION_DAYS", Some("90"), WORKER, "how long events are kept that were applied or ignored"),
    variable("RECONCILE_MINUTES", Some("60"), WORKER, "between two comparisons of the shop's books with Stripe's"),
    variable("MIGRATE", Some("on"), API, "off: kassa-api does not migrate the database at its start"),
    variable(
        "LOG",
        Some("info"),
        BOTH,
        "what is logged: error, warn, info, debug, trace, or a filter such as api=debug",
    ),
    variable("LOG_FORMAT", Some("text"), BOTH, "text or json"),
];

/// The part of a program's `--help` that lists its variables.
pub fn help(program: Program) -> String {
    let mut out = String::from("Environment (also read from .env in the working folder):\n");
    for variable in VARIABLES.iter().filter(|v| v.programs.contains(&program)) {
        let default = variable.default.map(|d| format!(" [default: {d}]")).unwrap_or_default();
        writeln!(out, "  {:<26} {}{default}", variable.name, variable.help).expect("a String takes all");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Api, Environment, Worker};

    const EXAMPLE: &str = include_str!("../../../.env.example");
    const PLACEHOLDER: &str = "change-me";

    #[test]
    fn the_example_names_exactly_these_variables_with_their_defaults() {
        let remark = |line: &&str| line.is_empty() || line.starts_with("# ");
        let lines: Vec<_> = EXAMPLE.lines().filter(|line| !remark(line)).collect();
        let expected: Vec<_> = VARIABLES
            .iter()
            .map(|variable| match (variable.name, variable.default) {
                (name, Some(default)) => format!("#{name}={default}"),
                // Its default is none, or each program's own.
                (name, None) if variable.help.contains(" [default: ") => format!("#{name}="),
                (name, None) => format!("{name}={PLACEHOLDER}"),
            })
            .collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn the_readme_says_of_them_what_help_says() {
        let readme = include_str!("../../../README.md");
        let (_, section) = readme.split_once("\n## Configuration\n").expect("there is a section about it");
        let (section, _) = section.split_once("\n## ").expect("another follows");
        let rows: Vec<_> =
            section.lines().filter(|line| line.starts_with("| `")).map(|row| row.replace('`', "")).collect();
        let expected: Vec<_> = VARIABLES.iter().map(row).collect();
        assert_eq!(rows, expected);
    }

    fn row(variable: &Variable) -> String {
        let (help, default) = match (variable.help.split_once(" [default: "), variable.default) {
            (Some((help, default)), _) => (help, default.trim_end_matches(']')),
            (None, default) => (variable.help, default.unwrap_or("–")),
        };
        let readers = match variable.programs {
            ALL => "all",
            BOTH => "API, worker",
            API => "API",
            WORKER => "worker",
            STRIPE => "worker, kassa",
            others => panic!("there is no name for {others:?}"),
        };
        format!("| {} | {default} | {readers} | {help} |", variable.name)
    }

    #[test]
    fn nothing_starts_on_an_example_that_was_not_filled_in() {
        let lines: Vec<_> = dotenvy::from_read_iter(EXAMPLE.as_bytes()).map(|line| line.expect("NAME=value")).collect();
        let unfilled: [(&str, &str); VARIABLES.len()] = std::array::from_fn(|i| {
            let name = VARIABLES[i].name;
            (name, lines.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value.as_str()))
        });
        let environment = Environment::from(unfilled);
        let api = Api::read(&environment).expect_err("an example is no configuration");
        let worker = Worker::read(&environment).expect_err("an example is no configuration");
        for (name, _) in &lines {
            let told = api.0.iter().chain(&worker.0).any(|problem| problem.starts_with(&format!("{name} ")));
            assert!(told, "{name} was taken as it stands in the example");
        }
    }
}
