//! apalis' view of a queue: a stream of requests, and an acknowledgement that learns how each ended.

use std::{io, sync::Arc, time::Duration};

use apalis::prelude::{Attempt, Backend, Context, Error, Poller, Request, State, TaskId, Worker, WorkerId};
use apalis_core::{
    codec::json::JsonCodec,
    layers::{Ack, AckLayer},
    request::Parts,
    response::Response,
};
use apalis_sql::context::SqlContext;
use common::{
    cause::Cause,
    config::JobLimits,
    id::JobId,
    jobs::{Lease, Payload, Queue},
    traceparent::Traceparent,
};
use futures::{
    StreamExt as _, future,
    stream::{self, BoxStream},
};
use serde_json::Value;
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;
use uuid::Uuid;

use super::{
    booking::{self, Outcome},
    database::Database,
    fetch::{self, Fetched},
    in_flight::{Assignment, InFlight},
    outcome::{Reason, Setback, Verdict},
    series::Series,
    slots::{Place, Slots},
};

/// How often a queue is looked at although nothing woke it.
const POLL: Duration = Duration::from_secs(1);
/// Pause after a fetch that failed.
const PAUSE: Duration = Duration::from_millis(500);

/// One queue, as this process works on it.
#[derive(Clone)]
pub(super) struct QueueBackend {
    pub(super) queue: Queue,
    pub(super) database: Database,
    pub(super) limits: JobLimits,
    /// Who takes the leases: this process.
    pub(super) worker: String,
    pub(super) in_flight: Arc<InFlight>,
    pub(super) slots: Slots,
    pub(super) bell: Arc<Notify>,
    /// From then on nothing is fetched.
    pub(super) stop: CancellationToken,
    pub(super) outcomes: mpsc::Sender<Outcome>,
    pub(super) series: Arc<Series>,
}

/// A job's id in apalis' words: a ULID is the same 128 bits as a UUID.
pub(super) fn task_id(id: JobId) -> TaskId {
    Ulid(id.0.as_u128()).to_string().parse().expect("a ULID's text is a ULID")
}

/// The inverse of [`task_id`].
pub(super) fn job_id(id: &TaskId) -> JobId {
    JobId(Uuid::from_u128(id.inner().0))
}

impl<P: Payload> Backend<Request<P, SqlContext>> for QueueBackend {
    type Stream = BoxStream<'static, Result<Option<Request<P, SqlContext>>, Error>>;
    type Layer = AckLayer<Acknowledge, P, SqlContext, JsonCodec<Value>>;
    type Codec = JsonCodec<Value>;

    fn poll(self, _: &Worker<Context>) -> Poller<Self::Stream, Self::Layer> {
        let acknowledge = Acknowledge {
            in_flight: Arc::clone(&self.in_flight),
            limits: self.limits,
            outcomes: self.outcomes.clone(),
        };
        let now = Instant::now();
        let fetcher = Fetcher { backend: self, hungry: true, look_again: now, suspects: now };
        let requests = stream::unfold(fetcher, |mut fetcher| async {
            let requests = fetcher.next::<P>().await?;
            Some((stream::iter(requests), fetcher))
        });
        // Leases are kept up apart from apalis' loop: they have to last until the last outcome is booked.
        Poller::new_with_layer(requests.flatten().fuse().boxed(), future::pending(), AckLayer::new(acknowledge))
    }
}

struct Fetcher {
    backend: QueueBackend,
    /// There may be more than was taken.
    hungry: bool,
    /// When it is looked at although nothing woke it.
    look_again: Instant,
    /// When suspect jobs are looked for.
    suspects: Instant,
}

impl Fetcher {
    /// The next jobs, once there are some; none once the process stops.
    async fn next<P: Payload>(&mut self) -> Option<Vec<Result<Option<Request<P, SqlContext>>, Error>>> {
        let stop = self.backend.stop.clone();
        while !stop.is_cancelled() {
            // Last when there is little to do, so that they hold up nobody; first when there is much, so that they get a turn.
            let mut jobs = if self.hungry { self.suspect().await } else { Vec::new() };
            if jobs.is_empty() {
                let places = tokio::select! {
                    biased; // told to stop, it takes no more, whatever is free
                    () = stop.cancelled() => return None,
                    places = self.wait_and_take_places() => places,
                };
                jobs = self.fetch(places).await;
            }
            if jobs.is_empty() {
                jobs = self.suspect().await;
            }
            let mut requests = Vec::with_capacity(jobs.len());
            for (job, place) in jobs {
                requests.extend(self.backend.accept(job, place).await.map(|request| Ok(Some(request))));
            }
            if !requests.is_empty() {
                return Some(requests);
            }
        }
        None
    }

    async fn wait_and_take_places(&mut self) -> Vec<Place> {
        if !self.hungry {
            tokio::select! {
                () = self.backend.bell.notified() => {}
                () = tokio::time::sleep_until(self.look_again) => {}
            }
        }
        self.look_again = Instant::now() + POLL;
        self.backend.slots.free().await
    }

    /// Not to be dropped half-way: what was fetched would be lost until its lease has run out.
    async fn fetch(&mut self, places: Vec<Place>) -> Vec<(Fetched, Place)> {
        let b = &self.backend;
        let wanted = places.len();
        let limit = i64::try_from(wanted).unwrap_or(i64::MAX);
        let lease = b.limits.lease;
        let jobs = b.database.run(async |conn| fetch::due(conn, b.queue.name(), limit, &b.worker, lease).await).await;
        match jobs {
            Ok(jobs) => {
                self.hungry = jobs.len() == wanted;
                jobs.into_iter().zip(places).collect()
            }
            Err(error) => self.failed(&error).await,
        }
    }

    /// A job that took down its process twice, if one is due, looked for once a second: it gets the process to itself.
    async fn suspect(&mut self) -> Vec<(Fetched, Place)> {
        if Instant::now() < self.suspects {
            return Vec::new();
        }
        let b = &self.backend;
        self.suspects = Instant::now() + POLL;
        match b.database.run(async |conn| fetch::suspect_is_due(conn, b.queue.name()).await).await {
            Ok(false) => return Vec::new(),
            Ok(true) => {}
            Err(error) => return self.failed(&error).await,
        }
        let place = tokio::select! {
            biased;
            () = b.stop.cancelled() => return Vec::new(),
            place = b.slots.alone() => place,
        };
        let lease = b.limits.lease;
        match b.database.run(async |conn| fetch::suspect(conn, b.queue.name(), &b.worker, lease).await).await {
            Ok(job) => {
                (self.suspects, self.hungry) = (Instant::now(), true); // there may be more
                job.map(|job| (job, place)).into_iter().collect()
            }
            Err(error) => self.failed(&error).await,
        }
    }

    async fn failed(&mut self, error: &sqlx::Error) -> Vec<(Fetched, Place)> {
        tracing::warn!(queue = self.backend.queue.name(), error = %error, "can't fetch jobs; trying again");
        tokio::select! {
            () = self.backend.stop.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
        self.hungry = true;
        Vec::new()
    }
}

impl QueueBackend {
    /// Makes a request of a job. One that can't be decoded is dead.
    async fn accept<P: Payload>(&self, job: Fetched, place: Place) -> Option<Request<P, SqlContext>> {
        let queue = self.queue.name();
        self.series.start_delay.record(job.delay);
        let trace = trace_of(&job);
        let span = tracing::info_span!(
            "job", job_id = %job.id, queue, attempt = job.attempt, request_id = job.request_id, trace_id = %trace.trace_id()
        );
        let context = context(&job, &self.worker);
        let assignment = Assignment {
            lease: Lease::new(job.id, job.attempt),
            queue: self.queue,
            series: Arc::clone(&self.series),
            failures: job.failures,
            cause: Cause { request_id: job.request_id, trace },
            age_at_fetch: Duration::try_from_secs_f64(job.age).unwrap_or_default(),
            fetched: std::time::Instant::now(),
            span,
        };
        self.in_flight.take_on(assignment, place);
        match serde_json::from_value(job.payload) {
            Ok(payload) => {
                let mut parts = Parts::<SqlContext>::default();
                parts.task_id = task_id(job.id);
                // apalis counts the attempt once more when it starts it.
                parts.attempt = Attempt::new_with_value(usize::try_from(job.attempt - 1).unwrap_or(0));
                parts.context = context;
                Some(Request::new_with_parts(payload, parts))
            }
            Err(error) => {
                let assignment = self.in_flight.ended(job.id, job.attempt)?;
                let verdict = Verdict::Dead { error: Reason::new(&format!("the payload can't be read: {error}")) };
                conclude(&self.outcomes, assignment, verdict).await;
                None
            }
        }
    }
}

/// A span of the trace that the job is part of; of a new one where it is part of none.
fn trace_of(job: &Fetched) -> Traceparent {
    let enqueued_in = job.trace.as_deref().and_then(|trace| trace.parse().ok());
    enqueued_in.map_or_else(Traceparent::start, Traceparent::child)
}

/// What apalis-sql tells of a job.
fn context(job: &Fetched, worker: &str) -> SqlContext {
    let mut context = SqlContext::new();
    context.set_status(State::Running);
    context.set_run_at(job.run_at);
    context.set_lock_by(Some(WorkerId::new(worker)));
    context.set_last_error(job.last_error.clone());
    context
}

/// Hands an outcome on to be booked.
async fn conclude(outcomes: &mpsc::Sender<Outcome>, assignment: Arc<Assignment>, verdict: Verdict) {
    assignment.span.in_scope(|| match &verdict {
        Verdict::Done => tracing::debug!("done"),
        Verdict::Failed { error, delay } => tracing::warn!(%error, retry_in = ?delay, "failed; to be tried again"),
        Verdict::PutOff { reason, delay } => tracing::info!(%reason, retry_in = ?delay, "put off"),
        Verdict::Returned => tracing::info!("given back, as this process is going down"),
        Verdict::Dead { error } => tracing::error!(%error, "dead"),
    });
    // The booking outlives all senders. Should it be gone all the same, the lease runs out and the job is run again.
    if outcomes.send(Outcome { assignment, verdict }).await.is_err() {
        tracing::error!("an outcome came after the end of the booking");
    }
}

/// Learns how each attempt ended.
#[derive(Clone)]
pub(super) struct Acknowledge {
    in_flight: Arc<InFlight>,
    limits: JobLimits,
    outcomes: mpsc::Sender<Outcome>,
}

impl<P, R: Sync, C> Ack<P, R, C> for Acknowledge {
    type Context = SqlContext;
    type AckError = io::Error;

    async fn ack(&mut self, _: &SqlContext, response: &Response<R>) -> Result<(), io::Error> {
        let attempt = i32::try_from(response.attempt.current()).map_err(io::Error::other)?;
        let Some(assignment) = self.in_flight.ended(job_id(&response.task_id), attempt) else {
            return Err(io::Error::other("an attempt ended that nobody began"));
        };
        let took = assignment.fetched.elapsed();
        assignment.series.duration.record(took);
        let end = match &response.inner {
            Ok(_) => Ok(()),
            Err(error) => Err(setback(error)),
        };
        if end.is_ok() && assignment.lease.is_completed() {
            assignment.span.in_scope(|| tracing::debug!("done, with its effect"));
            booking::completed(&self.in_flight, &assignment);
            return Ok(());
        }
        let verdict = Verdict::of(end, &assignment, assignment.age(), &self.limits, rand::random());
        conclude(&self.outcomes, assignment, verdict).await;
        Ok(())
    }
}

/// Our own error inside of apalis'. There is no other: a request has all that its handler asks for.
fn setback(error: &Error) -> &Setback {
    match error {
        Error::Failed(inner) => inner.downcast_ref().unwrap_or(&Setback::Interrupted),
        _ => &Setback::Interrupted,
    }
}
