//! Grafana's dashboards: a real Prometheus scrapes a trading shop, and each panel's query has data; what is done is what they show. Their
//! files are whole, and in one style.

mod net;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use dev::mail::Fault;
use image::ImageFormat;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Prometheus, Shop, eventually, file, files, repository, text};

/// A dashboard's file, by its name.
struct Dashboard {
    name: String,
    raw: String,
    json: Value,
}

fn dashboards() -> Vec<Dashboard> {
    let dashboards: Vec<_> = files("grafana/dashboards", "json")
        .into_iter()
        .map(|path| {
            let raw = fs::read_to_string(&path).expect("it is a text");
            let json = serde_json::from_str(&raw).expect("JSON");
            Dashboard { name: path.file_stem().expect("a name").to_string_lossy().into_owned(), raw, json }
        })
        .collect();
    assert!(dashboards.len() >= 4, "shop, API, worker and database");
    dashboards
}

impl Dashboard {
    /// Its panels, rows aside.
    fn panels(&self) -> Vec<&Value> {
        let all = self.json["panels"].as_array().expect("a list").iter();
        let panels: Vec<_> = all.filter(|panel| panel["type"] != "row").collect();
        assert!(!panels.is_empty(), "{} shows nothing", self.name);
        panels
    }
}

fn expressions(panel: &Value) -> Vec<&str> {
    panel["targets"].as_array().into_iter().flatten().map(|target| text(&target["expr"])).collect()
}

/// An expression as Grafana sends it.
fn substituted(expression: &str) -> String {
    let values = [("$__rate_interval", "1m"), ("$__range", "5m"), ("$instance", ".*")];
    let sent = values.iter().fold(expression.to_owned(), |sent, (variable, value)| sent.replace(variable, value));
    assert!(!sent.replace("${1}", "").contains('$'), "a variable that the test doesn't know: {expression}");
    sent
}

/// What one round of trading adds to each figure.
const ADDED: [(&str, f64); 22] = [
    ("sum(kassa_orders_placed_total)", 5.0),
    ("sum(kassa_orders_paid_total{currency='usd'})", 3.0),
    ("sum(kassa_revenue_minor_units_total{currency='usd'})", 2000.0),
    ("sum(kassa_refunded_minor_units_total{currency='usd'})", 300.0),
    ("sum(kassa_refunds_total{origin='operator', status='succeeded'})", 1.0),
    ("max(kassa_orders{status='paid'})", 3.0),
    ("max(kassa_orders{status='canceled'})", 1.0),
    ("max(kassa_orders{status='payment_failed'})", 1.0),
    ("max(kassa_stock_reserved_units)", 1.0),
    ("max(kassa_products{status='active'})", 1.0),
    ("max(kassa_products_low_on_stock)", 1.0),
    ("max(kassa_jobs{queue='email.send', state='dead'})", 1.0),
    ("max(kassa_emails_unsent{status='failed'})", 1.0),
    ("sum(kassa_jobs_total{queue='email.send', outcome='dead'})", 1.0),
    ("sum(kassa_emails_total{kind='order_confirmed', outcome='sent'})", 2.0),
    ("sum(kassa_emails_total{outcome='refused'})", 1.0),
    ("sum(kassa_images_total{outcome='ready'})", 1.0),
    ("sum(kassa_http_requests_total{route='unmatched', status='404'})", 2.0),
    ("sum(kassa_rate_limited_total{limit='login_account'})", 1.0),
    ("sum(kassa_webhook_events_received_total{outcome='invalid_signature'})", 1.0),
    ("sum(kassa_stripe_requests_total{operation='create_refund', outcome='ok'})", 1.0),
    ("sum(kassa_stripe_requests_total{operation='create_intent', outcome='ok'})", 5.0),
];

/// What an operator is woken for, say.
const RULES: &str = "
groups:
  - name: trial
    rules:
      - alert: DeadJobs
        expr: max by (queue) (kassa_jobs{state='dead'}) > 0
        annotations: { summary: '{{ $value }} jobs are dead' }
";

/// How often somebody may try to log in.
const LOGINS: usize = 5;

/// A round: two orders are paid and one of them refunded in part, one is declined, one canceled, one paid by somebody whose address the
/// mail server refuses for good; an image is uploaded; strangers look for what isn't there, forge an event and guess at a password.
async fn trade(shop: &Shop) {
    let admin = shop.admin().await;
    let product = shop.product(500, 7).await;
    let image = admin.upload(&product, &file(64, 48, ImageFormat::Jpeg)).await.expect(202);
    let shopper = shop.shopper().await;
    let first = shop.paid_order(&shopper, &product, 2).await;
    shop.paid_order(&shopper, &product, 1).await;
    admin.refund(&first, &json!({ "amount": 300 })).await.expect(202);
    let declined = shop.order(&shopper, &product, 1).await;
    shop.confirm(&declined, "pm_card_visa_chargeDeclined").await.expect(402);
    let canceled = shop.order(&shopper, &product, 1).await;
    shopper.cancel(&canceled).await;
    let unreachable = shop.shopper().await;
    let refusal = json!({ "at": "recipient", "to": unreachable.email, "code": 550 });
    shop.mail.add_fault(serde_json::from_value::<Fault>(refusal).expect("a fault"));
    shop.paid_order(&unreachable, &product, 1).await;
    shopper.wait_for(&declined, "payment_failed").await;
    shopper.wait_for(&canceled, "canceled").await;
    admin.wait_for_refunds(&first, &["succeeded"]).await;
    shop.image(&admin, &product, &image, "ready").await;

    let visitor = shop.visitor();
    for path in ["/nowhere/1", "/nowhere/2"] {
        visitor.get(path).await.problem(404, "not_found");
    }
    for _ in 0..2 {
        visitor.get("/products").await.expect(200);
    }
    visitor.post("/webhooks/stripe", &json!({ "id": "evt_1" })).await.problem(400, "invalid_signature");
    let guess =
        json!({ "email": format!("nobody-{}@kassa.example", Uuid::new_v4().simple()), "password": "letmein letmein" });
    for _ in 0..LOGINS {
        visitor.post("/auth/login", &guess).await.problem(401, "invalid_credentials");
    }
    visitor.post("/auth/login", &guess).await.problem(429, "rate_limited");
    shop.settle().await;
}

/// Waits until all figures are those of so many rounds, and no other.
async fn show_rounds(prometheus: &Prometheus, rounds: f64) {
    let mut last = Vec::new();
    let wrong = eventually("the figures are those of what was done", async || {
        let mut wrong = Vec::new();
        for (figure, added) in ADDED {
            let shown = prometheus.sum(figure).await;
            match shown {
                Some(shown) if shown > rounds * added => return Some(vec![(figure, Some(shown))]),
                Some(shown) if shown >= rounds * added => {}
                shown => wrong.push((figure, shown)),
            }
        }
        if wrong != last {
            println!("not yet: {wrong:?}");
            last.clone_from(&wrong);
        }
        wrong.is_empty().then_some(wrong)
    })
    .await;
    assert_eq!(wrong, [], "more than was done");
}

#[tokio::test]
async fn every_panel_has_data_and_what_was_done_is_shown() {
    let settings = [("RATE_LIMITS", "on"), ("RATE_LIMIT_LOGIN", &LOGINS.to_string())];
    let shop = Shop::with(&settings).await;
    let prometheus = Prometheus::start(&shop, Some(RULES)).await;
    trade(&shop).await;
    show_rounds(&prometheus, 1.0).await;
    trade(&shop).await;
    show_rounds(&prometheus, 2.0).await;

    let dashboards = dashboards();
    let mut without = Vec::new();
    for dashboard in &dashboards {
        for panel in dashboard.panels() {
            let queries = expressions(panel).into_iter().map(substituted);
            without.extend(queries.map(|query| (dashboard.name.as_str(), text(&panel["title"]), query)));
        }
    }
    eventually("each panel's query has data", async || {
        let mut still = Vec::new();
        for query in without.drain(..) {
            let series = prometheus.query(&query.2).await;
            if !series.iter().any(|series| series.value.is_finite()) {
                still.push(query);
            }
        }
        println!("without data: {still:#?}");
        without = still;
        without.is_empty().then_some(())
    })
    .await;

    let dead = prometheus.query("max by (queue) (kassa_jobs{state='dead'}) > 0").await;
    let queues: Vec<_> = dead.iter().map(|series| (series.labels["queue"].as_str(), series.value)).collect();
    assert_eq!(queues, [("email.send", 2.0)]);
    eventually("the alert tells of both", async || {
        let alerts = prometheus.alerts().await;
        let told = alerts.iter().find(|alert| alert.name == "DeadJobs" && alert.state == "firing")?;
        assert_eq!(told.labels["queue"], "email.send");
        (told.annotations["summary"] == "2 jobs are dead").then_some(())
    })
    .await;
    shop.mail.remove_faults();
    let retried = shop.database.kassa(&["jobs", "retry", "--all"]).await;
    assert_eq!(retried.code, 0, "{retried:?}");
    eventually("no job is dead any more", async || {
        let none = prometheus.sum("max(kassa_jobs{queue='email.send', state='dead'})").await == Some(0.0);
        (none && prometheus.alerts().await.is_empty()).then_some(())
    })
    .await;
    shop.finish().await;
}

/// The words of an expression that name metrics.
fn metrics_in(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("kassa_") || word.starts_with("process_")).map(str::to_owned).collect()
}

#[test]
fn the_files_are_whole_and_in_one_style() {
    let known = include_str!("../../docs/metrics.md");
    let runbooks = repository("docs/runbooks");
    let mut uids = BTreeSet::new();
    for dashboard in dashboards() {
        let Dashboard { name, raw, json } = &dashboard;
        let pretty = format!("{}\n", serde_json::to_string_pretty(json).expect("it was JSON"));
        assert!(*raw == pretty, "{name}: two blanks a level, the keys of each object in order");
        assert_eq!(text(&json["uid"]), format!("kassa-{name}"));
        assert!(uids.insert(text(&json["uid"]).to_owned()), "{name}: its uid is another's");
        assert_eq!(json["schemaVersion"], 41, "{name}: as Grafana 12 writes it");
        let all = json["panels"].as_array().expect("a list");
        let ids: BTreeSet<_> = all.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
        assert_eq!(ids.len(), all.len(), "{name}: each panel has an id of its own");
        let mut taken = BTreeMap::new();
        for panel in all {
            let side = |side: &str| panel["gridPos"][side].as_u64().expect("a number");
            assert!(side("x") + side("w") <= 24, "{name}: {panel:#}");
            for (x, y) in
                (side("x")..side("x") + side("w")).flat_map(|x| (side("y")..side("y") + side("h")).map(move |y| (x, y)))
            {
                let other = taken.insert((x, y), text(&panel["title"]));
                assert_eq!(other, None, "{name}: {} lies over it", panel["title"]);
            }
        }
        for panel in dashboard.panels() {
            let title = text(&panel["title"]);
            let description = text(&panel["description"]);
            assert!(!title.is_empty() && description.ends_with('.'), "{name}: {panel:#}");
            assert!(!text(&panel["fieldConfig"]["defaults"]["unit"]).is_empty(), "{name}, {title}: no unit");
            let sources = panel["targets"].as_array().into_iter().flatten().chain([panel]);
            assert!(sources.into_iter().all(|of| of["datasource"]["uid"] == "${datasource}"), "{name}, {title}");
            for link in panel["links"].as_array().into_iter().flatten() {
                let runbook = text(&link["url"]).strip_prefix("${runbooks}/").expect("links lead to runbooks");
                assert!(
                    description.contains(&format!("docs/runbooks/{runbook}")),
                    "{name}, {title}: where it is in words"
                );
                assert!(runbooks.join(runbook).is_file(), "{name}, {title}: no {runbook}");
            }
            let expressions = expressions(panel);
            assert!(!expressions.is_empty(), "{name}, {title}: no query");
            for expression in expressions {
                assert!(!expression.contains("or vector"), "{name}, {title}: it would hide that a series is missing");
                for metric in metrics_in(expression) {
                    let endings = ["_bucket", "_count", "_sum"];
                    let base = endings.iter().find_map(|ending| metric.strip_suffix(ending)).unwrap_or(&metric);
                    assert!(known.contains(&format!("`{base}`")), "{name}, {title}: docs/metrics.md has no {base}");
                }
            }
        }
    }
}
