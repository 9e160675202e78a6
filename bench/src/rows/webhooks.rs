//! Stripe's events, against pgbench that inserts the same two rows.

use anyhow::Result;

use super::Bench;
use crate::{
    duel::Duel,
    limit::Limit,
    report::{Goal, Row},
    store::Store,
    subjects::{AT_ONCE, Subject, webhook_script},
};

pub(super) async fn events(bench: &mut Bench<'_>, name: &str) -> Result<Row> {
    let Bench { ground, store, scale } = bench;
    let duel = Duel {
        name,
        title: "POST /webhooks/stripe",
        against: "pgbench, the same two rows",
        goal: Some(Goal::AtLeast(0.5)),
        has_latencies: true,
    };
    let script = webhook_script(ground, store).await?;
    let clean = async |store: &Store| store.clean().await;
    let limit = Limit::find(ground, store, name, AT_ONCE, async |_, _| Ok(script.clone()), clean).await?;
    let store = tokio::sync::Mutex::new(store);
    let ours = async |pace, time| Subject::Webhooks.measure(ground, *store.lock().await, pace, time).await;
    let theirs = async |pace, time| {
        let store = store.lock().await;
        store.clean().await?;
        limit.run(ground, &store.options, pace, time).await
    };
    let mut row = duel.fight(scale, ours, theirs).await?;
    row.notes.push(limit.note());
    Ok(row)
}
