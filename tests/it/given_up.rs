//! What was given up is kept, shown, and done again at somebody's word: jobs, mails, events, refunds.

use serde_json::{Value, json};

use crate::harness::{Client, Ended, PASSWORD, Shop, eventually, text};

/// The end of a command that must have succeeded: what it said.
#[track_caller]
fn done(ended: Ended) -> String {
    assert_eq!(ended.code, 0, "{ended:?}");
    ended.out
}

/// What a command prints for machines.
#[track_caller]
fn machine(ended: Ended) -> Value {
    serde_json::from_str(&done(ended)).expect("JSON")
}

/// A shop whose mail server refuses every mail for good, with that fault, and a paid order.
async fn without_mail() -> (Shop, Client, Value) {
    let shop = Shop::start().await;
    shop.refuse_mails();
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    let order = shop.paid_order(&shopper, &product, 1).await;
    shop.dead(1).await;
    (shop, shopper, order)
}

#[tokio::test]
async fn a_dead_job_is_shown_with_its_history_and_run_again() {
    let (shop, shopper, _) = without_mail().await;
    let listed = machine(shop.database.kassa(&["jobs", "list", "--state", "dead", "--json"]).await);
    let id = text(&listed[0]["id"]);
    let shown = machine(shop.database.kassa(&["jobs", "show", id, "--json"]).await);
    assert_eq!((&shown["state"], &shown["queue"]), (&json!("dead"), &json!("email.send")));
    assert!(text(&shown["errors"][0]["error"]).contains("550"), "{shown:#}");
    let told = done(shop.database.kassa(&["jobs", "show", id]).await);
    assert!(told.contains("dead") && told.contains("attempt 1") && told.contains("550"), "{told}");

    // Again in vain: it is dead once more, and both attempts are told.
    let told = done(shop.database.kassa(&["jobs", "retry", id]).await);
    assert_eq!(told, format!("{id} is due now.\n"));
    let twice = "SELECT count(*) FROM jobs WHERE status = 'Killed' AND attempts = 2 AND jsonb_array_length(errors) = 2";
    eventually("it is dead again", async || (shop.count(twice).await == 1).then_some(())).await;
    shop.mail.remove_faults();
    done(shop.database.kassa(&["jobs", "retry", id]).await);
    assert_eq!(shop.mails(&shopper.email, 1).await.len(), 1);
    shop.settle().await;
    let not_dead = shop.database.kassa(&["jobs", "retry", id]).await;
    assert!(not_dead.code == 2 && not_dead.err.contains("done"), "{not_dead:?}");
    let unknown = shop.database.kassa(&["jobs", "retry", "01890000-0000-7000-8000-000000000000"]).await;
    assert!(unknown.code == 2 && unknown.err.contains("no such job"), "{unknown:?}");
    shop.finish().await;
}

#[tokio::test]
async fn dead_jobs_are_run_again_in_bulk_by_queue_and_by_error() {
    let (shop, shopper, _) = without_mail().await;
    let product = shop.product(500, 5).await;
    let other = shop.shopper().await;
    shop.paid_order(&other, &product, 1).await;
    shop.dead(2).await;
    shop.mail.remove_faults();
    let retry = async |arguments: &[&str]| done(shop.database.kassa(&[&["jobs", "retry"], arguments].concat()).await);
    assert_eq!(retry(&["--queue", "webhook.process"]).await, "No dead job matches.\n");
    assert_eq!(retry(&["--error-contains", "451"]).await, "No dead job matches.\n");
    assert_eq!(retry(&["--queue", "email.send", "--error-contains", "550"]).await.lines().count(), 2);
    for shopper in [&shopper, &other] {
        assert_eq!(shop.mails(&shopper.email, 1).await.len(), 1);
    }
    assert_eq!(retry(&["--all"]).await, "No dead job matches.\n");
    let nothing_named = shop.database.kassa(&["jobs", "retry"]).await;
    assert_eq!(nothing_named.code, 2, "{nothing_named:?}");
    shop.finish().await;
}

#[tokio::test]
async fn a_refund_that_was_given_up_is_asked_for_again_where_so_much_is_left() {
    let shop = Shop::with(&[("JOB_GIVE_UP_HOURS", "0.00001")]).await;
    let product = shop.product(500, 5).await;
    let (admin, shopper) = (shop.admin().await, shop.shopper().await);
    let order = shop.paid_order(&shopper, &product, 2).await;
    shop.settle().await;
    let down = json!({ "path": "/v1/refunds*", "answer": { "kind": "status", "status": 500 } });
    let down = shop.inject(&down).await;
    admin.refund(&order, &json!({ "amount": 700 })).await.expect(202);
    let seen = admin.wait_for_refunds(&order, &["failed"]).await;
    assert!(text(&seen["refunds"][0]["failure_reason"]).contains("500"), "{seen}");
    assert_eq!(seen["refunds"][0]["outcome_unknown"], true);
    shop.dead(1).await;
    shop.relieve(&down).await;
    let retry = async || done(shop.database.kassa(&["jobs", "retry", "--all"]).await);

    // Nobody knows whether Stripe has made it: until somebody does, its money is nobody's to give back once more.
    let refused = admin.refund(&order, &json!({ "amount": 400 })).await;
    assert_eq!(refused.body["refundable"], 300);
    refused.problem(409, "refund_too_large");
    // Meanwhile somebody refunds so much in Stripe's dashboard that no 700 are left.
    shop.refund_at_stripe(&order, 400).await;
    admin.wait_for_refunds(&order, &["failed", "succeeded"]).await;
    assert!(retry().await.contains("needs it no more"));
    let at_stripe = &shop.refunds_at_stripe(&order).await[0];
    let path = format!("/refunds/{}", text(&at_stripe["id"]));
    shop.control().post(&path, &json!({ "status": "failed" })).await.expect(200);
    admin.wait_for_refunds(&order, &["failed", "failed"]).await;
    assert!(retry().await.contains("is due now"));
    admin.wait_for_refunds(&order, &["succeeded", "failed"]).await;
    assert_eq!(shopper.see(&order).await["refunded_total"], 700);
    shop.finish().await;
}

#[tokio::test]
async fn an_event_that_was_given_up_is_shown_and_replayed() {
    let (shop, shopper, order, _, down) = without_an_event().await;
    let failed = ["webhooks", "list", "--status", "failed"];
    let listed = machine(shop.database.kassa(&[&failed[..], &["--json"]].concat()).await);
    assert_eq!(listed[0]["type"], "payment_intent.payment_failed");
    let event = text(&listed[0]["stripe_event_id"]);
    let told = done(shop.database.kassa(&failed).await);
    assert!(told.contains(event) && told.contains("500"), "{told}");
    for id in [event, text(&listed[0]["id"])] {
        let shown = machine(shop.database.kassa(&["webhooks", "show", id, "--json"]).await);
        assert_eq!(shown["payload"]["data"]["object"]["metadata"]["order_id"], order["id"]);
        assert_eq!(shown["payload"]["data"]["object"]["client_secret"], "(withheld)");
    }
    assert!(done(shop.database.kassa(&["webhooks", "show", event]).await).contains("generic_decline"));

    let would = done(shop.database.kassa(&["webhooks", "replay", "--failed", "--dry-run"]).await);
    assert!(would.contains("would be looked at again"), "{would}");
    assert_eq!(machine(shop.database.kassa(&[&failed[..], &["--json"]].concat()).await), listed);
    shop.relieve(&down).await;
    let told = done(shop.database.kassa(&["webhooks", "replay", event]).await);
    assert!(told.contains("is looked at again"), "{told}");
    shopper.wait_for(&order, "payment_failed").await;
    let told = done(shop.database.kassa(&["webhooks", "replay", event]).await);
    assert!(told.contains("was applied already"), "{told}");
    let none = done(shop.database.kassa(&["webhooks", "replay", "--failed"]).await);
    assert_eq!(none, "No event was given up.\n");
    let unknown = shop.database.kassa(&["webhooks", "replay", "evt_unknown"]).await;
    assert!(unknown.code == 2 && unknown.err.contains("kassa reconcile"), "{unknown:?}");
    // The job that was given up is not dead any more: another has done its work.
    assert_eq!(done(shop.database.kassa(&["jobs", "retry", "--all"]).await), "No dead job matches.\n");
    shop.finish().await;
}

/// A shop with an order of which an event was given up, and its dead job, as somebody sees it at the command line.
async fn without_an_event() -> (Shop, Client, Value, Value, String) {
    let shop = Shop::with(&[("JOB_GIVE_UP_HOURS", "0.00001")]).await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    shop.settle().await;
    let down = shop.inject(&json!({ "method": "GET", "answer": { "kind": "status", "status": 500 } })).await;
    shop.confirm(&order, "pm_card_visa_chargeDeclined").await.expect(402);
    shop.dead(1).await;
    let job = machine(shop.database.kassa(&["jobs", "list", "--state", "dead", "--json"]).await)[0].take();
    (shop, shopper, order, job, down)
}

#[tokio::test]
async fn a_dead_job_is_dismissed_with_its_event_which_is_not_replayed_with_the_others() {
    let (shop, shopper, order, job, down) = without_an_event().await;
    let id = text(&job["id"]);
    let event = machine(shop.database.kassa(&["webhooks", "list", "--status", "failed", "--json"]).await)[0].take();
    let name = text(&event["stripe_event_id"]);
    let failed = ["webhooks", "replay", "--failed", "--dry-run"];
    assert!(done(shop.database.kassa(&failed).await).contains(name));
    assert_eq!(done(shop.database.kassa(&["jobs", "dismiss", id]).await), format!("{id} is no longer counted.\n"));
    shop.dead(0).await;
    let shown = machine(shop.database.kassa(&["jobs", "show", id, "--json"]).await);
    let errors = shown["errors"].as_array().expect("a list");
    assert_eq!(
        (&shown["state"], errors.last().map(|last| &last["error"])),
        (&json!("done"), Some(&json!("dismissed")))
    );
    assert_eq!(
        shop.count("SELECT count(*) FROM audit_log WHERE action = 'job.dismissed' AND actor LIKE 'operator:%'").await,
        1
    );
    let refused = shop.database.kassa(&["jobs", "dismiss", id]).await;
    assert!(refused.code == 2 && refused.err.contains("a job that is done is not dismissed"), "{refused:?}");
    let unknown = shop.database.kassa(&["jobs", "dismiss", "01890000-0000-7000-8000-000000000000"]).await;
    assert!(unknown.code == 2 && unknown.err.contains("no such job"), "{unknown:?}");

    // The event is kept, and told of; somebody who names it has it applied all the same.
    let listed = done(shop.database.kassa(&["webhooks", "list", "--status", "failed"]).await);
    assert!(listed.contains(name) && listed.contains("failed, put aside"), "{listed}");
    for arguments in [&failed[..], &failed[..3]] {
        assert_eq!(done(shop.database.kassa(arguments).await), "No event was given up.\n", "{arguments:?}");
    }
    shop.relieve(&down).await;
    done(shop.database.kassa(&["webhooks", "replay", name]).await);
    shopper.wait_for(&order, "payment_failed").await;
    shop.finish().await;
}

#[tokio::test]
async fn the_dead_job_of_an_event_ends_when_stripe_sends_the_event_again() {
    let (shop, shopper, order, job, down) = without_an_event().await;
    shop.relieve(&down).await;
    let event = machine(shop.database.kassa(&["webhooks", "list", "--status", "failed", "--json"]).await)[0].take();
    let send = format!("/events/{}/send", text(&event["stripe_event_id"]));
    assert_eq!(shop.control().post(&send, &json!({})).await.expect(200)["outcomes"][0], 200);
    shopper.wait_for(&order, "payment_failed").await;
    shop.dead(0).await;
    let shown = machine(shop.database.kassa(&["jobs", "show", text(&job["id"]), "--json"]).await);
    let errors = shown["errors"].as_array().expect("a list");
    assert_eq!(shown["state"], "done");
    assert_eq!(errors.last().map(|last| &last["error"]), Some(&json!("Stripe has sent the event again")), "{shown:#}");
    let of_event = format!("SELECT count(*) FROM jobs WHERE dedupe_key = '{}'", text(&event["id"]));
    assert_eq!(shop.count(&of_event).await, 2, "the dead one, and the one that applied it");
    assert_eq!(done(shop.database.kassa(&["jobs", "retry", "--all"]).await), "No dead job matches.\n");
    shop.finish().await;
}

#[tokio::test]
async fn done_jobs_are_pruned_and_dead_ones_are_kept() {
    let (shop, ..) = without_mail().await;
    shop.settle().await;
    let done_jobs = "SELECT count(*) FROM jobs WHERE status = 'Done'";
    let before = shop.count(done_jobs).await;
    assert!(before > 0);
    assert_eq!(done(shop.database.kassa(&["jobs", "prune"]).await), "0 done jobs were removed.\n");
    shop.database.run("UPDATE jobs SET done_at = done_at - interval '8 days' WHERE done_at IS NOT NULL").await;
    let told = done(shop.database.kassa(&["jobs", "prune"]).await);
    assert_eq!(told, format!("{before} done jobs were removed.\n"));
    assert_eq!(shop.count(done_jobs).await, 0);
    shop.dead(1).await;
    let nonsense = shop.database.kassa(&["jobs", "prune", "--older-than", "-1"]).await;
    assert_eq!(nonsense.code, 2, "{nonsense:?}");
    shop.leave();
}

#[tokio::test]
async fn the_worker_prunes_by_itself_what_nobody_asks_for_again() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let order = shopper.check_out_under("k").await.expect(201);
    shop.pay(&shopper, &order).await;
    let session = shop.visitor().log_in(&shopper.email, PASSWORD).await.expect(200);
    let session = shop.visitor().refresh(&session).await.expect(200);
    shop.reset_token(&shopper.email, 2).await;
    shop.settle().await;
    shop.database
        .run(
            "UPDATE jobs SET done_at = done_at - interval '8 days' WHERE done_at IS NOT NULL;
             UPDATE webhook_logs SET created_at = created_at - interval '91 days';
             UPDATE webhook_logs SET status = 'failed', processed_at = NULL
               WHERE id = (SELECT id FROM webhook_logs WHERE status = 'ignored' LIMIT 1);
             UPDATE idempotency_keys SET expires_at = now() - interval '1 s';
             UPDATE refresh_tokens SET expires_at = now() - interval '1 s' WHERE used_at IS NOT NULL;
             UPDATE password_resets SET expires_at = now() - interval '1 s' WHERE used_at IS NULL;
             UPDATE schedules SET next_at = now() WHERE queue = 'maintenance.prune'",
        )
        .await;
    let kept = "SELECT (SELECT count(*) FROM webhook_logs) + (SELECT count(*) FROM idempotency_keys)
                  + (SELECT count(*) FROM refresh_tokens WHERE used_at IS NOT NULL) + (SELECT count(*) FROM password_resets)
                  + (SELECT count(*) FROM jobs WHERE status = 'Done' AND job_type <> 'maintenance.prune')";
    eventually("all is pruned but the event that was given up", async || (shop.count(kept).await == 1).then_some(()))
        .await;
    assert_eq!(shopper.see(&order).await["status"], "paid");
    shop.visitor().refresh(&session).await.expect(200);
    shop.finish().await;
}
