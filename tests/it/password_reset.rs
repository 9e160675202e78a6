//! A forgotten password: a link by mail, good once, and the end of all sessions.

use std::time::{Duration, Instant};

use dev::mail::Fault;
use futures::future::join_all;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Client, PASSWORD, Reply, Shop, eventually};

const NEW: &str = "an umbrella left on the tram";

#[track_caller]
fn refused(reply: Reply) -> Value {
    let mut problem = reply.problem(400, "invalid_reset_token");
    problem["request_id"].take();
    problem
}

/// Has the mail server put off every mail, or refuse it for good, until its faults are removed.
fn keep_mails_waiting(shop: &Shop, code: u16) {
    let fault = json!({ "at": "recipient", "code": code });
    shop.mail.add_fault(serde_json::from_value::<Fault>(fault).expect("a fault"));
}

#[tokio::test]
async fn a_link_by_mail_sets_a_new_password_once_and_ends_every_session() {
    let shop = Shop::start().await;
    let (visitor, shopper, bystander) = (shop.visitor(), shop.shopper().await, shop.shopper().await);
    let email = &shopper.email;
    let sessions =
        [visitor.log_in(email, PASSWORD).await.expect(200), visitor.log_in(email, PASSWORD).await.expect(200)];
    let reply = visitor.forget_password(&email.to_uppercase()).await;
    assert_eq!((reply.status, reply.raw.as_str()), (202, "{}"));
    shop.mails(email, 1).await;
    let token = shop.reset_token(email, 2).await;
    let id = token.split('.').next().expect("an id");
    let told = "SELECT count(*) FROM emails WHERE status = 'sent' AND kind = 'password_reset' AND dedupe_key = kind || ':' || ";
    assert_eq!(shop.count(&format!("{told} '{id}'")).await, 1);
    assert_eq!(shop.tables_with(&token).await, [""; 0], "nothing secret is kept");
    assert_eq!(shop.tables_with(token.split('.').nth(1).expect("a signature")).await, [""; 0]);
    let mail = shop.mail.messages().into_iter().next().expect("the last one");
    assert!(mail.html.as_ref().is_some_and(|html| html.contains(&format!("?token={token}\""))));

    shopper.get("/auth/me").await.expect(200); // nothing has happened yet
    let other = shop.visitor().forget_password(&bystander.email).await;
    assert_eq!(other.status, 202);
    let reply = visitor.reset_password(&token, NEW).await;
    assert_eq!((reply.status, reply.raw.as_str()), (204, ""));
    shopper.get("/auth/me").await.problem(401, "unauthenticated");
    for session in &sessions {
        visitor.me(session).await.problem(401, "unauthenticated");
        visitor.refresh(session).await.problem(401, "unauthenticated");
    }
    visitor.log_in(email, PASSWORD).await.problem(401, "invalid_credentials");
    let session = visitor.log_in(email, NEW).await.expect(200);
    visitor.me(&session).await.expect(200);
    bystander.get("/auth/me").await.expect(200);
    assert_eq!(shop.count("SELECT count(*) FROM password_resets WHERE used_at IS NULL").await, 1, "the bystander's");

    refused(visitor.reset_password(&token, "a third password of theirs").await);
    visitor.refresh(&session).await.expect(200);
    shop.finish().await;
}

#[tokio::test]
async fn whoever_asks_for_a_link_does_not_learn_who_has_an_account() {
    let shop = Shop::start().await;
    let visitor = shop.visitor();
    assert_eq!(visitor.forget_password("nobody@kassa.example").await.expect(202), json!({}));
    let known = shop.shopper().await.email;
    let before = shop.contents().await;
    for email in ["nobody@kassa.example", "no address", "", "a\0@kassa.example", &format!("x{known}"), "%", "\u{202e}"]
    {
        let reply = visitor.forget_password(email).await;
        assert_eq!((reply.status, reply.raw.as_str()), (202, "{}"), "{email}");
    }
    for (field, value) in [("email", json!(null)), ("email", json!(1)), ("email", json!([known])), ("otp", json!(1))] {
        let mut body = json!({ "email": known });
        body[field] = value;
        visitor.post("/auth/password/forgot", &body).await.invalid(&format!("/{field}"));
    }
    assert_eq!(shop.contents().await, before, "what was written for nobody is undone");
    assert!(shop.mail.messages().is_empty());

    // By turns, so that the machine is as busy for both; the worker rests, as it is the answer that is timed, not the mail.
    shop.worker.signal(Signal::SIGSTOP);
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        right.push(time(&visitor, &known).await);
        wrong.push(time(&visitor, "nobody@kassa.example").await);
        wrong.push(time(&visitor, "nobody@kassa.example").await);
        right.push(time(&visitor, &known).await);
    }
    shop.worker.signal(Signal::SIGCONT);
    let (right, wrong) = (median(right), median(wrong));
    assert!(wrong * 2 > right && right * 2 > wrong, "a known e-mail takes {right:?}, an unknown one {wrong:?}");
    shop.finish().await;
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

async fn time(visitor: &Client, email: &str) -> Duration {
    let began = Instant::now();
    visitor.forget_password(email).await.expect(202);
    began.elapsed()
}

#[tokio::test]
async fn a_token_that_is_forged_expired_or_spent_changes_nothing_and_is_told_alike() {
    let shop = Shop::start().await;
    let (visitor, shopper, other) = (shop.visitor(), shop.shopper().await, shop.shopper().await);
    let spent = shop.reset_token(&other.email, 1).await;
    visitor.reset_password(&spent, NEW).await.expect(204);
    let expired = shop.reset_token(&other.email, 2).await;
    shop.database.run("UPDATE password_resets SET expires_at = now() WHERE used_at IS NULL").await;
    let token = shop.reset_token(&shopper.email, 1).await;
    let before = shop.contents().await;
    let (id, signature) = token.split_once('.').expect("two parts");
    let unknown = Uuid::now_v7();
    let mut answers = Vec::new();
    for bad in [
        &spent,
        &expired,
        "",
        ".",
        "\0",
        id,
        signature,
        &format!("{id}."),
        &format!("{unknown}.{signature}"),
        &format!("{}.{signature}", shopper.user),
        &format!("{id}.{}", spent.split('.').nth(1).expect("a signature")),
        &format!("{token}x"),
        &format!("{token}.{signature}"),
        &token[..token.len() - 1],
        &token.to_uppercase(),
        shopper.token.as_deref().expect("an access token"),
        &"x".repeat(60_000),
    ] {
        answers.push(refused(visitor.reset_password(bad, NEW).await));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
    assert_eq!(shop.contents().await, before);
    visitor.reset_password(&token, NEW).await.expect(204);
    shop.finish().await;
}

#[tokio::test]
async fn a_password_that_is_no_good_leaves_the_link_as_it_was() {
    let shop = Shop::start().await;
    let (visitor, shopper) = (shop.visitor(), shop.shopper().await);
    let token = shop.reset_token(&shopper.email, 1).await;
    let before = shop.contents().await;
    for password in ["", "eleven char", &"long ".repeat(26), "password1234", &shopper.email, "Sam Shopper 1"] {
        visitor.reset_password(&token, password).await.invalid("/password");
    }
    for (field, value) in
        [("password", json!(null)), ("password", json!(1)), ("token", json!(null)), ("role", json!(1))]
    {
        let mut body = json!({ "token": token, "password": NEW });
        body[field] = value;
        visitor.post("/auth/password/reset", &body).await.invalid(&format!("/{field}"));
    }
    assert_eq!(shop.contents().await, before);
    visitor.reset_password(&token, NEW).await.expect(204);
    visitor.log_in(&shopper.email, NEW).await.expect(200);
    shop.finish().await;
}

#[tokio::test]
async fn nobody_fills_anothers_mailbox_with_links() {
    let shop = Shop::start().await;
    let (visitor, victim) = (shop.visitor(), shop.shopper().await);
    for _ in 0..8 {
        let asked = visitor.post("/auth/password/forgot", &json!({ "email": victim.email })).await;
        assert_eq!(asked.expect(202), json!({}), "the caller does not learn of it");
    }
    shop.settle().await;
    assert_eq!(shop.mails(&victim.email, 5).await.len(), 5);
    sqlx::query("UPDATE password_resets SET expires_at = now()").execute(&shop.pool).await.expect("they are known");
    shop.reset_token(&victim.email, 6).await;
    shop.finish().await;
}

#[tokio::test]
async fn of_several_links_used_at_once_one_sets_the_password() {
    let shop = Shop::start().await;
    let (visitor, shopper) = (shop.visitor(), shop.shopper().await);
    let tokens = [shop.reset_token(&shopper.email, 1).await, shop.reset_token(&shopper.email, 2).await];
    assert_ne!(tokens[0], tokens[1]);
    let passwords = (0..6).map(|n| format!("{NEW} number {n}")).collect::<Vec<_>>();
    let resets = passwords.iter().enumerate().map(|(n, password)| visitor.reset_password(&tokens[n % 2], password));
    let mut set = None;
    for (reply, password) in join_all(resets).await.into_iter().zip(&passwords) {
        if reply.status == 204 {
            assert_eq!(set.replace(password), None, "one is enough");
        } else {
            refused(reply);
        }
    }
    visitor.log_in(&shopper.email, set.expect("one of them was set")).await.expect(200);
    assert_eq!(shop.count("SELECT count(*) FROM users WHERE token_version = 2").await, 1);
    shop.finish().await;
}

#[tokio::test]
async fn a_link_that_is_of_no_use_any_more_is_not_sent() {
    let shop = Shop::start().await;
    let visitor = shop.visitor();
    let [used, late, gone] = [shop.shopper().await, shop.shopper().await, shop.shopper().await];
    let token = shop.reset_token(&used.email, 1).await;
    keep_mails_waiting(&shop, 451);
    for shopper in [&used, &late, &gone] {
        visitor.forget_password(&shopper.email).await.expect(202);
    }
    let tried = "SELECT count(*) FROM emails WHERE attempts > 0 AND status = 'pending'";
    eventually("all were tried", async || (shop.count(tried).await == 3).then_some(())).await;
    visitor.reset_password(&token, NEW).await.expect(204);
    for (user, change) in [
        (&late, "UPDATE password_resets SET expires_at = now() WHERE user_id = $1"),
        (&gone, "DELETE FROM users WHERE id = $1"),
    ] {
        sqlx::query(change).bind(user.user).execute(&shop.pool).await.expect(change);
    }
    shop.mail.remove_faults();
    shop.settle().await;
    assert_eq!(shop.count("SELECT count(*) FROM emails WHERE status = 'withdrawn'").await, 3);
    assert_eq!(shop.mail.messages().len(), 1);
    shop.finish().await;
}

#[tokio::test]
async fn a_mail_that_was_given_up_is_sent_at_an_operators_word_with_the_same_link() {
    let shop = Shop::start().await;
    let shopper = shop.shopper().await;
    keep_mails_waiting(&shop, 550);
    shop.visitor().forget_password(&shopper.email).await.expect(202);
    let failed = "SELECT count(*) FROM emails WHERE status = 'failed' AND kind = 'password_reset'";
    eventually("the mail is given up", async || (shop.count(failed).await == 1).then_some(())).await;
    let verified = shop.database.kassa(&["verify"]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
    shop.mail.remove_faults();
    let retried = shop.database.kassa(&["jobs", "retry", "--all"]).await;
    assert_eq!(retried.code, 0, "{retried:?}");
    let (_, mail) = shop.mails(&shopper.email, 1).await.remove(0);
    let token = mail.split("?token=").nth(1).and_then(|rest| rest.lines().next()).expect("a link");
    shop.visitor().reset_password(token, NEW).await.expect(204);
    shop.finish().await;
}
