//! The worker's metrics: their names, what they mean, and those that begin at 0, so that what happens for the first time is a change.

pub(crate) mod tables;

use common::{jobs::Queue, mail, reconciliation};
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};

use crate::{runtime, stripe};

pub(crate) const JOBS: &str = "kassa_jobs";
pub(crate) const JOBS_OLDEST_DUE_AGE: &str = "kassa_jobs_oldest_due_age_seconds";
pub(crate) const JOBS_ENDED: &str = "kassa_jobs_total";
pub(crate) const JOB_START_DELAY: &str = "kassa_job_start_delay_seconds";
pub(crate) const JOB_DURATION: &str = "kassa_job_duration_seconds";
pub(crate) const STRIPE_REQUESTS: &str = "kassa_stripe_requests_total";
pub(crate) const STRIPE_REQUEST_DURATION: &str = "kassa_stripe_request_duration_seconds";
pub(crate) const EVENTS_SETTLED: &str = "kassa_webhook_events_settled_total";
pub(crate) const EVENTS_PARKED: &str = "kassa_webhook_events_parked_total";
pub(crate) const EVENT_AGE_WHEN_SETTLED: &str = "kassa_webhook_received_to_settled_seconds";
pub(crate) const EVENT_CREATED_TO_SETTLED: &str = "kassa_webhook_created_to_settled_seconds";
pub(crate) const RECONCILED: &str = "kassa_reconciliation_differences_total";
pub(crate) const RECONCILIATIONS: &str = "kassa_reconciliations_total";
pub(crate) const EMAILS: &str = "kassa_emails_total";
pub(crate) const IMAGES: &str = "kassa_images_total";

/// Tells what the metrics mean, and begins to count.
pub fn describe() {
    describe_gauge!(JOBS, "Jobs that are not done, by queue and state. Each worker tells of all: take the maximum.");
    describe_gauge!(
        JOBS_OLDEST_DUE_AGE,
        Unit::Seconds,
        "Time since the oldest job of a queue that is not done was first due, or due anew where it was put off without a failure. Each worker tells of all: take the maximum."
    );
    describe_counter!(JOBS_ENDED, "Attempts that ended, by queue and outcome; dead are the jobs that were given up.");
    describe_histogram!(JOB_START_DELAY, Unit::Seconds, "Time from when a job was due until it was fetched, by queue.");
    describe_histogram!(JOB_DURATION, Unit::Seconds, "Time that an attempt took, by queue.");
    describe_counter!(STRIPE_REQUESTS, "Calls to Stripe, by operation and outcome: ok, a status, or unanswered.");
    describe_histogram!(STRIPE_REQUEST_DURATION, Unit::Seconds, "Time that a call to Stripe took, by operation.");
    describe_counter!(EVENTS_SETTLED, "Stripe's events that came to an end, by outcome: processed or ignored.");
    describe_counter!(EVENTS_PARKED, "Looks at one of Stripe's events whose order isn't known; it is looked at again.");
    describe_histogram!(EVENT_AGE_WHEN_SETTLED, Unit::Seconds, "Time from an event's arrival until it was settled.");
    describe_histogram!(
        EVENT_CREATED_TO_SETTLED,
        Unit::Seconds,
        "Time from when Stripe made an event, which it tells in whole seconds, until it was settled."
    );
    describe_counter!(
        RECONCILED,
        "Objects of Stripe's that our books differed on, by kind and outcome: healed or left."
    );
    describe_counter!(RECONCILIATIONS, "Comparisons of our books with Stripe's that came to their end.");
    describe_counter!(EMAILS, "Attempts to send a mail, by kind and outcome: sent, delayed, refused or withdrawn.");
    describe_counter!(IMAGES, "Uploads that came to an end, by outcome: ready, refused or removed.");
    tables::describe();
    begin();
}

fn begin() {
    for queue in Queue::ALL {
        for outcome in runtime::OUTCOMES {
            counter!(JOBS_ENDED, "queue" => queue.name(), "outcome" => outcome).increment(0);
        }
    }
    for operation in stripe::OPERATIONS {
        for outcome in ["ok", "unanswered", "400", "401", "402", "403", "429", "500", "502", "503"] {
            counter!(STRIPE_REQUESTS, "operation" => operation, "outcome" => outcome).increment(0);
        }
    }
    for outcome in ["ignored", "processed"] {
        counter!(EVENTS_SETTLED, "outcome" => outcome).increment(0);
    }
    for kind in reconciliation::Kind::ALL {
        for outcome in ["healed", "left"] {
            counter!(RECONCILED, "kind" => kind.name(), "outcome" => outcome).increment(0);
        }
    }
    for kind in mail::Kind::ALL {
        for outcome in ["delayed", "refused", "sent", "withdrawn"] {
            counter!(EMAILS, "kind" => kind.name(), "outcome" => outcome).increment(0);
        }
    }
    for outcome in ["ready", "refused", "removed"] {
        counter!(IMAGES, "outcome" => outcome).increment(0);
    }
    counter!(EVENTS_PARKED).increment(0);
    counter!(RECONCILIATIONS).increment(0);
}
