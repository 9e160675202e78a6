//! Waiting for an order to change, for clients that would rather wait than poll. The process' LISTEN connection tells all
//! waiters; behind it one query a second looks after all orders that are waited for, so that a lost notification costs a second.
//!
//! A waiter holds neither a connection nor a slot while it waits, asks the database only when there is news, and needs nothing that
//! another replica would need.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use common::{
    id::OrderId,
    listen::Heard,
    order::{self, CHANGES},
};
use sqlx::PgPool;
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval},
};

use crate::load::without_slot;

/// How long the notifications are trusted.
const POLL: Duration = Duration::from_secs(1);

/// Those who wait, by order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiters(Arc<Mutex<HashMap<OrderId, Waited>>>);

/// An order that is waited for.
#[derive(Debug, Default)]
struct Waited {
    bell: Arc<Notify>,
    /// When it had moved last, as the poll before found it.
    moved: Option<DateTime<Utc>>,
}

impl Waiters {
    /// Calls `look` now and whenever the order may have changed until it gives something, or until the time is up: then the answer
    /// of its last call, whatever it is.
    pub(crate) async fn until<T, E, F>(
        &self,
        order: OrderId,
        patience: Duration,
        mut look: impl FnMut() -> F,
        is_enough: impl Fn(&T) -> bool,
    ) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let deadline = Instant::now() + patience;
        let place = Place::take(self, order);
        loop {
            let rung = place.bell.notified(); // from here on no ring is missed
            let mut rung = std::pin::pin!(rung);
            rung.as_mut().enable();
            let found = look().await?;
            if is_enough(&found) || Instant::now() >= deadline {
                return Ok(found);
            }
            let woken = async {
                tokio::select! {
                    () = rung => {}
                    () = tokio::time::sleep_until(deadline) => {}
                }
            };
            without_slot(woken).await;
        }
    }

    /// Listens to what is told of orders. While nothing is heard, the waiters live on the polling.
    pub(crate) fn hear(&self, heard: &Heard<'_>) {
        match heard {
            Heard::Connected => self.places().values().for_each(Waited::ring), // any change may have been missed
            Heard::Notified { channel: CHANGES, payload: order } => {
                if let Ok(order) = order.parse() {
                    self.places().get(&order).into_iter().for_each(Waited::ring);
                }
            }
            Heard::Notified { .. } | Heard::Lost(_) => {}
        }
    }

    /// Looks once a second, for ever, which of the orders that are waited for have moved.
    pub(crate) async fn poll(&self, pool: &PgPool) {
        let mut turns = interval(POLL);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            let orders: Vec<OrderId> = self.places().keys().copied().collect();
            if orders.is_empty() {
                continue;
            }
            match order::moved(pool, &orders).await {
                Ok(found) => self.see(found),
                Err(error) => tracing::debug!(%error, "can't look after the orders that are waited for"),
            }
        }
    }

    /// Rings where an order has moved since it was seen last, or is seen for the first time.
    fn see(&self, found: Vec<(OrderId, DateTime<Utc>)>) {
        let mut places = self.places();
        for (order, moved) in found {
            if let Some(waited) = places.get_mut(&order).filter(|waited| waited.moved != Some(moved)) {
                waited.moved = Some(moved);
                waited.ring();
            }
        }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<OrderId, Waited>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waited {
    fn ring(&self) {
        self.bell.notify_waiters();
    }
}

/// A waiter's place; given up when the waiter is gone, whatever became of its request.
struct Place<'a> {
    waiters: &'a Waiters,
    order: OrderId,
    bell: Arc<Notify>,
}

impl<'a> Place<'a> {
    fn take(waiters: &'a Waiters, order: OrderId) -> Self {
        let bell = waiters.places().entry(order).or_default().bell.clone();
        Self { waiters, order, bell }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut places = self.waiters.places();
        // The map's and this one: nobody else waits.
        if Arc::strong_count(&self.bell) == 2 {
            places.remove(&self.order);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicU32, Ordering},
    };

    use chrono::TimeDelta;

    use super::*;

    /// Milliseconds until somebody who waits for the order looks a second time, where this happens after 10; 5000 are all that it
    /// waits.
    async fn second_look(waiters: &Waiters, order: OrderId, happening: impl FnOnce(&Waiters)) -> u128 {
        let looks = AtomicU32::new(0);
        let started = Instant::now();
        let waiting = waiters.until(
            order,
            Duration::from_secs(5),
            async || Ok::<_, Infallible>(looks.fetch_add(1, Ordering::Relaxed)),
            |look| *look >= 1,
        );
        let happens = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            happening(waiters);
        };
        let (found, ()) = tokio::join!(waiting, happens);
        assert_eq!(found, Ok(1));
        started.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_looks_when_its_order_has_changed_or_may_have_and_when_its_time_is_up() {
        let (order, other) = (OrderId::new(), OrderId::new());
        let lost = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        let (order_id, other_id) = (order.to_string(), other.to_string());
        let told = |channel, payload| Heard::Notified { channel, payload };
        for (heard, after) in [
            (told(CHANGES, &*order_id), 10),
            (Heard::Connected, 10), // a change may have been missed
            (told(CHANGES, &other_id), 5000),
            (told(CHANGES, "no order"), 5000),
            (told("other", &order_id), 5000),
            (Heard::Lost(&lost), 5000),
        ] {
            let waiters = Waiters::default();
            assert_eq!(second_look(&waiters, order, |waiters| waiters.hear(&heard)).await, after, "{heard:?}");
            assert!(waiters.places().is_empty(), "a place was left behind");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_told_is_found_by_looking() {
        let (order, other, waiters) = (OrderId::new(), OrderId::new(), Waiters::default());
        let (then, now) = (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + TimeDelta::microseconds(1));
        let patient = Place::take(&waiters, order); // somebody for whom it is seen again and again
        for (seen, after) in [
            ((order, then), 10), // for all that is known it has moved
            ((order, then), 5000),
            ((other, now), 5000),
            ((order, now), 10),
            ((order, now), 5000),
        ] {
            assert_eq!(second_look(&waiters, order, |waiters| waiters.see(vec![seen])).await, after, "{seen:?}");
        }
        drop(patient);
        assert!(waiters.places().is_empty(), "a place was left behind");
    }
}
