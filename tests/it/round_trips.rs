//! What an order costs at the database: round trips, commits and waits for locks of each step, held to the table of
//! docs/performance/README.md. One more is a decision, not an accident: whoever adds one changes the table.

use std::collections::{BTreeMap, BTreeSet};

use dev::postgres::Logged;
use serde_json::json;

use crate::harness::{Shop, Speaker, repository, text};

/// The steps of an order, in their order.
const STEPS: [&str; 8] = [
    "POST /cart/items",
    "POST /checkout",
    "payment.create_intent",
    "GET /orders/{id}",
    "POST /webhooks/stripe",
    "webhook.process",
    "inventory.decrement",
    "email.send",
];
/// By what the statements are known that a job sends outside of a transaction.
const ALONE: [(&str, &str); 6] = [
    ("SELECT max(generation)", "payment.create_intent"),
    ("UPDATE webhook_logs SET attempts", "webhook.process"),
    ("FROM payment_intents WHERE stripe_id = $1", "webhook.process"),
    ("FROM emails", "email.send"),
    ("SELECT u.name, o.number", "email.send"),
    ("SELECT name_snapshot", "email.send"),
];
/// What the runtime says, which has connections of its own: it looks after all jobs together, whether there are some or not.
const RUNTIME: [&str; 5] =
    ["FOR UPDATE SKIP LOCKED", "crashes >= 2", "unnest($1::uuid[], $2::integer[]", "schedules", "LISTEN"];
/// By what the worker's looks at the tables for its metrics are known: they come when they come.
const LOOKS: [&str; 2] = ["statement_timeout", "GROUP BY"];

/// What a step costs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cost {
    round_trips: usize,
    commits: usize,
}

/// What a session sent in a transaction, or one statement outside of any.
type Unit<'a> = Vec<&'a Logged>;

fn units<'a>(statements: impl Iterator<Item = &'a Logged>) -> Vec<Unit<'a>> {
    let mut open: BTreeMap<u32, Unit<'a>> = BTreeMap::new();
    let mut done = Vec::new();
    for statement in statements {
        match (statement.text.as_str(), open.remove(&statement.session)) {
            ("COMMIT" | "ROLLBACK", Some(mut unit)) => {
                unit.push(statement);
                done.push(unit);
            }
            (_, Some(mut unit)) => {
                unit.push(statement);
                open.insert(statement.session, unit);
            }
            (begin, None) if begin.starts_with("BEGIN") => {
                open.insert(statement.session, vec![statement]);
            }
            (_, None) => done.push(vec![statement]),
        }
    }
    assert!(open.is_empty(), "a transaction has no end: {open:?}");
    done
}

/// A statement that is no part of a transaction commits what it writes.
fn commits(unit: &Unit<'_>) -> bool {
    let last = &unit[unit.len() - 1].text;
    last == "COMMIT" || unit.len() == 1 && !last.trim_start().starts_with("SELECT")
}

/// Whose unit of the worker's it is, by the job that it completes, or by what it says.
fn queue<'a>(unit: &Unit<'_>, jobs: &'a [(String, String)]) -> &'a str {
    let completed = unit.iter().find(|statement| statement.text.starts_with("UPDATE jobs SET status = 'Done'"));
    if let Some(id) = completed.and_then(|statement| statement.parameters[0].as_deref()) {
        return jobs.iter().find(|(job, _)| job == id).map(|(_, queue)| queue.as_str()).expect("the job is there");
    }
    let said = ALONE.iter().find(|(part, _)| unit.len() == 1 && unit[0].text.contains(part));
    said.map(|(_, queue)| *queue).unwrap_or_else(|| panic!("which job says this? {unit:#?}"))
}

fn add(costs: &mut BTreeMap<String, Cost>, step: &str, units: &[Unit<'_>]) {
    let cost = costs.entry(step.to_owned()).or_default();
    cost.round_trips += units.iter().map(Vec::len).sum::<usize>();
    cost.commits += units.iter().filter(|unit| commits(unit)).count();
}

#[tokio::test]
async fn no_step_of_an_order_asks_the_database_more_often_than_the_table_says() {
    let (shop, heard) = Shop::overheard().await;
    shop.control().put("/webhooks", &json!({ "mode": "pretend" })).await.expect(200); // the test sends the one that counts
    let (shopper, product) = (shop.shopper().await, shop.product(500, 5).await);
    let mut costs = BTreeMap::new();
    let began = heard.so_far();
    let mut then = began;
    let mut asked = async |step: &str, costs: &mut BTreeMap<String, Cost>| {
        shop.settle().await;
        let statements = heard.statements(&shop, then).await;
        let of_api = statements.iter().filter(|(speaker, _)| *speaker == Speaker::Api).map(|(_, said)| said);
        add(costs, step, &units(of_api));
        then = heard.so_far();
    };

    shopper.put_in_cart(&product, 1).await.expect(201);
    asked("POST /cart/items", &mut costs).await;
    let key = [("idempotency-key", "key")];
    let order = shopper.call(reqwest::Method::POST, "/checkout", None, &key).await.expect(202);
    asked("POST /checkout", &mut costs).await;
    let order = shopper.see(&order).await;
    asked("GET /orders/{id}", &mut costs).await;
    shop.confirm(&order, "pm_card_visa").await.expect(200);
    let event = shop.event(&order, "payment_intent.succeeded").await;
    shop.control().post(&format!("/events/{}/send", text(&event["id"])), &json!({})).await.expect(200);
    asked("POST /webhooks/stripe", &mut costs).await;
    assert_eq!(shopper.see(&order).await["status"], "paid");

    let jobs = sqlx::query_as("SELECT id::text, job_type FROM jobs").fetch_all(&shop.pool).await;
    let jobs: Vec<(String, String)> = jobs.expect("they can be read");
    let is_of_runtime = |said: &Logged| RUNTIME.iter().any(|part| said.text.contains(part));
    let all = heard.statements(&shop, 0).await;
    let sessions: BTreeSet<u32> =
        all.iter().filter(|(_, said)| is_of_runtime(said)).map(|(_, said)| said.session).collect();
    let statements = heard.statements(&shop, began).await;
    let is_of_a_job = |said: &Logged| !sessions.contains(&said.session);
    let of_worker = statements.iter().filter(|(speaker, said)| *speaker == Speaker::Worker && is_of_a_job(said));
    let is_a_look = |unit: &Unit<'_>| unit.iter().any(|said| LOOKS.iter().any(|part| said.text.contains(part)));
    for unit in units(of_worker.map(|(_, said)| said)).into_iter().filter(|unit| !is_a_look(unit)) {
        add(&mut costs, queue(&unit, &jobs), &[unit]);
    }
    let waits = heard.since(began).matches("still waiting for").count();
    assert_eq!(waits, 0, "one order alone waits for no lock");

    let page = repository("docs/performance/README.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let table: Vec<&str> =
        page.lines().skip_while(|line| *line != "| step | round trips | commits |").skip(2).collect();
    let table: Vec<&str> = table.into_iter().take_while(|line| line.starts_with('|')).collect();
    assert_eq!(costs.len(), STEPS.len(), "{costs:?}");
    let found = STEPS.map(|step| format!("| {step} | {} | {} |", costs[step].round_trips, costs[step].commits));
    let total = |of: fn(&Cost) -> usize| costs.values().map(of).sum::<usize>();
    let total = format!("| all of it | {} | {} |", total(|cost| cost.round_trips), total(|cost| cost.commits));
    assert_eq!(
        [&found[..], &[total]].concat().join("\n"),
        table.join("\n"),
        "left: as it is; right: docs/performance/README.md"
    );
    shop.finish().await;
    heard.stop().await;
}
