//! What is measured of the shop: each thing is one measurement at a pace, for so long, on any filled database.

mod checkout;
mod jobs;
mod reads;
mod webhooks;

use std::time::Duration;

use anyhow::Result;

use crate::{figures::Run, generator::Pace, ground::Ground, store::Store};

pub(crate) use checkout::{HOT, carts_are_left, distinct, prepare as prepare_checkout, script_for as checkout_script};
pub(crate) use jobs::enqueue as enqueue_jobs;
pub(crate) use reads::{answer, get, one_product, read, search_script};
pub(crate) use webhooks::{event, script as webhook_script};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The first page of the catalogue.
    List { connections: usize },
    /// One product, again and again.
    Product { connections: usize },
    /// Any product: none is asked for so often that its answer is kept.
    AnyProduct { connections: usize },
    /// Two words, always others.
    Search,
    /// Each shopper's cart has another product.
    Checkout,
    /// All carts have the same one.
    HotCheckout,
    /// Events of Stripe's, each a new one.
    Webhooks,
    /// Jobs that do nothing, from a backlog.
    Jobs { at_once: usize },
}

/// Shoppers, or whoever else asks at once, unless the subject says otherwise.
pub(crate) const AT_ONCE: usize = 16;

impl Subject {
    /// As people call it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::List { .. } => "GET /products",
            Self::Product { .. } => "GET /products/{id}",
            Self::AnyProduct { .. } => "GET /products/{id}, any",
            Self::Search => "GET /products?q=",
            Self::Checkout => "POST /checkout, distinct products",
            Self::HotCheckout => "POST /checkout, one hot product",
            Self::Webhooks => "POST /webhooks/stripe",
            Self::Jobs { .. } => "a job that does nothing",
        }
    }

    /// Measures it once.
    pub(crate) async fn measure(self, ground: &Ground, store: &mut Store, pace: Pace, limit: Duration) -> Result<Run> {
        match self {
            Self::List { connections } => reads::list(ground, store, connections, pace, limit).await,
            Self::Product { connections } => reads::product(ground, store, connections, pace, limit).await,
            Self::AnyProduct { connections } => reads::any_product(ground, store, connections, pace, limit).await,
            Self::Search => reads::search(ground, store, pace, limit).await,
            Self::Checkout => checkout::check_out(ground, store, &distinct(store), pace, limit).await,
            Self::HotCheckout => checkout::check_out(ground, store, HOT, pace, limit).await,
            Self::Webhooks => webhooks::send(ground, store, pace, limit).await,
            Self::Jobs { at_once } => jobs::work_off(ground, store, at_once).await,
        }
    }
}
