//! The queues and their limits, in one table.

use std::time::Duration;

/// A queue: its permanent name and what limits its jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    name: &'static str,
    gives_up: GivesUp,
    time_limit: Duration,
    at_once: Option<usize>,
}

/// When failures make a job dead. (Ten crashes do so in every queue.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivesUp {
    /// However often it fails: what it does has to happen.
    Never,
    /// At its first failure past the configured age (`JOB_GIVE_UP_HOURS`), counted from when it was first due.
    ByAge,
    /// At its failure with this number, from 1.
    AfterFailures(i32),
}

/// Long enough for a few calls to Stripe, each of which has a timeout of its own.
const CALLS: Duration = Duration::from_secs(90);
/// Long enough for work in our database under load.
const LOCAL: Duration = Duration::from_secs(30);
/// Long enough for the largest image on a slow machine.
const PICTURES: Duration = Duration::from_secs(3 * 60);
/// Long enough for a month of a busy shop.
const HOUSEKEEPING: Duration = Duration::from_secs(30 * 60);

impl Queue {
    /// Creates an order's PaymentIntent.
    pub const CREATE_INTENT: Self = Self::new("payment.create_intent", GivesUp::Never, CALLS);
    /// Cancels an intent at Stripe.
    pub const CANCEL_INTENT: Self = Self::new("payment.cancel_intent", GivesUp::Never, CALLS);
    /// Makes a refund.
    pub const REFUND: Self = Self::new("payment.refund", GivesUp::ByAge, CALLS);
    /// Applies one of Stripe's events.
    pub const PROCESS_WEBHOOK: Self = Self::new("webhook.process", GivesUp::ByAge, CALLS);
    /// Turns a paid order's reservation into a sale.
    pub const DECREMENT_INVENTORY: Self = Self::new("inventory.decrement", GivesUp::Never, LOCAL);
    /// Ends an order that was not paid in time.
    pub const EXPIRE_ORDER: Self = Self::new("order.expire", GivesUp::Never, CALLS);
    /// Compares our books with Stripe's.
    pub const RECONCILE: Self = Self::new("maintenance.reconcile", GivesUp::Never, HOUSEKEEPING);
    /// Removes what nobody will ask for again.
    pub const PRUNE: Self = Self::new("maintenance.prune", GivesUp::Never, HOUSEKEEPING);
    /// Sends one mail.
    pub const SEND_EMAIL: Self = Self::new("email.send", GivesUp::ByAge, CALLS);
    /// Makes of an upload what is shown. It takes memory and a processor for itself: one after the other.
    pub const PROCESS_IMAGE: Self =
        Self { at_once: Some(1), ..Self::new("image.process", GivesUp::AfterFailures(5), PICTURES) };
    /// Removes the objects of an image that was taken away.
    pub const REMOVE_IMAGE: Self = Self::new("image.remove", GivesUp::Never, CALLS);
    /// Removes objects that no image names.
    pub const SWEEP_IMAGES: Self = Self::new("maintenance.sweep_images", GivesUp::Never, HOUSEKEEPING);

    /// All queues of the shop.
    pub const ALL: [Self; 12] = [
        Self::CREATE_INTENT,
        Self::CANCEL_INTENT,
        Self::REFUND,
        Self::PROCESS_WEBHOOK,
        Self::DECREMENT_INVENTORY,
        Self::EXPIRE_ORDER,
        Self::SEND_EMAIL,
        Self::PROCESS_IMAGE,
        Self::REMOVE_IMAGE,
        Self::RECONCILE,
        Self::PRUNE,
        Self::SWEEP_IMAGES,
    ];

    /// A queue of this name and these limits. The time limit is for one attempt.
    pub const fn new(name: &'static str, gives_up: GivesUp, time_limit: Duration) -> Self {
        Self { name, gives_up, time_limit, at_once: None }
    }

    /// The shop's queue of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.name == name)
    }

    /// Its permanent name: `jobs.job_type`.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// When failures make its jobs dead.
    pub const fn gives_up(self) -> GivesUp {
        self.gives_up
    }

    /// Whether it tidies up by itself, now and then, and may take long; no order waits for it.
    pub fn is_housekeeping(self) -> bool {
        matches!(self, Self::RECONCILE | Self::PRUNE | Self::SWEEP_IMAGES)
    }

    /// How many of its jobs a process runs at once, where that is less than it may.
    pub const fn at_once(self) -> Option<usize> {
        self.at_once
    }

    /// How long one attempt may take.
    pub const fn time_limit(self) -> Duration {
        self.time_limit
    }
}
