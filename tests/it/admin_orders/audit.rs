//! What operators did is written down with what it changed, once, in the act's own transaction.

use image::ImageFormat;
use reqwest::Method;
use serde_json::{Value, json};

use super::acts;
use crate::harness::{Shop, file, payment, text};

#[tokio::test]
async fn each_act_on_a_product_is_written_down_with_what_it_changed() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let new = json!({ "name": "Mug", "slug": "mug", "price": 500, "stock": 3 });
    let key = [("idempotency-key", "made")];
    let made = admin.call(Method::POST, "/products", Some(&new), &key).await;
    let etag = made.header("etag").to_owned();
    let mut product = made.expect(201);
    admin.call(Method::POST, "/products", Some(&new), &key).await.expect(201);
    admin.post("/products", &new).await.problem(409, "slug_taken");
    let path = format!("/products/{}", text(&product["id"]));
    product["price"] = json!(700);
    product["stock"] = json!(5);
    admin.put(&path, &product).await.problem(428, "precondition_required");
    admin.call(Method::PUT, &path, Some(&product), &[("if-match", &etag)]).await.expect(200);
    admin.put(&path, &admin.get(&path).await.expect(200)).await.expect(200);
    admin.delete(&path).await.expect(204);
    admin.delete(&path).await.expect(204);

    let object = format!("product:{}", text(&product["id"]));
    let made = json!({ "name": "Mug", "slug": "mug", "description": "", "price": 500, "status": "active", "stock": 3 });
    let expected = [
        ("product.created", Value::Null, made),
        ("product.edited", json!({ "price": 500, "stock": 3 }), json!({ "price": 700, "stock": 5 })),
        ("product.archived", json!({ "status": "active" }), json!({ "status": "archived" })),
    ];
    let expected = expected.map(|(action, before, after)| (action.to_owned(), object.clone(), before, after));
    assert_eq!(acts(&shop, &admin).await, expected);
    shop.finish().await;
}

#[tokio::test]
async fn images_that_come_and_go_are_written_down() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let product = shop.product(500, 1).await;
    let picture = file(40, 20, ImageFormat::Png);
    let parts = [("alt", None, "A mug".as_bytes()), ("file", Some("mug.png"), &picture[..])];
    let key = [("idempotency-key", "picture")];
    let added = admin.send_images(&product, &parts, &key).await.expect(202);
    admin.send_images(&product, &parts, &key).await.expect(202);
    shop.settle().await;
    let path = format!("/products/{}/images/{}", text(&product["id"]), text(&added["id"]));
    admin.delete(&path).await.expect(204);
    admin.delete(&path).await.problem(404, "not_found");

    let (object, image) =
        (format!("product:{}", text(&product["id"])), json!({ "image_id": added["id"], "alt": "A mug" }));
    let expected = [
        ("product.image_added".to_owned(), object.clone(), Value::Null, image.clone()),
        ("product.image_removed".to_owned(), object, image, Value::Null),
    ];
    assert_eq!(acts(&shop, &admin).await, expected);
    shop.finish().await;
}

#[tokio::test]
async fn a_refund_and_an_acceptance_are_written_down_once() {
    let shop = Shop::with(&[("UNFULFILLABLE_POLICY", "manual")]).await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.order(&shopper, &shop.product(500, 5).await, 1).await;
    let path = format!("/payment_intents/{}", payment(&order, "intent_id"));
    shop.control().post(&path, &json!({ "amount": 600 })).await.expect(200);
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    shopper.wait_for(&order, "payment_review").await;
    admin.accept(&order).await.expect(200);
    admin.accept(&order).await.problem(409, "not_acceptable");
    shop.settle().await;
    let body = json!({ "amount": 100, "reason": "one was too much" });
    for _ in 0..2 {
        admin.refund_under("back", &order, &body).await.expect(202);
    }
    admin.refund(&order, &json!({ "amount": 501 })).await.problem(409, "refund_too_large");
    admin.wait_for_refunds(&order, &["succeeded"]).await;
    let refund = admin.inspect(&order).await["refunds"][0]["id"].clone();

    let object = format!("order:{}", text(&order["id"]));
    let accepted = (json!({ "status": "payment_review" }), json!({ "status": "paid" }));
    let asked = json!({ "refund_id": refund, "amount": 100, "reason": "one was too much", "restocked": 0 });
    let expected = [
        ("order.accepted".to_owned(), object.clone(), accepted.0, accepted.1),
        ("order.refund_requested".to_owned(), object, Value::Null, asked),
    ];
    assert_eq!(acts(&shop, &admin).await, expected);
    let others = format!("SELECT count(*) FROM audit_log WHERE actor = 'user:{}'", shopper.user);
    assert_eq!(shop.count(&others).await, 0, "what shoppers do is none of it");
    shop.finish().await;
}

#[tokio::test]
async fn nobody_changes_what_was_written_down() {
    let shop = Shop::start().await;
    shop.product(500, 1).await;
    for change in ["UPDATE audit_log SET actor = 'user:nobody'", "DELETE FROM audit_log"] {
        let error = sqlx::query(change).execute(&shop.pool).await.expect_err("it is append-only");
        assert!(error.to_string().contains("audit_log is append-only"), "{error}");
    }
    shop.finish().await;
}
