//! Leases: who lost one changes nothing, who vanished is replaced, who takes down its process runs alone.

use crate::support::{Lab, What};

/// As if another process had been running all due jobs and had not been heard of since.
const VANISH: &str =
    "UPDATE jobs SET status = 'Running', attempts = attempts + 1, lock_by = 'elsewhere', lock_at = now(),
                             lease_until = now() - interval '1 second' WHERE status = 'Pending'";

#[tokio::test]
async fn a_vanished_workers_job_is_run_by_another() {
    let lab = Lab::new().await;
    let job = lab.enqueue(What::Complete).await;
    lab.sql(VANISH).await;
    let worker = lab.work();
    lab.until_job(job, "status = 'Done'").await;
    assert!(lab.of::<bool>(job, "attempts = 2 AND crashes = 1 AND failures = 0").await);
    assert_eq!(lab.of::<String>(job, "errors -> 0 ->> 'error'").await, "the worker that ran it vanished");
    worker.ended().await;
}

#[tokio::test]
async fn a_lost_lease_can_neither_complete_nor_book() {
    const TAKEN: &str = "UPDATE jobs SET attempts = attempts + 1, lock_by = 'elsewhere', lease_until = 'infinity'";
    const RESCUED: &str = "UPDATE jobs SET status = 'Pending', lock_by = NULL, lease_until = NULL, run_at = 'infinity'";
    for (lost, state) in [(TAKEN, "Running"), (RESCUED, "Pending")] {
        let lab = Lab::new().await;
        lab.enqueue(What::HoldThenComplete).await;
        lab.enqueue(What::Hold).await;
        let worker = lab.work();
        lab.until("SELECT every(status = 'Running') FROM jobs").await;
        lab.sql(lost).await;
        lab.release.add_permits(2);
        worker.ended().await; // all that it had to say is booked, or refused
        assert!(lab.value::<bool>(&format!("SELECT every(status = '{state}' AND failures = 0) FROM jobs")).await);
        assert_eq!(lab.value::<i64>("SELECT count(*) FROM effects").await, 0);
    }
}

#[tokio::test]
async fn what_a_fetch_took_whose_answer_got_lost_is_run_without_a_crash_counted() {
    let lab = Lab::new().await;
    let holding = lab.enqueue(What::Hold).await;
    let worker = lab.work();
    lab.until_job(holding, "status = 'Running'").await;
    let lost = lab.enqueue_late(What::Complete).await;
    lab.sql(&format!(
        "UPDATE jobs SET status = 'Running', attempts = 1, lock_by = (SELECT lock_by FROM jobs WHERE id = '{holding}'),
                run_at = now(), lock_at = now() - interval '11 seconds', lease_until = 'infinity' WHERE id = '{lost}'"
    ))
    .await;
    lab.until_job(lost, "status = 'Done'").await;
    let ended: String =
        lab.of(lost, "format('%s attempts, %s crashes, %s failures', attempts, crashes, failures)").await;
    assert_eq!(ended, "2 attempts, 0 crashes, 0 failures");
    lab.release.add_permits(2); // it may have passed its time limit once
    worker.ended().await;
}

#[tokio::test]
async fn a_lease_is_kept_up_for_as_long_as_its_job_runs() {
    let lab = Lab::new().await;
    let job = lab.enqueue(What::Hold).await;
    let (first, second) = (lab.work(), lab.work());
    lab.until_job(job, "status = 'Running'").await;
    lab.until_job(job, "lease_until > lock_at + interval '1.3 seconds'").await; // 1 s at first: it has been renewed
    lab.release.add_permits(1);
    lab.until_job(job, "status = 'Done'").await;
    assert!(lab.of::<bool>(job, "attempts = 1 AND crashes = 0").await);
    first.ended().await;
    second.ended().await;
}

#[tokio::test]
async fn the_tenth_crash_is_the_death_of_the_job_and_of_its_mail() {
    let lab = Lab::new().await;
    let (mail, job) = lab.mail().await;
    lab.sql(VANISH).await;
    lab.sql("UPDATE jobs SET crashes = 9").await;
    let worker = lab.work();
    lab.until_job(job, "status = 'Killed' AND crashes = 10").await;
    let status: String = lab.value(&format!("SELECT status FROM emails WHERE id = '{mail}'")).await;
    assert_eq!(status, "failed");
    worker.ended().await;
}

#[tokio::test]
async fn a_job_that_crashed_twice_runs_alone() {
    let lab = Lab::new().await;
    for _ in 0..120 {
        lab.enqueue(What::Linger).await; // busy for longer than the second in which suspects get their turn
    }
    let worker = lab.work();
    lab.until("SELECT count(*) > 4 FROM jobs WHERE status = 'Done'").await;
    for _ in 0..3 {
        let suspect = lab.enqueue_late(What::Linger).await;
        lab.sql(&format!("UPDATE jobs SET crashes = 2, run_at = now() WHERE id = '{suspect}'")).await;
    }
    lab.until("SELECT every(status = 'Done') FROM jobs").await;
    worker.ended().await;
    let beside = "SELECT max(beside) FROM effects JOIN jobs ON jobs.id = job_id WHERE crashes";
    assert_eq!(lab.value::<i64>(&format!("{beside} = 2")).await, 0);
    assert_eq!(lab.value::<i64>(&format!("{beside} = 0")).await, 3, "the others ran side by side");
    assert!(lab.value::<bool>("SELECT every(attempts = 1) FROM jobs").await);
}
