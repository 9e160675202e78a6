//! Sessions: how they go on, how they end, and what becomes of refresh tokens that come twice.

use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::harness::{Client, PASSWORD, Reply, Shop, eventually, text};

/// How many refresh tokens are good for something.
const LIVE: &str =
    "SELECT count(*) FROM refresh_tokens WHERE used_at IS NULL AND revoked_at IS NULL AND expires_at > now()";
const LONG_AGO: &str = "UPDATE refresh_tokens SET used_at = used_at - interval '10 s' WHERE used_at IS NOT NULL";

/// A session that doesn't go on, and says no more than that.
#[track_caller]
fn refused(reply: Reply) {
    assert_eq!(reply.header("www-authenticate"), r#"Bearer realm="kassa""#);
    reply.problem(401, "unauthenticated");
}

/// A shop with one shopper, and two sessions of it.
async fn with_two_sessions() -> (Shop, Client, Value, Value) {
    let shop = Shop::start().await;
    let email = shop.shopper().await.email;
    shop.database.run("DELETE FROM refresh_tokens").await; // that of its registration
    let visitor = shop.visitor();
    let one = visitor.log_in(&email, PASSWORD).await.expect(200);
    let other = visitor.log_in(&email, PASSWORD).await.expect(200);
    (shop, visitor, one, other)
}

#[tokio::test]
async fn a_refresh_token_is_good_for_one_more_session_of_the_user_as_it_is_now() {
    let (shop, visitor, mut session, other) = with_two_sessions().await;
    let mut seen = vec![text(&session["refresh_token"]).to_owned()];
    for _ in 0..3 {
        let next = visitor.refresh(&session).await.expect(200);
        let shape = |session: &Value| session.as_object().map(|members| members.keys().cloned().collect::<Vec<_>>());
        assert_eq!(shape(&next), shape(&session), "a session is a session");
        assert_eq!((&next["expires_in"], &next["user"]), (&json!(900), &session["user"]));
        visitor.me(&next).await.expect(200);
        refused(visitor.refresh(&session).await);
        let token = text(&next["refresh_token"]).to_owned();
        assert!(!seen.contains(&token));
        seen.push(token);
        session = next;
    }
    assert_eq!(shop.count(LIVE).await, 2, "one of each session");
    for token in &seen {
        assert_eq!(shop.tables_with(token).await, [""; 0], "only hashes are kept");
    }
    shop.database.run("UPDATE users SET role = 'admin', name = 'Ada'").await;
    let promoted = visitor.refresh(&session).await.expect(200);
    assert_eq!((&promoted["user"]["role"], &promoted["user"]["name"]), (&json!("admin"), &json!("Ada")));
    visitor.refresh(&other).await.expect(200);
    shop.finish().await;
}

#[tokio::test]
async fn a_refresh_token_that_is_no_good_opens_nothing_and_says_nothing() {
    let (shop, visitor, session, _) = with_two_sessions().await;
    let before = shop.contents().await;
    let token = text(&session["refresh_token"]);
    for bad in ["", "x", "\0", &"x".repeat(60_000), &token.to_lowercase(), &token[1..], text(&session["access_token"])]
    {
        let bad = json!({ "refresh_token": bad });
        refused(visitor.refresh(&bad).await);
        visitor.log_out(&bad).await.expect(204);
    }
    for path in ["/auth/refresh", "/auth/logout"] {
        for bad in [json!(null), json!(1), json!([token]), json!({})] {
            visitor.post(path, &json!({ "refresh_token": bad })).await.invalid("/refresh_token");
        }
        visitor.post(path, &json!({})).await.invalid("/refresh_token");
        visitor.post(path, &json!({ "refresh_token": token, "family": token })).await.invalid("/family");
    }
    assert_eq!(shop.contents().await, before);
    shop.database.run("UPDATE refresh_tokens SET expires_at = now()").await;
    refused(visitor.refresh(&session).await);
    shop.finish().await;
}

#[tokio::test]
async fn a_spent_refresh_token_that_comes_again_ends_its_session_and_no_other() {
    let (shop, visitor, stolen, other) = with_two_sessions().await;
    let mut next = visitor.refresh(&stolen).await.expect(200);
    for _ in 0..2 {
        refused(visitor.refresh(&stolen).await); // a second tab, within ten seconds
        next = visitor.refresh(&next).await.expect(200);
    }
    shop.database.run(LONG_AGO).await;
    refused(visitor.refresh(&stolen).await);
    refused(visitor.refresh(&next).await);
    assert_eq!(shop.count(LIVE).await, 1);
    assert!(shop.api.log().contains("a spent refresh token came again"));
    let other = visitor.refresh(&other).await.expect(200);
    visitor.me(&other).await.expect(200);
    visitor.me(&next).await.expect(200); // an access token lives out its quarter of an hour
    refused(visitor.refresh(&stolen).await);
    shop.finish().await;
}

#[tokio::test]
async fn of_many_tabs_that_refresh_at_once_one_goes_on() {
    let (shop, visitor, session, _) = with_two_sessions().await;
    let replies = join_all((0..12).map(|_| visitor.refresh(&session))).await;
    let (mut won, lost): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 200);
    assert_eq!(won.len(), 1);
    lost.into_iter().for_each(refused);
    let next = won.pop().expect("one has won").expect(200);
    visitor.refresh(&next).await.expect(200);
    shop.finish().await;
}

#[tokio::test]
async fn no_token_survives_its_session_when_the_thief_and_the_user_refresh_at_once() {
    let (shop, visitor, mut current, _) = with_two_sessions().await;
    for _ in 0..8 {
        let stolen = current;
        current = visitor.refresh(&stolen).await.expect(200);
        shop.database.run(LONG_AGO).await;
        let (thief, user) = tokio::join!(visitor.refresh(&stolen), visitor.refresh(&current));
        refused(thief);
        if user.status == 200 {
            refused(visitor.refresh(&user.expect(200)).await);
        } else {
            refused(user);
        }
        assert_eq!(shop.count(LIVE).await, 1, "that of the other session");
        let email = text(&stolen["user"]["email"]);
        current = visitor.log_in(email, PASSWORD).await.expect(200);
    }
    shop.finish().await;
}

#[tokio::test]
async fn a_logout_ends_its_session_and_no_other_however_often_it_is_asked_for() {
    let (shop, visitor, session, other) = with_two_sessions().await;
    for _ in 0..2 {
        visitor.log_out(&session).await.expect(204);
        refused(visitor.refresh(&session).await);
    }
    // A tab that has not heard of the last refresh logs out, too.
    let next = visitor.refresh(&other).await.expect(200);
    visitor.log_out(&other).await.expect(204);
    refused(visitor.refresh(&next).await);
    assert_eq!(shop.count(LIVE).await, 0);
    shop.finish().await;
}

/// Waits until a connection of the shop waits for a lock.
async fn waits_for_a_lock(shop: &Shop) {
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("somebody waits for a lock", async || (shop.count(waiting).await > 0).then_some(())).await;
}

#[tokio::test]
async fn a_session_that_opens_or_goes_on_while_all_end_is_ended_too() {
    let (shop, visitor, session, _) = with_two_sessions().await;
    let email = text(&session["user"]["email"]);
    let mut change = shop.pool.acquire().await.expect("a connection");
    for login in [true, false] {
        // A change of the password that has come half-way: nobody else sees it yet.
        let mut tx = change.begin().await.expect("a transaction");
        let raise = "UPDATE users SET token_version = token_version + 1";
        sqlx::query(raise).execute(&mut *tx).await.expect(raise);
        let opened =
            async { if login { visitor.log_in(email, PASSWORD).await } else { visitor.refresh(&session).await } };
        let ended = async {
            waits_for_a_lock(&shop).await;
            let revoke = "UPDATE refresh_tokens SET revoked_at = now() WHERE revoked_at IS NULL";
            sqlx::query(revoke).execute(&mut *tx).await.expect(revoke);
            tx.commit().await.expect("it commits");
        };
        let (opened, ()) = tokio::join!(opened, ended);
        assert_eq!(opened.status, 401, "{}", opened.raw);
        assert_eq!(shop.count(LIVE).await, 0);
    }
    drop(change);
    shop.finish().await;
}
