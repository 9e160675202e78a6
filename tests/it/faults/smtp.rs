//! Row 13: a mail server that fails in each of its ways. No order is affected, and each mail comes: once, or under one Message-ID.

use std::{collections::BTreeSet, io::Write as _, time::Instant};

use dev::mail::Fault;
use serde_json::{Value, json};

use crate::harness::{Shop, eventually};

/// Each strikes once.
fn ways() -> Vec<(&'static str, Value)> {
    let mut ways = vec![
        ("slow", json!({ "at": "message", "delay_ms": 700 })),
        ("taken, answer lost", json!({ "at": "message", "keep": true, "cut": true })),
        ("taken, silent after DATA", json!({ "at": "message", "keep": true, "hang": true })),
        ("silent after DATA", json!({ "at": "message", "hang": true })),
        ("450 at RCPT", json!({ "at": "recipient", "code": 450 })),
        ("451 after DATA", json!({ "at": "message", "code": 451 })),
        ("421 at greeting", json!({ "at": "connect", "code": 421 })),
    ];
    for (name, at) in [("silent at greeting", "connect"), ("silent at MAIL", "mail")] {
        ways.push((name, json!({ "at": at, "hang": true })));
    }
    for (name, at) in [("cut at greeting", "connect"), ("cut at RCPT", "recipient"), ("cut at DATA", "data")] {
        ways.push((name, json!({ "at": at, "cut": true })));
    }
    ways
}

#[tokio::test]
async fn each_mail_comes_however_its_server_fails_and_no_order_waits_for_it() {
    let shop = Shop::with(&[("SMTP_TIMEOUT_SECONDS", "1")]).await;
    let product = shop.product(500, 50).await;
    let mut row = String::new();
    for (name, mut fault) in ways() {
        let began = Instant::now();
        fault["times"] = json!(1);
        shop.mail.remove_faults();
        if fault["at"] == "connect" {
            // The worker keeps its connection: only a new one is greeted.
            let cut = json!({ "at": "mail", "cut": true, "times": 1 });
            shop.mail.add_fault(serde_json::from_value::<Fault>(cut).expect("a fault"));
        }
        let fault = shop.mail.add_fault(serde_json::from_value::<Fault>(fault).expect("a fault"));
        let shopper = shop.shopper().await;
        shop.paid_order(&shopper, &product, 1).await;
        shop.mails(&shopper.email, 1).await;
        let sent = "SELECT count(*) FROM emails WHERE status <> 'sent'";
        eventually(&format!("{name}: the mail is booked as sent"), async || {
            (shop.count(sent).await == 0).then_some(())
        })
        .await;
        let faults = reqwest::get(format!("{}/_control/faults", shop.mail.inbox_url())).await.expect("it answers");
        let faults: Value = faults.json().await.expect("JSON");
        assert_eq!(faults[fault.to_string()]["hits"], 1, "{name} has struck: {faults}");
        let all = shop.mail.messages();
        let came: Vec<_> = all.iter().filter(|mail| mail.went_to(&shopper.email)).collect();
        let ids: BTreeSet<_> = came.iter().map(|mail| mail.message_id.clone()).collect();
        assert_eq!(ids.len(), 1, "{name}");
        assert_eq!(came.len(), if name.starts_with("taken") { 2 } else { 1 }, "{name}");
        row += &format!(" | {name}: ✓ {:.1} s", began.elapsed().as_secs_f64());
    }
    let _nobody_reads_it = writeln!(std::io::stderr(), "\nSMTP{row}");
    shop.finish().await;
}

#[tokio::test]
async fn mails_wait_for_a_mail_server_that_is_down() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    shop.mail.add_fault(serde_json::from_value::<Fault>(json!({ "at": "connect", "cut": true })).expect("a fault"));
    let order = shop.paid_order(&shopper, &product, 1).await;
    let failing = "SELECT count(*) FROM jobs WHERE job_type = 'email.send' AND failures >= 3";
    eventually("it was tried", async || (shop.count(failing).await == 1).then_some(())).await;
    assert_eq!(shopper.see(&order).await["status"], "paid");
    assert_eq!(shop.stock(&product).await, (4, 4));
    shop.mail.remove_faults();
    assert_eq!(shop.mails(&shopper.email, 1).await.len(), 1);
    shop.finish().await;
}
