//! What is in the outbox, for people. The link that a password reset's mail holds is not there: no row has it.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    db,
    id::EmailId,
    page::{Limit, Page},
};

/// Where a mail stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
#[schema(as = MailStatus)]
pub enum Status {
    /// It waits to be sent, for the first time or again.
    Pending,
    /// The mail server has it.
    Sent,
    /// It was given up, and waits for somebody.
    Failed,
    /// What it would have told was no longer so.
    Withdrawn,
}

impl Status {
    const ALL: [Self; 4] = [Self::Pending, Self::Sent, Self::Failed, Self::Withdrawn];

    const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(name: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.name() == name).ok_or(UnknownStatus)
    }
}

/// Not where a mail can stand.
#[derive(Debug, thiserror::Error)]
#[error("must be pending, sent, failed or withdrawn")]
pub struct UnknownStatus;

/// Which mails to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those that stand there.
    pub status: Option<Status>,
    /// Those that tell this, such as `order_confirmed`.
    pub kind: Option<String>,
    /// Those that were written before this one.
    pub before: Option<EmailId>,
    /// At most so many.
    pub limit: Limit,
}

/// A mail of the outbox.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Mail)]
pub struct Listed {
    /// Its id.
    pub id: EmailId,
    /// What it tells: `order_confirmed`, `password_reset`, …
    pub kind: String,
    /// What it tells of: an order, by its id, or a password reset.
    pub object_id: Uuid,
    /// Where it goes.
    pub to: String,
    /// Known once it has been sent.
    pub subject: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// Of the header `Message-ID`, to find it in the mail server's log.
    pub message_id: Option<String>,
    /// How often it was tried.
    pub attempts: i32,
    /// What went wrong last.
    #[serde(rename = "last_error")]
    pub error: Option<String>,
    /// When the mail server took it.
    pub sent_at: Option<DateTime<Utc>>,
    /// The request that it follows from.
    pub request_id: Option<String>,
    /// The trace that it belongs to.
    pub trace_id: Option<String>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

/// A page of the mails that match, the newest first.
///
/// # Errors
/// The database's.
pub async fn page(pool: &PgPool, filter: &Filter) -> sqlx::Result<Page<Listed>> {
    let mut tx = db::begin_list(pool).await?;
    let rows = sqlx::query_as!(
        Listed,
        r#"SELECT id AS "id: EmailId", kind, object_id, "to", subject, status AS "status: Status", message_id, attempts, error,
                  sent_at, request_id, trace_id, created_at
           FROM emails
           WHERE ($1::text IS NULL OR status = $1)
             AND ($2::text IS NULL OR kind = $2)
             AND ($3::uuid IS NULL OR id < $3)
           ORDER BY id DESC LIMIT $4"#,
        filter.status.map(Status::name),
        filter.kind,
        filter.before.map(|id| id.0),
        filter.limit.one_more(),
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(Page::from_rows(rows, filter.limit, |mail| mail.id))
}
