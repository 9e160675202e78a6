//! What operators did, by HTTP and at the command line, is written down with what it changed: once, in the act's own transaction.

use image::ImageFormat;
use reqwest::Method;
use serde_json::{Value, json};

use super::{acts, all, by, members};
use crate::harness::{Client, Shop, file, id, payment, text, time};

#[tokio::test]
async fn acts_are_found_by_actor_action_object_and_time() {
    let shop = Shop::start().await;
    let (admin, other) = (shop.admin().await, shop.admin().await);
    let mug = json!({ "name": "Mug", "price": 500, "stock": 5 });
    let product = admin.post("/products", &mug).await.expect(201);
    let path = format!("/products/{}", text(&product["id"]));
    other
        .put(&path, &json!({ "name": "Cup", "slug": "mug", "description": "", "price": 500, "status": "active" }))
        .await
        .expect(200);
    admin.delete(&path).await.expect(204);
    let listed = admin.get("/admin/audit").await.expect(200);
    insta::assert_json_snapshot!(listed["items"][1], {
        ".id" => id(), ".actor" => "[actor]", ".object" => "[object]", ".created_at" => time(), ".request_id" => id(), ".trace_id" => "[trace]",
    }, @r#"
    {
      "action": "product.edited",
      "actor": "[actor]",
      "after": {
        "name": "Cup"
      },
      "before": {
        "name": "Mug"
      },
      "created_at": "[time]",
      "id": "[id]",
      "object": "[object]",
      "request_id": "[id]",
      "trace_id": "[trace]"
    }
    "#);
    let found = async |query: &str| {
        let acts = all(&admin, &format!("/admin/audit?{query}"), 1).await;
        members(&acts, "action").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let (created, edited, archived) = ("product.created", "product.edited", "product.archived");
    assert_eq!(found("").await, [archived, edited, created]);
    assert_eq!(found(&format!("actor={}", by(&admin))).await, [archived, created]);
    assert_eq!(found(&format!("actor={}&action={edited}", by(&other))).await, [edited]);
    assert_eq!(found(&format!("action={edited}&actor={}", by(&admin))).await, Vec::<String>::new());
    assert_eq!(found(&format!("object=product:{}", text(&product["id"]))).await, [archived, edited, created]);
    let at = text(&listed["items"][1]["created_at"]);
    assert_eq!(found(&format!("since={at}")).await, [archived, edited]);
    assert_eq!(found(&format!("until={at}")).await, [created]);
    assert_eq!(found(&format!("since={at}&until={at}")).await, Vec::<String>::new());
    shop.finish().await;
}

/// What was done at the command line: by whom, what and to what, the oldest first.
async fn typed(admin: &Client) -> Vec<(String, String, Value)> {
    let acts = all(admin, "/admin/audit", 10).await;
    let typed = acts.iter().rev().filter(|act| text(&act["actor"]).starts_with("operator:"));
    typed.map(|act| (text(&act["actor"]).into(), text(&act["action"]).into(), act["after"].clone())).collect()
}

#[tokio::test]
async fn what_is_done_at_the_command_line_is_written_down_too() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    let kassa = async |arguments: &[&str]| {
        let ended = shop.kassa(arguments).await;
        assert_eq!(ended.code, 0, "{ended:?}");
    };
    kassa(&["admin", "create", "--email", "boss@kassa.example", "--generate"]).await;
    kassa(&["admin", "create", "--email", "boss@kassa.example", "--generate"]).await;
    kassa(&["reconcile", "--dry-run"]).await;
    kassa(&["reconcile"]).await;
    shop.database
        .run(
            "INSERT INTO jobs (id, job_type, job, status, run_at, due_at, done_at)
             VALUES (gen_random_uuid(), 'test.nobody', '{}', 'Killed', now(), now(), now());
             INSERT INTO webhook_logs (id, stripe_event_id, type, payload, livemode, status)
             VALUES (gen_random_uuid(), 'evt_failed', 'customer.created', '{\"id\": \"evt_failed\"}', false, 'failed')",
        )
        .await;
    kassa(&["jobs", "retry", "--all"]).await;
    kassa(&["webhooks", "replay", "--failed", "--dry-run"]).await;
    kassa(&["webhooks", "replay", "evt_failed"]).await;
    let user = std::process::Command::new("id").arg("-un").output().expect("coreutils are there").stdout;
    let actor = format!("operator:{}", String::from_utf8(user).expect("text").trim());
    let typed = typed(&admin).await;
    assert!(typed.iter().all(|(by, ..)| *by == actor), "{typed:?}, by {actor}");
    let acts: Vec<_> = typed.iter().map(|(_, action, _)| action.as_str()).collect();
    assert_eq!(
        acts,
        ["user.made_admin", "user.made_admin", "reconciliation.started", "job.retried", "webhook.replayed"]
    );
    assert_eq!(
        (&typed[0].2, &typed[3].2),
        (&json!({ "role": "admin" }), &json!({ "state": "pending", "queue": "test.nobody" }))
    );
    shop.leave();
}

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
