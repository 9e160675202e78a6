//! The catalogue, against a bare axum handler that returns the same bytes, and against pgbench that searches for the same.

use anyhow::Result;

use super::Bench;
use crate::{
    bare,
    duel::Duel,
    limit::Limit,
    report::{Goal, Row},
    subjects::{AT_ONCE, Subject, answer, get, one_product, read, search_script},
};

const BARE: &str = "a bare axum handler, the same bytes";
const GOAL: Goal = Goal::AtLeast(0.8);

pub(super) async fn list(bench: &mut Bench<'_>, name: &str, connections: usize) -> Result<Row> {
    let title = format!("GET /products, {connections} connections");
    let duel = Duel { name, title: &title, against: BARE, goal: Some(GOAL), has_latencies: true };
    against_bare(bench, &duel, Subject::List { connections }, "/products", connections).await
}

pub(super) async fn product(bench: &mut Bench<'_>, name: &str, connections: usize) -> Result<Row> {
    let title = format!("GET /products/{{id}}, {connections} connections");
    let duel = Duel { name, title: &title, against: BARE, goal: Some(GOAL), has_latencies: true };
    against_bare(bench, &duel, Subject::Product { connections }, &one_product(), connections).await
}

pub(super) async fn any_product(bench: &mut Bench<'_>, name: &str, connections: usize) -> Result<Row> {
    let title = format!("GET /products/{{id}}, any of {}", bench.scale.products);
    let duel = Duel { name, title: &title, against: BARE, goal: None, has_latencies: true };
    let mut row = against_bare(bench, &duel, Subject::AnyProduct { connections }, &one_product(), connections).await?;
    row.notes.push(
        "hardly any of these answers is kept, so each is a query; told for comparison, without a goal".to_owned(),
    );
    Ok(row)
}

async fn against_bare(
    bench: &mut Bench<'_>,
    duel: &Duel<'_>,
    subject: Subject,
    path: &str,
    connections: usize,
) -> Result<Row> {
    let Bench { ground, store, scale } = bench;
    let returned = answer(ground, store, path).await?;
    let (server, addr) = bare::start(&ground.work, &returned).await?;
    let ours = async |pace, limit| subject.measure(ground, store, pace, limit).await;
    let theirs = async |pace, limit| read(addr, connections, vec![get(path)], pace, limit);
    let row = duel.fight(scale, ours, theirs).await?;
    server.stop().await?;
    Ok(row)
}

pub(super) async fn search(bench: &mut Bench<'_>, name: &str) -> Result<Row> {
    let Bench { ground, store, scale } = bench;
    let title = format!("GET /products?q= over {} products", scale.products);
    let against = "pgbench, the same query";
    let duel = Duel { name, title: &title, against, goal: Some(Goal::AtLeast(0.7)), has_latencies: true };
    let script = search_script(ground, store).await?;
    let limit = Limit::find(ground, store, name, AT_ONCE, async |_, _| Ok(script.clone()), async |_| Ok(())).await?;
    let options = store.options.clone();
    let ours = async |pace, time| Subject::Search.measure(ground, store, pace, time).await;
    let theirs = async |pace, time| limit.run(ground, &options, pace, time).await;
    let mut row = duel.fight(scale, ours, theirs).await?;
    row.notes.push(limit.note());
    Ok(row)
}
