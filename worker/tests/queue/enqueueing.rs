//! Enqueueing: with its transaction, once per key, not before its time.

use std::time::Duration;

use common::{
    cause::{self, Cause},
    jobs::{self, Filter, State},
    page::Limit,
    traceparent::Traceparent,
};

use crate::support::{Lab, Probe, What};

#[tokio::test]
async fn a_job_is_enqueued_with_its_transaction_or_not_at_all() {
    let lab = Lab::new().await;
    let mut tx = common::db::begin(&lab.pool).await.expect("the database is there");
    jobs::enqueue(&mut tx, &Probe::new(What::Succeed)).await.expect("it can be enqueued");
    tx.rollback().await.expect("it can be rolled back");
    assert_eq!(lab.value::<i64>("SELECT count(*) FROM jobs").await, 0);
}

#[tokio::test]
async fn a_key_is_unique_among_unfinished_jobs_only() {
    let lab = Lab::new().await;
    let probe = Probe { what: What::Hold, key: Some(7) };
    let mut tx = common::db::begin(&lab.pool).await.expect("the database is there");
    let first = jobs::enqueue(&mut tx, &probe).await.expect("it can be enqueued").expect("nothing has its key");
    assert_eq!(jobs::enqueue(&mut tx, &probe).await.expect("a duplicate is no error"), None);
    tx.commit().await.expect("a duplicate doesn't abort the transaction");

    let worker = lab.work();
    lab.until_job(first, "status = 'Running'").await;
    let mut conn = lab.pool.acquire().await.expect("the database is there");
    assert_eq!(jobs::enqueue(&mut conn, &probe).await.expect("a duplicate is no error"), None, "it runs already");

    lab.release.add_permits(1);
    lab.until_job(first, "status = 'Done'").await;
    lab.release.add_permits(1);
    let second = jobs::enqueue(&mut conn, &probe).await.expect("it can be enqueued").expect("the first one is done");
    lab.until_job(second, "status = 'Done'").await;
    worker.ended().await;
}

#[tokio::test]
async fn a_scheduled_job_starts_when_it_is_due_and_not_before() {
    let lab = Lab::new().await;
    let worker = lab.work();
    let mut conn = lab.pool.acquire().await.expect("the database is there");
    let probe = Probe::new(What::Complete);
    let soon = jobs::enqueue_in(&mut conn, &probe, Duration::from_millis(300)).await.expect("it can be enqueued");
    let late = lab.enqueue_late(What::Complete).await;
    lab.until_job(soon.expect("it has no key"), "status = 'Done'").await;
    assert!(
        lab.value::<bool>("SELECT every(effects.at >= jobs.run_at) FROM effects JOIN jobs ON jobs.id = job_id").await
    );
    assert_eq!(lab.of::<i32>(late, "attempts").await, 0);
    worker.ended().await;
}

#[tokio::test]
async fn a_job_that_nobody_was_told_of_is_found_by_polling() {
    let lab = Lab::new().await;
    let worker = lab.work();
    lab.enqueue(What::Succeed).await;
    lab.until("SELECT every(status = 'Done') FROM jobs").await; // it works, and now it waits
    lab.sql(
        r#"INSERT INTO jobs (id, job_type, job, run_at, due_at)
           VALUES (gen_random_uuid(), 'test.probe', '{"what": "Succeed", "key": null}', now(), now())"#,
    )
    .await;
    lab.until("SELECT count(*) = 2 AND every(status = 'Done') FROM jobs").await;
    worker.ended().await;
}

#[tokio::test]
async fn a_request_and_its_trace_are_remembered_by_its_jobs_and_theirs() {
    let lab = Lab::new().await;
    let worker = lab.work();
    let trace = Traceparent::start();
    let cause = Cause { request_id: Some("req-1".into()), trace };
    cause::scope(cause, lab.enqueue(What::EnqueueAnother)).await;
    let trace = trace.trace_id();
    let remembered = format!("request_id = 'req-1' AND split_part(trace, '-', 2) = '{trace}'");
    lab.until(&format!("SELECT count(*) = 2 AND every({remembered}) FROM jobs")).await;
    let spans = "SELECT count(DISTINCT trace) FROM jobs";
    assert_eq!(lab.value::<i64>(spans).await, 2, "each was enqueued in another span");
    worker.ended().await;
}

#[tokio::test]
async fn jobs_are_listed_and_counted_by_state() {
    let lab = Lab::new().await;
    let dead = lab.enqueue(What::GiveUp).await;
    let done = lab.enqueue(What::Succeed).await;
    let worker = lab.work();
    lab.until("SELECT every(done_at IS NOT NULL) FROM jobs").await;
    worker.ended().await;
    let pending = lab.enqueue(What::Succeed).await;
    let retrying = lab.enqueue(What::Succeed).await;
    lab.sql(&format!("UPDATE jobs SET failures = 1 WHERE id = '{retrying}'")).await;

    let mut conn = lab.pool.acquire().await.expect("the database is there");
    for (state, job) in
        [(State::Pending, pending), (State::Retrying, retrying), (State::Dead, dead), (State::Done, done)]
    {
        let filter =
            Filter { state: Some(state), queue: Some("test.probe".into()), limit: Limit::new(10), ..Filter::default() };
        let listed = jobs::page(&lab.pool, &filter).await.expect("they can be listed").items;
        assert_eq!(listed.iter().map(|listed| (listed.id, listed.state)).collect::<Vec<_>>(), [(job, state)]);
    }
    let all = Filter { limit: Limit::new(3), ..Filter::default() };
    assert_eq!(jobs::page(&lab.pool, &all).await.expect("they can be listed").items.len(), 3);
    let elsewhere = Filter { queue: Some("email.send".into()), limit: Limit::new(3), ..Filter::default() };
    assert!(jobs::page(&lab.pool, &elsewhere).await.expect("they can be listed").items.is_empty());

    let tallies = jobs::tally(&mut conn).await.expect("they can be counted");
    let counts: Vec<_> = tallies.iter().map(|tally| (tally.state, tally.count, tally.oldest_due > 0.0)).collect();
    assert_eq!(counts.len(), 3, "{counts:?}");
    for expected in [(State::Pending, 1, true), (State::Retrying, 1, true), (State::Dead, 1, false)] {
        assert!(counts.contains(&expected), "{expected:?} is not among {counts:?}");
    }
}
