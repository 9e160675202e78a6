//! What goes wrong on purpose, for tests: slowness, refusals, silence. In force until it has struck as often
//! as it should, or is removed.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// Where in a session it strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Before the greeting.
    Connect,
    /// At `STARTTLS`, which is offered only while there is such a fault, and never comes to TLS.
    Tls,
    /// At `AUTH`, which is offered only while there is such a fault; whoever passes it is logged in.
    Login,
    /// At `MAIL FROM`.
    Mail,
    /// At `RCPT TO`.
    Recipient,
    /// At `DATA`, before the mail is sent.
    Data,
    /// After the mail was sent, before it is acknowledged.
    Message,
}

/// A fault. First it waits, then it hangs, or cuts, or answers; without any of these all goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Where it strikes.
    pub at: Moment,
    /// Only mails to this address; not known before `recipient`.
    #[serde(default)]
    pub to: Option<String>,
    /// Lets so many pass first.
    #[serde(default)]
    pub skip: u32,
    /// Strikes so often; always without it.
    #[serde(default)]
    pub times: Option<u32>,
    /// Waits first.
    #[serde(default)]
    pub delay_ms: u64,
    /// Says nothing more until it is removed; then the connection ends.
    #[serde(default)]
    pub hang: bool,
    /// Ends the connection without a word.
    #[serde(default)]
    pub cut: bool,
    /// Answers with this code, 400 to 599.
    #[serde(default)]
    pub code: Option<u16>,
    /// What the answer says.
    #[serde(default)]
    pub text: Option<String>,
    /// At `message`: the mail is kept all the same, as by a server whose answer is lost.
    #[serde(default)]
    pub keep: bool,
}

impl Fault {
    /// What makes no sense together.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let answers = usize::from(self.hang) + usize::from(self.cut) + usize::from(self.code.is_some());
        if answers > 1 {
            Some("give at most one of hang, cut and code")
        } else if self.code.is_some_and(|code| !(400..600).contains(&code)) {
            Some("code is a refusal, 400 to 599")
        } else if self.text.as_ref().is_some_and(|text| text.contains(['\r', '\n'])) {
            Some("text is one line")
        } else if self.keep && self.at != Moment::Message {
            Some("keep makes sense at message only")
        } else if self.to.is_some() && matches!(self.at, Moment::Connect | Moment::Tls | Moment::Login | Moment::Mail) {
            Some("the recipient is not known before recipient")
        } else {
            None
        }
    }

    pub(super) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    /// The answer in its place, if it answers.
    pub(super) fn answer(&self) -> Option<String> {
        let code = self.code?;
        let default = if code < 500 { "Try again later" } else { "Not taken" };
        Some(format!("{code} {}\r\n", self.text.as_deref().unwrap_or(default)))
    }
}

/// A fault in force.
#[derive(Debug, Clone, Serialize)]
pub(super) struct InForce {
    #[serde(flatten)]
    pub(super) fault: Fault,
    /// How often it has struck.
    hits: u32,
    /// How many passed it before.
    #[serde(skip)]
    passed: u32,
    /// Lets go what hangs.
    #[serde(skip)]
    pub(super) removed: CancellationToken,
}

/// All faults, by number.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<(u64, BTreeMap<u64, InForce>)>);

impl Faults {
    fn inner(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, InForce>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, fault: Fault) -> u64 {
        let mut inner = self.inner();
        inner.0 += 1;
        let id = inner.0;
        inner.1.insert(id, InForce { fault, hits: 0, passed: 0, removed: CancellationToken::new() });
        id
    }

    pub(super) fn list(&self) -> BTreeMap<u64, InForce> {
        self.inner().1.clone()
    }

    /// Removes one, or all; what hangs on them goes on. Tells how many there were.
    pub(super) fn remove(&self, id: Option<u64>) -> usize {
        let mut inner = self.inner();
        let removed: Vec<InForce> = match id {
            Some(id) => inner.1.remove(&id).into_iter().collect(),
            None => std::mem::take(&mut inner.1).into_values().collect(),
        };
        for fault in &removed {
            fault.removed.cancel();
        }
        removed.len()
    }

    /// Whether there is one for this moment, whomever it strikes.
    pub(super) fn has(&self, at: Moment) -> bool {
        self.inner().1.values().any(|fault| fault.fault.at == at)
    }

    /// The first fault that strikes here.
    pub(super) fn strike(&self, at: Moment, to: &[String]) -> Option<InForce> {
        let mut inner = self.inner();
        inner.1.values_mut().find_map(|fault| {
            let meant = fault.fault.at == at
                && fault.fault.to.as_ref().is_none_or(|meant| to.iter().any(|to| to.eq_ignore_ascii_case(meant)));
            if !meant || fault.fault.times.is_some_and(|times| fault.hits >= times) {
                return None;
            }
            if fault.passed < fault.fault.skip {
                fault.passed += 1;
                return None;
            }
            fault.hits += 1;
            Some(fault.clone())
        })
    }
}
