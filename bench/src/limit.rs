//! The database's limit on a script, measured at its best: with as many clients of pgbench as suit it.

use std::time::Duration;

use anyhow::Result;
use sqlx::postgres::PgConnectOptions;

use crate::{
    figures::Run,
    generator::Pace,
    ground::Ground,
    pgbench::{Length, Script},
    progress,
    store::Store,
};

/// Tried where there is time for it.
const CLIENTS: [usize; 4] = [4, 8, 16, 32];

/// See the module.
pub(crate) struct Limit {
    name: String,
    script: String,
    clients: usize,
    tried: Vec<String>,
}

impl Limit {
    /// Finds the best number of clients, `usual` where nothing is tried. The script may depend on it; `prepare` comes before each try.
    pub(crate) async fn find(
        ground: &Ground,
        store: &mut Store,
        name: &str,
        usual: usize,
        mut script: impl AsyncFnMut(&Store, usize) -> Result<String>,
        mut prepare: impl AsyncFnMut(&Store) -> Result<()>,
    ) -> Result<Self> {
        store.without_worker().await;
        let mut best =
            Self { name: name.to_owned(), script: script(store, usual).await?, clients: usual, tried: vec![] };
        if !store.scale.tries_clients {
            return Ok(best);
        }
        let mut best_rate = 0.0;
        for clients in CLIENTS {
            progress::now(format_args!("{name}: pgbench with {clients} clients"));
            let text = script(store, clients).await?;
            prepare(store).await?;
            let tried = Script { name: &format!("{name}-tries"), text: &text, clients };
            let length = Length::Time(store.scale.window);
            let rate = ground.pgbench.run(&store.options, &tried, Pace::Full, length).await?.rate();
            best.tried.push(format!("{rate:.0}/s with {clients}"));
            if rate > best_rate {
                (best_rate, best.clients, best.script) = (rate, clients, text);
            }
        }
        Ok(best)
    }

    /// Measures it.
    pub(crate) async fn run(
        &self,
        ground: &Ground,
        database: &PgConnectOptions,
        pace: Pace,
        time: Duration,
    ) -> Result<Run> {
        let script = Script { name: &self.name, text: &self.script, clients: self.clients };
        ground.pgbench.run(database, &script, pace, Length::Time(time)).await
    }

    /// What is to be told of it.
    pub(crate) fn note(&self) -> String {
        if self.tried.is_empty() {
            return format!("pgbench with {} clients", self.clients);
        }
        format!("pgbench with {} clients, the best of those that were tried ({})", self.clients, self.tried.join(", "))
    }
}
