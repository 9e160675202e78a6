//! The worker as a whole: its orderly end, and a database that comes and goes.

use std::time::{Duration, Instant};

use crate::support::{CONCURRENCY, Lab, What};

#[tokio::test]
async fn at_its_end_a_worker_finishes_what_runs_and_takes_no_more() {
    let lab = Lab::new().await;
    let mut running = Vec::new();
    for what in [What::HoldThenComplete, What::Hold].repeat(CONCURRENCY / 2) {
        running.push(lab.enqueue(what).await);
    }
    let worker = lab.work();
    lab.until("SELECT every(status = 'Running') FROM jobs").await; // with no slot free no fetch is on its way
    worker.tell_to_stop();
    let late = lab.enqueue(What::Complete).await;
    lab.release.add_permits(CONCURRENCY);
    worker.ended().await;
    for job in running {
        assert!(lab.of::<bool>(job, "status = 'Done' AND attempts = 1").await);
    }
    assert!(lab.of::<bool>(late, "status = 'Pending' AND attempts = 0").await);
}

#[tokio::test]
async fn an_idle_worker_ends_at_once() {
    let lab = Lab::new().await;
    let worker = lab.work();
    lab.enqueue(What::Succeed).await;
    lab.until("SELECT every(status = 'Done') FROM jobs").await;
    let told = Instant::now();
    worker.ended().await;
    assert!(told.elapsed() < Duration::from_secs(2), "it waited for something: {:?}", told.elapsed());
}

#[tokio::test]
async fn many_jobs_are_each_done_once_by_two_workers_while_their_connections_are_cut() {
    let lab = Lab::new().await;
    for _ in 0..300 {
        lab.enqueue(What::Complete).await;
    }
    let workers = [lab.work(), lab.work()];
    for done in [20, 80, 160] {
        lab.until(&format!("SELECT count(*) >= {done} FROM jobs WHERE status = 'Done'")).await;
        lab.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
    }
    lab.until("SELECT every(status = 'Done') FROM jobs").await;
    for worker in workers {
        worker.ended().await;
    }
    assert_eq!(lab.value::<i64>("SELECT count(*) FROM effects").await, 300);
    assert_eq!(lab.value::<i64>("SELECT count(DISTINCT job_id) FROM effects").await, 300);
}
