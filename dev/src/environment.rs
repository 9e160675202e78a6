//! What the shop's programs find in their environment: the caller's, and above it what only `cargo dev` knows.

use std::{
    env,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use crate::{
    home::Home,
    secrets::Secrets,
    settings::{SIMULATOR_PUBLISHABLE_KEY, SIMULATOR_SECRET_KEY, Settings},
    state::Access,
};

const SENDER: &str = "Kassa <shop@kassa.example>";

/// See the module.
#[derive(Clone)]
pub(crate) struct Environment(Vec<(&'static str, String)>);

impl Environment {
    /// Also notes in `access` what others have to know.
    pub(crate) fn new(
        home: &Home,
        settings: &Settings,
        secrets: &Secrets,
        access: &mut Access,
        api_addr: SocketAddr,
        mail_url: String,
    ) -> Self {
        access.api = reach(api_addr);
        access.jwt_secret = given("JWT_SECRET").unwrap_or_else(|| secrets.jwt_secret.clone());
        match &settings.stripe {
            Some(stripe) => {
                access.stripe_api_base.clone_from(&stripe.api_base);
                access.stripe_secret_key.clone_from(&stripe.secret_key);
                access.stripe_webhook_secret.clone_from(&stripe.webhook_secret);
                access.stripe_publishable_key.clone_from(&stripe.publishable_key);
            }
            None => {
                access.stripe_secret_key = SIMULATOR_SECRET_KEY.into();
                access.stripe_publishable_key = SIMULATOR_PUBLISHABLE_KEY.into();
            }
        }
        access.public_url = settings.public_url.clone().unwrap_or_else(|| access.api.clone());
        access.object_store = format!("file:{}", home.images().display());
        access.mail = mail_url;
        access.mail_from = given("MAIL_FROM").unwrap_or_else(|| SENDER.to_owned());
        Self(vec![
            ("DATABASE_URL", access.database.clone()),
            ("API_ADDR", api_addr.to_string()),
            ("PUBLIC_URL", access.public_url.clone()),
            ("JWT_SECRET", access.jwt_secret.clone()),
            ("STRIPE_API_BASE", access.stripe_api_base.clone()),
            ("STRIPE_SECRET_KEY", access.stripe_secret_key.clone()),
            ("STRIPE_PUBLISHABLE_KEY", access.stripe_publishable_key.clone()),
            ("STRIPE_WEBHOOK_SECRET", access.stripe_webhook_secret.clone()),
            ("MAIL_URL", access.mail.clone()),
            ("MAIL_FROM", access.mail_from.clone()),
            ("OBJECT_STORE_URL", access.object_store.clone()),
            ("TLS_CERT", String::new()), // as good as unset
            ("TLS_KEY", String::new()),
        ])
    }

    /// For the operator's tool.
    pub(crate) fn common(&self) -> &[(&'static str, String)] {
        &self.0
    }

    /// For a program that keeps running: each has metrics of its own.
    pub(crate) fn of_program(&self, metrics: u16) -> Vec<(&'static str, String)> {
        let mut variables = self.0.clone();
        variables.push(("METRICS_ADDR", SocketAddr::from((Ipv4Addr::LOCALHOST, metrics)).to_string()));
        variables
    }
}

pub(crate) fn given(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// The address under which this machine reaches one that is listened on, which may be all of them.
pub(crate) fn reach(addr: SocketAddr) -> String {
    let ip = match addr.ip() {
        ip if !ip.is_unspecified() => ip,
        ip if ip.is_ipv6() => Ipv6Addr::LOCALHOST.into(),
        _ => Ipv4Addr::LOCALHOST.into(),
    };
    format!("http://{}", SocketAddr::new(ip, addr.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_all_interfaces_is_reached_by_loopback() {
        let reach = |addr: &str| reach(addr.parse().expect("an address"));
        assert_eq!(reach("0.0.0.0:8080"), "http://127.0.0.1:8080");
        assert_eq!(reach("[::]:8080"), "http://[::1]:8080");
        assert_eq!(reach("192.0.2.1:80"), "http://192.0.2.1:80");
    }
}
