//! The outbox.

use serde_json::{Value, json};

use super::{all, members};
use crate::harness::{Shop, text};

#[tokio::test]
async fn mails_are_found_by_status_and_kind_and_tell_no_secret() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let product = shop.product(500, 5).await;
    let order = shop.paid_order(&shopper, &product, 1).await;
    shop.mails(&shopper.email, 1).await; // one after the other
    let token = shop.reset_token(&shopper.email, 2).await;
    shop.settle().await;
    let found = async |query: &str| all(&admin, &format!("/admin/emails?{query}"), 1).await;
    let sent = found("status=sent").await;
    let mut kinds = members(&sent, "kind");
    kinds.sort_unstable();
    assert_eq!(kinds, ["order_confirmed", "password_reset"]);
    let [confirmed] = &found("kind=order_confirmed&status=sent").await[..] else { panic!("{sent:?}") };
    assert_eq!((&confirmed["object_id"], &confirmed["to"]), (&order["id"], &json!(shopper.email)));
    assert!(text(&confirmed["subject"]).contains(&order["number"].to_string()) && !confirmed["sent_at"].is_null());
    assert_eq!((&confirmed["attempts"], &confirmed["last_error"]), (&json!(1), &Value::Null));
    for none in ["status=failed", "status=pending", "status=withdrawn", "kind=payment_failed"] {
        assert_eq!(found(none).await, Vec::<Value>::new(), "{none}");
    }
    let whole = admin.get("/admin/emails").await;
    let proof = token.split_once('.').expect("an id and its proof").1;
    assert!(!whole.raw.contains(proof), "the link is nobody else's");
    shop.finish().await;
}
