//! The calls about the account itself: whose key it is, what it may do, and where the account's events go. `kassa doctor` makes them;
//! no job does. They are read as far as is needed, for the account's own types differ by its kind and its country.

use serde::{Deserialize, de::DeserializeOwned};

use super::{Stripe, StripeError};

/// The account that a key belongs to.
#[derive(Debug, Deserialize)]
pub struct Account {
    /// `acct_…`
    pub id: String,
    /// Whether it may take money.
    pub charges_enabled: Option<bool>,
}

/// A webhook endpoint of the account (<https://docs.stripe.com/api/webhook_endpoints>).
#[derive(Debug, Deserialize)]
pub struct Endpoint {
    /// Where its events are sent.
    pub url: String,
    /// `enabled` or `disabled`.
    pub status: String,
    /// The types that it takes; `*` is almost every one.
    pub enabled_events: Vec<String>,
}

impl Endpoint {
    /// Whether events of this type are sent to it.
    pub fn takes(&self, kind: &str) -> bool {
        self.enabled_events.iter().any(|one| one == "*" || one == kind)
    }
}

/// Something that the shop does at Stripe, and that a restricted key may be kept from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// As Stripe's dashboard calls it.
    pub name: &'static str,
    path: &'static str,
    writes: bool,
}

/// All that the shop needs: its jobs write intents and refunds and read the rest when the books are compared.
pub const NEEDED: [Permission; 5] = [
    Permission { name: "PaymentIntents: write", path: "/payment_intents", writes: true },
    Permission { name: "Charges and Refunds: write", path: "/refunds", writes: true },
    Permission { name: "Charges and Refunds: read", path: "/charges", writes: false },
    Permission { name: "Disputes: read", path: "/disputes", writes: false },
    Permission { name: "Events: read", path: "/events", writes: false },
];

impl Stripe {
    /// Asks whose key this is.
    ///
    /// # Errors
    /// See [`StripeError`]. A restricted key may be good and yet refused here (403).
    pub async fn account(&self) -> Result<Account, StripeError> {
        read(&self.call("retrieve_account").get("/account", String::new()).await?)
    }

    /// Whether the key may do this. Where that is to write, an object is asked for without saying of what: Stripe refuses that as well, but
    /// with another status, and makes none.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn may(&self, permission: Permission) -> Result<bool, StripeError> {
        let call = self.call("probe_permission");
        let answer = if permission.writes {
            call.post_nothing(permission.path).await
        } else {
            call.get(permission.path, "limit=1".into()).await
        };
        match answer {
            Err(StripeError::Refused(refusal)) if refusal.status == 403 => Ok(false),
            Err(StripeError::Refused(refusal)) if permission.writes && refusal.status == 400 => Ok(true),
            answer => answer.map(|_| true),
        }
    }

    /// The account's webhook endpoints: the newest hundred, of the sixteen or so that Stripe allows.
    ///
    /// # Errors
    /// See [`StripeError`]. A restricted key may be refused this (403).
    pub async fn endpoints(&self) -> Result<Vec<Endpoint>, StripeError> {
        #[derive(Deserialize)]
        struct List {
            data: Vec<Endpoint>,
        }
        let list: List =
            read(&self.call("list_webhook_endpoints").get("/webhook_endpoints", "limit=100".into()).await?)?;
        Ok(list.data)
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, StripeError> {
    serde_json::from_slice(body).map_err(|_| StripeError::Unreadable)
}
