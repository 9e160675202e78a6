//! Puts the runtime together, runs it, and ends it in order.

use std::{io, sync::Arc, time::Duration};

use apalis::prelude::{Attempt, Monitor, TaskId, WorkerBuilder, WorkerFactoryFn as _};
use common::{
    config::JobLimits,
    jobs::{Payload, Queue},
};
use futures::future::BoxFuture;
use sqlx::PgPool;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    attempt::{self, Job},
    backend::{QueueBackend, job_id},
    booking::{self, Outcome},
    database::Database,
    in_flight::InFlight,
    leases, metrics,
    outcome::{JobError, Setback},
    schedule,
    series::Series,
    slots::{Room, Slots},
    wakeups::{Listening, Wakeups},
};

/// How long running jobs may go on after the signal to stop; then they are interrupted and given back.
const DRAIN: Duration = Duration::from_secs(22);
/// How long the booking of the last outcomes may take after that.
const LAST_BOOKINGS: Duration = Duration::from_secs(3);
/// Outcomes that may wait to be booked before those that follow have to wait.
const BACKLOG: usize = 4096;

/// Runs the jobs of the registered queues. `S` is what all handlers share.
pub struct Runtime<S> {
    common: Common,
    state: Arc<S>,
    concurrency: u32,
    queues: Vec<(Queue, Slots)>,
    monitor: Monitor,
    unbooked: mpsc::Receiver<Outcome>,
    schedules: Vec<BoxFuture<'static, ()>>,
}

/// What all queues share.
struct Common {
    database: Database,
    limits: JobLimits,
    worker: String,
    in_flight: Arc<InFlight>,
    room: Room,
    wakeups: Wakeups,
    stop: CancellationToken,
    abandon: CancellationToken,
    outcomes: mpsc::Sender<Outcome>,
}

impl<S: Send + Sync + 'static> Runtime<S> {
    /// A runtime without queues: it runs up to `concurrency` jobs of each one at once. It makes a few connections of its
    /// own to the database of `pool`, so that handlers that use up theirs cost no lease.
    pub fn new(pool: &PgPool, limits: JobLimits, concurrency: usize, state: S) -> Self {
        let (outcomes, unbooked) = mpsc::channel(BACKLOG);
        let common = Common {
            database: Database::beside(pool),
            limits,
            worker: format!("{}/{}", std::process::id(), Uuid::now_v7()),
            in_flight: Arc::default(),
            room: Room::default(),
            wakeups: Wakeups::default(),
            stop: CancellationToken::new(),
            abandon: CancellationToken::new(),
            outcomes,
        };
        let concurrency = u32::try_from(concurrency).unwrap_or(u32::MAX).max(1);
        Self {
            common,
            state: Arc::new(state),
            concurrency,
            queues: Vec::new(),
            monitor: Monitor::new(),
            unbooked,
            schedules: vec![],
        }
    }

    /// Has the jobs of a queue carried out by a handler.
    #[must_use]
    pub fn register<P, F, Fut>(mut self, handler: F) -> Self
    where
        P: Payload,
        F: Fn(Job<P>, Arc<S>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        // What takes its time must not keep a suspect job of another queue waiting, nor be kept from others by its own.
        let room = if P::QUEUE.is_housekeeping() { Room::default() } else { self.common.room.clone() };
        let most = P::QUEUE.at_once().and_then(|most| u32::try_from(most).ok());
        let slots = Slots::new(most.map_or(self.concurrency, |most| most.min(self.concurrency)), room);
        self.queues.push((P::QUEUE, slots.clone()));
        let backend = self.common.backend(P::QUEUE, slots);
        let (in_flight, abandon, state) =
            (Arc::clone(&self.common.in_flight), self.common.abandon.clone(), Arc::clone(&self.state));
        let run = move |payload: P, id: TaskId, attempt: Attempt| {
            let assignment = i32::try_from(attempt.current()).ok().and_then(|n| in_flight.get(job_id(&id), n));
            let (handler, abandon, state) = (handler.clone(), abandon.clone(), Arc::clone(&state));
            async move {
                let assignment = assignment.ok_or(Setback::Interrupted)?;
                attempt::run(payload, &assignment, move |job| handler(job, state), &abandon).await
            }
        };
        let worker = WorkerBuilder::new(P::QUEUE.name()).backend(backend).build_fn(run);
        self.monitor = self.monitor.register(worker);
        self
    }

    /// Has a job enqueued once each so often, however many workers are told to.
    #[must_use]
    pub fn schedule<P: Payload>(mut self, payload: P, every: Duration) -> Self {
        self.schedules.push(Box::pin(schedule::keep(self.common.database.clone(), payload, every)));
        self
    }

    /// Its own connections.
    pub fn pool(&self) -> &PgPool {
        self.common.database.pool()
    }

    /// Whether a queue's jobs have a handler here.
    pub fn serves(&self, queue: Queue) -> bool {
        self.queues.iter().any(|(served, _)| *served == queue)
    }

    /// Tells, once it runs, whether it hears of new jobs as they come.
    pub fn listening(&self) -> Listening {
        self.common.wakeups.listening()
    }

    /// Runs jobs until `shutdown` resolves; then fetches no more, waits for those that run, gives back those that take too
    /// long, and returns once all outcomes are booked. That takes 25 s at most.
    ///
    /// # Errors
    /// None that apalis makes today.
    pub async fn run_until(self, shutdown: impl Future<Output = ()> + Send) -> io::Result<()> {
        let Common { database, limits, worker, in_flight, wakeups, stop, abandon, outcomes, room: _ } = self.common;
        drop(outcomes); // the queues have theirs: the booking ends with the last of them
        let mut helpers = JoinSet::new();
        helpers.spawn(wakeups.listen(database.clone()));
        helpers.spawn(leases::keep_up(database.clone(), Arc::clone(&in_flight), worker.clone(), limits.lease));
        helpers.spawn(metrics::sample(database.clone()));
        for schedule in self.schedules {
            helpers.spawn(schedule);
        }
        let mut booking = JoinSet::new();
        booking.spawn(booking::book_all(database, in_flight, worker, self.unbooked));

        let queues = self.queues;
        let drained = async {
            shutdown.await;
            tracing::info!("stopping: no new jobs are taken, those that run are finished");
            stop.cancel();
            let idle = futures::future::join_all(queues.iter().map(|(_, slots)| slots.all_free()));
            if tokio::time::timeout(DRAIN, idle).await.is_err() {
                tracing::warn!("some jobs take too long: they are given back");
                abandon.cancel();
            }
            Ok(())
        };
        let result = self.monitor.run_with_signal(drained).await;
        if tokio::time::timeout(LAST_BOOKINGS, booking.join_all()).await.is_err() {
            tracing::warn!("the last outcomes could not be booked: these jobs will be run again");
        }
        helpers.shutdown().await;
        result
    }
}

impl Common {
    fn backend(&mut self, queue: Queue, slots: Slots) -> QueueBackend {
        QueueBackend {
            queue,
            database: self.database.clone(),
            limits: self.limits,
            worker: self.worker.clone(),
            in_flight: Arc::clone(&self.in_flight),
            slots,
            bell: self.wakeups.bell(queue.name()),
            stop: self.stop.clone(),
            outcomes: self.outcomes.clone(),
            series: Arc::new(Series::of(queue)),
        }
    }
}
