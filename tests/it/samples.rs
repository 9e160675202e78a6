//! The samples of docs/webhooks and the script that sends them: what a newcomer tries first is taken by a running shop, and has
//! the shape that events have.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Output};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{Client, Shop, WEBHOOK_SECRET, eventually, payment, repository, text};

/// The types that there are samples of.
const USED: [&str; 9] = [
    "charge.dispute.closed",
    "charge.dispute.created",
    "payment_intent.canceled",
    "payment_intent.payment_failed",
    "payment_intent.processing",
    "payment_intent.succeeded",
    "refund.created",
    "refund.failed",
    "refund.updated",
];

fn folder() -> PathBuf {
    repository("docs/webhooks")
}

/// Runs the script against the shop.
async fn run(shop: &Shop, arguments: &[&str]) -> Output {
    let mut script = Command::new(folder().join("send"));
    script.args(arguments).env("API_URL", format!("http://{}", shop.api.api));
    script.env("STRIPE_WEBHOOK_SECRET", format!("{WEBHOOK_SECRET},{}", Shop::OLD_WEBHOOK_SECRET));
    let output = script.kill_on_drop(true).output().await.expect("python3 runs the script");
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(!told.contains(WEBHOOK_SECRET), "a secret is shown: {told}");
    output
}

/// What the script said, which must have ended well.
fn well(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    out.into_owned()
}

/// The events in the inbox, by type: their statuses.
async fn inbox(shop: &Shop) -> BTreeMap<String, Vec<String>> {
    let rows = sqlx::query_as::<_, (String, String)>("SELECT type, status FROM webhook_logs ORDER BY id");
    let mut inbox = BTreeMap::<String, Vec<String>>::new();
    for (kind, status) in rows.fetch_all(&shop.pool).await.expect("the database answers") {
        inbox.entry(kind).or_default().push(status);
    }
    inbox
}

#[tokio::test]
async fn each_sample_is_taken_stored_under_its_type_and_applied() {
    let shop = Shop::start().await;
    let product = shop.product(500, 3).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 2).await;
    shop.pay(&shopper, &order).await;
    let refund = shop.refund_at_stripe(&order, 300).await;
    let path = format!("/charges/{}/dispute", payment(&order, "intent_id"));
    let dispute = shop.control().post(&path, &json!({ "inquiry": true })).await.expect(200);
    shop.settle().await;
    sqlx::query("DELETE FROM webhook_logs").execute(&shop.pool).await.expect("what the simulator told is forgotten");

    let ids = [
        ("--order", text(&order["id"])),
        ("--intent", payment(&order, "intent_id")),
        ("--refund", text(&refund["id"])),
        ("--dispute", text(&dispute["id"])),
        ("--amount", "1000"),
    ];
    let arguments: Vec<&str> = ["--all"].into_iter().chain(ids.into_iter().flat_map(|(name, id)| [name, id])).collect();
    let told = well(&run(&shop, &arguments).await);
    assert_eq!(told.lines().filter(|line| line.starts_with("✓ 200")).count(), USED.len(), "{told}");
    shop.settle().await;
    let wanted = USED.map(|kind| (kind.to_owned(), vec!["processed".to_owned()]));
    assert_eq!(inbox(&shop).await, BTreeMap::from(wanted));
    let now = shopper.see(&order).await;
    assert_eq!((&now["status"], &now["refunded_total"]), (&json!("paid"), &json!(300)), "old news moves nothing");
    shop.finish().await;
}

#[tokio::test]
async fn a_sample_pays_an_order_and_without_one_it_is_ignored() {
    let shop = Shop::start().await;
    let product = shop.product(700, 1).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.control().put("/webhooks", &json!({ "mode": "drop" })).await.expect(200);
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    let sample = "payment_intent.succeeded";
    well(&run(&shop, &[sample]).await);
    eventually("the payment of nobody's order is ignored", async || {
        (inbox(&shop).await.get(sample)? == &["ignored"]).then_some(())
    })
    .await;
    let (id, intent) = (text(&order["id"]), payment(&order, "intent_id"));
    well(&run(&shop, &[sample, "--order", id, "--intent", intent, "--amount", "700"]).await);
    shopper.wait_for(&order, "paid").await;
    shop.finish().await;
}

#[tokio::test]
async fn forged_tampered_old_and_unsigned_samples_are_refused_and_the_script_tells_what_went_wrong() {
    let shop = Shop::start().await;
    for way in ["--forged", "--tampered", "--old", "--unsigned"] {
        let told = well(&run(&shop, &["--all", way]).await);
        assert_eq!(told.lines().filter(|line| line.starts_with("✓ 400")).count(), USED.len(), "{told}");
        assert_eq!(told.matches("invalid_signature").count(), USED.len(), "{told}");
    }
    assert_eq!(inbox(&shop).await, BTreeMap::new());

    let wrong = run(&shop, &["refund.created", "--secret", "whsec_of_a_stranger"]).await;
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stdout).contains("✗ 400"), "{wrong:?}");
    let told = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let unknown = run(&shop, &["refund.invented"]).await;
    assert_eq!(unknown.status.code(), Some(2));
    assert!(told(&unknown).contains("there is no sample refund.invented"), "{unknown:?}");
    let nowhere = run(&shop, &["refund.created", "--url", "http://127.0.0.1:1/webhooks/stripe"]).await;
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(told(&nowhere).contains("nobody answers"), "{nowhere:?}");
    shop.finish().await;
}

/// A value's members and their types, without what they hold.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Null => json!("null"),
        Value::Bool(_) => json!("boolean"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("string"),
    }
}

/// The latest event of a type about a refund or a dispute of the order's payment.
async fn event_under(shop: &Shop, order: &Value, kind: &str) -> Value {
    let stripe = shop.stripe_api().with_token("sk_test_simulator");
    eventually(&format!("Stripe tells of {kind}"), async || {
        let events = stripe.get(&format!("/v1/events?type={kind}&limit=100")).await.expect(200);
        let events = events["data"].as_array()?;
        events.iter().find(|e| e["data"]["object"]["payment_intent"] == order["payment"]["intent_id"]).cloned()
    })
    .await
}

/// An order of somebody new.
async fn order(shop: &Shop, product: &Value) -> (Client, Value) {
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, product, 1).await;
    (shopper, order)
}

/// An order that this payment method has paid, and whose money goes back at once.
async fn refunded(shop: &Shop, product: &Value, method: &str) -> Value {
    let (shopper, order) = order(shop, product).await;
    shop.confirm(&order, method).await.expect(200);
    shopper.wait_for(&order, "paid").await;
    shop.admin().await.refund(&order, &json!({})).await.expect(202);
    order
}

#[tokio::test]
async fn the_samples_are_what_events_look_like_member_by_member() {
    let shop = Shop::start().await;
    shop.control().put("/settings", &json!({ "refund_ms": 100 })).await.expect(200);
    let product = shop.product(2490, 20).await;
    let mut events = Vec::new();

    for (method, status, kind) in [
        ("pm_card_visa", "paid", "payment_intent.succeeded"),
        ("pm_card_visa_chargeDeclined", "payment_failed", "payment_intent.payment_failed"),
        ("pm_usBankAccount_processing", "processing", "payment_intent.processing"),
    ] {
        let (shopper, order) = order(&shop, &product).await;
        shop.confirm(&order, method).await;
        shopper.wait_for(&order, status).await;
        events.push(shop.event(&order, kind).await);
    }
    let (shopper, unpaid) = order(&shop, &product).await;
    shopper.cancel(&unpaid).await.expect(202);
    shopper.wait_for(&unpaid, "canceled").await;
    events.push(shop.event(&unpaid, "payment_intent.canceled").await);
    for (method, kind) in [
        ("pm_card_visa", "refund.created"),
        ("pm_card_pendingRefund", "refund.updated"),
        ("pm_card_refundFail", "refund.failed"),
    ] {
        let order = refunded(&shop, &product, method).await;
        events.push(event_under(&shop, &order, kind).await);
    }
    let (_, disputed) = order(&shop, &product).await;
    shop.confirm(&disputed, "pm_card_createDispute").await.expect(200);
    let opened = event_under(&shop, &disputed, "charge.dispute.created").await;
    let path = format!("/disputes/{}", text(&opened["data"]["object"]["id"]));
    shop.control().post(&path, &json!({ "status": "lost" })).await.expect(200);
    events.extend([opened, event_under(&shop, &disputed, "charge.dispute.closed").await]);

    let mut kinds: Vec<&str> = events.iter().map(|event| text(&event["type"])).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, USED);
    for event in &events {
        let kind = text(&event["type"]);
        let sample = fs::read_to_string(folder().join(format!("{kind}.json"))).expect(kind);
        let sample: Value = serde_json::from_str(&sample).expect(kind);
        assert_eq!(shape(&sample), shape(event), "{kind}: the sample is on the left");
        for member in ["object", "api_version", "type", "livemode"] {
            assert_eq!(sample[member], event[member], "{kind}");
        }
        assert_eq!(sample["data"]["object"]["status"], event["data"]["object"]["status"], "{kind}");
    }
    let files = fs::read_dir(folder()).expect("the folder is there").map(|entry| entry.expect("a file").file_name());
    let mut samples: Vec<_> = files.filter_map(|name| Some(name.to_str()?.strip_suffix(".json")?.to_owned())).collect();
    samples.sort_unstable();
    assert_eq!(samples, USED, "no type is without its sample, and no sample is of another type");
    shop.settle().await;
    shop.finish().await;
}
