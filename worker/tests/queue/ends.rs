//! How attempts end: well, badly, too late, never.

use std::time::Duration;

use common::config::JobLimits;

use crate::support::{LIMITS, Lab, What};

#[tokio::test]
async fn a_failed_job_is_tried_again_with_its_history_kept() {
    let lab = Lab::new().await;
    let job = lab.enqueue(What::Fail(2)).await;
    let worker = lab.work();
    lab.until_job(job, "status = 'Done'").await;
    assert!(lab.of::<bool>(job, "attempts = 3 AND failures = 2 AND crashes = 0 AND last_error = 'no luck'").await);
    let history: String = lab.of(job, "jsonb_path_query_array(errors, '$[*].attempt')::text").await;
    assert_eq!(history, "[1, 2]");
    worker.ended().await;
}

#[tokio::test]
async fn the_backoff_is_in_the_row_and_the_history_is_bounded() {
    let lab = Lab::new().await;
    let job = lab.enqueue(What::Fail(i32::MAX)).await;
    lab.sql("UPDATE jobs SET failures = 40, errors = (SELECT jsonb_agg(n) FROM generate_series(1, 20) n)").await;
    let hour = Duration::from_secs(60 * 60);
    let worker = lab.work_within(JobLimits { backoff: hour, backoff_cap: hour, ..LIMITS });
    lab.until_job(job, "failures = 41 AND status = 'Pending'").await;
    worker.ended().await;
    assert!(lab.of::<bool>(job, "run_at > now() AND run_at <= now() + interval '1 hour'").await);
    assert_eq!(lab.of::<i32>(job, "jsonb_array_length(errors)").await, 20);
    assert_eq!(lab.of::<String>(job, "errors ->> 0").await, "2");
}

#[tokio::test]
async fn a_job_that_is_put_off_has_not_failed() {
    let lab = Lab::new().await;
    let job = lab.enqueue(What::WaitOnce).await;
    let worker = lab.work();
    lab.until_job(job, "status = 'Done'").await;
    assert!(lab.of::<bool>(job, "attempts = 2 AND failures = 0 AND last_error = 'too early' AND errors = '[]'").await);
    worker.ended().await;
}

#[tokio::test]
async fn a_job_that_fails_for_good_is_dead_at_once_and_kept() {
    let lab = Lab::new().await;
    let job = lab.enqueue(What::GiveUp).await;
    let worker = lab.work();
    lab.until_job(job, "status = 'Killed'").await;
    assert!(lab.of::<bool>(job, "attempts = 1 AND last_error = 'never' AND done_at IS NOT NULL").await);
    worker.ended().await;
}

#[tokio::test]
async fn a_failure_past_the_age_is_the_death_of_the_job_and_of_its_mail() {
    let lab = Lab::new().await;
    let (young, _) = lab.mail().await;
    let (old, job) = lab.mail().await;
    lab.sql(&format!("UPDATE jobs SET due_at = now() - interval '25 hours' WHERE id = '{job}'")).await;
    let worker = lab.work();
    lab.until_job(job, "status = 'Killed'").await;
    lab.until("SELECT max(failures) > 1 FROM jobs WHERE status <> 'Killed'").await;
    let of_mail = |id, column| format!("SELECT {column} FROM emails WHERE id = '{id}'");
    assert_eq!(lab.value::<String>(&of_mail(old, "status || ': ' || error")).await, "failed: the mail server is down");
    assert_eq!(lab.value::<String>(&of_mail(young, "status")).await, "pending");
    worker.ended().await;
}

#[tokio::test]
async fn a_panic_is_a_failure_like_others() {
    let lab = Lab::new().await;
    let job = lab.enqueue(What::Panic(1)).await;
    let beside = lab.enqueue(What::Succeed).await;
    let worker = lab.work();
    lab.until_job(beside, "status = 'Done'").await;
    lab.until_job(job, "status = 'Done'").await;
    assert!(lab.of::<bool>(job, "failures = 1 AND crashes = 0 AND last_error = 'panicked: boom'").await);
    worker.ended().await;
}

#[tokio::test]
async fn a_job_past_its_time_limit_is_stopped_and_tried_again() {
    let lab = Lab::new().await;
    let job = lab.enqueue(What::Hang(1)).await;
    let beside = lab.enqueue(What::Succeed).await;
    let worker = lab.work();
    lab.until_job(beside, "status = 'Done'").await;
    lab.until_job(job, "status = 'Done'").await;
    assert_eq!(lab.of::<String>(job, "last_error").await, "took longer than 700ms");
    worker.ended().await;
}

#[tokio::test]
async fn a_payload_that_cannot_be_read_is_dead_and_harms_no_other() {
    let lab = Lab::new().await;
    let (mail, job) = lab.mail().await;
    lab.sql(&format!(r#"UPDATE jobs SET job = job || '{{"label": "a text"}}' WHERE id = '{job}'"#)).await;
    let (_, nonsense) = lab.mail().await;
    lab.sql(&format!("UPDATE jobs SET job = '[1]' WHERE id = '{nonsense}'")).await;
    let after = lab.enqueue(What::Succeed).await;
    let worker = lab.work();
    for job in [job, nonsense] {
        lab.until_job(job, "status = 'Killed' AND last_error LIKE 'the payload can''t be read: %'").await;
    }
    lab.until_job(after, "status = 'Done'").await;
    assert_eq!(lab.value::<String>(&format!("SELECT status FROM emails WHERE id = '{mail}'")).await, "failed");
    worker.ended().await;
}

#[tokio::test]
async fn a_job_completes_with_its_effect_or_not_at_all() {
    let lab = Lab::new().await;
    let at_once = lab.enqueue(What::Complete).await;
    let rolled_back = lab.enqueue(What::FailBeforeCommit).await;
    let worker = lab.work();
    lab.until("SELECT every(status = 'Done') FROM jobs").await;
    worker.ended().await;
    assert!(lab.of::<bool>(at_once, "attempts = 1").await);
    assert!(lab.of::<bool>(rolled_back, "attempts = 2 AND failures = 1").await);
    assert_eq!(lab.value::<i64>("SELECT count(*) FROM effects").await, 2);
    assert_eq!(lab.value::<i64>("SELECT count(DISTINCT job_id) FROM effects").await, 2);
}
