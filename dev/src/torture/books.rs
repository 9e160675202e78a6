//! What stands in the shop's database, and what in Stripe's own books.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;
use sqlx::{Connection, FromRow, PgConnection};

use super::{ground::Ground, shopper::text};

/// The shop's.
#[derive(Debug, Default)]
pub(super) struct ShopBooks {
    pub(super) orders: Vec<Order>,
    pub(super) intents: Vec<Intent>,
    pub(super) refunds: Vec<Refund>,
    pub(super) products: Vec<Product>,
    pub(super) mails: Vec<Mail>,
}

/// An order.
#[derive(Debug, Clone, FromRow)]
pub(super) struct Order {
    pub(super) id: String,
    pub(super) number: i64,
    pub(super) status: String,
    pub(super) total: i64,
    pub(super) refunded_total: i64,
}

/// What the shop knows of a PaymentIntent.
#[derive(Debug, Clone, FromRow)]
pub(super) struct Intent {
    pub(super) stripe_id: String,
    pub(super) duplicate: bool,
}

/// A refund, as the shop has it.
#[derive(Debug, Clone, FromRow)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) amount: i64,
    pub(super) status: String,
    pub(super) stripe_id: Option<String>,
}

/// A product, and what became of its units.
#[derive(Debug, Clone, FromRow)]
pub(super) struct Product {
    pub(super) name: String,
    pub(super) stock: i64,
    /// Units sold that did not come back.
    pub(super) sold: i64,
}

/// A mail, as the shop has it.
#[derive(Debug, Clone, FromRow)]
pub(super) struct Mail {
    pub(super) id: String,
    pub(super) dedupe_key: String,
    pub(super) status: String,
    pub(super) message_id: Option<String>,
}

/// Stripe's.
#[derive(Debug, Default)]
pub(super) struct StripeBooks {
    pub(super) intents: Vec<StripeIntent>,
    pub(super) refunds: Vec<StripeRefund>,
}

/// A PaymentIntent, as Stripe has it.
#[derive(Debug, Clone)]
pub(super) struct StripeIntent {
    pub(super) id: String,
    /// By its metadata; empty without any.
    pub(super) order: String,
    pub(super) status: String,
    pub(super) received: i64,
}

/// A refund, as Stripe has it.
#[derive(Debug, Clone)]
pub(super) struct StripeRefund {
    pub(super) id: String,
    pub(super) intent: String,
    pub(super) amount: i64,
    pub(super) status: String,
}

impl ShopBooks {
    pub(super) async fn read(database: &mut PgConnection) -> Result<Self> {
        let orders = "SELECT id::text, number, status, total, refunded_total FROM orders ORDER BY number";
        let intents = "SELECT stripe_id, duplicate FROM payment_intents WHERE stripe_id IS NOT NULL";
        let refunds = "SELECT id::text, amount, status, stripe_refund_id AS stripe_id FROM refunds ORDER BY id";
        let products = "SELECT p.name, p.stock,
                          (SELECT coalesce(sum(i.quantity - i.restocked), 0)::bigint FROM order_items i
                           WHERE i.product_id = p.id AND i.reservation = 'consumed') AS sold
                        FROM products p ORDER BY p.name";
        let mails = "SELECT id::text, dedupe_key, status, message_id FROM emails ORDER BY id";
        Ok(Self {
            orders: sqlx::query_as(orders).fetch_all(&mut *database).await.context("reading the orders")?,
            intents: sqlx::query_as(intents).fetch_all(&mut *database).await.context("reading the intents")?,
            refunds: sqlx::query_as(refunds).fetch_all(&mut *database).await.context("reading the refunds")?,
            products: sqlx::query_as(products).fetch_all(&mut *database).await.context("reading the products")?,
            mails: sqlx::query_as(mails).fetch_all(&mut *database).await.context("reading the mails")?,
        })
    }

    /// Orders by status.
    pub(super) fn outcomes(&self) -> BTreeMap<&str, u64> {
        let mut outcomes = BTreeMap::new();
        for order in &self.orders {
            *outcomes.entry(order.status.as_str()).or_default() += 1;
        }
        outcomes
    }
}

impl StripeBooks {
    pub(super) async fn read(ground: &Ground) -> Result<Self> {
        let intent = |shown: &Value| StripeIntent {
            id: text(&shown["id"]).to_owned(),
            order: text(&shown["metadata"]["order_id"]).to_owned(),
            status: text(&shown["status"]).to_owned(),
            received: shown["amount_received"].as_i64().unwrap_or_default(),
        };
        let refund = |shown: &Value| StripeRefund {
            id: text(&shown["id"]).to_owned(),
            intent: text(&shown["payment_intent"]).to_owned(),
            amount: shown["amount"].as_i64().unwrap_or_default(),
            status: text(&shown["status"]).to_owned(),
        };
        Ok(Self {
            intents: list(ground, "payment_intents").await?.iter().map(intent).collect(),
            refunds: list(ground, "refunds").await?.iter().map(refund).collect(),
        })
    }
}

/// All that Stripe has of a kind.
async fn list(ground: &Ground, kind: &str) -> Result<Vec<Value>> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let after = all.last().map(|last| format!("&starting_after={}", text(&last["id"]))).unwrap_or_default();
        let path = format!("/v1/{kind}?limit=100{after}");
        let mut page = ground.stripe_account().get(&path).await?.expect(&[200])?.body;
        all.extend(page["data"].as_array_mut().map(std::mem::take).unwrap_or_default());
        if page["has_more"] != true {
            return Ok(all);
        }
    }
}

/// Writes all tables and Stripe's books into a folder, a file for each, for whoever wants to know what happened.
pub(super) async fn keep(ground: &Ground, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let write = |name: &str, text: &str| {
        let file = folder.join(name);
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
    };
    for kind in ["payment_intents", "refunds", "events"] {
        write(&format!("stripe_{kind}.json"), &serde_json::to_string_pretty(&list(ground, kind).await?)?)?;
    }
    let requests = ground.control().get("/requests").await?.expect(&[200])?.body;
    write("stripe_requests.json", &serde_json::to_string_pretty(&requests)?)?;
    let mut database = PgConnection::connect_with(&ground.database).await.context("connecting to the database")?;
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut database).await?;
    for table in tables {
        let rows = format!("SELECT row_to_json(t)::text FROM \"{table}\" t ORDER BY t::text");
        let rows: Vec<String> = sqlx::query_scalar(&rows).fetch_all(&mut database).await?;
        write(&format!("table_{table}.jsonl"), &rows.join("\n"))?;
    }
    Ok(())
}
