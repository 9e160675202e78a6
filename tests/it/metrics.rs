//! `/metrics` of both programs: in Prometheus' text format, with all that docs/metrics.md tells of, counted rightly.

mod found;
mod standing;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::harness::{Client, Shop, eventually, text, tool};

const TABLE: &str = include_str!("../../docs/metrics.md");

/// A metric, labels of its samples, and what these come to.
type Figure<'a> = (&'a str, &'a [(&'a str, &'a str)], i64);

/// What a program exposes.
#[derive(Debug, Default)]
struct Exposition {
    helps: BTreeMap<String, String>,
    types: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Exposition {
    /// Reads it, strictly: <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.
    async fn of(program: &Client) -> Self {
        let answer = program.get("/metrics").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        let mut read = Self::default();
        for line in answer.raw.lines().filter(|line| !line.is_empty()) {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').expect("a name and a text");
                assert!(!words.is_empty() && read.helps.insert(name.to_owned(), words.to_owned()).is_none(), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a name and a type");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(read.types.insert(name.to_owned(), kind.to_owned()), None, "{line}");
            } else {
                read.samples.push(Sample::parse(line).unwrap_or_else(|| panic!("neither comment nor sample: {line}")));
            }
        }
        read
    }

    /// The sum of a metric's samples that have these labels; none if there are none.
    fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has =
            |sample: &&Sample| labels.iter().all(|(name, value)| sample.labels.get(*name).is_some_and(|v| v == value));
        let values: Vec<f64> = self.samples.iter().filter(|s| s.name == name).filter(has).map(|s| s.value).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// The metric that a sample belongs to: a histogram's samples have its name and an ending.
    fn family<'a>(&self, sample: &'a str) -> &'a str {
        let endings = ["_bucket", "_sum", "_count"];
        let base = endings.iter().find_map(|ending| sample.strip_suffix(ending)).unwrap_or(sample);
        if self.types.get(base).is_some_and(|kind| kind == "histogram") { base } else { sample }
    }
}

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        let (metric, value) = line.rsplit_once(' ')?;
        let (name, labels) = match metric.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix("\"}")?),
            None => (metric, ""),
        };
        let pairs = labels.split("\",").filter(|pair| !pair.is_empty());
        let labels = pairs.map(|pair| pair.split_once("=\"").map(|(name, value)| (name.to_owned(), value.to_owned())));
        Some(Self { name: name.to_owned(), labels: labels.collect::<Option<_>>()?, value: value.parse().ok()? })
    }
}

/// A purchase, a decline, events that are forged, foreign or early, and requests for what isn't there.
async fn trade(shop: &Shop) -> Vec<Value> {
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    let paid = shop.order(&shopper, &product, 2).await;
    shop.pay(&shopper, &paid).await;
    let declined = shop.order(&shopper, &product, 1).await;
    shop.confirm(&declined, "pm_card_visa_chargeDeclined").await.expect(402);
    shopper.wait_for(&declined, "payment_failed").await;
    shop.mails(&shopper.email, 2).await;
    shop.settle().await;
    shop.visitor().post("/webhooks/stripe", &json!({ "id": "evt_1" })).await.problem(400, "invalid_signature");
    for path in ["/nowhere/1", "/nowhere/2", "/products/01890000-0000-7000-8000-000000000000"] {
        shop.visitor().get(path).await.problem(404, "not_found");
    }
    vec![product["id"].clone(), paid["id"].clone(), declined["id"].clone(), json!(shopper.email)]
}

#[tokio::test]
async fn what_happened_is_counted_once() {
    let shop = Shop::start().await;
    trade(&shop).await;
    let stored = shop.count("SELECT count(*) FROM webhook_logs").await;
    let settled = |status| format!("SELECT count(*) FROM webhook_logs WHERE status = '{status}'");
    let [processed, ignored] = [shop.count(&settled("processed")).await, shop.count(&settled("ignored")).await];
    let [api, worker] = shop.operations();
    let (api, worker) = (Exposition::of(&api).await, Exposition::of(&worker).await);
    let requests = "kassa_http_requests_total";
    let jobs = "kassa_jobs_total";
    let of_api: &[Figure<'_>] = &[
        ("kassa_orders_placed_total", &[], 2),
        (requests, &[("method", "POST"), ("route", "/checkout"), ("status", "201")], 2),
        (requests, &[("route", "/webhooks/stripe"), ("status", "200")], stored),
        (requests, &[("route", "/webhooks/stripe"), ("status", "400")], 1),
        (requests, &[("route", "unmatched"), ("status", "404")], 2),
        (requests, &[("route", "/products/{id}"), ("status", "404")], 1),
        ("kassa_http_request_duration_seconds_count", &[("route", "/checkout")], 2),
        ("kassa_webhook_events_received_total", &[("outcome", "stored")], stored),
        ("kassa_webhook_events_received_total", &[("outcome", "invalid_signature")], 1),
    ];
    let of_worker: &[Figure<'_>] = &[
        ("kassa_orders_paid_total", &[("currency", "usd")], 1),
        ("kassa_revenue_minor_units_total", &[("currency", "usd")], 1000),
        ("kassa_order_transitions_total", &[("from", "pending"), ("to", "awaiting_payment")], 2),
        ("kassa_order_transitions_total", &[("to", "paid")], 1),
        ("kassa_order_transitions_total", &[("to", "payment_failed")], 1),
        ("kassa_webhook_events_settled_total", &[("outcome", "processed")], processed),
        ("kassa_webhook_events_settled_total", &[("outcome", "ignored")], ignored),
        ("kassa_webhook_received_to_settled_seconds_count", &[], stored),
        ("kassa_emails_total", &[("kind", "order_confirmed"), ("outcome", "sent")], 1),
        ("kassa_emails_total", &[("kind", "payment_failed"), ("outcome", "sent")], 1),
        ("kassa_stripe_requests_total", &[("operation", "create_intent"), ("outcome", "ok")], 2),
        (jobs, &[("queue", "payment.create_intent"), ("outcome", "done")], 2),
        (jobs, &[("queue", "webhook.process"), ("outcome", "done")], stored),
        (jobs, &[("queue", "inventory.decrement"), ("outcome", "done")], 1),
        (jobs, &[("queue", "email.send"), ("outcome", "done")], 2),
        ("kassa_job_duration_seconds_count", &[("queue", "payment.create_intent")], 2),
        ("kassa_job_start_delay_seconds_count", &[("queue", "payment.create_intent")], 2),
    ];
    for (program, figures) in [(&api, of_api), (&worker, of_worker)] {
        for (name, labels, count) in figures {
            let found = program.get(name, labels);
            assert_eq!(found.map(|value| value.to_string()), Some(count.to_string()), "{name} {labels:?}");
        }
    }
    let [_, worker] = shop.operations();
    eventually("the queues are sampled: each order's expiry is ahead", async || {
        let ahead = Exposition::of(&worker).await.get("kassa_jobs", &[("queue", "order.expire"), ("state", "pending")]);
        (ahead.map(|value| value.to_string()).as_deref() == Some("2")).then_some(())
    })
    .await;
    shop.finish().await;
}

#[tokio::test]
async fn money_is_counted_once_and_in_its_own_currency() {
    let shop = Shop::start().await;
    let (admin, shopper, product) = (shop.admin().await, shop.shopper().await, shop.product(500, 5).await);
    // Paid, refunded in vain, accepted: paid once.
    let order = shop.paid_order(&shopper, &product, 1).await;
    shop.settle().await;
    shop.refund_in_vain(&admin, &shopper, &order).await;
    admin.accept(&order).await.expect(200);
    // Paid in another currency: it goes back.
    let foreign = shop.order(&shopper, &product, 1).await;
    let path = format!("/payment_intents/{}", text(&foreign["payment"]["intent_id"]));
    shop.control().post(&path, &json!({ "currency": "eur" })).await.expect(200);
    shop.confirm(&foreign, "pm_card_visa").await.expect(200);
    shopper.wait_for(&foreign, "refunded").await;
    shop.settle().await;
    let [api, worker] = shop.operations();
    let programs = [Exposition::of(&api).await, Exposition::of(&worker).await];
    for (name, currency, sum) in [
        ("kassa_orders_paid_total", "usd", 1),
        ("kassa_revenue_minor_units_total", "usd", 500),
        ("kassa_refunded_minor_units_total", "usd", 500),
        ("kassa_refunds_reversed_minor_units_total", "usd", 500),
        ("kassa_refunded_minor_units_total", "eur", 500),
    ] {
        let told: f64 = programs.iter().filter_map(|program| program.get(name, &[("currency", currency)])).sum();
        assert_eq!(told.to_string(), sum.to_string(), "{name} in {currency}");
    }
    let reversed = programs
        .iter()
        .find_map(|program| program.get("kassa_refunds_reversed_minor_units_total", &[("currency", "eur")]));
    assert_eq!(reversed.map(|sum| sum.to_string()).as_deref(), Some("0"), "what a difference is taken of is there");
    let seen = admin.inspect(&foreign).await;
    assert_eq!((&seen["currency"], &seen["refunds"][0]["currency"]), (&json!("usd"), &json!("eur")));
    for event in ["payment_intent.succeeded", "refund.created"] {
        let list = format!("/admin/payments?order={}&operation=event:{event}", foreign["number"]);
        assert_eq!(admin.get(&list).await.expect(200)["items"][0]["currency"], "eur", "{event}");
    }
    shop.finish().await;
}

/// What promtool finds wrong with what a program exposes.
fn lint(exposed: &str) -> String {
    let mut promtool = Command::new(tool("promtool"));
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().expect("it is there");
    promtool.stdin.take().expect("it is piped").write_all(exposed.as_bytes()).expect("promtool reads it");
    let ended = promtool.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
    assert_eq!(ended.status.success(), told.is_empty(), "{told}");
    told
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_what_the_programs_expose() {
    let shop = Shop::start().await;
    trade(&shop).await;
    for program in shop.operations() {
        assert_eq!(lint(&program.get("/metrics").await.raw), "");
    }
    let wrong = "# TYPE kassa_wrong counter\nkassa_wrong 1\n";
    assert!(lint(wrong).contains("kassa_wrong"), "promtool says what is wrong");
    shop.finish().await;
}

/// Whether it is told whatever the system: Linux tells most of a process.
fn is_everywhere(name: &str) -> bool {
    cfg!(target_os = "linux") || !name.starts_with("process_")
}

/// What is in the documentation's table of a metric, from what the programs expose.
fn row(name: &str, programs: &[&Exposition; 2]) -> String {
    let has = programs.map(|program| program.types.contains_key(name));
    let of = if has[0] { programs[0] } else { programs[1] };
    let labels: BTreeSet<_> = programs
        .iter()
        .flat_map(|program| program.samples.iter().filter(|sample| program.family(&sample.name) == name))
        .flat_map(|sample| sample.labels.keys())
        .filter(|label| *label != "le")
        .map(|label| format!("`{label}`"))
        .collect();
    let labels = labels.into_iter().collect::<Vec<_>>().join(", ");
    let by = match has {
        [true, true] => "both",
        [true, false] => "API",
        _ => "worker",
    };
    format!("| `{name}` | {} | {labels} | {by} | {} |", of.types[name], of.helps[name])
}

#[tokio::test]
async fn all_that_is_told_of_is_there_and_explained_and_bounded() {
    let shop = Shop::start().await;
    let names = trade(&shop).await;
    let unknown = json!({ "id": "evt_early", "type": "payment_intent.succeeded", "livemode": false, "data": { "object": {
        "id": "pi_other", "status": "succeeded", "amount": 1, "amount_received": 1, "currency": "usd",
        "metadata": { "order_id": "01890000-0000-7000-8000-000000000000" } } } });
    shop.control().post("/webhooks/send", &json!({ "payload": unknown })).await.expect(200);
    let names_in_table = TABLE.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let told: BTreeSet<_> = names_in_table.filter(|name| is_everywhere(name)).collect();
    let expositions = eventually("the programs have all figures", async || {
        let [api, worker] = shop.operations();
        let both = [Exposition::of(&api).await, Exposition::of(&worker).await];
        let has = |name: &&str| both.iter().any(|program| program.types.contains_key(*name));
        told.iter().all(has).then_some(both)
    })
    .await;
    for program in &expositions {
        for sample in &program.samples {
            let family = program.family(&sample.name);
            assert!(program.types.contains_key(family), "{family} has no TYPE");
            assert!(program.helps.contains_key(family), "{family} has no HELP");
            assert!(sample.value.is_finite() && sample.value >= 0.0, "{sample:?}");
            let counts = program.types[family] == "counter";
            assert_eq!(sample.name.ends_with("_total"), counts, "as Prometheus names counters: {}", sample.name);
            for value in sample.labels.values() {
                assert!(!value.contains("nowhere") && value.parse::<uuid::Uuid>().is_err(), "{sample:?}");
                assert!(names.iter().all(|name| !value.contains(text(name))), "{sample:?}");
            }
        }
    }
    let both = expositions.each_ref();
    let all: BTreeSet<_> = both.iter().flat_map(|p| p.types.keys()).filter(|name| is_everywhere(name)).collect();
    let rows: Vec<_> = all.iter().map(|name| row(name, &both)).collect();
    let table = TABLE.lines().filter(|line| line.strip_prefix("| `").is_some_and(is_everywhere));
    let table: Vec<_> = table.collect();
    assert!(table == rows, "docs/metrics.md should have this table:\n{}", rows.join("\n"));
    shop.leave(); // the early event is looked at for a day
}
