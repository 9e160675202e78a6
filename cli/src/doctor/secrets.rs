//! Whether secrets are as strong as they can be, belong together, and have the form that their makers give them. What is too weak to
//! start with is a problem of the configuration already.

use std::collections::HashMap;

use common::config::{Inspection, Secret, Stripe};

use super::finding::Finding;
use crate::net::is_local;

/// Of a secret that nobody guesses, in bits: HS256 is no stronger than its key, and this is what is thought to be out of reach.
const ENOUGH_BITS: f64 = 128.0;

/// What follows `whsec_`: 32 characters of an endpoint's, 64 of `stripe listen`'s.
const SHORTEST_WEBHOOK_SECRET: usize = 32;

pub(super) fn check(inspection: &Inspection) -> Vec<Finding> {
    let jwt = inspection.jwt_secrets.as_deref().map(jwt_secrets);
    let webhook = inspection.stripe_webhook_secrets.as_deref().map(webhook_secrets);
    let modes = match (&inspection.stripe, &inspection.stripe_publishable_key) {
        (Some(stripe), Some(publishable)) => Some(modes(stripe, publishable, inspection.public_url.as_deref())),
        _ => None,
    };
    [jwt, webhook, modes].into_iter().flatten().collect()
}

fn jwt_secrets(secrets: &[Secret]) -> Finding {
    const NAME: &str = "JWT secret";
    let weakest = secrets.iter().map(|secret| bits(secret.expose())).fold(f64::INFINITY, f64::min);
    let made_of_words = secrets.iter().any(|secret| !secret.expose().bytes().any(|byte| byte.is_ascii_digit()));
    if weakest < ENOUGH_BITS || made_of_words {
        let remedy = "replace it by one from `openssl rand -hex 32`: docs/operations/secrets.md";
        return Finding::warning(NAME, "a secret of JWT_SECRET looks as if somebody had thought it up", remedy);
    }
    match secrets.len() {
        1 => Finding::well(NAME, "long and random"),
        n => Finding::well(NAME, format!("{n}, all long and random; the first signs")),
    }
}

/// How many bits a text has if its characters were drawn by chance, as often as they occur in it: at most, therefore.
fn bits(text: &str) -> f64 {
    let mut counts: HashMap<u8, u32> = HashMap::new();
    for byte in text.bytes() {
        *counts.entry(byte).or_default() += 1;
    }
    let total: f64 = counts.values().copied().map(f64::from).sum();
    counts.into_values().map(|count| f64::from(count) * (total / f64::from(count)).log2()).sum()
}

fn webhook_secrets(secrets: &[Secret]) -> Finding {
    const NAME: &str = "webhook secret";
    let is_genuine = |secret: &Secret| {
        let rest = secret.expose().strip_prefix("whsec_").unwrap_or_default();
        rest.len() >= SHORTEST_WEBHOOK_SECRET && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    if secrets.iter().all(is_genuine) {
        return Finding::well(NAME, "has the form that Stripe gives it");
    }
    let remedy = "copy it whole: from the endpoint in Stripe's dashboard, or from `stripe listen --print-secret`";
    Finding::warning(NAME, "a secret of STRIPE_WEBHOOK_SECRET has not the form that Stripe gives them", remedy)
}

fn modes(stripe: &Stripe, publishable: &str, public_url: Option<&str>) -> Finding {
    const NAME: &str = "Stripe keys";
    let (live, shown_live) = (stripe.livemode(), publishable.starts_with("pk_live_"));
    let name = |live| if live { "live" } else { "test" };
    if live != shown_live {
        let finding =
            format!("STRIPE_SECRET_KEY is of {} mode, STRIPE_PUBLISHABLE_KEY of {}", name(live), name(shown_live));
        return Finding::wrong(
            NAME,
            finding,
            "take both from the same page of Stripe's dashboard: no payment can be confirmed",
        );
    }
    let is_at_stripe = stripe.api_base.as_str().trim_end_matches('/') == "https://api.stripe.com";
    match (live, public_url) {
        (true, _) if !is_at_stripe => Finding::wrong(
            NAME,
            "live keys are sent to another STRIPE_API_BASE than Stripe's",
            "take STRIPE_API_BASE away",
        ),
        (true, Some(url)) if is_local(url) => Finding::wrong(
            NAME,
            "live keys, but PUBLIC_URL leads to this machine or its network",
            "set PUBLIC_URL to where clients find the shop, or use test keys",
        ),
        (true, Some(url)) if !url.starts_with("https://") => Finding::wrong(
            NAME,
            "live keys, but PUBLIC_URL is not https://",
            "serve the shop by HTTPS: docs/operations/https.md",
        ),
        _ => Finding::well(NAME, format!("both of {} mode", name(live))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_drawn_by_chance_is_told_from_what_was_thought_up() {
        let verdict = |secret: &str| jwt_secrets(&[Secret::new(secret)]).remedy.is_none();
        assert!(verdict("7d0f3f6a1c5be2498807d3f1a6cc5e02b94d8e7f6a315c20d9fe84b7163ac5e8"));
        assert!(verdict("mZ4vQ0pXn8sKd2Wb7yTfLr9aEcUhGj6oVxNiR3tY"));
        assert!(!verdict("a-secret-of-mine-that-is-long-enough-for-it"), "words");
        assert!(!verdict("12345678123456781234567812345678"), "little variety");
    }
}
