//! What went back and came back again.

use serde_json::json;

use super::{dashboards, expressions, substituted};
use crate::harness::{Prometheus, Shop, eventually, text};

/// The query of a panel of the shop's whose legend begins so.
fn query(panel: &str, legend: &str) -> String {
    let dashboards = dashboards();
    let shop = dashboards.iter().find(|dashboard| dashboard.name == "shop").expect("it is there");
    let panels = shop.panels();
    let of_title = panels.iter().filter(|of| of["title"] == panel);
    let targets = of_title.flat_map(|of| of["targets"].as_array().into_iter().flatten().zip(expressions(of)));
    let found = targets.filter(|(target, _)| text(&target["legendFormat"]).starts_with(legend)).map(|(_, query)| query);
    substituted(found.last().expect("there is one"))
}

#[tokio::test]
async fn a_refund_that_came_back_is_taken_off_what_went_back() {
    let shop = Shop::start().await;
    let prometheus = Prometheus::start(&shop, None).await;
    let (admin, shopper, product) = (shop.admin().await, shop.shopper().await, shop.product(500, 9).await);
    let order = shop.paid_order(&shopper, &product, 1).await;
    let shows = async |refunded: f64, net: f64| {
        let (refunds, left) = (query("Refunded", "{{currency}}"), query("Revenue", "net"));
        eventually("the panels show it", async || {
            let shown = (prometheus.sum(&refunds).await?, prometheus.sum(&left).await?);
            // Prometheus extends what it saw to the whole range, by a little.
            let is = |shown: f64, due: f64| (shown - due).abs() < 1.0 + due / 2.0;
            (is(shown.0, refunded) && is(shown.1, net)).then_some(())
        })
        .await;
    };
    shows(0.0, 500.0).await;
    admin.refund(&order, &json!({})).await.expect(202);
    admin.wait_for_refunds(&order, &["succeeded"]).await;
    shows(500.0, 0.0).await;
    let refund = admin.inspect(&order).await["refunds"][0]["stripe_refund_id"].clone();
    shop.control().post(&format!("/refunds/{}", text(&refund)), &json!({ "status": "failed" })).await.expect(200);
    admin.wait_for_refunds(&order, &["failed"]).await;
    shows(0.0, 500.0).await;
    drop(prometheus);
    shop.finish().await;
}
