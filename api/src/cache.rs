//! Answers that anybody may see, kept for a moment: in this process only, so each replica has its own.
//!
//! One rule bounds how old they get: an answer is good for the requests that begin within [`MAX_AGE`] of the moment at which its loading
//! began, before the database was asked. It needs no notification, and so none that is lost, or held up by a connection that hangs,
//! makes an answer older. What is told, by the database or by a handler of this process that has changed something, makes all
//! answers bad whose loading began before (docs/adr/0008).

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use common::{
    catalog::{self, Address, ListProducts},
    listen::Heard,
    order,
};
use metrics::Counter;
use moka::{ops::compute::Op, sync::Cache};
use tokio::{sync::OnceCell, time::Instant};

use crate::{problem::Problem, respond::Rendered};

/// Well below the second that is promised: the rest is for a database that takes its time to answer, and for sales, of which nobody is
/// told for sure.
const MAX_AGE: Duration = Duration::from_millis(250);
/// Orders change often, and stock with few of these changes: they count so often at most.
const BETWEEN_ORDERS: Duration = Duration::from_millis(50);
/// All that is kept, in bytes.
const CAPACITY: u64 = 8 * 1024 * 1024;
/// What keeping an answer takes besides its bytes and its cursor, by a generous guess.
const OVERHEAD: usize = 512;

const ANSWERS: &str = "kassa_catalogue_answers_total";

/// Tells what the metrics mean.
pub(crate) fn describe() {
    metrics::describe_counter!(ANSWERS, "Public answers about products, by source: cache or database.");
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    List(ListProducts),
    Product(Address),
}

impl Key {
    fn weight(&self) -> usize {
        match self {
            Self::List(list) => list.cursor.as_ref().map_or(0, String::len),
            Self::Product(_) => 0,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Answers {
    kept: Cache<Key, Arc<Loading>>,
    /// Raised by each change.
    generation: AtomicU64,
    /// When the change of an order counted last.
    order_counted: Mutex<Option<Instant>>,
    from_cache: Counter,
    from_database: Counter,
}

/// An answer, or one that is on its way: those who ask for it meanwhile wait for it together.
#[derive(Debug)]
struct Loading {
    began: Instant,
    generation: u64,
    landed: OnceCell<Result<Rendered, Problem>>,
}

impl Loading {
    /// Whether a request that begins now may have it. A failure is for those who have waited for it.
    fn is_good(&self, generation: u64) -> bool {
        self.generation == generation && self.began.elapsed() < MAX_AGE && !matches!(self.landed.get(), Some(Err(_)))
    }

    fn weight(&self) -> usize {
        match self.landed.get() {
            Some(Ok(rendered)) => rendered.len(),
            Some(Err(_)) | None => 0,
        }
    }
}

impl Default for Answers {
    fn default() -> Self {
        let weigh = |key: &Key, loading: &Arc<Loading>| {
            u32::try_from(OVERHEAD + key.weight() + loading.weight()).unwrap_or(u32::MAX)
        };
        Self {
            kept: Cache::builder().max_capacity(CAPACITY).time_to_live(MAX_AGE).weigher(weigh).build(),
            generation: AtomicU64::default(),
            order_counted: Mutex::default(),
            from_cache: metrics::counter!(ANSWERS, "source" => "cache"),
            from_database: metrics::counter!(ANSWERS, "source" => "database"),
        }
    }
}

impl Answers {
    /// The answer to a request that begins now: a kept one, or what `load` gives, for all who ask meanwhile.
    pub(crate) async fn get<F>(&self, key: Key, load: impl FnOnce() -> F) -> Result<Rendered, Problem>
    where
        F: Future<Output = Result<Rendered, Problem>>,
    {
        let generation = self.generation.load(Ordering::Acquire);
        let good = self.kept.get(&key).filter(|loading| loading.is_good(generation));
        let loading = good.unwrap_or_else(|| {
            let new = || Arc::new(Loading { began: Instant::now(), generation, landed: OnceCell::new() });
            let replaced = |old: &Arc<Loading>| !old.is_good(generation);
            self.kept.entry_by_ref(&key).or_insert_with_if(new, replaced).into_value()
        });
        let mut loaded_here = false;
        // Should whoever loads be gone before the end, the next of those who wait begins anew, on behalf of the first.
        let answer = loading.landed.get_or_init(|| {
            loaded_here = true;
            load()
        });
        let answer = answer.await.clone();
        if loaded_here {
            self.from_database.increment(1);
            self.weigh_again(&key, &loading);
        } else {
            self.from_cache.increment(1);
        }
        answer
    }

    /// Only now it is known how heavy an answer is.
    fn weigh_again(&self, key: &Key, landed: &Arc<Loading>) {
        self.kept.entry_by_ref(key).and_compute_with(|entry| match entry {
            Some(entry) if Arc::ptr_eq(entry.value(), landed) => Op::Put(Arc::clone(landed)),
            _ => Op::Nop,
        });
    }

    /// Something about products has changed, and is committed: what was loaded before, or began to be, is for no request that comes
    /// after.
    pub(crate) fn forget(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Listens to what is told of products and orders.
    pub(crate) fn hear(&self, heard: &Heard<'_>) {
        match heard {
            Heard::Connected => self.forget(), // any change may have been missed
            Heard::Notified { channel: catalog::CHANGES, .. } => self.forget(),
            Heard::Notified { channel: order::CHANGES, .. } => self.forget_if_orders_are_few(),
            Heard::Notified { .. } | Heard::Lost(_) => {}
        }
    }

    fn forget_if_orders_are_few(&self) {
        let mut last = self.order_counted.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= BETWEEN_ORDERS) {
            *last = Some(Instant::now());
            self.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use common::page::Limit;
    use futures::FutureExt as _;
    use tokio::{sync::oneshot, time::advance};

    use super::*;
    use crate::problem::kinds;

    fn key() -> Key {
        Key::Product("mug".parse().expect("a slug"))
    }

    fn rendered(shown: &str) -> Rendered {
        Rendered::new(&shown).expect("text is JSON")
    }

    /// What somebody who asks now gets, where `shown` is the truth.
    async fn ask(answers: &Answers, shown: &str) -> usize {
        answers.get(key(), async || Ok(rendered(shown))).await.expect("an answer").len() - "\"\"".len()
    }

    /// Somebody asks, and their load has begun; it ends with what is sent.
    fn ask_slowly(answers: &Arc<Answers>) -> (oneshot::Sender<&'static str>, tokio::task::JoinHandle<usize>) {
        let (end, ended) = oneshot::channel();
        let answers = Arc::clone(answers);
        let asking = tokio::spawn(async move {
            let load = async || Ok(rendered(ended.await.expect("the test ends it")));
            answers.get(key(), load).await.expect("an answer").len() - "\"\"".len()
        });
        (end, asking)
    }

    const ONE: &str = "x";
    const TWO: &str = "xx";

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_kept_for_a_moment() {
        let answers = Answers::default();
        assert_eq!(ask(&answers, ONE).await, 1);
        advance(MAX_AGE - Duration::from_millis(1)).await;
        assert_eq!(ask(&answers, TWO).await, 1, "kept");
        advance(Duration::from_millis(1)).await;
        assert_eq!(ask(&answers, TWO).await, 2, "too old");
        let other = Key::Product("jug".parse().expect("a slug"));
        let jug = answers.get(other, async || Ok(rendered("jug"))).await.expect("an answer");
        assert_eq!(jug.len(), "\"jug\"".len());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_meanwhile_waits_for_the_same_answer() {
        let answers = Arc::default();
        let (end, first) = ask_slowly(&answers);
        tokio::task::yield_now().await;
        let mut second = Box::pin(ask(&answers, TWO));
        assert_eq!(second.as_mut().now_or_never(), None, "it waits");
        end.send(ONE).expect("it is waited for");
        assert_eq!((first.await.expect("it ends"), second.await), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_as_old_as_the_beginning_of_its_loading() {
        let answers = Arc::default();
        let (end, first) = ask_slowly(&answers);
        tokio::task::yield_now().await;
        advance(MAX_AGE).await; // the database takes its time, and has looked long ago
        assert_eq!(ask(&answers, TWO).await, 2, "whoever asks now does not wait for it");
        end.send(ONE).expect("it is waited for");
        assert_eq!(first.await.expect("it ends"), 1);
        assert_eq!(ask(&answers, ONE).await, 2, "what came late has not replaced it");
    }

    #[tokio::test(start_paused = true)]
    async fn what_began_to_be_loaded_before_a_change_is_for_nobody_who_comes_after() {
        let answers: Arc<Answers> = Arc::default();
        let (end, first) = ask_slowly(&answers);
        tokio::task::yield_now().await;
        answers.forget();
        assert_eq!(ask(&answers, TWO).await, 2, "it is not waited for");
        end.send(ONE).expect("it is waited for");
        assert_eq!(first.await.expect("it ends"), 1, "who came before the change may have it");
        assert_eq!(ask(&answers, ONE).await, 2, "it is not kept");
        answers.forget();
        assert_eq!(ask(&answers, ONE).await, 1, "nor is what was kept before");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_with_those_who_waited_and_not_kept() {
        let answers = Answers::default();
        let fail = async || {
            tokio::task::yield_now().await;
            Err(Problem::of(kinds::UNAVAILABLE))
        };
        let (first, second) = tokio::join!(answers.get(key(), fail), answers.get(key(), async || Ok(rendered(ONE))));
        assert!(first.is_err() && second.is_err());
        assert_eq!(ask(&answers, TWO).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_one_who_loads_is_gone_another_does() {
        let answers = Answers::default();
        let mut gone = Box::pin(answers.get(key(), pending));
        assert!(gone.as_mut().now_or_never().is_none());
        let mut second = Box::pin(ask(&answers, TWO));
        assert_eq!(second.as_mut().now_or_never(), None, "it waits");
        drop(gone);
        assert_eq!(second.await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn changes_of_products_count_and_those_of_orders_now_and_then() {
        let answers = Answers::default();
        let told = |channel| Heard::Notified { channel, payload: "" };
        let lost = sqlx::Error::PoolClosed;
        let forgets = |heard: Heard<'_>| {
            let before = answers.generation.load(Ordering::Acquire);
            answers.hear(&heard);
            answers.generation.load(Ordering::Acquire) > before
        };
        assert!(forgets(Heard::Connected), "some may have been missed");
        assert!(!forgets(Heard::Lost(&lost)) && !forgets(told("other")));
        assert!(forgets(told(catalog::CHANGES)) && forgets(told(catalog::CHANGES)));
        assert!(forgets(told(order::CHANGES)) && !forgets(told(order::CHANGES)));
        advance(BETWEEN_ORDERS).await;
        assert!(forgets(told(order::CHANGES)));
    }

    #[tokio::test]
    async fn what_is_kept_has_a_bound() {
        let answers = Answers::default();
        let large = "x".repeat(100_000);
        for n in 0..300 {
            let key = Key::List(ListProducts { limit: Limit::new(n), ..ListProducts::default() });
            answers.get(key, async || Ok(rendered(&large))).await.expect("an answer");
        }
        answers.kept.run_pending_tasks();
        let kept = answers.kept.weighted_size();
        assert!(kept <= CAPACITY, "{kept} bytes");
        assert!(answers.kept.iter().all(|(_, loading)| loading.weight() > 100_000));
    }
}
