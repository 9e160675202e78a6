//! Checkout, against pgbench that sends the statements which a recorded checkout has sent.

use anyhow::Result;

use super::Bench;
use crate::{
    duel::Duel,
    limit::Limit,
    report::{Goal, Row},
    subjects::{AT_ONCE, HOT, Subject, carts_are_left, checkout_script, distinct, prepare_checkout},
};

const GOAL: Goal = Goal::AtLeast(0.5);

pub(super) async fn distinct_products(bench: &mut Bench<'_>, name: &str) -> Result<Row> {
    let duel = Duel {
        name,
        title: "POST /checkout, 16 shoppers, distinct products",
        against: "pgbench, the same statements",
        goal: Some(GOAL),
        has_latencies: true,
    };
    let product = distinct(bench.store);
    fight(bench, &duel, Subject::Checkout, &product).await
}

pub(super) async fn one_product(bench: &mut Bench<'_>, name: &str) -> Result<Row> {
    let duel = Duel {
        name,
        title: "POST /checkout, 16 shoppers, one hot product",
        against: "pgbench, the same statements on that row",
        goal: Some(GOAL),
        has_latencies: true,
    };
    fight(bench, &duel, Subject::HotCheckout, HOT).await
}

async fn fight(bench: &mut Bench<'_>, duel: &Duel<'_>, subject: Subject, product: &str) -> Result<Row> {
    let Bench { ground, store, scale } = bench;
    let script = async |store: &crate::store::Store, clients| checkout_script(ground, store, product, clients).await;
    let prepare = async |store: &crate::store::Store| prepare_checkout(store, product).await;
    let limit = Limit::find(ground, store, duel.name, AT_ONCE, script, prepare).await?;
    // Both sides want the store, one after the other.
    let store = tokio::sync::Mutex::new(store);
    let ours = async |pace, time| subject.measure(ground, *store.lock().await, pace, time).await;
    let theirs = async |pace, time| {
        let store = store.lock().await;
        prepare_checkout(&store, product).await?;
        let run = limit.run(ground, &store.options, pace, time).await?;
        carts_are_left(&store).await?;
        Ok(run)
    };
    let mut row = duel.fight(scale, ours, theirs).await?;
    row.notes.push(limit.note());
    row.notes.push("with an idempotency key; the worker rests, as it does nothing of the answer".to_owned());
    Ok(row)
}
