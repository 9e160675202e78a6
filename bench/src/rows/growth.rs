//! The same things on tables that have ten times as many products, orders, events and finished jobs, beside the usual ones.

use anyhow::Result;
use tokio::sync::Mutex;

use crate::{
    duel::Duel,
    ground::Ground,
    options::Scale,
    report::{Goal, Row},
    store::Store,
    subjects::{AT_ONCE, Subject},
};

/// What is measured, by the name of its row.
pub(crate) const GROWTH: [(&str, Subject); 8] = [
    ("growth_products", Subject::List { connections: 16 }),
    ("growth_product", Subject::Product { connections: 16 }),
    ("growth_product_any", Subject::AnyProduct { connections: 16 }),
    ("growth_search", Subject::Search),
    ("growth_checkout", Subject::Checkout),
    ("growth_checkout_hot", Subject::HotCheckout),
    ("growth_webhooks", Subject::Webhooks),
    ("growth_jobs", Subject::Jobs { at_once: AT_ONCE }),
];

/// Measures one on both databases, in turn.
///
/// # Errors
/// When it can't be measured.
pub(crate) async fn measure(
    (name, subject): (&str, Subject),
    ground: &Ground,
    usual: &mut Store,
    grown: &mut Store,
    scale: &Scale,
) -> Result<Row> {
    usual.without_worker().await;
    grown.without_worker().await;
    let title = format!("{}, ten times as much in the tables", subject.title());
    let goal = Some(Goal::AtLeast(0.8));
    let duel = Duel {
        name,
        title: &title,
        against: "the same on the usual tables",
        goal,
        has_latencies: !matches!(subject, Subject::Jobs { .. }),
    };
    let (usual, grown) = (Mutex::new(usual), Mutex::new(grown));
    let ours = async |pace, time| subject.measure(ground, *grown.lock().await, pace, time).await;
    let theirs = async |pace, time| subject.measure(ground, *usual.lock().await, pace, time).await;
    duel.fight(scale, ours, theirs).await
}
