//! One limit: so many a minute for each key, and what a client is told of it.

use std::{num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, MonotonicClock},
    middleware::{StateInformationMiddleware, StateSnapshot},
};
use http::{HeaderMap, HeaderName};

use super::{Key, buckets::Buckets};
use crate::problem::{Problem, kinds};

pub(crate) const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
pub(crate) const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
pub(crate) const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

const LIMITED: &str = "kassa_rate_limited_total";

/// Tells what the metric means, and begins to count.
pub(super) fn describe(limits: &[&'static str]) {
    metrics::describe_counter!(LIMITED, "Requests refused because there were too many, by limit.");
    for &limit in limits {
        metrics::counter!(LIMITED, "limit" => limit).increment(0);
    }
}

/// As many at once as a minute has, then one at a time as they come back: a minute's share is never waited for as a whole.
#[derive(Debug)]
pub(super) struct Limit {
    /// For the metric.
    name: &'static str,
    /// For the client: `At most 10 {what} are taken a minute`.
    what: &'static str,
    a_minute: NonZeroU32,
    limiter: RateLimiter<Key, Buckets, MonotonicClock, StateInformationMiddleware>,
}

/// What is left of a limit.
pub(crate) struct Standing {
    limit: u32,
    remaining: u32,
    /// Until all of it is there again, as in a refusal; `Retry-After` tells of the next one.
    reset: Duration,
}

impl Limit {
    pub(super) fn new(name: &'static str, what: &'static str, a_minute: NonZeroU32) -> Self {
        let limiter = RateLimiter::new(Quota::per_minute(a_minute), Buckets::default(), MonotonicClock);
        Self { name, what, a_minute, limiter }
    }

    /// Counts one more of this key's.
    pub(super) fn take(&self, key: &Key) -> Result<Standing, Problem> {
        match self.limiter.check_key(key) {
            Ok(snapshot) => Ok(self.standing(&snapshot)),
            Err(too_soon) => Err(self.refuse(too_soon.wait_time_from(self.limiter.clock().now()))),
        }
    }

    fn standing(&self, snapshot: &StateSnapshot) -> Standing {
        let (limit, remaining) = (self.a_minute.get(), snapshot.remaining_burst_capacity());
        let reset = Quota::per_minute(self.a_minute).replenish_interval() * (limit - remaining);
        Standing { limit, remaining, reset }
    }

    fn refuse(&self, wait: Duration) -> Problem {
        metrics::counter!(LIMITED, "limit" => self.name).increment(1);
        let Self { what, a_minute, .. } = self;
        let seconds = whole_seconds(wait);
        let mut problem = Problem::new(
            kinds::RATE_LIMITED,
            format!("At most {a_minute} {what} are taken a minute; the next one in {seconds} s."),
        )
        .retry_after(seconds);
        let interval = Quota::per_minute(*a_minute).replenish_interval();
        let reset = wait + interval * (a_minute.get() - 1);
        for (name, value) in [(LIMIT, a_minute.get()), (REMAINING, 0), (RESET, whole_seconds(reset))] {
            problem = problem.header(name, value.into());
        }
        problem
    }

    /// Forgets the keys that have all of their limit.
    pub(super) fn prune(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

impl Standing {
    /// Says it in an answer that doesn't tell of a narrower limit.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        if !headers.contains_key(LIMIT) {
            headers.insert(LIMIT, self.limit.into());
            headers.insert(REMAINING, self.remaining.into());
            headers.insert(RESET, whole_seconds(self.reset).into());
        }
    }
}

/// Rounded up, and at least one: who comes exactly then is let through.
fn whole_seconds(duration: Duration) -> u32 {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    u32::try_from(whole).unwrap_or(u32::MAX).max(1)
}
