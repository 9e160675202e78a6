//! What nothing can mend is put aside: dead jobs, refunds, differences. The same by HTTP as by `kassa`.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{acts, all};
use crate::harness::{Client, Shop, payment, text};

/// An act of putting aside is for administrators, takes no members, and knows what is there.
async fn is_for_admins(shop: &Shop, shopper: &Client, admin: &Client, path: &str, nobodys: &[String]) {
    let before = shop.contents().await;
    shop.visitor().post(path, &json!({})).await.problem(401, "unauthenticated");
    shopper.post(path, &json!({})).await.problem(403, "forbidden");
    admin.post(path, &json!({ "force": true })).await.invalid("/force");
    for nobodys in nobodys {
        admin.post(nobodys, &json!({})).await.problem(404, "not_found");
    }
    assert_eq!(shop.contents().await, before);
}

#[tokio::test]
async fn a_dead_job_is_put_aside_with_its_mail() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    shop.refuse_mails();
    shop.paid_order(&shopper, &shop.product(500, 5).await, 1).await;
    shop.dead(1).await;
    let job = all(&admin, "/admin/jobs?state=dead", 10).await.remove(0);
    let path = |id: &str| format!("/admin/jobs/{id}/dismiss");
    let dismiss = path(text(&job["id"]));
    is_for_admins(&shop, &shopper, &admin, &dismiss, &[path(&Uuid::new_v4().to_string()), path("no-id")]).await;
    let dismissed = admin.post(&dismiss, &json!({})).await.expect(200);
    assert_eq!((&dismissed["id"], &dismissed["state"]), (&job["id"], &json!("done")));
    let errors = dismissed["errors"].as_array().expect("a list");
    assert_eq!(errors.last().map(|last| &last["error"]), Some(&json!("dismissed")), "its history is kept: {dismissed}");
    let counted = "SELECT count(*) FROM emails WHERE status = 'failed' AND dismissed_at IS NULL";
    assert_eq!(shop.count(counted).await, 0);
    let again = admin.post(&dismiss, &json!({})).await;
    assert_eq!(again.body["job_state"], "done");
    again.problem(409, "not_dead");
    let change = (json!({ "state": "dead" }), json!({ "state": "done", "queue": "email.send" }));
    let object = format!("job:{}", text(&job["id"]));
    assert_eq!(acts(&shop, &admin).await, [("job.dismissed".into(), object, change.0, change.1)]);
    shop.finish().await;
}

#[tokio::test]
async fn a_job_that_an_order_waits_for_is_run_again_and_not_put_aside() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    shop.paid_order(&shopper, &shop.product(500, 5).await, 1).await;
    shop.settle().await;
    let order_jobs = ["payment.create_intent", "inventory.decrement", "order.expire"];
    let died =
        format!("UPDATE jobs SET status = 'Killed', done_at = now() WHERE job_type IN ('{}')", order_jobs.join("', '"));
    shop.database.run(&died).await;
    let dead = all(&admin, "/admin/jobs?state=dead", 10).await;
    assert_eq!(dead.len(), order_jobs.len(), "{dead:?}");
    for job in &dead {
        let id = text(&job["id"]);
        admin.post(&format!("/admin/jobs/{id}/dismiss"), &json!({})).await.problem(409, "order_waits");
        let refused = shop.database.kassa(&["jobs", "dismiss", id]).await;
        assert!(refused.code != 0 && refused.err.contains("an order waits for it"), "{refused:?}");
        admin.post(&format!("/admin/jobs/{id}/retry"), &json!({})).await.expect(202);
    }
    shop.settle().await;
    assert!(all(&admin, "/admin/jobs?state=dead", 10).await.is_empty(), "each has done what there was to do");
    shop.finish().await;
}

#[tokio::test]
async fn a_refund_is_put_aside_once_it_is_known_to_have_failed() {
    let shop = Shop::with(&[("JOB_GIVE_UP_HOURS", "0.00001")]).await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.paid_order(&shopper, &shop.product(500, 5).await, 1).await;
    shop.settle().await;
    let path = |refund: &Value| format!("/admin/refunds/{}/dismiss", text(&refund["id"]));
    let down = json!({ "path": "/v1/refunds*", "answer": { "kind": "status", "status": 500 } });
    let down = shop.inject(&down).await;
    admin.refund(&order, &json!({ "amount": 200 })).await.expect(202);
    let seen = admin.wait_for_refunds(&order, &["failed"]).await;
    shop.dead(1).await;
    let refund = &seen["refunds"][0];
    admin.post(&path(refund), &json!({})).await.problem(409, "outcome_unknown");
    let job = all(&admin, "/admin/jobs?state=dead", 10).await.remove(0);
    admin.post(&format!("/admin/jobs/{}/dismiss", text(&job["id"])), &json!({})).await.problem(409, "outcome_unknown");

    shop.relieve(&down).await;
    admin.post(&format!("/admin/jobs/{}/retry", text(&job["id"])), &json!({})).await.expect(202);
    let seen = admin.wait_for_refunds(&order, &["succeeded"]).await;
    let refused = admin.post(&path(refund), &json!({})).await;
    assert_eq!(refused.body["refund_status"], "succeeded");
    refused.problem(409, "refund_not_failed");

    let at_stripe = format!("/refunds/{}", text(&seen["refunds"][0]["stripe_refund_id"]));
    shop.control().post(&at_stripe, &json!({ "status": "failed" })).await.expect(200);
    let failed = admin.wait_for_refunds(&order, &["failed"]).await;
    assert_eq!(failed["refunds"][0]["dismissed_at"], Value::Null);
    let before = acts(&shop, &admin).await.len();
    let nobodys = [path(&json!({ "id": Uuid::new_v4() })), path(&json!({ "id": "no-id" }))];
    is_for_admins(&shop, &shopper, &admin, &path(refund), &nobodys).await;
    let dismissed = admin.post(&path(refund), &json!({})).await.expect(200);
    assert_eq!((&dismissed["id"], &dismissed["refunds"][0]["status"]), (&order["id"], &json!("failed")));
    assert!(dismissed["refunds"][0]["dismissed_at"].is_string(), "{dismissed}");
    admin.post(&path(refund), &json!({})).await.problem(409, "already_dismissed");
    let act = (
        "order.refund_dismissed".into(),
        format!("order:{}", text(&order["id"])),
        Value::Null,
        json!({ "refund_id": refund["id"] }),
    );
    assert_eq!(acts(&shop, &admin).await[before..], [act]);
    let shown = shop.database.kassa(&["order", "show", text(&refund["id"])]).await;
    assert!(shown.out.contains("put aside"), "{shown:?}");
    shop.finish().await;
}

/// It went back by bank transfer, say.
#[tokio::test]
async fn a_second_payment_that_can_not_be_given_back_is_missed_until_that_is_put_aside() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.paid_order(&shopper, &shop.product(500, 5).await, 1).await;
    let second = shop.make_intent(&order, 1).await;
    shop.confirm_intent(&second, "pm_card_visa").await.expect(200);
    let seen = admin.wait_for_refunds(&order, &["succeeded"]).await;
    let at_stripe = format!("/refunds/{}", text(&seen["refunds"][0]["stripe_refund_id"]));
    shop.control().post(&at_stripe, &json!({ "status": "failed" })).await.expect(200);
    let failed = admin.wait_for_refunds(&order, &["failed"]).await;
    let missed = shop.database.kassa(&["verify"]).await;
    assert!(missed.code != 0 && missed.out.contains("nothing of it goes back"), "{missed:?}");
    let path = format!("/admin/refunds/{}/dismiss", text(&failed["refunds"][0]["id"]));
    admin.post(&path, &json!({})).await.expect(200);
    shop.finish().await;
}

#[tokio::test]
async fn what_a_comparison_has_left_is_put_aside() {
    let shop = Shop::start().await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.order(&shopper, &shop.product(500, 5).await, 1).await;
    shop.database
        .run(
            "INSERT INTO reconciliation_runs (id, since, started_at, finished_at)
             VALUES ('01890000-0000-7000-8000-000000000001', now(), now(), now());
             INSERT INTO reconciliation_differences (id, run_id, kind, stripe_object_id, ours, theirs, outcome, detail)
             VALUES ('01890000-0000-7000-8000-000000000002', '01890000-0000-7000-8000-000000000001', 'intent', 'pi_lost', 'unknown',
                     'succeeded, received 500', 'left', 'it names an order that we don''t know')",
        )
        .await;
    let path = |object: &str| format!("/admin/reconciliation/differences/{object}/dismiss");
    let nobodys = [path("pi_unknown"), path("a%00b"), path(payment(&order, "intent_id"))];
    is_for_admins(&shop, &shopper, &admin, &path("pi_lost"), &nobodys).await;
    let list = "/admin/reconciliation/01890000-0000-7000-8000-000000000001/differences";
    let before = all(&admin, list, 10).await.remove(0);
    assert_eq!((&before["dismissed"], &before["settled_at"]), (&json!(false), &Value::Null));
    let unresolved = async || admin.get("/admin/reconciliation").await.expect(200)["items"][0]["unresolved"].take();
    assert_eq!(unresolved().await, 1);
    let dismissed = admin.post(&path("pi_lost"), &json!({})).await;
    assert_eq!((dismissed.status, dismissed.raw.as_str()), (204, ""));
    let after = all(&admin, list, 10).await.remove(0);
    assert_eq!((&after["dismissed"], &after["outcome"]), (&json!(true), &json!("left")));
    assert!(after["settled_at"].is_string(), "{after}");
    assert_eq!(unresolved().await, 0, "nobody waits for it");
    admin.post(&path("pi_lost"), &json!({})).await.problem(404, "not_found");
    let act = (
        "reconciliation.difference_dismissed".into(),
        "reconciliation:01890000-0000-7000-8000-000000000001".into(),
        Value::Null,
        json!({ "stripe_object_id": "pi_lost" }),
    );
    assert_eq!(acts(&shop, &admin).await, [act]);
    shop.finish().await;
}
