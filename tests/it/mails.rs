//! Mails while their server refuses, fails or loses its answers: orders are not affected, and nobody is told what is no longer so.

use common::db;
use dev::mail::{Catcher, CatcherOptions, Fault, Moment};
use serde_json::{Value, json};
use sqlx::Executor as _;

use crate::harness::{Client, Shop, eventually, text};

fn at(moment: Moment) -> Fault {
    Fault {
        at: moment,
        to: None,
        skip: 0,
        times: None,
        delay_ms: 0,
        hang: false,
        cut: false,
        code: None,
        text: None,
        keep: false,
    }
}

/// A paid order, with a mail on its way.
async fn paid(shop: &Shop) -> (String, Value) {
    let (product, shopper) = (shop.product(500, 1).await, shop.shopper().await);
    let order = shop.order(&shopper, &product, 1).await;
    let order = shop.pay(&shopper, &order).await;
    (shopper.email, order)
}

/// Waits until a mail of this kind was not taken.
async fn tried(shop: &Shop, kind: &str) {
    let tried = format!("SELECT count(*) FROM emails WHERE kind = '{kind}' AND attempts > 0");
    eventually("the mail was tried", async || (shop.count(&tried).await == 1).then_some(())).await;
}

/// An order whose payment was declined, with a mail of that which is not taken.
async fn declined(shop: &Shop) -> (Client, Value) {
    shop.mail.add_fault(Fault { code: Some(451), ..at(Moment::Message) });
    let (product, shopper) = (shop.product(500, 1).await, shop.shopper().await);
    let order = shop.order(&shopper, &product, 1).await;
    shop.confirm(&order, "pm_card_visa_chargeDeclined").await.expect(402);
    tried(shop, "payment_failed").await;
    (shopper, order)
}

#[tokio::test]
async fn a_mail_that_is_not_taken_yet_is_sent_again() {
    let shop = Shop::start().await;
    shop.mail.add_fault(Fault { code: Some(451), times: Some(2), ..at(Moment::Message) });
    shop.mail.add_fault(Fault { code: Some(535), times: Some(1), ..at(Moment::Mail) });
    let (email, _) = paid(&shop).await;
    assert_eq!(shop.mails(&email, 1).await.len(), 1);
    shop.settle().await;
    assert_eq!(shop.count("SELECT count(*) FROM emails WHERE status = 'sent' AND attempts = 4").await, 1);
    shop.finish().await;
}

#[tokio::test]
async fn a_mail_whose_acceptance_got_lost_is_sent_again_under_its_message_id() {
    let shop = Shop::start().await;
    shop.mail.add_fault(Fault { cut: true, keep: true, times: Some(1), ..at(Moment::Message) });
    let (email, _) = paid(&shop).await;
    shop.mails(&email, 2).await;
    shop.settle().await;
    let ids: Vec<_> = shop.mail.messages().iter().map(|mail| mail.message_id.clone()).collect();
    assert!(ids.len() == 2 && ids[0].is_some() && ids[0] == ids[1], "{ids:?}");
    shop.finish().await;
}

#[tokio::test]
async fn a_late_answer_to_one_mail_is_not_taken_for_the_answer_to_another() {
    let shop = Shop::with(&[("SMTP_TIMEOUT_SECONDS", "1")]).await;
    let product = shop.product(500, 2).await;
    let (first, second) = (shop.shopper().await, shop.shopper().await);
    let order = shop.order(&second, &product, 1).await;
    let late = Fault { delay_ms: 1500, times: Some(1), to: Some(first.email.clone()), ..at(Moment::Message) };
    shop.mail.add_fault(late);
    shop.mail.add_fault(Fault { cut: true, times: Some(1), to: Some(second.email.clone()), ..at(Moment::Message) });
    let given_up = shop.order(&first, &product, 1).await;
    shop.pay(&first, &given_up).await;
    let again = "SELECT count(*) FROM emails WHERE status = 'sent' AND attempts = 2";
    eventually("the first mail is sent again", async || (shop.count(again).await == 1).then_some(())).await;
    shop.pay(&second, &order).await;
    shop.settle().await;
    assert_eq!(shop.mails(&second.email, 1).await.len(), 1);
    assert_eq!(shop.count(again).await, 2, "the second mail, too, was cut once");
    shop.finish().await;
}

#[tokio::test]
async fn a_mail_that_is_refused_for_good_is_given_up_at_once_and_the_order_stands() {
    let shop = Shop::start().await;
    shop.mail.add_fault(Fault { code: Some(550), ..at(Moment::Recipient) });
    let (_, order) = paid(&shop).await;
    let given_up = "SELECT count(*) FROM emails WHERE status = 'failed' AND attempts = 1 AND error LIKE '%550%'";
    eventually("the mail is given up", async || (shop.count(given_up).await == 1).then_some(())).await;
    assert_eq!(order["status"], "paid");
    assert_eq!(shop.count("SELECT count(*) FROM jobs WHERE status = 'Killed' AND job_type = 'email.send'").await, 1);
    shop.leave();
}

#[tokio::test]
async fn a_mail_that_was_not_taken_tells_by_whom_at_which_step_and_why() {
    let server = Catcher::start(CatcherOptions::default()).await.expect("a mail catcher");
    let place = server.smtp_url().replace("smtp://", "");
    let url = format!("smtp://shop:hunter2@{place}?tls=opportunistic");
    let shop = Shop::with(&[("MAIL_URL", &url), ("SMTP_TIMEOUT_SECONDS", "1")]).await;
    let (admin, product) = (shop.admin().await, shop.product(500, 20).await);
    let logs_in = at(Moment::Login);
    let told = async |fault: Fault| {
        server.remove_faults();
        // Without such a fault the catcher knows no login.
        server.add_fault(fault.clone());
        server.add_fault(logs_in.clone());
        let shopper = shop.shopper().await;
        let order = shop.paid_order(&shopper, &product, 1).await;
        let tried = async || {
            let listed = admin.get("/admin/emails?limit=1").await.expect(200);
            let mail = listed["items"][0].clone();
            (mail["to"] == json!(shopper.email) && mail["last_error"].is_string()).then_some(mail)
        };
        let error = text(&eventually("the mail was tried", tried).await["last_error"]).to_owned();
        assert!(!error.contains(&shopper.email) && !error.contains("hunter2"), "{error}");
        (error, order, shopper)
    };

    // Each mail is refused at another step, in words that quote whom it is for.
    for (moment, code, words, expected) in [
        (Moment::Connect, 554, "5.3.2 not you", "turned away at greeting: 554 5.3.2 not you"),
        (Moment::Tls, 454, "4.7.0 no key", "turned away at TLS: 454 4.7.0 no key"),
        (Moment::Login, 535, "5.7.8 not AHNob3AAaHVudGVyMg==", "turned away at login: 535 5.7.8 not [secret]"),
        (Moment::Mail, 451, "4.3.0 later", "put off at MAIL FROM: 451 4.3.0 later"),
        (Moment::Recipient, 450, "4.2.1 busy", "put off at RCPT TO: 450 4.2.1 busy"),
        (Moment::Data, 421, "4.3.2 going down", "put off at DATA: 421 4.3.2 going down"),
        (Moment::Message, 452, "4.3.1 full", "put off after DATA: 452 4.3.1 full"),
        (Moment::Mail, 550, "5.7.1 not that sender", "refused at MAIL FROM: 550 5.7.1 not that sender"),
        (Moment::Recipient, 550, "5.1.1 nobody", "refused at RCPT TO: 550 5.1.1 nobody"),
        (Moment::Data, 554, "5.7.1 no", "refused at DATA: 554 5.7.1 no"),
        (Moment::Message, 554, "5.6.0 spam", "refused after DATA: 554 5.6.0 spam"),
    ] {
        let (error, ..) = told(Fault { code: Some(code), text: Some(words.into()), ..at(moment) }).await;
        assert_eq!(error, format!("{expected} (mail server {place})"));
    }
    let (error, ..) = told(Fault { hang: true, ..at(Moment::Message) }).await;
    assert_eq!(error, format!("took too long after DATA (mail server {place})"));
    let (error, ..) = told(Fault { cut: true, ..at(Moment::Recipient) }).await;
    assert_eq!(error, format!("hung up at RCPT TO (mail server {place})"));

    // What an operator sees of one that was given up: the mail, its job, the order's timeline.
    let quoting =
        Fault { code: Some(550), text: Some("5.1.1 <anybody@kassa.example>: unknown".into()), ..at(Moment::Recipient) };
    let (error, order, shopper) = told(quoting).await;
    assert_eq!(error, format!("refused at RCPT TO: 550 5.1.1 [address] unknown (mail server {place})"));
    let given_up = format!("SELECT count(*) FROM emails WHERE status = 'failed' AND \"to\" = '{}'", shopper.email);
    eventually("the mail is given up", async || (shop.count(&given_up).await == 1).then_some(())).await;
    let number = order["number"].to_string();
    let shown = shop.database.kassa(&["order", "show", &number]).await.out;
    assert!(shown.contains("refused at RCPT TO: 550 5.1.1 [address] unknown"), "{shown}");
    let timeline = admin.get(&format!("/admin/orders/{}/timeline?limit=100", text(&order["id"]))).await.expect(200);
    assert!(timeline.to_string().contains("at RCPT TO: 550 5.1.1"), "{timeline}");
    let jobs = admin.get("/admin/jobs?state=dead&limit=1").await.expect(200);
    let job = format!("/admin/jobs/{}", text(&jobs["items"][0]["id"]));
    let job = admin.get(&job).await.expect(200);
    assert_eq!(job["errors"][0]["error"], error);

    // Once the server is well they wait for nothing but somebody's word.
    server.remove_faults();
    server.add_fault(logs_in);
    let again = shop.database.kassa(&["jobs", "retry", "--queue", "email.send"]).await;
    assert_eq!(again.code, 0, "{again:?}");
    shop.settle().await;
    assert!(server.messages().iter().any(|mail| mail.went_to(&shopper.email)));
    shop.finish().await;
}

#[tokio::test]
async fn a_shopper_who_has_paid_meanwhile_is_not_told_of_the_decline() {
    let shop = Shop::start().await;
    let (shopper, order) = declined(&shop).await;
    shop.pay(&shopper, &order).await;
    shop.mail.remove_faults();
    shop.settle().await;
    let mails = shop.mails(&shopper.email, 1).await;
    assert!(mails.len() == 1 && mails[0].0.contains("confirmed"), "{mails:?}");
    assert_eq!(shop.count("SELECT count(*) FROM emails WHERE status = 'withdrawn'").await, 1);
    shop.finish().await;
}

#[tokio::test]
async fn a_decline_that_comes_while_the_mail_of_an_earlier_one_is_given_up_is_told_of() {
    let shop = Shop::start().await;
    let (shopper, order) = declined(&shop).await;
    eventually("its job rests", async || {
        let later =
            "UPDATE jobs SET run_at = now() + interval '1 hour' WHERE job_type = 'email.send' AND status = 'Pending'";
        (shop.pool.execute(later).await.expect("the database answers").rows_affected() == 1).then_some(())
    })
    .await;
    shop.mail.remove_faults();
    shop.confirm(&order, "pm_usBankAccount_processing").await.expect(200);
    shopper.wait_for(&order, "processing").await;

    let mut mail_held = db::begin(&shop.pool).await.expect("the database answers");
    mail_held.execute("SELECT FROM emails FOR UPDATE").await.expect("nobody else has it");
    let waiting = |sessions| {
        let shop = &shop;
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%emails%'";
        eventually("they wait for the mail", async move || (shop.count(waiting).await == sessions).then_some(()))
    };
    // The decline is about to be booked; the job still sees a payment under way, of which no decline is to be told.
    shop.steer(&order, "settle", &json!({ "outcome": "failed" })).await;
    waiting(1).await;
    shop.database.run("UPDATE jobs SET run_at = now() WHERE job_type = 'email.send'").await;
    waiting(2).await;
    mail_held.rollback().await.expect("the database answers");
    shop.settle().await;
    let mails = shop.mails(&shopper.email, 1).await;
    assert!(mails.len() == 1 && mails[0].0.contains("did not go through"), "{mails:?}");
    assert_eq!(shop.count("SELECT count(*) FROM emails WHERE status = 'withdrawn'").await, 0);
    shop.finish().await;
}

#[tokio::test]
async fn a_shopper_who_has_paid_late_is_not_told_that_nothing_was_charged() {
    let shop = Shop::start().await;
    let shopper = shop.shopper().await;
    let order = shop.order(&shopper, &shop.product(500, 5).await, 1).await;
    shop.mail.add_fault(Fault { code: Some(451), ..at(Moment::Message) });
    shopper.cancel(&order).await.expect(202);
    shopper.wait_for(&order, "canceled").await;
    tried(&shop, "order_canceled").await;
    // A second intent of the same order, that somebody pays late.
    let late = shop.make_intent(&order, 2).await;
    shop.confirm_intent(&late, "pm_card_visa").await.expect(200);
    shopper.wait_for(&order, "paid").await;
    shop.mail.remove_faults();
    shop.settle().await;
    let mails = shop.mails(&shopper.email, 1).await;
    assert!(mails.len() == 1 && mails[0].0.contains("confirmed"), "{mails:?}");
    assert_eq!(shop.count("SELECT count(*) FROM emails WHERE status = 'withdrawn'").await, 1);
    shop.finish().await;
}

#[tokio::test]
async fn an_order_whose_money_went_back_meanwhile_is_confirmed_only_once_it_is_paid_again() {
    let shop = Shop::start().await;
    shop.mail.add_fault(Fault { code: Some(451), ..at(Moment::Message) });
    let (admin, (email, order)) = (shop.admin().await, paid(&shop).await);
    tried(&shop, "order_confirmed").await;
    admin.refund(&order, &json!({})).await.expect(202);
    let seen = admin.wait_for_refunds(&order, &["succeeded"]).await;
    shop.mail.remove_faults();
    shop.settle().await;
    let mails = shop.mails(&email, 1).await;
    assert!(mails.len() == 1 && mails[0].0.contains("on its way back"), "{mails:?}");
    let refund = format!("/refunds/{}", text(&seen["refunds"][0]["stripe_refund_id"]));
    shop.control().post(&refund, &json!({ "status": "failed" })).await.expect(200);
    admin.wait_for_refunds(&order, &["failed"]).await;
    admin.accept(&order).await.expect(200);
    let mails = shop.mails(&email, 2).await;
    assert!(mails[1].0.contains("confirmed"), "{mails:?}");
    shop.finish().await;
}

#[tokio::test]
async fn each_refund_that_arrives_is_told_of_once_with_its_amount() {
    let shop = Shop::start().await;
    let (admin, (email, order)) = (shop.admin().await, paid(&shop).await);
    admin.refund(&order, &json!({ "amount": 100 })).await.expect(202);
    admin.wait_for_refunds(&order, &["succeeded"]).await;
    // Somebody gives back the rest in Stripe's dashboard, and Stripe says so twice.
    shop.refund_at_stripe(&order, 400).await;
    admin.wait_for_refunds(&order, &["succeeded", "succeeded"]).await;
    shop.settle().await;
    let mails = shop.mails(&email, 3).await;
    assert_eq!(mails.len(), 3, "{mails:?}");
    let number = &order["number"];
    let (some, rest) = (&mails[1], &mails[2]);
    assert_eq!(some.0, format!("Kassa: money for your order {number} is on its way back to you"));
    assert!(some.1.contains(&format!("we have given back 1.00 USD of your payment for order {number}.")), "{}", some.1);
    assert!(rest.1.contains("4.00 USD") && rest.1.contains("that makes 5.00 USD"), "{}", rest.1);
    shop.finish().await;
}

#[tokio::test]
async fn a_refund_that_has_not_arrived_is_told_of_to_nobody() {
    let shop = Shop::start().await;
    let (admin, (email, order)) = (shop.admin().await, paid(&shop).await);
    shop.mails(&email, 1).await;
    shop.control().put("/settings", &json!({ "refunds": "pending" })).await.expect(200);
    admin.refund(&order, &json!({})).await.expect(202);
    let refund = eventually("Stripe knows of it", async || {
        admin.inspect(&order).await["refunds"][0]["stripe_refund_id"].as_str().map(str::to_owned)
    });
    let refund = format!("/refunds/{}", refund.await);
    shop.settle().await;
    assert_eq!(shop.mails(&email, 1).await.len(), 1, "it is under way");
    // It arrives, and comes back before the mail can be sent.
    shop.mail.add_fault(Fault { code: Some(451), ..at(Moment::Message) });
    shop.control().post(&refund, &json!({ "status": "succeeded" })).await.expect(200);
    tried(&shop, "refunded").await;
    shop.control().post(&refund, &json!({ "status": "failed" })).await.expect(200);
    admin.wait_for_refunds(&order, &["failed"]).await;
    shop.mail.remove_faults();
    shop.settle().await;
    assert_eq!(shop.mails(&email, 1).await.len(), 1);
    assert_eq!(shop.count("SELECT count(*) FROM emails WHERE kind = 'refunded' AND status = 'withdrawn'").await, 1);
    shop.finish().await;
}
