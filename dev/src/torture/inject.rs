//! How each kind of fault is done, and undone.

use std::time::Duration;

use anyhow::{Result, ensure};
use dev::proxy::{self, Direction};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    fault::Kind,
    ground::{Ground, Way},
    member::Member,
    plan::Planned,
};
use crate::client::Client;

/// Between two looks whether a fault has struck.
const LOOK: Duration = Duration::from_millis(100);
/// The longest wait for webhooks that are sent by hand.
const BY_HAND: Duration = Duration::from_secs(5);

/// Lets it happen, and ends it. Tells whether it has struck anybody.
pub(super) async fn inject(ground: &Ground, fault: Planned) -> Result<bool> {
    let Planned { which, .. } = fault;
    let lasts = Duration::from_millis(fault.ms);
    let (up_ms, down_ms) = (20 + which as u64 % 180, 20 + which as u64 % 90);
    let delayed = proxy::Way::Delayed { up_ms, down_ms };
    let answers_lost = proxy::Way::Swallowing { direction: Direction::Down };
    match fault.kind {
        Kind::ApiKilled => {
            ground.send_webhooks_to(which + 1)?; // the one that stays
            kill(pick(&ground.apis, which), lasts).await
        }
        Kind::WorkerKilled => kill(pick(&ground.workers, which), lasts).await,
        Kind::WorkerStopped => {
            let running = pick(&ground.workers, which).take().await;
            running.signal(Signal::SIGSTOP);
            sleep(lasts).await;
            running.signal(Signal::SIGCONT);
            Ok(true)
        }
        Kind::PostgresCrashed => {
            ground.postgres.lock().await.crash().await?;
            Ok(true)
        }
        Kind::DatabaseCut => worsen(pick(&ground.to_database, which), proxy::Way::Cut, lasts).await,
        Kind::DatabaseDelayed => worsen(pick(&ground.to_database, which), delayed, lasts).await,
        Kind::DatabaseSwallowed => worsen(pick(&ground.to_database, which), answers_lost, lasts).await,
        Kind::DatabaseBlackholed => worsen(pick(&ground.to_database, which), proxy::Way::Blackhole, lasts).await,
        Kind::StripeCut => worsen(pick(&ground.to_stripe, which), proxy::Way::Cut, lasts).await,
        Kind::StripeDelayed => worsen(pick(&ground.to_stripe, which), delayed, lasts).await,
        Kind::StripeSwallowed => worsen(pick(&ground.to_stripe, which), answers_lost, lasts).await,
        Kind::StripeBlackholed => worsen(pick(&ground.to_stripe, which), proxy::Way::Blackhole, lasts).await,
        Kind::ApiCut => worsen(pick(&ground.to_apis, which), proxy::Way::Cut, lasts).await,
        Kind::ApiSwallowed => worsen(pick(&ground.to_apis, which), answers_lost, lasts).await,
        Kind::WebhooksRepeated => repeat_webhooks(ground).await,
        Kind::WebhooksReordered => reorder_webhooks(ground, lasts).await,
        Kind::WebhooksDropped => change_webhooks(ground, &json!({ "mode": "drop" }), lasts).await,
        Kind::WebhooksDelayed => change_webhooks(ground, &json!({ "delay_ms": 500 + 2 * which }), lasts).await,
        Kind::Stripe500
        | Kind::Stripe500Saved
        | Kind::Stripe429
        | Kind::StripeHangs
        | Kind::StripeReset
        | Kind::StripeReplyLost
        | Kind::StripeHtml
        | Kind::StripeTruncated => strike_stripe(ground, fault).await,
        Kind::MailSlow | Kind::MailRefused | Kind::MailHangs | Kind::MailCut | Kind::MailAnswerLost => {
            strike(&ground.mail_control(), &mail_fault(fault), fault).await
        }
    }
}

fn pick<T>(all: &[T], which: usize) -> &T {
    &all[which % all.len()]
}

async fn kill(member: &Member, pause: Duration) -> Result<bool> {
    let mut running = member.take().await;
    running.kill().await;
    sleep(pause).await;
    member.start(&mut running).await?;
    Ok(true)
}

async fn worsen(way: &Way, how: proxy::Way, lasts: Duration) -> Result<bool> {
    let _turn = way.turn.lock().await;
    way.proxy.set(how).await?;
    sleep(lasts).await;
    way.proxy.restore().await?;
    Ok(true)
}

/// The events of late.
async fn latest_events(ground: &Ground, count: usize) -> Result<Vec<Value>> {
    let mut reply = ground.stripe_account().get(&format!("/v1/events?limit={count}")).await?.expect(&[200])?;
    Ok(reply.body["data"].as_array_mut().map(std::mem::take).unwrap_or_default())
}

async fn repeat_webhooks(ground: &Ground) -> Result<bool> {
    let _turn = ground.webhooks.lock().await;
    let events = latest_events(ground, 3).await?;
    for event in &events {
        let path = format!("/events/{}/send", event["id"].as_str().unwrap_or_default());
        // Whether they are taken is their business.
        let (control, times) = (ground.control(), json!({ "times": 5 }));
        let _sent = tokio::time::timeout(BY_HAND, control.post(&path, &times)).await;
    }
    Ok(!events.is_empty())
}

async fn reorder_webhooks(ground: &Ground, lasts: Duration) -> Result<bool> {
    let _turn = ground.webhooks.lock().await;
    let control = ground.control();
    control.put("/webhooks", &json!({ "mode": "hold" })).await?.expect(&[200])?;
    let mut waiting = 0;
    let deadline = Instant::now() + 2 * lasts;
    while waiting < 2 && Instant::now() < deadline {
        sleep(lasts / 4).await;
        let plan = control.get("/webhooks").await?.expect(&[200])?.body;
        waiting = plan["waiting"].as_u64().unwrap_or_default();
    }
    let backwards = json!({ "reverse": true });
    let _sent = tokio::time::timeout(BY_HAND, control.post("/webhooks/release", &backwards)).await;
    control.put("/webhooks", &json!({ "mode": "deliver" })).await?.expect(&[200])?;
    Ok(waiting >= 2)
}

async fn change_webhooks(ground: &Ground, change: &Value, lasts: Duration) -> Result<bool> {
    let _turn = ground.webhooks.lock().await;
    let newest =
        async || Ok::<_, anyhow::Error>(latest_events(ground, 1).await?.first().map(|event| event["id"].clone()));
    let before = newest().await?;
    ground.control().put("/webhooks", change).await?.expect(&[200])?;
    sleep(lasts).await;
    let after = newest().await?;
    let usual = json!({ "mode": "deliver", "delay_ms": 0 });
    ground.control().put("/webhooks", &usual).await?.expect(&[200])?;
    Ok(after != before)
}

async fn strike_stripe(ground: &Ground, fault: Planned) -> Result<bool> {
    let control = ground.control();
    let create = ("POST", "/v1/payment_intents");
    let call = match fault.which % 10 {
        0..5 => create,
        5..7 => ("POST", "/v1/payment_intents/*/cancel"),
        7 => ("GET", "/v1/payment_intents/*"),
        _ => ("POST", "/v1/refunds"),
    };
    // Few are canceled and refunded; orders are made all the time.
    Ok(strike(&control, &stripe_fault(fault, call), fault).await?
        || strike(&control, &stripe_fault(fault, create), fault).await?)
}

fn stripe_fault(fault: Planned, (method, path): (&str, &str)) -> Value {
    let status = |status, more: Value| {
        let mut answer = json!({ "kind": "status", "status": status });
        if let (Some(answer), Value::Object(more)) = (answer.as_object_mut(), more) {
            answer.extend(more);
        }
        answer
    };
    let (at, answer) = match fault.kind {
        Kind::Stripe500Saved => ("before", status(500, json!({ "saved": true }))),
        Kind::Stripe429 => ("arrival", status(429, json!({ "retry_after": 1 }))),
        Kind::StripeHangs => ("before", json!({ "kind": "hang" })),
        Kind::StripeReset => ("before", json!({ "kind": "reset" })),
        Kind::StripeReplyLost => ("after", json!({ "kind": "reset" })),
        Kind::StripeHtml => ("before", json!({ "kind": "html", "status": 502 })),
        Kind::StripeTruncated => ("after", json!({ "kind": "truncated" })),
        _ => ("before", status(500, Value::Null)),
    };
    json!({ "method": method, "path": path, "times": fault.times, "at": at, "answer": answer })
}

fn mail_fault(fault: Planned) -> Value {
    let moments = ["connect", "mail", "recipient", "data", "message"];
    match fault.kind {
        Kind::MailSlow => json!({ "at": "message", "delay_ms": 500 + fault.which, "times": fault.times }),
        Kind::MailRefused => json!({ "at": pick(&moments[1..], fault.which), "code": 451, "times": fault.times }),
        Kind::MailHangs => json!({ "at": pick(&moments, fault.which), "hang": true, "times": fault.times }),
        Kind::MailCut => json!({ "at": pick(&moments, fault.which), "cut": true, "times": fault.times }),
        _ => json!({ "at": "message", "keep": true, "cut": true, "times": fault.times }),
    }
}

/// Puts a fault in force, waits until it has struck as often as it should, or for its time, and removes it.
async fn strike(control: &Client, body: &Value, fault: Planned) -> Result<bool> {
    let put = control.post("/faults", body).await?.expect(&[200, 201])?.body;
    let id = &put["id"];
    let name = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    let deadline = Instant::now() + Duration::from_millis(fault.ms.max(8_000));
    let mut hits = 0;
    while hits < u64::from(fault.times) && Instant::now() < deadline {
        sleep(LOOK).await;
        let all = control.get("/faults").await?.expect(&[200])?.body;
        // The simulator lists them, the mail catcher has them by number.
        let mut listed = all.as_array().into_iter().flatten();
        let this = listed.find(|other| other["id"] == *id).unwrap_or(&all[&name]);
        ensure!(!this.is_null(), "the fault {name} is gone");
        hits = this["hits"].as_u64().unwrap_or_default();
    }
    if hits > 0 && matches!(fault.kind, Kind::StripeHangs | Kind::MailHangs) {
        sleep(Duration::from_millis(fault.ms)).await;
    }
    control.delete(&format!("/faults/{name}")).await?.expect(&[200, 204])?;
    Ok(hits > 0)
}
