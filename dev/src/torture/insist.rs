//! A client as a good one is: what was not answered, or answered with "not now", is asked again, under the same idempotency key, of
//! whichever API answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use reqwest::Method;
use serde_json::Value;

use super::tally::Tally;
use crate::client::{Client, Reply};

/// After which time without an answer something is wrong: longer than all faults together.
const PATIENCE: Duration = Duration::from_secs(150);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Clone)]
pub(super) struct Insistent {
    apis: Vec<Client>,
    next: Arc<AtomicUsize>,
    tally: Arc<Tally>,
}

impl Insistent {
    pub(super) fn new(apis: Vec<Client>, tally: Arc<Tally>) -> Self {
        Self { apis, next: Arc::default(), tally }
    }

    /// The same, on behalf of whoever this session is of.
    pub(super) fn with_session(&self, session: &Value) -> Result<Self> {
        let apis = self.apis.iter().map(|api| api.with_session(session)).collect::<Result<_>>()?;
        Ok(Self { apis, next: Arc::default(), ..self.clone() })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Reply> {
        self.call(Method::GET, path, None, &[]).await
    }

    /// Asks until there is an answer that counts.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&'static str, &str)],
    ) -> Result<Reply> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let place = self.next.fetch_add(1, Ordering::Relaxed) % self.apis.len();
            let told = match self.apis[place].call(method.clone(), path, body, headers).await {
                Ok(reply) if !is_passing(&reply) => return Ok(reply),
                Ok(reply) => {
                    if reply.status == 500 {
                        self.tally.complain(format!("{method} {} answered 500", without_ids(path)));
                    }
                    reply.to_string()
                }
                Err(error) => format!("{error:#}"),
            };
            if began.elapsed() > PATIENCE {
                bail!("{method} {path} was not answered within {PATIENCE:?}; at last: {told}");
            }
            self.tally.seen().repeats += 1;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Whether it says: not now.
fn is_passing(reply: &Reply) -> bool {
    matches!(reply.status.as_u16(), 408 | 429 | 500..) || reply.code() == "request_in_progress"
}

/// A path by which like ones are counted together.
fn without_ids(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let name = |part: &str| if uuid::Uuid::parse_str(part).is_ok() { "{id}".to_owned() } else { part.to_owned() };
    path.split('/').map(name).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_paths_are_one() {
        assert_eq!(without_ids("/orders/0193a1b2-0000-7000-8000-000000000000/cancel?x=1"), "/orders/{id}/cancel");
    }
}
