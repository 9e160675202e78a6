//! The comparisons that were made, for people, and the way to ask for one.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use sqlx::PgPool;
use utoipa::ToSchema;

use super::Kind;
use crate::{
    actor::Actor,
    audit::{self, Act, Action, Object},
    db,
    id::{DifferenceId, JobId, OrderId, ReconciliationId},
    jobs::{self, Reconcile},
    page::{Limit, Page},
};

/// A comparison of our books with Stripe's.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ReconciliationRun)]
pub struct Run {
    /// Its id.
    pub id: ReconciliationId,
    /// From when on Stripe's lists were read.
    pub since: DateTime<Utc>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended; not while it runs, nor where it was cut off.
    pub finished_at: Option<DateTime<Utc>>,
    /// How many objects of Stripe's were compared.
    pub checked: i64,
    /// How many of these differed.
    pub differences: i64,
    /// How many of the differences were left, and wait for somebody still.
    pub unresolved: i64,
}

/// Comparisons, the newest first: a page of `limit`, behind `before`.
///
/// # Errors
/// The database's.
pub async fn runs(pool: &PgPool, before: Option<ReconciliationId>, limit: Limit) -> sqlx::Result<Page<Run>> {
    let rows = sqlx::query_as!(
        Run,
        r#"SELECT r.id AS "id: ReconciliationId", r.since, r.started_at, r.finished_at, r.checked, d.found AS "differences!",
                  d.unresolved AS "unresolved!"
           FROM (SELECT * FROM reconciliation_runs WHERE $1::uuid IS NULL OR id < $1 ORDER BY id DESC LIMIT $2) r,
                LATERAL (SELECT count(*) AS found, count(*) FILTER (WHERE outcome = 'left' AND settled_at IS NULL) AS unresolved
                         FROM reconciliation_differences WHERE run_id = r.id) d
           ORDER BY r.id DESC"#,
        before.map(|id| id.0),
        limit.one_more(),
    )
    .fetch_all(pool)
    .await?;
    Ok(Page::from_rows(rows, limit, |run| run.id))
}

/// What became of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = DifferenceOutcome)]
pub enum Settled {
    /// Our books say what Stripe's say.
    Healed,
    /// Nothing was done.
    Left,
}

/// A difference that a comparison found.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ReconciliationDifference)]
pub struct ListedDifference {
    /// Its id.
    pub id: DifferenceId,
    /// What it is.
    pub kind: Kind,
    /// `pi_…`, `re_…`, `dp_…` or `evt_…`
    pub stripe_object_id: String,
    /// Whose, where that is known.
    pub order_id: Option<OrderId>,
    /// What our books said.
    pub ours: String,
    /// What Stripe's said.
    pub theirs: String,
    /// What became of it.
    pub outcome: Settled,
    /// Why it was left.
    pub detail: Option<String>,
    /// Whether somebody put aside what was left.
    pub dismissed: bool,
    /// When what was left had to wait for nobody any more: a later comparison found that the books agree, or somebody put it aside.
    pub settled_at: Option<DateTime<Utc>>,
    /// When it was found.
    pub created_at: DateTime<Utc>,
}

/// What a comparison found, the newest first: a page of `limit`, behind `before`. `None` where there was no such comparison.
///
/// # Errors
/// The database's.
pub async fn differences(
    pool: &PgPool,
    run: ReconciliationId,
    before: Option<DifferenceId>,
    limit: Limit,
) -> sqlx::Result<Option<Page<ListedDifference>>> {
    let mut tx = db::begin_list(pool).await?;
    let is_there =
        sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM reconciliation_runs WHERE id = $1) AS "is!""#, run.0)
            .fetch_one(&mut *tx)
            .await?;
    if !is_there {
        return Ok(None);
    }
    let rows = sqlx::query_as!(
        ListedDifference,
        r#"SELECT id AS "id: DifferenceId", kind AS "kind: Kind", stripe_object_id, order_id AS "order_id: OrderId", ours,
                  theirs, outcome AS "outcome: Settled", detail, dismissed, settled_at, created_at
           FROM reconciliation_differences
           WHERE run_id = $1 AND ($2::uuid IS NULL OR id < $2)
           ORDER BY id DESC LIMIT $3"#,
        run.0,
        before.map(|id| id.0),
        limit.one_more(),
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(Some(Page::from_rows(rows, limit, |difference| difference.id)))
}

/// A comparison that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ReconciliationRequested)]
pub struct Enqueued {
    /// The job that makes it.
    pub job_id: JobId,
    /// Whether that is a new job; `false` where one waited or ran already, which is as good.
    pub enqueued: bool,
}

/// Asks for a comparison, to be made by the worker at once. One that waits or runs already is that one.
///
/// # Errors
/// The database's.
pub async fn enqueue(pool: &PgPool, actor: Actor) -> sqlx::Result<Enqueued> {
    let mut tx = db::begin(pool).await?;
    let (job_id, enqueued) = jobs::enqueue_or_hasten(&mut tx, &Reconcile {}).await?;
    let act = Act {
        action: Action::ReconciliationRequested,
        object: Object::Job(job_id),
        before: None,
        after: Some(json!({ "enqueued": enqueued })),
    };
    audit::record(&mut tx, actor, act).await?;
    tx.commit().await?;
    Ok(Enqueued { job_id, enqueued })
}
