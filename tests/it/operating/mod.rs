//! Tried as an operator would: a shop that sells, a real Prometheus with the shipped rules, whose waits are shortened, and what can go
//! wrong. Each is seen on an alert, understood from the order's timeline, and mended by a command that stands in the alert's runbook.

mod disputed;
mod failing;
mod given_up;
mod unheard_of;

use std::{fs, time::Duration};

use serde_json::{Value, json};

use crate::harness::{Alert, Client, Prometheus, Shop, repository, text, text_of_rules, within};

/// A worker counts what is in the tables as seldom as that is slow, and tests run beside each other: two looks, at worst.
const LOOKS: Duration = Duration::from_secs(120);

/// The rules without their waits, over ranges that end now and fit a scrape each second.
fn at_once(rules: &str) -> String {
    let mut lines = Vec::new();
    for line in rules.lines() {
        let (indent, told) = line.split_at(line.len() - line.trim_start().len());
        if told.starts_with("for: ") {
            continue;
        }
        let told = told.replace(" offset 5m", "");
        let mut parts = told.split('[');
        let mut line = format!("{indent}{}", parts.next().unwrap_or_default());
        for part in parts {
            let (range, rest) = part.split_once(']').unwrap_or((part, ""));
            let is_range = range.ends_with(['m', 'h', 'd']) && range.starts_with(|c: char| c.is_ascii_digit());
            line += &format!("[{}]{rest}", if is_range { "8s" } else { range });
        }
        lines.push(line);
    }
    lines.join("\n") + "\n"
}

#[test]
fn only_waits_and_ranges_are_shortened() {
    let shortened = at_once("  - expr: x{y=\"[.]z\"}[5m] and z[1d] offset 5m\n    for: 5m # long\n    labels: {}\n");
    assert_eq!(shortened, "  - expr: x{y=\"[.]z\"}[8s] and z[8s]\n    labels: {}\n");
}

/// A shop that is watched.
struct Watched {
    shop: Shop,
    prometheus: Prometheus,
}

impl Watched {
    async fn start() -> Self {
        let shop = Shop::with(&[("MAX_UNPAID_ORDERS", "100000")]).await;
        let prometheus = Prometheus::start(&shop, Some(&at_once(&text_of_rules()))).await;
        Self { shop, prometheus }
    }

    /// Does something while others browse and check out.
    async fn under_load<T>(&self, work: impl Future<Output = T>) -> T {
        let product = self.shop.product(700, 100_000).await;
        let shopper = self.shop.shopper().await;
        let load = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(100));
            loop {
                ticks.tick().await;
                self.shop.visitor().get("/products").await.expect(200);
                shopper.put_in_cart(&product, 1).await.expect(201);
                let placed = shopper.post("/checkout", &json!({})).await;
                assert!([201, 202].contains(&placed.status), "{placed:?}"); // its intent may be there already
            }
        };
        tokio::select! {
            done = work => done,
            () = load => unreachable!("it goes on for ever"),
        }
    }

    async fn firing(&self, name: &str) -> Option<Alert> {
        let alerts = self.prometheus.alerts().await;
        alerts.into_iter().find(|alert| alert.name == name && alert.state == "firing")
    }

    /// Waits until this alert fires, and gives its runbook.
    async fn fires(&self, name: &str) -> Runbook<'_> {
        let alert = within(LOOKS, &format!("{name} fires"), async || self.firing(name).await).await;
        assert!(!alert.annotations["summary"].is_empty() && !alert.annotations["summary"].contains("{{"), "{alert:?}");
        let text = fs::read_to_string(repository(&alert.annotations["runbook_url"])).expect("it has a runbook");
        Runbook { shop: &self.shop, text }
    }

    /// Waits until it doesn't.
    async fn resolves(&self, name: &str) {
        within(LOOKS, &format!("{name} resolves"), async || self.firing(name).await.is_none().then_some(())).await;
    }

    /// The order and its timeline, as `kassa order show` tells them.
    async fn shown(&self, order: &Value) -> Value {
        let number = order["number"].to_string();
        let shown = self.shop.database.kassa(&["order", "show", &number, "--json"]).await;
        assert_eq!(shown.code, 0, "{shown:?}");
        serde_json::from_str(&shown.out).expect("JSON")
    }

    /// As `finish`, where Stripe has events in its books that will never be delivered.
    async fn finish_without_events(self) {
        self.shop.control().put("/webhooks", &json!({ "mode": "drop" })).await.expect(200);
        self.finish().await;
    }

    async fn finish(self) {
        drop(self.prometheus);
        self.shop.finish().await;
    }
}

/// What to type.
struct Runbook<'a> {
    shop: &'a Shop,
    text: String,
}

impl Runbook<'_> {
    /// Types a command that stands in the runbook; what it printed.
    async fn kassa(&self, arguments: &[&str]) -> String {
        let words: Vec<_> = arguments.iter().take_while(|word| !word.starts_with('-')).take(2).copied().collect();
        let command = format!("kassa {}", words.join(" "));
        assert!(self.text.contains(&command), "{command} is not in the runbook");
        let ended = self.shop.kassa(arguments).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.out
    }

    /// The same for machines.
    async fn asked(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.kassa(&[arguments, &["--json"]].concat()).await).expect("JSON")
    }
}

/// The kinds of a timeline's entries from one source.
fn kinds<'a>(shown: &'a Value, source: &str) -> Vec<&'a str> {
    let entries = shown["timeline"].as_array().into_iter().flatten();
    entries.filter(|entry| entry["source"] == source).map(|entry| text(&entry["kind"])).collect()
}

/// One order, not yet paid, of somebody who is not the load.
async fn an_order(shop: &Shop) -> (Client, Value) {
    let product = shop.product(1999, 5).await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &product, 1).await;
    (shopper, order)
}
