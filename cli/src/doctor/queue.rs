//! What is left to do, for the worker and for people.

use common::{
    diagnosis,
    jobs::{self, State, Tally},
};
use sqlx::PgPool;

use super::{database::unanswered, finding::Finding};

const WAITING: &str = "waiting jobs";
const DEAD: &str = "dead jobs";
const REVIEW: &str = "orders in review";

/// Ages of the oldest job that should be done, in seconds. A worker that runs takes a job within milliseconds.
const LATE: f64 = 60.0;
const STUCK: f64 = 600.0;

pub(super) async fn check(pool: &PgPool) -> Vec<Finding> {
    let tallied = async {
        let mut conn = pool.acquire().await?;
        jobs::tally(&mut conn).await
    };
    let mut findings = match tallied.await {
        Ok(tallies) => vec![waiting(&tallies), dead(&tallies)],
        Err(error) => vec![unanswered(WAITING, &error)],
    };
    findings.push(match diagnosis::orders_in_review(pool).await {
        Ok(0) => Finding::well(REVIEW, "none"),
        Ok(n) => Finding::warning(REVIEW, n.to_string(), "an administrator has to refund or accept each"),
        Err(error) => unanswered(REVIEW, &error),
    });
    findings
}

fn waiting(tallies: &[Tally]) -> Finding {
    let Some(oldest) =
        tallies.iter().max_by(|a, b| a.oldest_due.total_cmp(&b.oldest_due)).filter(|t| t.oldest_due > 0.0)
    else {
        return Finding::well(WAITING, "none is due");
    };
    let finding = format!("the oldest due one, of {}, has waited {:.0} s", oldest.queue, oldest.oldest_due);
    let remedy = "see that a worker runs, and what `kassa jobs list` says of it";
    if oldest.oldest_due >= STUCK {
        Finding::wrong(WAITING, finding, remedy)
    } else if oldest.oldest_due >= LATE {
        Finding::warning(WAITING, finding, remedy)
    } else {
        Finding::well(WAITING, finding)
    }
}

fn dead(tallies: &[Tally]) -> Finding {
    let dead: Vec<_> = tallies.iter().filter(|tally| tally.state == State::Dead && tally.count > 0).collect();
    if dead.is_empty() {
        return Finding::well(DEAD, "none");
    }
    let finding: Vec<_> = dead.iter().map(|tally| format!("{} of {}", tally.count, tally.queue)).collect();
    let remedy = "`kassa jobs list --state dead`, `kassa jobs show ID` for why, then `kassa jobs retry ID`";
    Finding::warning(DEAD, finding.join(", "), remedy)
}
