//! The audit log, for people.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgPool;
use utoipa::ToSchema;

use crate::{
    db,
    id::AuditId,
    page::{Limit, Page},
};

/// Which acts to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// What this one did: `user:…`, `operator:…`.
    pub actor: Option<String>,
    /// Acts of this name, such as `order.accepted`.
    pub action: Option<String>,
    /// What was done to this: `order:…`, `product:…`.
    pub object: Option<String>,
    /// What was done then or later.
    pub since: Option<DateTime<Utc>>,
    /// What was done before.
    pub until: Option<DateTime<Utc>>,
    /// What was written down before this one.
    pub before: Option<AuditId>,
    /// At most so many.
    pub limit: Limit,
}

/// An act of an operator's.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct Listed {
    /// Its id.
    pub id: AuditId,
    /// Who did it: `user:` and the administrator's id, or `operator:` and the system's name for whoever typed a command.
    pub actor: String,
    /// What was done: `order.accepted`, …
    pub action: String,
    /// To what: `order:` and its id, …
    pub object: String,
    /// What changed, as it was; `null` where nothing was there.
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// The same, as it was afterwards.
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
    /// The request that did it.
    pub request_id: Option<String>,
    /// The trace that it belongs to.
    pub trace_id: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A page of the acts that match, the newest first.
///
/// # Errors
/// The database's.
pub async fn page(pool: &PgPool, filter: &Filter) -> sqlx::Result<Page<Listed>> {
    let mut tx = db::begin_list(pool).await?;
    let rows = sqlx::query_as!(
        Listed,
        r#"SELECT id AS "id: AuditId", actor, action, object, before, after, request_id, trace_id, created_at
           FROM audit_log
           WHERE ($1::text IS NULL OR actor = $1)
             AND ($2::text IS NULL OR action = $2)
             AND ($3::text IS NULL OR object = $3)
             AND ($4::timestamptz IS NULL OR created_at >= $4)
             AND ($5::timestamptz IS NULL OR created_at < $5)
             AND ($6::uuid IS NULL OR id < $6)
           ORDER BY id DESC LIMIT $7"#,
        filter.actor,
        filter.action,
        filter.object,
        filter.since,
        filter.until,
        filter.before.map(|id| id.0),
        filter.limit.one_more(),
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(Page::from_rows(rows, filter.limit, |act| act.id))
}
