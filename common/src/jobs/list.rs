//! What is in the queue: for people, for metrics, for checks.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use utoipa::ToSchema;

use crate::{
    db,
    id::{JobId, OrderId},
    order::{self, Named},
    page::{Limit, Page},
};

/// The states of a job, as people are told of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = JobState)]
pub enum State {
    /// Waits for its first attempt, or was put off.
    Pending,
    /// Waits for another attempt after one that failed or crashed.
    Retrying,
    /// Somebody has its lease.
    Running,
    /// Given up; kept until somebody runs it again.
    Dead,
    /// Finished.
    Done,
}

impl State {
    /// All states.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Retrying, Self::Running, Self::Dead, Self::Done];

    /// As it is printed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Retrying => "retrying",
            Self::Running => "running",
            Self::Dead => "dead",
            Self::Done => "done",
        }
    }

    /// The column `status`, in apalis' words, and whether an attempt went wrong, where that makes the difference.
    const fn columns(self) -> (&'static str, Option<bool>) {
        match self {
            Self::Pending => ("Pending", Some(false)),
            Self::Retrying => ("Pending", Some(true)),
            Self::Running => ("Running", None),
            Self::Dead => ("Killed", None),
            Self::Done => ("Done", None),
        }
    }

    pub(crate) fn from_columns(status: &str, went_wrong: bool) -> Self {
        match status {
            "Running" => Self::Running,
            "Killed" => Self::Dead,
            "Done" => Self::Done,
            _ if went_wrong => Self::Retrying,
            _ => Self::Pending,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(s: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.as_str() == s).ok_or(UnknownState)
    }
}

/// Not a state of a job.
#[derive(Debug, thiserror::Error)]
#[error("must be pending, retrying, running, dead or done")]
pub struct UnknownState;

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those of the queue of this name.
    pub queue: Option<String>,
    /// Only those that were enqueued before this one.
    pub before: Option<JobId>,
    /// At most so many.
    pub limit: Limit,
}

/// One job in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct Listed {
    /// Its id.
    pub id: JobId,
    /// Its queue's name, which may be one that this program doesn't know.
    pub queue: String,
    /// What it is about: ids.
    #[schema(value_type = Object)]
    pub payload: Value,
    /// The order that it is about, by itself or by a payment, a refund, an event or a mail.
    pub order_id: Option<OrderId>,
    /// What people call that order.
    pub order_number: Option<i64>,
    /// Where it stands.
    pub state: State,
    /// How often it was started.
    pub attempts: i32,
    /// How many attempts failed.
    pub failures: i32,
    /// How many ended without an outcome.
    pub crashes: i32,
    /// When it is, or was, next due.
    pub run_at: DateTime<Utc>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// When it was done or died.
    pub done_at: Option<DateTime<Utc>>,
    /// The request that it follows from.
    pub request_id: Option<String>,
    /// The trace that it belongs to.
    pub trace_id: Option<String>,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// A job's row.
struct Row {
    id: JobId,
    job_type: String,
    job: Value,
    status: String,
    attempts: i32,
    failures: i32,
    crashes: i32,
    run_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    done_at: Option<DateTime<Utc>>,
    request_id: Option<String>,
    trace_id: Option<String>,
    last_error: Option<String>,
    /// Only of a job that is shown by itself: it is long.
    errors: Option<Value>,
}

/// The columns of a [`Row`] are asked for twice; each query is checked at compile time all the same.
macro_rules! rows {
    ($errors:tt, $conditions:tt $(, $value:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id AS "id: JobId", job_type, job, status, attempts, failures, crashes, run_at, created_at, done_at,
                      request_id, split_part(trace, '-', 2) AS trace_id, last_error, "#
                + $errors
                + r#" AS "errors?" FROM jobs WHERE "#
                + $conditions
            $(, $value)*
        )
    };
}

impl Row {
    fn listed(self, order: Option<Named>) -> Listed {
        let row = self;
        Listed {
            state: State::from_columns(&row.status, row.failures > 0 || row.crashes > 0),
            id: row.id,
            queue: row.job_type,
            payload: row.job,
            order_id: order.map(|order| order.id),
            order_number: order.map(|order| order.number),
            attempts: row.attempts,
            failures: row.failures,
            crashes: row.crashes,
            run_at: row.run_at,
            created_at: row.created_at,
            done_at: row.done_at,
            request_id: row.request_id,
            trace_id: row.trace_id,
            last_error: row.last_error,
        }
    }
}

/// A page of the jobs that match, the newest first. Those that are unfinished, dead and done are looked for apart, each by an index of
/// theirs.
///
/// # Errors
/// The database's.
pub async fn page(pool: &PgPool, filter: &Filter) -> sqlx::Result<Page<Listed>> {
    let (status, went_wrong) = filter.state.map_or((None, None), |state| {
        let (status, went_wrong) = state.columns();
        (Some(status), went_wrong)
    });
    let mut tx = db::begin_list(pool).await?;
    let rows = rows!(
        "NULL::jsonb",
        "id IN (
           SELECT id FROM (
             (SELECT id FROM jobs
              WHERE done_at IS NULL AND ($1::text IS NULL OR status = $1)
                AND ($2::boolean IS NULL OR (failures > 0 OR crashes > 0) = $2)
                AND ($3::text IS NULL OR job_type = $3) AND ($4::uuid IS NULL OR id < $4)
              ORDER BY id DESC LIMIT $5)
             UNION ALL
             (SELECT id FROM jobs
              WHERE status = 'Killed' AND ($1::text IS NULL OR $1 = 'Killed')
                AND ($3::text IS NULL OR job_type = $3) AND ($4::uuid IS NULL OR id < $4)
              ORDER BY id DESC LIMIT $5)
             UNION ALL
             (SELECT id FROM jobs
              WHERE status = 'Done' AND ($1::text IS NULL OR $1 = 'Done')
                AND ($3::text IS NULL OR job_type = $3) AND ($4::uuid IS NULL OR id < $4)
              ORDER BY id DESC LIMIT $5)
           ) wanted ORDER BY id DESC LIMIT $5)
         ORDER BY id DESC",
        status,
        went_wrong,
        filter.queue.as_deref(),
        filter.before.map(|id| id.0),
        filter.limit.one_more(),
    )
    .fetch_all(&mut *tx)
    .await?;
    let page = Page::from_rows(rows, filter.limit, |row| row.id);
    let orders = order::of_payloads(&mut tx, page.items.iter().map(|row| &row.job)).await?;
    let mut orders = orders.into_iter();
    Ok(page.map(|row| row.listed(orders.next().flatten())))
}

/// An attempt of a job that went wrong.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = JobAttempt)]
pub struct Attempt {
    /// Which, from 1.
    pub attempt: i32,
    /// When that was noted.
    pub at: DateTime<Utc>,
    /// What went wrong.
    pub error: String,
}

/// A job with its history.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = JobWithErrors)]
pub struct Shown {
    /// The job.
    #[serde(flatten)]
    pub job: Listed,
    /// The latest attempts that went wrong, the oldest first.
    pub errors: Vec<Attempt>,
}

/// One job.
///
/// # Errors
/// The database's.
pub async fn show(conn: &mut PgConnection, id: JobId) -> sqlx::Result<Option<Shown>> {
    let Some(mut row) = rows!("errors", "id = $1", id.0).fetch_optional(&mut *conn).await? else { return Ok(None) };
    let errors = row.errors.take().unwrap_or_default();
    let errors = Vec::<Attempt>::deserialize(errors).unwrap_or_default(); // `append_job_error` wrote them
    let order = order::of_payloads(conn, std::iter::once(&row.job)).await?.pop().flatten();
    Ok(Some(Shown { job: row.listed(order), errors }))
}

/// How many jobs of a queue are in one state.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    /// The queue's name.
    pub queue: String,
    /// The state.
    pub state: State,
    /// How many.
    pub count: i64,
    /// Seconds since the oldest of them was first due, or due anew where nothing failed and it was put off; 0 if none is due, or all of them
    /// are dead.
    pub oldest_due: f64,
}

/// Counts all jobs that are not done, of which there may be too many to count.
///
/// # Errors
/// The database's.
pub async fn tally(conn: &mut PgConnection) -> sqlx::Result<Vec<Tally>> {
    let rows = sqlx::query!(
        r#"SELECT job_type, status, (failures > 0 OR crashes > 0) AS "went_wrong!", count(*) AS "count!",
                  coalesce(extract(epoch FROM max(now() - since) FILTER (WHERE done_at IS NULL AND since <= now())), 0)
                    ::float8 AS "oldest_due!"
           -- One that is put off without a failure waits for its time, as for a bank that still decides: it is not late.
           FROM jobs, LATERAL (
             SELECT CASE WHEN failures = 0 AND crashes = 0 AND attempts > 0 THEN greatest(due_at, run_at) ELSE due_at END AS since
           ) due
           WHERE done_at IS NULL OR status = 'Killed'
           GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"#,
    )
    .fetch_all(conn)
    .await?;
    let mut tallies: Vec<Tally> = Vec::with_capacity(rows.len());
    for row in rows {
        let state = State::from_columns(&row.status, row.went_wrong);
        // The running and the dead come in two groups each, with and without trouble.
        match tallies.last_mut().filter(|last| last.queue == row.job_type && last.state == state) {
            Some(last) => {
                last.count += row.count;
                last.oldest_due = last.oldest_due.max(row.oldest_due);
            }
            None => tallies.push(Tally { queue: row.job_type, state, count: row.count, oldest_due: row.oldest_due }),
        }
    }
    Ok(tallies)
}
