//! `cargo dev buy`: a purchase from the running shop, as a shopper's browser makes it, with each step, its status and its time.
//! It fails when anything goes another way than it should.

mod mail;
mod stripe;
mod wait;

use std::{fmt::Display, process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use dev::{random::alphanumeric, stripe::decimals};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::{Client, Reply},
    home::Home,
    progress::{print, seconds},
    state::{Access, State},
};
use stripe::Confirmation;

/// How the purchase goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The card is good.
    Paid,
    /// The bank says no.
    Declined,
    /// The bank wants the shopper to authenticate; the shopper does.
    Authenticated,
    /// The shopper goes away without paying.
    Abandoned,
}

/// An expiry further off is told of, not waited for.
const SOON: Duration = Duration::from_secs(60);

/// See the module.
pub(crate) async fn run(home: &Home, way: Way) -> Result<ExitCode> {
    let access = State::ready(home)?.access;
    let purchase = Purchase::begin(&access).await?;
    match way {
        Way::Paid => purchase.pay("pm_card_visa").await?,
        Way::Declined => purchase.be_declined().await?,
        Way::Authenticated => purchase.pay("pm_card_authenticationRequired").await?,
        Way::Abandoned => purchase.abandon().await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A purchase whose order is placed and can be paid.
struct Purchase<'a> {
    access: &'a Access,
    email: String,
    client: Client,
    /// As it was before.
    product: Value,
    order: Value,
}

impl<'a> Purchase<'a> {
    /// A fresh shopper puts a product into the cart and checks out.
    async fn begin(access: &'a Access) -> Result<Self> {
        let client = Client::new(&access.api);
        let email = format!("buyer-{}@kassa.example", alphanumeric(8).to_lowercase());
        let account = json!({ "email": email, "password": alphanumeric(20), "name": "Bea Buyer" });
        let reply = client.post("/auth/register", &account).await?.expect(&[201])?;
        tell(&reply, "registered", &email);
        let client = client.with_session(&reply.body)?;

        let reply = client.get("/products?in_stock=true&sort=name&limit=100").await?.expect(&[200])?;
        let found = reply.body["items"].as_array().into_iter().flatten();
        let product = found.max_by_key(|product| product["available"].as_i64()).context("nothing is in stock")?.clone();
        tell(
            &reply,
            "found",
            format_args!("{}, {}", text(&product["name"]), price(&product["price"], &product["currency"])),
        );

        let line = json!({ "product_id": product["id"], "quantity": 1 });
        let reply = client.post("/cart/items", &line).await?.expect(&[201])?;
        tell(&reply, "in the cart", format_args!("total {}", price(&reply.body["total"], &reply.body["currency"])));

        let key = Uuid::new_v4().to_string();
        let headers = [("prefer", "wait=10"), ("idempotency-key", key.as_str())];
        let wanted = json!({ "expected_total": reply.body["total"] });
        let reply = client.call(Method::POST, "/checkout", Some(&wanted), &headers).await?.expect(&[201, 202])?;
        tell(&reply, "checked out", format_args!("order {} is {}", reply.body["number"], text(&reply.body["status"])));
        let mut order = reply.body;
        if order["status"] == "pending" {
            order = wait::for_order(&client, &order, &["awaiting_payment"]).await?;
        }
        Ok(Self { access, email, client, product, order })
    }

    async fn pay(&self, method: &str) -> Result<()> {
        let confirmed = stripe::confirm(self.access, &self.order, method).await?;
        match &confirmed {
            Confirmation::Accepted(reply) => tell(reply, "confirmed", format_args!("with {method}")),
            Confirmation::Challenged(reply, url) => {
                tell(reply, "confirmed", format_args!("with {method}; the bank asks for authentication"));
                self.authenticate(url.as_deref()).await?;
            }
            Confirmation::Declined(_, why) => bail!("the card was declined: {why}"),
        }
        self.finish().await
    }

    /// The simulator is told that the shopper has authenticated; with Stripe, the shopper does it.
    async fn authenticate(&self, url: Option<&str>) -> Result<()> {
        if let Some(control) = &self.access.stripe_control {
            let intent = text(&self.order["payment"]["intent_id"]);
            let path = format!("/payment_intents/{intent}/authenticate");
            let reply = Client::new(control).post(&path, &json!({ "outcome": "succeeded" })).await?.expect(&[200])?;
            tell(&reply, "authenticated", "as the simulator's shopper");
        } else {
            let url = url.context("Stripe gives no page to authenticate on")?;
            print(format_args!("\n  Authenticate in a browser (waiting for five minutes): {url}\n"));
        }
        Ok(())
    }

    async fn finish(&self) -> Result<()> {
        let patience = if self.access.stripe_control.is_some() { wait::USUAL } else { wait::FOR_PEOPLE };
        wait::for_order_within(&self.client, &self.order, &["paid"], patience).await?;
        let before = self.product["stock"].as_i64().context("the product has no stock")?;
        let sold = |product: &Value| product["stock"].as_i64().is_some_and(|stock| stock < before);
        let after = wait::for_product(&self.client, &self.product, sold).await?;
        print(format_args!("         stock of {}: {before} before, {} after", text(&after["name"]), after["stock"]));
        mail::show(self.access, &self.email).await
    }

    async fn be_declined(&self) -> Result<()> {
        let method = "pm_card_visa_chargeDeclined";
        match stripe::confirm(self.access, &self.order, method).await? {
            Confirmation::Declined(reply, why) => {
                tell(&reply, "confirmed", format_args!("with {method}; declined: {why}"));
            }
            Confirmation::Accepted(_) | Confirmation::Challenged(..) => bail!("{method} was not declined"),
        }
        let order = wait::for_order(&self.client, &self.order, &["payment_failed"]).await?;
        print(format_args!("         told to the shopper: {}", text(&order["payment"]["last_error"]["message"])));
        self.show_reservation().await?;
        mail::show(self.access, &self.email).await?;
        print(format_args!(
            "\n  The stock is kept until {}. Until then another card may be tried with the same client secret:\n\n{}",
            text(&order["expires_at"]),
            stripe::retry(self.access, &order)?
        ));
        Ok(())
    }

    async fn abandon(&self) -> Result<()> {
        self.show_reservation().await?;
        let expires_at: DateTime<Utc> = text(&self.order["expires_at"]).parse().context("reading expires_at")?;
        let left = (expires_at - Utc::now()).to_std().unwrap_or_default();
        if left > SOON {
            print(format_args!(
                "\n  Nobody pays. The order expires at {expires_at} (in {}) and gives its stock back; to see it sooner, start with \
                 RESERVATION_MINUTES=0.1 cargo dev",
                seconds(left)
            ));
            return Ok(());
        }
        print(format_args!("         nobody pays; the order expires in {}", seconds(left)));
        wait::for_order_within(&self.client, &self.order, &["canceled"], left + wait::USUAL).await?;
        let before = self.product["available"].as_i64();
        let after =
            wait::for_product(&self.client, &self.product, |product| product["available"].as_i64() >= before).await?;
        print(format_args!("         available again: {}", after["available"]));
        mail::show(self.access, &self.email).await
    }

    /// What is reserved lowers what is available, not the stock.
    async fn show_reservation(&self) -> Result<()> {
        let before = self.product["available"].as_i64().context("the product has no availability")?;
        let reserved = |product: &Value| product["available"].as_i64().is_some_and(|available| available < before);
        let now = wait::for_product(&self.client, &self.product, reserved).await?;
        print(format_args!(
            "         reserved: {} of {} are available, {before} were before; the stock is still {}",
            now["available"],
            text(&now["name"]),
            now["stock"]
        ));
        Ok(())
    }
}

/// A step: its status, its time, what came of it.
fn tell(reply: &Reply, what: &str, detail: impl Display) {
    print(format_args!("  ✓ {}  {:>6}  {what}: {detail}", reply.status.as_u16(), seconds(reply.took)));
}

/// A string of an answer; empty if it is none.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Minor units as people read them.
fn price(amount: &Value, currency: &Value) -> String {
    let (amount, currency) = (amount.as_i64().unwrap_or_default(), text(currency));
    let (decimals, code) = (decimals(currency), currency.to_uppercase());
    match 10_i64.pow(decimals) {
        1 => format!("{amount} {code}"),
        unit => format!("{}.{:0width$} {code}", amount / unit, amount % unit, width = decimals as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_have_the_decimals_of_their_currency() {
        assert_eq!(price(&json!(1905), &json!("usd")), "19.05 USD");
        assert_eq!(price(&json!(1905), &json!("jpy")), "1905 JPY");
    }
}
