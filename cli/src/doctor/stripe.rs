//! Stripe: whether it takes the key, whether the key may do what the shop does, and whether events come here.

use common::{
    config::{Inspection, Stripe as Config},
    webhook::USED,
};
use worker::stripe::{Account, Endpoint, NEEDED, Stripe, StripeError};

use super::finding::Finding;
use crate::net::is_local;

const ACCOUNT: &str = "Stripe account";
const PERMISSIONS: &str = "Stripe permissions";
const ENDPOINT: &str = "Stripe webhooks";

/// Where the API takes events.
const PATH: &str = "/webhooks/stripe";

pub(super) async fn check(inspection: &Inspection) -> Vec<Finding> {
    let Some(config) = &inspection.stripe else {
        return vec![Finding::skipped(ACCOUNT, "there is no key that can be used, or no address")];
    };
    let Ok(stripe) = Stripe::new(config) else {
        let remedy = "see that the system has its list of certificate authorities (ca-certificates)";
        return vec![Finding::wrong(ACCOUNT, "the HTTP client can't be set up", remedy)];
    };
    let account = match stripe.account().await {
        Ok(account) => of_account(&account, config),
        Err(error) if status(&error) == Some(403) => {
            Finding::well(ACCOUNT, format!("{} mode; the key is good, and may not tell whose it is", mode(config)))
        }
        Err(error) => return vec![refused(config, &error)],
    };
    let mut findings = vec![account];
    if config.secret_key.expose().starts_with("rk_") {
        findings.push(of_permissions(&stripe).await);
    }
    if let Some(public_url) = &inspection.public_url {
        findings.push(match stripe.endpoints().await {
            Ok(endpoints) => of_endpoints(&endpoints, public_url, config.livemode()),
            Err(error) if status(&error) == Some(403) => Finding::warning(
                ENDPOINT,
                "the key may not list the account's endpoints",
                format!("give it `Webhook Endpoints: read`, or look yourself for one that leads to {public_url}{PATH}"),
            ),
            Err(error) => Finding::wrong(ENDPOINT, error.to_string(), "try again; see https://status.stripe.com"),
        });
    }
    findings
}

fn status(error: &StripeError) -> Option<u16> {
    if let StripeError::Refused(refusal) = error { Some(refusal.status) } else { None }
}

fn mode(config: &Config) -> &'static str {
    if config.livemode() { "live" } else { "test" }
}

fn refused(config: &Config, error: &StripeError) -> Finding {
    match status(error) {
        Some(401) => Finding::wrong(
            ACCOUNT,
            format!("the key is not taken: {error}"),
            "copy STRIPE_SECRET_KEY anew from Stripe's dashboard (Developers, API keys); it may have been rolled",
        ),
        Some(_) => Finding::wrong(ACCOUNT, error.to_string(), "try again; see https://status.stripe.com"),
        None => Finding::wrong(
            ACCOUNT,
            format!("{error} ({})", config.api_base),
            "see that this machine may reach it on port 443, through its firewall and by its DNS; see https://status.stripe.com",
        ),
    }
}

fn of_account(account: &Account, config: &Config) -> Finding {
    let mode = mode(config);
    let finding = format!("{mode} mode, {}", account.id);
    if config.livemode() && account.charges_enabled == Some(false) {
        let remedy = "finish what Stripe's dashboard asks for";
        return Finding::wrong(ACCOUNT, format!("{finding}, which may not take money yet"), remedy);
    }
    Finding::well(ACCOUNT, finding)
}

async fn of_permissions(stripe: &Stripe) -> Finding {
    let mut lacking = vec![];
    for permission in NEEDED {
        match stripe.may(permission).await {
            Ok(true) => {}
            Ok(false) => lacking.push(permission.name),
            Err(error) => return Finding::wrong(PERMISSIONS, error.to_string(), "try again"),
        }
    }
    if lacking.is_empty() {
        return Finding::well(PERMISSIONS, "the restricted key may do all that the shop does");
    }
    let finding = format!("the restricted key lacks {}", lacking.join(", "));
    Finding::wrong(PERMISSIONS, finding, "add them to the key in Stripe's dashboard (Developers, API keys)")
}

fn of_endpoints(endpoints: &[Endpoint], public_url: &str, live: bool) -> Finding {
    let wanted = format!("{public_url}{PATH}");
    let mut ours: Vec<_> = endpoints.iter().filter(|endpoint| endpoint.url.trim_end_matches('/') == wanted).collect();
    let lacking = |endpoint: &Endpoint| USED.into_iter().filter(|kind| !endpoint.takes(kind)).collect::<Vec<_>>();
    // The best of several, as while an endpoint is replaced.
    ours.sort_by_key(|endpoint| (endpoint.status != "enabled", lacking(endpoint).len()));
    let Some(endpoint) = ours.first() else {
        let remedy =
            format!("add one for {wanted} in Stripe's dashboard (Developers, Webhooks), with {}", USED.join(", "));
        if !live && is_local(public_url) {
            let finding = format!("no endpoint leads to {wanted}, which Stripe could not reach");
            return Finding::warning(ENDPOINT, finding, format!("run `stripe listen --forward-to {wanted}`"));
        }
        let finding = format!("no endpoint leads to {wanted}: payments are noticed hourly only");
        return Finding::wrong(ENDPOINT, finding, remedy);
    };
    if endpoint.status != "enabled" {
        let finding = format!("the endpoint for {wanted} is {}", endpoint.status);
        return Finding::wrong(ENDPOINT, finding, "enable it in Stripe's dashboard, then run `kassa reconcile`");
    }
    let lacking = lacking(endpoint);
    if !lacking.is_empty() {
        let finding = format!("the endpoint for {wanted} is not sent {}", lacking.join(", "));
        return Finding::wrong(ENDPOINT, finding, "add these types to it in Stripe's dashboard");
    }
    Finding::well(ENDPOINT, format!("the endpoint for {wanted} is enabled, and is sent all that is used"))
}
