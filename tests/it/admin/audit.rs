//! What operators did, by HTTP and at the command line.

use serde_json::{Value, json};

use super::{all, by, dead, members};
use crate::harness::{Client, Shop, id, text, time};

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
        let base = shop.stripe.base_url();
        let settings = [("STRIPE_API_BASE", base.as_str()), ("STRIPE_SECRET_KEY", "sk_test_simulator")];
        let ended = shop.database.kassa_with(arguments, &settings, "").await;
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
    dead(&shop, 1).await;
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
