//! Before anything breaks: an administrator, a catalogue, and shoppers with accounts.

use std::sync::Arc;

use anyhow::{Context, Result};
use dev::random::alphanumeric;
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::Method;
use serde_json::json;
use tokio::sync::mpsc;

use super::{
    admin::Admin, ground::Ground, insist::Insistent, options::Torture, shopper::Shopper, shopper::text, tally::Tally,
};
use crate::{progress::Step, secrets::ADMIN_EMAIL};

/// Passwords are hashed at length: so many accounts are made at once.
const AT_ONCE: usize = 8;

/// Everybody who has a part in it.
pub(super) struct Crowd {
    pub(super) shoppers: Vec<Shopper>,
    pub(super) admin: Admin,
    /// Where the administrator hears of orders that were paid.
    pub(super) paid: mpsc::UnboundedReceiver<String>,
}

/// See the module.
pub(super) async fn open(ground: &Ground, options: &Torture, seed: u64, tally: &Arc<Tally>) -> Result<Crowd> {
    let step = Step::begin("accounts and products");
    let visitor = Insistent::new(ground.shops(), Arc::clone(tally));
    let admin = admin(ground, &visitor).await?;
    let products = Arc::new(products(&admin, options).await?);
    let (tell, paid) = mpsc::unbounded_channel();
    let shopper = async |number: usize| {
        let account = json!({ "email": format!("shopper-{number}@kassa.example"), "password": alphanumeric(20) });
        let session = visitor.call(Method::POST, "/auth/register", Some(&account), &[]).await?.expect(&[201])?.body;
        Ok::<_, anyhow::Error>(Shopper {
            number,
            seed,
            shop: visitor.with_session(&session)?,
            stripe: ground.stripe_api(),
            bank: ground.control(),
            products: Arc::clone(&products),
            tally: Arc::clone(tally),
            paid: tell.clone(),
        })
    };
    let shoppers: Vec<Shopper> =
        stream::iter(0..usize::from(options.shoppers)).map(shopper).buffered(AT_ONCE).try_collect().await?;
    step.done(format_args!("{} accounts and {} products", shoppers.len() + 1, products.len()));
    let admin = Admin { seed, shop: admin, stripe: ground.stripe_account(), tally: Arc::clone(tally) };
    Ok(Crowd { shoppers, admin, paid })
}

async fn admin(ground: &Ground, visitor: &Insistent) -> Result<Insistent> {
    let password = alphanumeric(20);
    ground.operate(&["admin", "create", "--email", ADMIN_EMAIL], &format!("{password}\n")).await?;
    let login = json!({ "email": ADMIN_EMAIL, "password": password });
    let session = visitor.call(Method::POST, "/auth/login", Some(&login), &[]).await?.expect(&[200])?;
    visitor.with_session(&session.body)
}

/// Their ids.
async fn products(admin: &Insistent, options: &Torture) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for number in 1..=options.products {
        let product = json!({
            "name": format!("Product {number}"),
            "price": 300 + 70 * i64::from(number),
            "stock": options.units(),
        });
        let key = format!("product-{number}");
        let headers = [("idempotency-key", key.as_str())];
        let made = admin.call(Method::POST, "/products", Some(&product), &headers).await?.expect(&[201]);
        ids.push(text(&made.context("making a product")?.body["id"]).to_owned());
    }
    Ok(ids)
}
