//! The queue, and the jobs that were given up.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{acts, all, members};
use crate::harness::{Client, Shop, text};

/// A shop whose mail server refuses every mail for good, with so many paid orders, the mail of each of which is dead.
async fn without_mail(orders: i64) -> (Shop, Vec<Client>) {
    let shop = Shop::start().await;
    shop.refuse_mails();
    let product = shop.product(500, 50).await;
    let mut shoppers = Vec::new();
    for _ in 0..orders {
        let shopper = shop.shopper().await;
        shop.paid_order(&shopper, &product, 1).await;
        shoppers.push(shopper);
    }
    shop.dead(orders).await;
    (shop, shoppers)
}

fn retry(job: &Value) -> String {
    format!("/admin/jobs/{}/retry", text(&job["id"]))
}

#[tokio::test]
async fn a_dead_job_is_shown_with_its_history_and_run_again() {
    let (shop, shoppers) = without_mail(1).await;
    let shopper = &shoppers[0];
    let admin = shop.admin().await;
    let listed = all(&admin, "/admin/jobs?state=dead", 10).await;
    let [job] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((&job["queue"], &job["state"], &job["failures"]), (&json!("email.send"), &json!("dead"), &json!(1)));
    let shown = admin.get(&format!("/admin/jobs/{}", text(&job["id"]))).await.expect(200);
    assert!(text(&shown["errors"][0]["error"]).contains("550"), "{shown}");
    assert!(text(&shown["last_error"]).contains("550"), "{shown}");
    assert_eq!((&shown["payload"], &shown["errors"][0]["attempt"]), (&job["payload"], &json!(1)));

    let nothing = json!({});
    let before = shop.contents().await;
    shop.visitor().post(&retry(job), &nothing).await.problem(401, "unauthenticated");
    shopper.post(&retry(job), &nothing).await.problem(403, "forbidden");
    admin.post(&retry(job), &json!({ "force": true })).await.problem(422, "validation_failed");
    for nobody in [json!({ "id": Uuid::new_v4() }), json!({ "id": "no-id" })] {
        admin.post(&retry(&nobody), &nothing).await.problem(404, "not_found");
        admin.get(&format!("/admin/jobs/{}", text(&nobody["id"]))).await.problem(404, "not_found");
    }
    assert_eq!(shop.contents().await, before);

    shop.mail.remove_faults();
    let retried = admin.post(&retry(job), &nothing).await.expect(202);
    assert_eq!(retried["id"], job["id"]);
    assert_eq!(shop.mails(&shopper.email, 1).await.len(), 1);
    shop.settle().await;
    let refused = admin.post(&retry(job), &nothing).await;
    assert_eq!(refused.body["job_state"], "done");
    refused.problem(409, "not_dead");
    let change = (json!({ "state": "dead" }), json!({ "state": "pending", "queue": "email.send" }));
    let object = format!("job:{}", text(&job["id"]));
    assert_eq!(acts(&shop, &admin).await, [("job.retried".into(), object, change.0, change.1)]);
    shop.finish().await;
}

#[tokio::test]
async fn jobs_are_listed_by_state_and_queue() {
    let (shop, ..) = without_mail(1).await;
    let admin = shop.admin().await;
    shop.settle().await;
    shop.database
        .run(
            "INSERT INTO jobs (id, job_type, job, status, run_at, due_at, failures, lock_by, lease_until)
             VALUES (gen_random_uuid(), 'test.waits', '{}', 'Pending', now() + interval '1 h', now(), 0, NULL, NULL),
                    (gen_random_uuid(), 'test.again', '{}', 'Pending', now() + interval '1 h', now(), 2, NULL, NULL),
                    (gen_random_uuid(), 'test.runs', '{}', 'Running', now(), now(), 0, 'x', now() + interval '1 h')",
        )
        .await;
    let found = async |query: &str| all(&admin, &format!("/admin/jobs?{query}"), 2).await;
    for (queue, state) in
        [("test.waits", "pending"), ("test.again", "retrying"), ("test.runs", "running"), ("email.send", "dead")]
    {
        for other in ["pending", "retrying", "running", "dead", "done"] {
            let listed = found(&format!("queue={queue}&state={other}")).await;
            assert_eq!(listed.len(), usize::from(other == state), "{queue} {other}");
        }
        assert_eq!(members(&found(&format!("queue={queue}")).await, "state"), [state]);
        assert!(members(&found(&format!("state={state}")).await, "queue").contains(&queue));
    }
    let done = found("state=done").await;
    assert!(done.len() > 3 && members(&done, "state").iter().all(|state| *state == "done"), "{done:?}");
    let count = usize::try_from(shop.count("SELECT count(*) FROM jobs").await).expect("few");
    assert_eq!(found("").await.len(), count);
    shop.leave();
}

#[tokio::test]
async fn dead_jobs_are_run_again_in_bulk_and_it_is_told_which() {
    let (shop, shoppers) = without_mail(3).await;
    let admin = shop.admin().await;
    let run = async |body: &Value| admin.post("/admin/jobs/retry", body).await.expect(202);
    for none in [json!({ "queue": "webhook.process" }), json!({ "error_contains": "451" })] {
        let told = run(&none).await;
        assert_eq!(told, json!({ "items": [], "retried": 0, "remaining": 0, "next_cursor": null }), "{none}");
    }
    // What one of them is about is settled by other means, and needs it no more.
    let dead_jobs = all(&admin, "/admin/jobs?state=dead", 10).await;
    let settled = text(&dead_jobs[1]["payload"]["email_id"]);
    shop.database.run(&format!("UPDATE emails SET status = 'withdrawn' WHERE id = '{settled}'")).await;
    shop.mail.remove_faults();
    let told = run(&json!({ "queue": "email.send", "error_contains": "550" })).await;
    let oldest_first: Vec<_> = dead_jobs.iter().rev().map(|job| text(&job["id"])).collect();
    let items = told["items"].as_array().expect("a list");
    assert_eq!(members(items, "id"), oldest_first);
    assert_eq!(members(items, "outcome"), ["enqueued", "not_needed", "enqueued"]);
    assert_eq!((&told["retried"], &told["remaining"], &told["next_cursor"]), (&json!(2), &json!(0), &Value::Null));
    for shopper in [&shoppers[0], &shoppers[2]] {
        assert_eq!(shop.mails(&shopper.email, 1).await.len(), 1);
    }
    assert_eq!(acts(&shop, &admin).await.len(), 2, "one that is left is no act");
    shop.settle().await;
    let refused = admin.post(&retry(&dead_jobs[1]), &json!({})).await;
    refused.problem(409, "not_dead"); // it was done with when it was found to be needed no more
    shop.finish().await;
}

#[tokio::test]
async fn of_many_dead_jobs_a_hundred_are_run_again_at_once() {
    let shop = Shop::start().await;
    let admin = shop.admin().await;
    shop.database
        .run(
            "INSERT INTO jobs (id, job_type, job, status, run_at, due_at, done_at, last_error)
               SELECT gen_random_uuid(), 'test.nobody', '{}', 'Killed', now(), now(), now(), 'it is ''broken''' FROM generate_series(1, 250)",
        )
        .await;
    let mut seen = Vec::new();
    let mut cursor = Value::Null;
    for (count, remaining) in [(100, 150), (100, 50), (50, 0)] {
        let body = json!({ "queue": "test.nobody", "error_contains": "'broken'", "cursor": cursor });
        let told = admin.post("/admin/jobs/retry", &body).await.expect(202);
        assert_eq!((&told["retried"], &told["remaining"]), (&json!(count), &json!(remaining)));
        seen.extend(members(told["items"].as_array().expect("a list"), "id").into_iter().map(str::to_owned));
        cursor = told["next_cursor"].clone();
        assert_eq!(cursor.is_null(), remaining == 0);
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 250);
    assert_eq!(
        shop.count("SELECT count(*) FROM jobs WHERE status = 'Pending' AND job_type = 'test.nobody'").await,
        250
    );
    let shopper = shop.shopper().await;
    shop.visitor().post("/admin/jobs/retry", &json!({})).await.problem(401, "unauthenticated");
    shopper.post("/admin/jobs/retry", &json!({})).await.problem(403, "forbidden");
    for (body, pointer) in [
        (json!({ "queue": 1 }), "/queue"),
        (json!({ "queue": "a\0" }), "/queue"),
        (json!({ "error_contains": "x".repeat(201) }), "/error_contains"),
        (json!({ "cursor": "nonsense" }), "/cursor"),
        (json!({ "state": "dead" }), "/state"),
    ] {
        admin.post("/admin/jobs/retry", &body).await.invalid(pointer);
    }
    shop.leave();
}

#[tokio::test]
async fn a_dead_job_beside_one_that_lives_stays_dead() {
    let (shop, ..) = without_mail(1).await;
    let admin = shop.admin().await;
    let job = &all(&admin, "/admin/jobs?state=dead", 1).await[0];
    let other = format!(
        "INSERT INTO jobs (id, job_type, job, run_at, due_at, dedupe_key)
         SELECT gen_random_uuid(), job_type, job, now() + interval '1 h', now(), dedupe_key FROM jobs WHERE id = '{}'",
        text(&job["id"])
    );
    shop.database.run(&other).await;
    admin.post(&retry(job), &json!({})).await.problem(409, "another_job_lives");
    let told = admin.post("/admin/jobs/retry", &json!({})).await.expect(202);
    assert_eq!((&told["items"][0]["outcome"], &told["retried"]), (&json!("another_lives"), &json!(0)));
    shop.leave();
}
