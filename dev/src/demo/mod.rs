//! The demo shop: an admin, a shopper, and a catalogue, made through the front door. What is there already stays as it is.

mod catalogue;

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::{
    child::command,
    client::Client,
    environment::Environment,
    home::Home,
    progress::{Step, note},
    secrets::{ADMIN_EMAIL, SHOPPER_EMAIL},
    state::Access,
};
use catalogue::{PRODUCTS, Product};

/// Fills what is missing.
pub(crate) async fn fill(
    access: &Access,
    operator: &std::path::Path,
    environment: &Environment,
    home: &Home,
) -> Result<()> {
    let step = Step::begin("demo shop");
    let client = Client::new(&access.api);
    let admin = admin(&client, access, operator, environment, home).await?;
    shopper(&client, access).await?;
    let added = products(&admin).await?;
    step.done(match added {
        0 => "demo shop: as it was".to_owned(),
        _ => format!("demo shop: an admin, a shopper and {added} products"),
    });
    Ok(())
}

/// A session of the demo admin, who is made with the operator's tool if there is none.
async fn admin(
    client: &Client,
    access: &Access,
    operator: &std::path::Path,
    environment: &Environment,
    home: &Home,
) -> Result<Client> {
    let login = json!({ "email": ADMIN_EMAIL, "password": access.admin_password });
    let mut reply = client.post("/auth/login", &login).await?;
    if reply.status == 401 {
        create_admin(&access.admin_password, operator, environment, home).await?;
        reply = client.post("/auth/login", &login).await?;
    }
    let session = reply.expect(&[200]).context("logging in as the demo admin")?;
    client.with_session(&session.body)
}

async fn create_admin(
    password: &str,
    operator: &std::path::Path,
    environment: &Environment,
    home: &Home,
) -> Result<()> {
    let mut child = command(operator, environment.common(), home)
        .args(["admin", "create", "--email", ADMIN_EMAIL])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("running {}", operator.display()))?;
    let mut input = child.stdin.take().context("telling the password")?;
    // A tool that ends before it has read says why below.
    let told = input.write_all(format!("{password}\n").as_bytes()).await;
    drop(input);
    let ran = child.wait_with_output().await.context("waiting for `kassa admin create`")?;
    if !ran.status.success() {
        let why = String::from_utf8_lossy(&ran.stderr);
        bail!("`kassa admin create --email {ADMIN_EMAIL}` failed ({}):\n{}", ran.status, why.trim());
    }
    told.context("telling the password")
}

async fn shopper(client: &Client, access: &Access) -> Result<()> {
    let account = json!({ "email": SHOPPER_EMAIL, "password": access.shopper_password, "name": "Sam Shopper" });
    let reply = client.post("/auth/register", &account).await?;
    if reply.status != 409 {
        return reply.expect(&[201]).map(drop).context("registering the demo shopper");
    }
    let login = json!({ "email": SHOPPER_EMAIL, "password": access.shopper_password });
    if client.post("/auth/login", &login).await?.status != 200 {
        note(format_args!("{SHOPPER_EMAIL} is there already, with another password than that in .dev/secrets.json"));
    }
    Ok(())
}

/// Adds what is missing of the catalogue and tells how much. The last product tells that all were there once, whatever became
/// of them; products that are none of ours tell that somebody keeps a catalogue here.
async fn products(admin: &Client) -> Result<usize> {
    let last = PRODUCTS.last().context("the catalogue is empty")?;
    let reply = admin.get(&format!("/products/{}", last.slug)).await?.expect(&[200, 404])?;
    if reply.status == 200 {
        return Ok(0);
    }
    let known = slugs(admin).await?;
    if known.iter().any(|slug| !PRODUCTS.iter().any(|product| product.slug == slug)) {
        note("this database has products of its own: none are added");
        return Ok(0);
    }
    let mut added = 0;
    for product in PRODUCTS.iter().filter(|product| !known.iter().any(|slug| slug == product.slug)) {
        add(admin, product).await?;
        added += 1;
    }
    Ok(added)
}

async fn add(admin: &Client, product: &Product) -> Result<()> {
    let Product { slug, name, price, stock, description } = product;
    let body = json!({ "slug": slug, "name": name, "price": price, "stock": stock, "description": description });
    let key = format!("demo-product-{slug}");
    let reply = admin.call(Method::POST, "/products", Some(&body), &[("idempotency-key", &key)]).await?;
    reply.expect(&[201]).map(drop).with_context(|| format!("adding {name}"))
}

/// Those of all products, archived ones too.
async fn slugs(admin: &Client) -> Result<Vec<String>> {
    let mut slugs = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = admin.get(&format!("/products?status=all&limit=100{cursor}")).await?.expect(&[200])?.body;
        let items = page["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        slugs.extend(items.iter().filter_map(|item| item["slug"].as_str().map(str::to_owned)));
        match &page["next_cursor"] {
            Value::String(next) => {
                let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
                cursor = format!("&cursor={next}");
            }
            _ => return Ok(slugs),
        }
    }
}
