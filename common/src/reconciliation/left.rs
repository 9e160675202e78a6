//! What comparisons could not mend: asked about anew by each, until the books agree or somebody puts it aside.

use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::Kind;
use crate::{
    actor::Actor,
    audit::{self, Act, Action, Object},
    db,
    id::ReconciliationId,
};

/// The next differences that runs before this one have left, `limit` of them: their row, what they are, and Stripe's id. Events are told
/// of as healed only.
///
/// # Errors
/// The database's.
pub async fn left_before(
    pool: &PgPool,
    run: Option<ReconciliationId>,
    after: Uuid,
    limit: i64,
) -> sqlx::Result<Vec<(Uuid, Kind, String)>> {
    let rows = sqlx::query!(
        r#"SELECT id, kind AS "kind: Kind", stripe_object_id FROM reconciliation_differences
           WHERE id > $1 AND outcome = 'left' AND settled_at IS NULL AND kind <> 'event' AND run_id IS DISTINCT FROM $2
           ORDER BY id LIMIT $3"#,
        after,
        run.map(|run| run.0),
        limit
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.kind, row.stripe_object_id)).collect())
}

/// Notes that the books agree about an object, of which something may have been left.
///
/// # Errors
/// The database's.
pub async fn settle(pool: &PgPool, stripe_id: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE reconciliation_differences SET settled_at = now()
         WHERE stripe_object_id = $1 AND outcome = 'left' AND settled_at IS NULL",
        stripe_id
    )
    .execute(pool)
    .await
    .map(|_| ())
}

/// Puts aside what was left of an object (`pi_…`, `re_…` or `dp_…`; an event, `evt_…`, is never left), such as another shop's on the same
/// account. It is kept, and counts anew where it changes at Stripe. False where nothing is left of it.
///
/// # Errors
/// The database's.
pub async fn dismiss(pool: &PgPool, actor: Actor, stripe_id: &str) -> sqlx::Result<bool> {
    if stripe_id.contains('\0') {
        return Ok(false); // no id has one, and Postgres would refuse it
    }
    let mut tx = db::begin(pool).await?;
    let run = sqlx::query_scalar!(
        r#"UPDATE reconciliation_differences SET settled_at = now(), dismissed = true
           WHERE stripe_object_id = $1 AND outcome = 'left' AND settled_at IS NULL
           RETURNING run_id AS "id: ReconciliationId""#,
        stripe_id
    )
    .fetch_all(&mut *tx)
    .await?;
    let Some(run) = run.into_iter().max_by_key(|run| run.0) else { return Ok(false) };
    let object = Object::Reconciliation(run);
    let after = Some(json!({ "stripe_object_id": stripe_id }));
    audit::record(&mut tx, actor, Act { action: Action::DifferenceDismissed, object, before: None, after }).await?;
    tx.commit().await?;
    Ok(true)
}
