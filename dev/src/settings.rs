//! What the caller's environment says about the shop. It reaches the programs as it is; read here is what `cargo dev` itself has
//! to know, and what it refuses: live keys, and half of Stripe's test mode.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::{Result, bail};
use dev::postgres::DURABLE_USER;
use url::Url;

/// The keys that the simulator takes. In the caller's environment they come from `cargo dev env`.
pub(crate) const SIMULATOR_SECRET_KEY: &str = "sk_test_kassa_dev_simulator";
pub(crate) const SIMULATOR_PUBLISHABLE_KEY: &str = "pk_test_kassa_dev_simulator";

/// Where `cargo dev env` says that images are.
const OUR_IMAGES: &str = "/.dev/images";

const STRIPE: &str = "https://api.stripe.com";

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The caller's database; without it a private one is started.
    pub(crate) database: Option<String>,
    /// Stripe's test mode; without it the simulator is started.
    pub(crate) stripe: Option<TestMode>,
    /// Where the API shall listen, without stepping aside.
    pub(crate) api_addr: Option<SocketAddr>,
    /// Where clients of the caller's find the shop; without it they find the API itself.
    pub(crate) public_url: Option<String>,
    /// The caller's mail server; without it the catcher is started.
    pub(crate) mail: Option<String>,
    /// What was left unheeded, and why.
    pub(crate) remarks: Vec<String>,
}

/// Stripe's own test mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TestMode {
    pub(crate) secret_key: String,
    pub(crate) publishable_key: String,
    pub(crate) webhook_secret: String,
    pub(crate) api_base: String,
}

impl Settings {
    /// Reads the environment of this process.
    pub(crate) fn from_environment() -> Result<Self> {
        // A value that is no UTF-8 is none of those that are read here.
        let readable =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::read(&readable.collect())
    }

    fn read(environment: &BTreeMap<String, String>) -> Result<Self> {
        let get = |name: &str| environment.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let mut problems = live_keys(environment);
        let mut remarks = Vec::new();
        let stripe = test_mode(&get, &mut problems);
        let database = match get("DATABASE_URL").map(Url::parse) {
            Some(Ok(url)) if !matches!(url.scheme(), "postgres" | "postgresql") => {
                problems.push("DATABASE_URL has to start with postgres://".into());
                None
            }
            Some(Ok(url)) if is_ours(&url) => {
                remarks.push("DATABASE_URL is that of `cargo dev env`: the private Postgres is used".into());
                None
            }
            Some(Ok(_)) => get("DATABASE_URL").map(str::to_owned),
            // What was given may hold a password, so it is not repeated.
            Some(Err(_)) => {
                problems.push("DATABASE_URL is not a URL such as postgres://user:password@host/database".into());
                None
            }
            None => None,
        };
        let api_addr = match get("API_ADDR").map(str::parse) {
            Some(Ok(addr)) if SocketAddr::port(&addr) != 0 => Some(addr),
            Some(_) => {
                problems.push("API_ADDR has to be an address with a port, such as 127.0.0.1:8080".into());
                None
            }
            None => None,
        };
        if get("METRICS_ADDR").is_some() {
            remarks.push("METRICS_ADDR is one address for two programs: each gets its own instead".into());
        }
        // What `cargo dev env` printed of a shop may be of one that has stopped, on other ports.
        let public_url = get("PUBLIC_URL").filter(|url| get("API_URL") != Some(url)).map(str::to_owned);
        let mail = get("MAIL_URL").filter(|url| !is_caught(url, get("MAIL_INBOX_URL").is_some())).map(str::to_owned);
        if get("OBJECT_STORE_URL").is_some_and(|url| !url.ends_with(OUR_IMAGES)) {
            remarks.push("OBJECT_STORE_URL is left out: another shop's images would be swept from it".into());
        }
        if get("TLS_CERT").or(get("TLS_KEY")).is_some() {
            remarks.push("TLS_CERT and TLS_KEY are left out: the shop of cargo dev is reached over HTTP".into());
        }
        if !problems.is_empty() {
            bail!("the environment does not fit:\n  {}", problems.join("\n  "));
        }
        Ok(Self { database, stripe, api_addr, public_url, mail, remarks })
    }
}

/// Whether this DATABASE_URL is one that `cargo dev env` printed.
fn is_ours(url: &Url) -> bool {
    url.username() == DURABLE_USER && url.host_str() == Some("127.0.0.1")
}

/// Whether this MAIL_URL is one that `cargo dev env` printed: only of a shop with a catcher there is an inbox beside it.
fn is_caught(url: &str, has_inbox: bool) -> bool {
    has_inbox && url.starts_with("smtp://127.0.0.1:")
}

/// Whatever the variable's name: a key that moves real money has no place here.
fn live_keys(environment: &BTreeMap<String, String>) -> Vec<String> {
    let is_live =
        |value: &str| ["sk_live_", "rk_live_", "pk_live_"].iter().any(|prefix| value.trim().starts_with(prefix));
    let live = environment.iter().filter(|(_, value)| is_live(value));
    live.map(|(name, _)| {
        format!("{name} is a live key; cargo dev works with test keys only, so that no real money moves")
    })
    .collect()
}

fn test_mode<'a>(get: &impl Fn(&str) -> Option<&'a str>, problems: &mut Vec<String>) -> Option<TestMode> {
    let secret_key = get("STRIPE_SECRET_KEY").filter(|key| *key != SIMULATOR_SECRET_KEY)?;
    if secret_key.contains("_live_") {
        return None; // told already
    }
    if !secret_key.starts_with("sk_test_") && !secret_key.starts_with("rk_test_") {
        problems.push("STRIPE_SECRET_KEY has to start with sk_test_; unset it to use the simulator".into());
        return None;
    }
    let publishable_key = get("STRIPE_PUBLISHABLE_KEY").filter(|key| key.starts_with("pk_test_"));
    if publishable_key.is_none() {
        problems.push("STRIPE_PUBLISHABLE_KEY has to be the pk_test_… key that belongs to STRIPE_SECRET_KEY".into());
    }
    let webhook_secret = get("STRIPE_WEBHOOK_SECRET").filter(|secret| secret.starts_with("whsec_"));
    if webhook_secret.is_none() {
        problems.push(
            "STRIPE_WEBHOOK_SECRET has to be the whsec_… that `stripe listen --print-secret` prints: Stripe's webhooks come \
             through `stripe listen`, which signs them with it"
                .into(),
        );
    }
    Some(TestMode {
        secret_key: secret_key.to_owned(),
        publishable_key: publishable_key?.to_owned(),
        webhook_secret: webhook_secret?.to_owned(),
        api_base: get("STRIPE_API_BASE").unwrap_or(STRIPE).trim_end_matches('/').to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings> {
        Settings::read(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn refusal(pairs: &[(&str, &str)]) -> String {
        read(pairs).expect_err("it does not fit").to_string()
    }

    #[test]
    fn an_empty_environment_asks_for_all_stand_ins() {
        let settings = read(&[("DATABASE_URL", "")]).expect("fits");
        assert!(settings.database.is_none() && settings.stripe.is_none() && settings.mail.is_none());
    }

    #[test]
    fn live_keys_are_refused_without_repeating_them() {
        for key in ["sk_live_abc", "rk_live_abc", "pk_live_abc"] {
            for name in ["STRIPE_SECRET_KEY", "STRIPE_PUBLISHABLE_KEY", "STRIPE_KEY"] {
                let refusal = refusal(&[(name, key)]);
                assert!(refusal.contains(name) && refusal.contains("live") && !refusal.contains(key), "{refusal}");
            }
        }
    }

    #[test]
    fn test_mode_needs_all_of_its_keys() {
        let told = refusal(&[("STRIPE_SECRET_KEY", "sk_test_1")]);
        assert!(told.contains("STRIPE_PUBLISHABLE_KEY") && told.contains("stripe listen"), "{told}");
        let whole = [
            ("STRIPE_SECRET_KEY", "sk_test_1"),
            ("STRIPE_PUBLISHABLE_KEY", "pk_test_1"),
            ("STRIPE_WEBHOOK_SECRET", "whsec_1"),
        ];
        let settings = read(&whole).expect("fits");
        assert_eq!(settings.stripe.map(|stripe| stripe.api_base).as_deref(), Some("https://api.stripe.com"));
    }

    #[test]
    fn what_cargo_dev_env_printed_is_no_choice_of_the_callers() {
        let ours = [
            ("DATABASE_URL", "postgres://kassa_dev:x@127.0.0.1:5433/kassa"),
            ("STRIPE_SECRET_KEY", SIMULATOR_SECRET_KEY),
            ("STRIPE_API_BASE", "http://127.0.0.1:12111"),
            ("STRIPE_WEBHOOK_SECRET", "whsec_1"),
            ("API_URL", "http://127.0.0.1:8081"),
            ("PUBLIC_URL", "http://127.0.0.1:8081"),
            ("OBJECT_STORE_URL", "file:/home/me/kassa/.dev/images"),
            ("MAIL_URL", "smtp://127.0.0.1:1025"),
            ("MAIL_INBOX_URL", "http://127.0.0.1:8025"),
        ];
        let settings = read(&ours).expect("fits");
        assert_eq!((settings.database, settings.stripe), (None, None));
        assert_eq!((settings.public_url, settings.mail), (None, None));
        assert_eq!(settings.remarks.len(), 1);
    }

    #[test]
    fn a_mail_server_and_a_url_of_the_callers_are_used() {
        let ours = [("API_URL", "http://127.0.0.1:8080"), ("MAIL_INBOX_URL", "http://127.0.0.1:8025")];
        let theirs = [("PUBLIC_URL", "https://shop.example"), ("MAIL_URL", "smtp://mail.example")];
        let settings = read(&[ours, theirs].concat()).expect("fits");
        assert_eq!(settings.public_url.as_deref(), Some("https://shop.example"));
        assert_eq!(settings.mail.as_deref(), Some("smtp://mail.example"));
        let local = read(&[("PUBLIC_URL", "http://127.0.0.1:8080"), ("MAIL_URL", "smtp://127.0.0.1:25")]);
        let local = local.expect("fits");
        assert!(local.public_url.is_some() && local.mail.is_some());
    }

    #[test]
    fn what_does_not_fit_here_is_left_out_with_a_remark() {
        for name in ["METRICS_ADDR", "OBJECT_STORE_URL", "TLS_CERT", "TLS_KEY"] {
            let settings = read(&[(name, "x")]).expect("fits");
            assert!(settings.remarks.concat().contains(name), "{:?}", settings.remarks);
        }
    }

    #[test]
    fn a_database_of_the_callers_is_used_and_a_broken_one_is_not_repeated() {
        let given = "postgres://me:secret@db.example/shop";
        assert_eq!(read(&[("DATABASE_URL", given)]).expect("fits").database.as_deref(), Some(given));
        assert!(!refusal(&[("DATABASE_URL", "secret")]).contains("secret"));
        assert!(refusal(&[("DATABASE_URL", "mysql://h/d"), ("API_ADDR", "8080")]).contains("API_ADDR"));
    }
}
