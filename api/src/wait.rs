//! Waiting for an order to change, for clients that would rather wait than poll. The process' LISTEN connection tells all
//! waiters; behind it each looks for itself every second, so that a lost notification costs a second.
//!
//! It holds neither a connection nor a slot while it waits, and nothing that another replica would need.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use common::{id::OrderId, listen::Heard, order::CHANGES};
use tokio::{sync::Notify, time::Instant};

use crate::load::without_slot;

/// How long a waiter trusts the notifications.
const POLL: Duration = Duration::from_secs(1);

/// Those who wait, by order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiters(Arc<Mutex<HashMap<OrderId, Arc<Notify>>>>);

impl Waiters {
    /// Calls `look` now and after each change of the order until it gives something, or until the time is up: then the answer
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
                    () = tokio::time::sleep_until(deadline.min(Instant::now() + POLL)) => {}
                }
            };
            without_slot(woken).await;
        }
    }

    /// Listens to what is told of orders. While nothing is heard, the waiters live on their polling.
    pub(crate) fn hear(&self, heard: &Heard<'_>) {
        match heard {
            Heard::Connected => self.ring_all(), // any change may have been missed
            Heard::Notified { channel: CHANGES, payload: order } => {
                order.parse().into_iter().for_each(|order| self.ring(order));
            }
            Heard::Notified { .. } | Heard::Lost(_) => {}
        }
    }

    fn ring(&self, order: OrderId) {
        if let Some(bell) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&order) {
            bell.notify_waiters();
        }
    }

    fn ring_all(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(|bell| bell.notify_waiters());
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
        let bell = waiters.0.lock().unwrap_or_else(PoisonError::into_inner).entry(order).or_default().clone();
        Self { waiters, order, bell }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiters = self.waiters.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's and this one: nobody else waits.
        if Arc::strong_count(&self.bell) == 2 {
            waiters.remove(&self.order);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicU32, Ordering},
    };

    use super::*;

    /// Milliseconds until somebody who waits for the order looks a second time, where this is heard after 10.
    async fn second_look(order: OrderId, heard: Heard<'_>) -> u128 {
        let (waiters, looks) = (Waiters::default(), AtomicU32::new(0));
        let started = Instant::now();
        let waiting = waiters.until(
            order,
            Duration::from_secs(10),
            async || Ok::<_, Infallible>(looks.fetch_add(1, Ordering::Relaxed)),
            |look| *look >= 1,
        );
        let hearing = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            waiters.hear(&heard);
        };
        let (found, ()) = tokio::join!(waiting, hearing);
        assert_eq!(found, Ok(1));
        assert!(waiters.0.lock().expect("not poisoned").is_empty(), "a place was left behind");
        started.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_looks_at_once_when_its_order_has_changed_or_may_have_and_else_polls() {
        let (order, other) = (OrderId::new(), OrderId::new());
        let lost = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        let (order_id, other_id) = (order.to_string(), other.to_string());
        let told = |channel, payload| Heard::Notified { channel, payload };
        assert_eq!(second_look(order, told(CHANGES, &order_id)).await, 10);
        assert_eq!(second_look(order, Heard::Connected).await, 10, "a change may have been missed");
        for heard in [told(CHANGES, &other_id), told(CHANGES, "no order"), told("other", &order_id), Heard::Lost(&lost)]
        {
            assert_eq!(second_look(order, heard).await, POLL.as_millis());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_ring_it_polls_and_ends_in_time() {
        let started = Instant::now();
        let found = Waiters::default()
            .until(OrderId::new(), Duration::from_millis(2500), async || Ok::<_, Infallible>("no"), |_| false)
            .await;
        assert_eq!(found, Ok("no"));
        assert_eq!(started.elapsed().as_millis(), 2500);
    }
}
