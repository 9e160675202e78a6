//! What a variable's value may be. Each function says what is wrong with a value, never the value.

use std::{fmt::Display, net::IpAddr, num::NonZeroU32, str::FromStr, time::Duration};

use ipnet::IpNet;
use sqlx::postgres::PgConnectOptions;
use tracing_subscriber::EnvFilter;
use url::Url;

use super::{MailTransport, Program, Secret};

pub(super) fn parsed<T: FromStr<Err: Display>>(value: &str) -> Result<T, String> {
    value.parse().map_err(|e| format!("is not valid: {e}"))
}

pub(super) fn text(value: &str) -> Result<String, String> {
    Ok(value.to_owned())
}

/// What is logged, in the syntax of [`EnvFilter`].
pub(super) fn log_filter(value: &str) -> Result<String, String> {
    EnvFilter::try_new(value).map_err(|_| "must be a filter such as info or info,sqlx=warn".to_owned())?;
    text(value)
}

pub(super) fn switch(value: &str) -> Result<bool, String> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be on or off".into()),
    }
}

/// A length of time as a decimal number of units, fractions allowed; at least a millisecond, at most a century.
pub(super) fn duration(unit: Duration) -> impl FnOnce(&str) -> Result<Duration, String> {
    move |value| {
        let number: f64 = value.parse().map_err(|_| "must be a number".to_owned())?;
        let range = 0.001..=3.2e9;
        let seconds = number * unit.as_secs_f64();
        if range.contains(&seconds) { Ok(Duration::from_secs_f64(seconds)) } else { Err("is out of range".into()) }
    }
}

pub(super) fn at_least<T: FromStr<Err: Display> + PartialOrd + Display>(
    least: T,
) -> impl FnOnce(&str) -> Result<T, String> {
    move |value| {
        let number: T = parsed(value)?;
        if number >= least { Ok(number) } else { Err(format!("must be {least} or more")) }
    }
}

/// A whole number from 1 to this.
pub(super) fn up_to(most: usize) -> impl FnOnce(&str) -> Result<usize, String> {
    move |value| {
        let number = value.parse().ok().filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| format!("must be a whole number from 1 to {most}"))
    }
}

/// How often a minute.
pub(super) fn per_minute(value: &str) -> Result<NonZeroU32, String> {
    const MOST: u32 = 10_000_000;
    let number = value.parse().ok().filter(|number: &NonZeroU32| number.get() <= MOST);
    number.ok_or_else(|| format!("must be a whole number from 1 to {MOST}"))
}

/// Networks such as 10.0.0.0/8, comma-separated; an address alone is a network of one.
pub(super) fn cidrs(value: &str) -> Result<Vec<IpNet>, String> {
    let network = |one: &str| one.parse().or_else(|_| one.parse::<IpAddr>().map(IpNet::from)).ok();
    let networks: Option<_> = value.split(',').map(|one| network(one.trim())).collect();
    networks.ok_or_else(|| "must be networks such as 10.0.0.0/8, comma-separated".into())
}

/// Origins as browsers write them (RFC 6454, section 6.2), comma-separated.
pub(super) fn origins(value: &str) -> Result<Vec<String>, String> {
    let origin = |one: &str| {
        let url = http_url(one).ok()?;
        let origin = url.origin().ascii_serialization();
        (url.as_str().trim_end_matches('/') == origin).then_some(origin)
    };
    let origins: Option<_> = value.split(',').map(|one| origin(one.trim())).collect();
    origins.ok_or_else(|| "must be origins such as https://shop.example, comma-separated and without a path".into())
}

/// One secret or several, comma-separated; each is checked.
pub(super) fn secrets(check: impl Fn(&str) -> Result<(), String>) -> impl FnOnce(&str) -> Result<Vec<Secret>, String> {
    move |value| value.split(',').map(|one| secret(&check)(one.trim())).collect()
}

/// A secret that is checked, and that nobody took over from an example.
pub(super) fn secret(check: impl Fn(&str) -> Result<(), String>) -> impl FnOnce(&str) -> Result<Secret, String> {
    move |value| {
        check(value)?;
        let lower = value.to_lowercase();
        if ["change-me", "changeme", "change_me", "replace-me", "your-"].iter().any(|word| lower.contains(word)) {
            return Err("still holds an example's value".into());
        }
        Ok(Secret::new(value))
    }
}

/// The parse error of a URL may quote it, password and all: it isn't passed on. `pg_stat_activity` shows the program's name as
/// `application_name`, unless the URL has one.
pub(super) fn database_url(program: Program) -> impl FnOnce(&str) -> Result<PgConnectOptions, String> {
    move |value| {
        let url = Url::parse(value).map_err(|_| "must be a URL such as postgres://user@host/database".to_owned())?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err("must start with postgres://".into());
        }
        let options: PgConnectOptions = value.parse().map_err(|_| "is not a usable Postgres URL".to_owned())?;
        Ok(match options.get_application_name() {
            Some(_) => options,
            None => options.application_name(program.name()),
        })
    }
}

pub(super) fn http_url(value: &str) -> Result<Url, String> {
    match Url::parse(value) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err("must be an http:// or https:// URL".into()),
    }
}

fn is_loopback(url: &Url) -> bool {
    // The host of a URL whose scheme is not a browser's is not looked at: it may be an address written as a name.
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub(super) fn mail_transport(value: &str) -> Result<MailTransport, String> {
    const FORMS: &str = "must be smtp://host:port, smtps://user:password@host, smtp://user:password@host:587?tls=required, or file:folder";
    if let Some(folder) = value.strip_prefix("file:") {
        let folder = folder.strip_prefix("//").unwrap_or(folder);
        return if folder.is_empty() { Err(FORMS.into()) } else { Ok(MailTransport::Folder(folder.into())) };
    }
    match Url::parse(value) {
        Ok(url) if matches!(url.scheme(), "smtp" | "smtps") && url.has_host() => {
            let is_encrypted =
                url.scheme() == "smtps" || url.query_pairs().any(|(name, how)| name == "tls" && how == "required");
            if url.password().is_some() && !is_encrypted && !is_loopback(&url) {
                return Err(
                    "would send the password for all to read: use smtps://, or add ?tls=required for STARTTLS".into()
                );
            }
            Ok(MailTransport::Smtp(Secret::new(value)))
        }
        _ => Err(FORMS.into()),
    }
}

/// A first look, so that it is told with the other problems; the mail transport parses it.
pub(super) fn mail_address(value: &str) -> Result<String, String> {
    if value.contains('@') { text(value) } else { Err("must be shop@example.com or Name <shop@example.com>".into()) }
}

/// HS256 wants a key of at least the hash's size (RFC 7518, section 3.2), and one that nobody guesses.
pub(super) fn strong(value: &str) -> Result<(), String> {
    let mut distinct: Vec<u8> = value.bytes().collect();
    distinct.sort_unstable();
    distinct.dedup();
    match (value.len(), distinct.len()) {
        (..32, _) => Err("must be at least 32 bytes long; make one with `openssl rand -hex 32`".into()),
        (_, ..8) => Err("repeats too few characters; make one with `openssl rand -hex 32`".into()),
        _ => Ok(()),
    }
}

pub(super) fn starts_with(prefixes: &'static [&str]) -> impl Fn(&str) -> Result<(), String> {
    move |value| {
        // Stripe's keys are far longer; a prefix alone is a copy gone wrong.
        if prefixes.iter().any(|prefix| value.strip_prefix(prefix).is_some_and(|rest| rest.len() >= 8)) {
            Ok(())
        } else {
            Err(format!("must start with {} and be whole", prefixes.join(" or ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_and_example_secrets_are_refused() {
        let example = "change-me-change-me-change-me-change-me-123";
        for weak in ["", "short", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", example] {
            assert!(secrets(strong)(weak).is_err(), "{weak:?} was taken");
        }
        assert!(secrets(strong)("0123456789abcdef0123456789abcdef, fedcba9876543210fedcba9876543210").is_ok());
    }

    #[test]
    fn a_program_tells_the_database_its_name_unless_the_url_has_one() {
        let name = |url| database_url(Program::Worker)(url).expect("a URL").get_application_name().map(str::to_owned);
        assert_eq!(name("postgres://u@h/d").as_deref(), Some("kassa-worker"));
        assert_eq!(name("postgres://u@h/d?application_name=replica-2").as_deref(), Some("replica-2"));
    }

    #[test]
    fn networks_and_origins_are_lists_of_nothing_else() {
        let networks = cidrs("10.0.0.0/8, 192.0.2.1,2001:db8::/32").expect("networks");
        assert_eq!(
            networks.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]
        );
        for wrong in ["10.0.0.0/33", "10.0.0", "proxy", "10.0.0.1:80", "10.0.0.1,", "*"] {
            assert!(cidrs(wrong).is_err(), "{wrong}");
        }
        let ours = origins("https://Shop.example, http://localhost:3000,https://shop.example:443/").expect("origins");
        assert_eq!(ours, ["https://shop.example", "http://localhost:3000", "https://shop.example"]);
        for wrong in
            ["*", "null", "shop.example", "https://shop.example/path", "https://u@shop.example", "ftp://a", ","]
        {
            assert!(origins(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_mail_servers_password_is_sent_encrypted_or_not_at_all() {
        for fine in [
            "smtp://mail.example",
            "smtps://u:p@mail.example",
            "smtp://u:p@mail.example:587?tls=required",
            "smtp://u:p@localhost",
            "smtp://u:p@127.0.0.1:1025",
            "smtp://u:p@[::1]:1025",
        ] {
            assert!(mail_transport(fine).is_ok(), "{fine}");
        }
        for readable in ["smtp://u:p@mail.example", "smtp://u:p@mail.example:587?tls=opportunistic"] {
            assert!(mail_transport(readable).is_err(), "{readable}");
        }
    }

    #[test]
    fn a_refusal_does_not_quote_the_value() {
        let told = [
            database_url(Program::Api)("mysql://u:hunter2@h/d").err(),
            database_url(Program::Api)("postgres://u:hunter2@h:port/d").err(),
            http_url("hunter2").err(),
            mail_transport("imap://u:hunter2@h").err(),
            mail_transport("smtp://u:hunter2@h").err(),
            secret(strong)("hunter2").err(),
            secret(starts_with(&["sk_test_"]))("pk_test_hunter2").err(),
            duration(Duration::from_secs(1))("hunter2").err(),
            log_filter("info,hunter2=loud").err(),
            cidrs("hunter2").err(),
            origins("hunter2").err(),
            per_minute("hunter2").err(),
        ];
        for refusal in told {
            let refusal = refusal.expect("none of them can be used");
            assert!(!refusal.contains("hunter2"), "{refusal}");
        }
    }
}
