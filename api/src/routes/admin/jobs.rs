//! `/admin/jobs`: what is in the queue, and what is to be done about the jobs that were given up.

use axum::{Json, extract::State};
use common::{
    actor::Actor,
    id::JobId,
    jobs::{self, DismissError, Filter, Listed, Retried, RetriedJob, RetryError, Shown, State as JobState, Which},
    page::{Page, decode_cursor, encode_cursor},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{FilterText, OUTCOME_UNKNOWN, text};
use crate::{
    extract::{Admin, Filtered, NoMembers, OptionalBody, Paging, PathId},
    openapi::{Problems, tells},
    problem::{Invalid, Kind, Problem},
    state::AppState,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(view))
        .routes(routes!(retry))
        .routes(routes!(retry_some))
        .routes(routes!(dismiss))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Filters {
    /// Only in this state.
    #[param(value_type = Option<JobState>)]
    state: Option<String>,
    /// Only of this queue, such as `email.send`.
    #[param(value_type = Option<FilterText>)]
    queue: Option<String>,
}

/// List jobs, the newest first
#[utoipa::path(
    get, path = "/admin/jobs", operation_id = "list_jobs", tag = "administration",
    params(Filters, Paging),
    responses((status = 200, description = "A page of them.", body = Page<Listed>)),
    security(("bearer" = ["admin"]))
)]
async fn list(
    State(app): State<AppState>,
    _: Admin,
    Filtered(paging, filters): Filtered<Filters>,
) -> Result<Json<Page<Listed>>, Problem> {
    let mut invalid = Invalid::default();
    let state = invalid.optional("/state", filters.state.map(|state| state.parse::<JobState>()));
    let queue = invalid.field("/queue", text(filters.queue));
    let (Some(state), Some(queue)) = (state, queue) else { return Err(invalid.into()) };
    let filter = Filter { state, queue, before: paging.before()?, limit: paging.limit };
    Ok(Json(jobs::page(&app.pool, &filter).await?))
}

async fn find(app: &AppState, id: JobId) -> Result<Json<Shown>, Problem> {
    let mut connection = app.pool.acquire().await?;
    jobs::show(&mut connection, id).await?.map(Json).ok_or_else(Problem::not_found)
}

/// Show a job with its latest errors
#[utoipa::path(
    get, path = "/admin/jobs/{id}", operation_id = "get_job", tag = "administration",
    params(("id" = JobId, Path, description = "Of a job.")),
    responses((status = 200, description = "The job.", body = Shown)),
    security(("bearer" = ["admin"]))
)]
async fn view(State(app): State<AppState>, _: Admin, PathId(id): PathId<JobId>) -> Result<Json<Shown>, Problem> {
    find(&app, id).await
}

/// Retry a dead job
///
/// It runs as if it had just been enqueued; what it is about waits for it again.
#[utoipa::path(
    post, path = "/admin/jobs/{id}/retry", operation_id = "retry_job", tag = "administration",
    params(("id" = JobId, Path, description = "Of a job that is `dead`.")),
    request_body = Option<NoMembers>,
    responses((status = 202, description = "The job.", body = Shown), Problems<RetryError>),
    security(("bearer" = ["admin"]))
)]
async fn retry(
    State(app): State<AppState>,
    Admin(admin): Admin,
    PathId(id): PathId<JobId>,
    _: OptionalBody<NoMembers>,
) -> Result<(StatusCode, Json<Shown>), Problem> {
    match jobs::retry(&app.pool, Actor::User(admin.id), id).await? {
        Retried::Enqueued => Ok((StatusCode::ACCEPTED, find(&app, id).await?)),
        Retried::AnotherLives => Err(Problem::new(ANOTHER_LIVES, "That one does it: see `GET /admin/jobs`.")),
        Retried::NotNeeded => Err(Problem::new(NOT_NEEDED, "It was done, or given up, by other means.")),
    }
}

const NOT_DEAD: Kind = Kind::new(StatusCode::CONFLICT, "not_dead", "The job is not dead");
const ANOTHER_LIVES: Kind = Kind::new(StatusCode::CONFLICT, "another_job_lives", "Another job about the same lives");
const NOT_NEEDED: Kind = Kind::new(StatusCode::CONFLICT, "job_not_needed", "What the job is about needs it no more");

tells! { RetryError: NOT_DEAD { job_state: JobState }, ANOTHER_LIVES, NOT_NEEDED }

impl From<RetryError> for Problem {
    fn from(error: RetryError) -> Self {
        match error {
            RetryError::NotFound => Self::not_found(),
            RetryError::NotDead(state) => Self::new(NOT_DEAD, format!("It is {state}.")).with("job_state", state),
            RetryError::Database(error) => error.into(),
        }
    }
}

/// Put a dead job aside
///
/// For good, with the mail or the event that it was about: these are kept, and no longer counted. Nothing is done about them. A job that
/// an order waits for is not put aside: run it again.
#[utoipa::path(
    post, path = "/admin/jobs/{id}/dismiss", operation_id = "dismiss_job", tag = "administration",
    params(("id" = JobId, Path, description = "Of a job that is `dead`.")),
    request_body = Option<NoMembers>,
    responses((status = 200, description = "The job, which is `done`.", body = Shown), Problems<DismissError>),
    security(("bearer" = ["admin"]))
)]
async fn dismiss(
    State(app): State<AppState>,
    Admin(admin): Admin,
    PathId(id): PathId<JobId>,
    _: OptionalBody<NoMembers>,
) -> Result<Json<Shown>, Problem> {
    jobs::dismiss(&app.pool, Actor::User(admin.id), id).await?;
    find(&app, id).await
}

const ORDER_WAITS: Kind = Kind::new(StatusCode::CONFLICT, "order_waits", "An order waits for the job");

tells! { DismissError: NOT_DEAD { job_state: JobState }, ORDER_WAITS, OUTCOME_UNKNOWN }

impl From<DismissError> for Problem {
    fn from(error: DismissError) -> Self {
        match error {
            DismissError::NotFound => Self::not_found(),
            DismissError::NotDead(state) => Self::new(NOT_DEAD, format!("It is {state}.")).with("job_state", state),
            DismissError::OrderWaits => Self::new(
                ORDER_WAITS,
                "Run it again: nothing else does what it does, and it does nothing that is needed no more.",
            ),
            DismissError::OutcomeUnknown => Self::new(OUTCOME_UNKNOWN, "Run the job again, so that Stripe is asked."),
            DismissError::Database(error) => error.into(),
        }
    }
}

/// How many dead jobs one request runs again at most.
const BATCH: i64 = 100;

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct JobsToRetry {
    /// Only of this queue, such as `email.send`.
    #[schema(value_type = Option<FilterText>)]
    queue: Option<String>,
    /// Only those whose `last_error` contains this text.
    #[schema(value_type = Option<FilterText>)]
    error_contains: Option<String>,
    /// The `next_cursor` of the answer before, to go on behind it.
    cursor: Option<String>,
}

/// What became of dead jobs.
#[derive(Serialize, ToSchema)]
struct JobsRetried {
    /// What became of each, the oldest first.
    items: Vec<RetriedJob>,
    /// How many of them are run again.
    retried: usize,
    /// How many more match that were not looked at.
    remaining: i64,
    /// Where to go on; `null` where none remains.
    next_cursor: Option<String>,
}

/// Retry dead jobs
///
/// All that match, the oldest hundred of them. Where more remain the answer says how many, and how to go on. A job that what it
/// is about needs no more is done instead; it stays dead where another job about the same lives.
#[utoipa::path(
    post, path = "/admin/jobs/retry", operation_id = "retry_jobs", tag = "administration",
    request_body = Option<JobsToRetry>,
    responses((status = 202, description = "What became of each.", body = JobsRetried)),
    security(("bearer" = ["admin"]))
)]
async fn retry_some(
    State(app): State<AppState>,
    Admin(admin): Admin,
    body: OptionalBody<JobsToRetry>,
) -> Result<(StatusCode, Json<JobsRetried>), Problem> {
    let mut invalid = Invalid::default();
    let queue = invalid.field("/queue", text(body.value.queue));
    let error_contains = invalid.field("/error_contains", text(body.value.error_contains));
    let after = invalid.optional("/cursor", body.value.cursor.as_deref().map(decode_cursor));
    let (Some(queue), Some(error_contains), Some(after)) = (queue, error_contains, after) else {
        return Err(invalid.into());
    };
    let which = Which { queue, error_contains, after };
    let batch = jobs::retry_some(&app.pool, Actor::User(admin.id), &which, BATCH).await?;
    let next_cursor = batch.last.map(|last| encode_cursor(&last));
    let retried = batch.jobs.iter().filter(|job| job.outcome == Retried::Enqueued).count();
    Ok((
        StatusCode::ACCEPTED,
        Json(JobsRetried { items: batch.jobs, retried, remaining: batch.remaining, next_cursor }),
    ))
}
