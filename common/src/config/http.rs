//! How the API meets its clients: whom it believes, how much it takes of them, and whether it speaks TLS itself.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf};

use ipnet::IpNet;

use super::{
    reader::Reader,
    values::{at_least, cidrs, origins, parsed, per_minute, switch},
};

/// See the module.
#[derive(Clone, Debug)]
pub struct Http {
    /// Where the API listens.
    pub addr: SocketAddr,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The origins whose scripts may call the API, as browsers write them.
    pub cors_origins: Vec<String>,
    /// How often one may ask; `None` where nothing is counted.
    pub rate_limits: Option<RateLimits>,
    /// Connections at once.
    pub max_connections: usize,
    /// Requests in work at once.
    pub max_requests: usize,
    /// With what HTTPS is spoken; `None` where it is HTTP.
    pub tls: Option<Tls>,
}

/// How often a minute.
#[derive(Clone, Copy, Debug)]
pub struct RateLimits {
    /// To register, log in or ask for a new password: for one account. An address may do so [`ADDRESS_FACTOR`] times as often.
    pub login: NonZeroU32,
    /// To check out: a user.
    pub checkout: NonZeroU32,
    /// To ask for anything: an address.
    pub requests: NonZeroU32,
}

/// How many accounts' worth of attempts one address has: families and offices share one.
pub const ADDRESS_FACTOR: u32 = 6;

/// Files in PEM form.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate, then those between it and the root.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Http {
    pub(super) fn read(r: &mut Reader<'_>) -> Option<Self> {
        let addr = r.required("API_ADDR", parsed);
        let max_connections = r.required("API_MAX_CONNECTIONS", at_least(1));
        let max_requests = r.required("API_MAX_REQUESTS", at_least(1));
        let trusted_proxies = r.optional("TRUSTED_PROXIES", cidrs);
        let cors_origins = r.optional("CORS_ORIGINS", origins);
        let rate_limits = RateLimits::read(r);
        let tls = Tls::read(r);
        Some(Self {
            addr: addr?,
            trusted_proxies: trusted_proxies?.unwrap_or_default(),
            cors_origins: cors_origins?.unwrap_or_default(),
            rate_limits: rate_limits?,
            max_connections: max_connections?,
            max_requests: max_requests?,
            tls: tls?,
        })
    }
}

impl RateLimits {
    fn read(r: &mut Reader<'_>) -> Option<Option<Self>> {
        let on = r.required("RATE_LIMITS", switch);
        let login = r.required("RATE_LIMIT_LOGIN", per_minute);
        let checkout = r.required("RATE_LIMIT_CHECKOUT", per_minute);
        let requests = r.required("RATE_LIMIT_REQUESTS", per_minute);
        let limits = Self { login: login?, checkout: checkout?, requests: requests? };
        Some(on?.then_some(limits))
    }
}

impl Tls {
    fn read(r: &mut Reader<'_>) -> Option<Option<Self>> {
        let path = |value: &str| Ok(PathBuf::from(value));
        match (r.optional("TLS_CERT", path)?, r.optional("TLS_KEY", path)?) {
            (None, None) => Some(None),
            (Some(cert), Some(key)) => Some(Some(Self { cert, key })),
            (Some(_), None) => {
                r.problem("TLS_KEY", "must be set, as TLS_CERT is");
                None
            }
            (None, Some(_)) => {
                r.problem("TLS_CERT", "must be set, as TLS_KEY is");
                None
            }
        }
    }
}
