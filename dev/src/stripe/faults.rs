//! Faults: what goes wrong with the next calls that match. A fault acts at one moment of a call (on arrival, before its effect,
//! after it), may hold the call there until it is released, may delay it, and may put another answer in the place of the
//! genuine one. The control endpoints set them; nothing goes wrong by itself.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// When a fault acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Moment {
    /// Before the API key and the idempotency key are looked at: nothing is kept. Where Stripe's 401 and 429 come from.
    Arrival,
    /// The idempotency key is taken, the operation has not begun. With an answer, it never begins.
    Before,
    /// The operation is done and its answer is kept under the key; the caller has not heard of it.
    After,
}

/// What the caller gets in the place of the genuine answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Answer {
    /// A status with Stripe's error body for it, or the given body. `saved` keeps it under the idempotency key in the
    /// place of the genuine one; without it, nothing is kept (`before`) or the genuine one is (`after`).
    Status {
        status: u16,
        #[serde(default)]
        saved: bool,
        /// Seconds.
        #[serde(default)]
        retry_after: Option<u64>,
        #[serde(default)]
        body: Option<serde_json::Value>,
    },
    /// A proxy's page, such as a 502.
    Html { status: u16 },
    /// The first half of the genuine JSON, as if that were all.
    Truncated,
    /// The first half of the genuine JSON, then a reset.
    Cut,
    /// A reset without a byte of an answer.
    Reset,
    /// No answer until the fault is removed; then a reset.
    Hang,
}

impl Answer {
    fn default_moment(&self) -> Moment {
        match self {
            Self::Status { status: 401 | 429, .. } => Moment::Arrival,
            Self::Truncated | Self::Cut => Moment::After,
            _ => Moment::Before,
        }
    }
}

/// A fault as the control endpoint takes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// Any, if it is left out.
    #[serde(default)]
    pub(crate) method: Option<String>,
    /// `*` stands for any characters; any path, if it is left out.
    #[serde(default)]
    pub(crate) path: Option<String>,
    /// How many matching calls pass before it acts.
    #[serde(default)]
    pub(crate) skip: u32,
    /// How many calls it acts on; until it is removed, if it is left out.
    #[serde(default)]
    pub(crate) times: Option<u32>,
    /// By default `before`; for 401 and 429 `arrival`; for cut answers `after`.
    #[serde(default)]
    pub(crate) at: Option<Moment>,
    /// Milliseconds.
    #[serde(default)]
    pub(crate) delay_ms: u64,
    /// Whether calls wait until they are released.
    #[serde(default)]
    pub(crate) hold: bool,
    #[serde(default)]
    pub(crate) answer: Option<Answer>,
}

impl Fault {
    fn fits(&self, method: &str, path: &str) -> bool {
        self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path.as_ref().is_none_or(|pattern| wildcard(pattern, path))
    }

    /// When it acts.
    pub(crate) fn moment(&self) -> Moment {
        self.at.unwrap_or_else(|| self.answer.as_ref().map_or(Moment::Before, Answer::default_moment))
    }
}

fn wildcard(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(start) else { return false };
    (0..=text.len()).any(|cut| text.is_char_boundary(cut) && wildcard(rest, &text[cut..]))
}

/// A call that stands still.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Held {
    pub(crate) request_id: String,
    pub(crate) method: String,
    pub(crate) path: String,
}

/// A fault in force, and who is held by it.
#[derive(Debug)]
struct Active {
    id: String,
    fault: Fault,
    hits: u32,
    /// How often it was released; removal releases for good.
    gate: watch::Sender<Gate>,
    held: watch::Sender<VecDeque<Held>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Gate {
    releases: u64,
    removed: bool,
}

/// What the control endpoint shows of a fault.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    id: String,
    /// Calls that it acted on.
    hits: u32,
    held: Vec<Held>,
    #[serde(flatten)]
    fault: Fault,
}

/// The faults in force.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    active: Mutex<Vec<Arc<Mutex<Active>>>>,
}

/// A fault that acts on one call.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub(crate) fault: Fault,
    active: Arc<Mutex<Active>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Faults {
    /// Puts a fault in force and gives its id.
    pub(crate) fn add(&self, fault: Fault) -> String {
        let id = super::objects::new_id("fault");
        let active = Active {
            id: id.clone(),
            fault,
            hits: 0,
            gate: watch::Sender::new(Gate::default()),
            held: watch::Sender::new(VecDeque::new()),
        };
        lock(&self.active).push(Arc::new(Mutex::new(active)));
        id
    }

    /// The first fault that acts on this call, counted.
    pub(crate) fn strike(&self, method: &str, path: &str) -> Option<Hit> {
        let all = lock(&self.active);
        all.iter().find_map(|active| {
            let mut one = lock(active);
            if one.fault.times == Some(one.hits) || !one.fault.fits(method, path) {
                return None;
            }
            if one.fault.skip > 0 {
                one.fault.skip -= 1;
                return None;
            }
            one.hits += 1;
            Some(Hit { fault: one.fault.clone(), active: Arc::clone(active) })
        })
    }

    /// All faults, spent ones too.
    pub(crate) fn list(&self) -> Vec<Shown> {
        let show = |active: &Arc<Mutex<Active>>| {
            let one = lock(active);
            let held = one.held.borrow().iter().cloned().collect();
            Shown { id: one.id.clone(), hits: one.hits, held, fault: one.fault.clone() }
        };
        lock(&self.active).iter().map(show).collect()
    }

    /// Lets go whoever is held by the fault; it goes on holding later calls. False for an unknown one.
    pub(crate) fn release(&self, id: &str) -> bool {
        self.find(id).map(|active| lock(&active).gate.send_modify(|gate| gate.releases += 1)).is_some()
    }

    /// Removes one fault, or all; whoever is held or hangs goes on.
    pub(crate) fn remove(&self, id: Option<&str>) -> usize {
        let mut removed = 0;
        lock(&self.active).retain(|active| {
            let one = lock(active);
            let goes = id.is_none_or(|id| one.id == id);
            if goes {
                removed += 1;
                one.gate.send_modify(|gate| gate.removed = true);
            }
            !goes
        });
        removed
    }

    /// Waits until at least so many calls are held by the fault. `None` for an unknown fault.
    pub(crate) async fn wait_for_held(&self, id: &str, count: usize, limit: Duration) -> Option<Vec<Held>> {
        let mut held = lock(&*self.find(id)?).held.subscribe();
        // Past the limit, those that are held by then are the answer.
        let waited = tokio::time::timeout(limit, held.wait_for(|held| held.len() >= count)).await;
        drop(waited);
        let held = held.borrow();
        Some(held.iter().cloned().collect())
    }

    fn find(&self, id: &str) -> Option<Arc<Mutex<Active>>> {
        lock(&self.active).iter().find(|active| lock(active).id == id).cloned()
    }
}

impl Hit {
    /// Delays and holds the call, if this is the moment.
    pub(crate) async fn pause(&self, moment: Moment, call: &Held) {
        if self.fault.moment() != moment {
            return;
        }
        if self.fault.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(self.fault.delay_ms)).await;
        }
        if self.fault.hold {
            self.wait(call, |gate, releases| gate.removed || gate.releases > releases).await;
        }
    }

    /// Waits until the fault is removed.
    pub(crate) async fn hang(&self, call: &Held) {
        self.wait(call, |gate, _| gate.removed).await;
    }

    /// The answer that takes the place of the genuine one, if this is the moment.
    pub(crate) fn answer(&self, moment: Moment) -> Option<&Answer> {
        self.fault.answer.as_ref().filter(|_| self.fault.moment() == moment)
    }

    async fn wait(&self, call: &Held, goes_on: impl Fn(&Gate, u64) -> bool) {
        let (mut gate, held) = {
            let one = lock(&self.active);
            (one.gate.subscribe(), one.held.clone())
        };
        let releases = gate.borrow().releases;
        held.send_modify(|held| held.push_back(call.clone()));
        // The sender lives as long as this hit, so waiting can't fail.
        let waited = gate.wait_for(|gate| goes_on(gate, releases)).await.map(|_| ());
        drop(waited);
        held.send_modify(|held| held.retain(|other| other.request_id != call.request_id));
    }
}

#[cfg(test)]
mod tests {
    use super::wildcard;

    #[test]
    fn a_star_stands_for_any_characters() {
        assert!(wildcard("/v1/payment_intents/*/cancel", "/v1/payment_intents/pi_1/cancel"));
        assert!(!wildcard("/v1/payment_intents", "/v1/payment_intents/pi_1"));
        assert!(wildcard("*", "/v1/refunds"));
    }
}
