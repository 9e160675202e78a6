//! What a browser says to Stripe: it confirms the payment with the publishable key and the order's client secret.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    client::{Reply, http},
    state::Access,
};

/// What Stripe makes of a confirmation.
pub(super) enum Confirmation {
    Accepted(Reply),
    /// With the page to authenticate on.
    Challenged(Reply, Option<String>),
    /// With the reason.
    Declined(Reply, String),
}

pub(super) async fn confirm(access: &Access, order: &Value, method: &str) -> Result<Confirmation> {
    let payment = Payment::of(order)?;
    let form = [
        ("payment_method", method),
        ("client_secret", payment.client_secret),
        ("key", payment.publishable_key),
        // Where the bank sends the shopper back to.
        ("return_url", &access.api),
    ];
    let url = payment.url(access);
    let began = Instant::now();
    let answer = http().post(&url).form(&form).send().await.context("Stripe does not answer")?;
    let status = answer.status();
    let body: Value = answer.json().await.context("Stripe's answer is no JSON")?;
    let reply = Reply::new(format!("POST {url}"), status, body, began.elapsed());
    match (status.as_u16(), reply.body["status"].as_str()) {
        (200, Some("succeeded" | "processing")) => Ok(Confirmation::Accepted(reply)),
        (200, Some("requires_action")) => {
            let action = &reply.body["next_action"];
            let page = action["redirect_to_url"]["url"].as_str().map(str::to_owned);
            Ok(Confirmation::Challenged(reply, page))
        }
        (402, _) => {
            let error = &reply.body["error"];
            let code = error["decline_code"].as_str().or(error["code"].as_str()).unwrap_or("card_declined");
            let why = format!("{code}, \"{}\"", error["message"].as_str().unwrap_or_default());
            Ok(Confirmation::Declined(reply, why))
        }
        _ => bail!("{reply}; the payment is {}", reply.body["status"]),
    }
}

/// The command that tries another card.
pub(super) fn retry(access: &Access, order: &Value) -> Result<String> {
    let payment = Payment::of(order)?;
    Ok(format!(
        "  curl {} \\\n    -d payment_method=pm_card_visa -d client_secret={} -d key={} -d return_url={}",
        payment.url(access),
        payment.client_secret,
        payment.publishable_key,
        access.api
    ))
}

/// What the owner of an unpaid order is given.
struct Payment<'a> {
    intent: &'a str,
    client_secret: &'a str,
    publishable_key: &'a str,
}

impl<'a> Payment<'a> {
    fn of(order: &'a Value) -> Result<Self> {
        let given = |name: &str| order["payment"][name].as_str().with_context(|| format!("the order has no {name}"));
        Ok(Self {
            intent: given("intent_id")?,
            client_secret: given("client_secret")?,
            publishable_key: given("publishable_key")?,
        })
    }

    fn url(&self, access: &Access) -> String {
        format!("{}/v1/payment_intents/{}/confirm", access.stripe_api_base, self.intent)
    }
}
