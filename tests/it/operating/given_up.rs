//! A job is dead.

use super::{Watched, an_order, kinds};
use crate::harness::{eventually, text};

#[tokio::test]
async fn a_dead_job_is_seen_understood_and_run_again() {
    let watched = Watched::start().await;
    let shop = &watched.shop;
    watched
        .under_load(async {
            shop.refuse_mails();
            let (shopper, order) = an_order(shop).await;
            shop.pay(&shopper, &order).await;
            let runbook = watched.fires("KassaJobDead").await;
            watched.fires("KassaMailsFailed").await;
            assert!(watched.firing("KassaMoneyJobDead").await.is_none(), "no money waits for it");

            let dead = runbook.asked(&["jobs", "list", "--state", "dead"]).await;
            let id = text(&dead[0]["id"]);
            assert_eq!((dead.as_array().map(Vec::len), text(&dead[0]["queue"])), (Some(1), "email.send"));
            assert!(runbook.kassa(&["jobs", "show", id]).await.contains("550"));
            let shown = watched.shown(&order).await;
            let of_order = shown["timeline"].as_array().expect("a timeline");
            let job = of_order.iter().find(|entry| entry["source"] == "job" && entry["kind"] == "email.send");
            let job = job.expect("the mail's job is in the timeline");
            assert!(job["data"].to_string().contains("550"), "{job}");
            assert_eq!(job["trace_id"], dead[0]["trace_id"]);
            let placed = of_order.iter().find(|entry| entry["kind"] == "order.placed").expect("it was placed");
            assert_eq!(placed["trace_id"], job["trace_id"], "it is part of the purchase");

            shop.mail.remove_faults();
            runbook.kassa(&["jobs", "retry", id]).await;
            assert_eq!(shop.mails(&shopper.email, 1).await.len(), 1);
            watched.resolves("KassaJobDead").await;
            watched.resolves("KassaMailsFailed").await;
            eventually("the timeline has the mail", async || {
                let shown = watched.shown(&order).await;
                kinds(&shown, "order").contains(&"mail.sent").then_some(())
            })
            .await;
        })
        .await;
    watched.finish().await;
}
