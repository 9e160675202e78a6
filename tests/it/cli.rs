//! `kassa`, the operator's tool, as a process on a real database.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Client, Database, Ended, Shop, text};

const PASSWORD: &str = "plenty of mismatched socks";

/// The end of a command that must have succeeded: what it said.
#[track_caller]
fn done(ended: Ended) -> String {
    assert_eq!(ended.code, 0, "{ended:?}");
    ended.out
}

/// The end of a command that must have refused: why.
#[track_caller]
fn refused(ended: Ended) -> String {
    assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{ended:?}");
    assert!(ended.err.starts_with("kassa: ") || ended.err.starts_with("error: "), "{ended:?}");
    ended.err
}

async fn count(database: &Database, query: &str) -> i64 {
    sqlx::query_scalar(query).fetch_one(&database.pool).await.expect(query)
}

#[tokio::test]
async fn migrate_makes_the_schema_once_however_often_it_is_run() {
    let database = Database::empty().await;
    let (one, other) = tokio::join!(database.kassa(&["migrate"]), database.kassa(&["migrate"]));
    for ended in [one, other, database.kassa(&["migrate"]).await] {
        assert_eq!(done(ended), "The database is up to date.\n");
    }
    assert_eq!(count(&database, "SELECT count(*) FROM shop WHERE currency = 'usd'").await, 1);
    done(database.kassa(&["verify"]).await);
}

#[tokio::test]
async fn a_database_of_another_currency_is_refused() {
    let database = Database::empty().await;
    done(database.kassa_with(&["migrate"], &[("STORE_CURRENCY", "jpy")], "").await);
    for command in [&["migrate"][..], &["verify"], &["jobs", "list"]] {
        let why = refused(database.kassa(command).await);
        assert!(why.contains("jpy") && why.contains("usd") && why.contains("STORE_CURRENCY"), "{why}");
    }
    assert_eq!(count(&database, "SELECT count(*) FROM shop WHERE currency = 'jpy'").await, 1);
}

#[tokio::test]
async fn a_newer_schema_is_worked_with_and_an_altered_one_is_refused() {
    let database = Database::migrated().await;
    database
        .run(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
              VALUES (99990101000000, 'of tomorrow', true, '', 0)",
        )
        .await;
    done(database.kassa(&["migrate"]).await);
    done(database.kassa(&["verify"]).await);
    database.run("UPDATE _sqlx_migrations SET checksum = 'x' WHERE description LIKE '%catalog%'").await;
    let why = refused(database.kassa(&["migrate"]).await);
    assert!(why.contains("could not be migrated") && why.contains("20261123100100"), "{why}");
}

#[tokio::test]
async fn what_is_wrong_with_the_configuration_is_said_without_its_secrets() {
    let database = Database::migrated().await;
    let settings = [("DATABASE_URL", "mysql://shop:hunter2@db/shop"), ("STORE_CURRENCY", "kwd")];
    let why = refused(database.kassa_with(&["verify"], &settings, "").await);
    assert!(why.contains("DATABASE_URL") && why.contains("STORE_CURRENCY") && !why.contains("hunter2"), "{why}");
    let missing = database.kassa_with(&["verify"], &[("DATABASE_URL", "")], "").await;
    assert!(refused(missing).contains("DATABASE_URL"));
    for command in [&["nonsense"][..], &["jobs", "list", "--state", "asleep"], &["jobs", "list", "--limit", "0"]] {
        refused(database.kassa(command).await);
    }
}

async fn log_in(shop: &Shop, email: &str, password: &str) -> Value {
    shop.visitor().post("/auth/login", &json!({ "email": email, "password": password })).await.expect(200)
}

/// Whether a login is an administrator's, as the shop sees it.
async fn sells(shop: &Shop, session: &Value) -> bool {
    let product = json!({ "name": "Socks", "price": 700, "stock": 2 });
    shop.visitor().with_token(text(&session["access_token"])).post("/products", &product).await.status == 201
}

#[tokio::test]
async fn an_administrator_is_made_with_the_password_on_standard_input() {
    let shop = Shop::start().await;
    let create = ["admin", "create", "--email", "Boss@Kassa.example"];
    let out = done(shop.database.kassa_with(&create, &[], &format!("{PASSWORD}\n")).await);
    assert_eq!(out, "", "the password is not shown");
    let session = log_in(&shop, "boss@kassa.example", PASSWORD).await;
    assert_eq!(session["user"]["role"], "admin");
    assert!(sells(&shop, &session).await);
    shop.finish().await;
}

#[tokio::test]
async fn a_password_is_made_where_none_is_given_and_shown_once() {
    let shop = Shop::start().await;
    for (email, flag) in [("asked@kassa.example", &["--generate"][..]), ("empty@kassa.example", &[])] {
        let create = [&["admin", "create", "--email", email], flag].concat();
        let ended = shop.database.kassa(&create).await;
        let password = ended.out.trim_end().to_owned();
        assert!(password.len() >= 20 && !ended.err.contains(&password), "{ended:?}");
        done(ended);
        assert_eq!(log_in(&shop, email, &password).await["user"]["role"], "admin");
    }
    shop.finish().await;
}

#[tokio::test]
async fn an_account_that_exists_is_taken_over_and_its_sessions_end() {
    let shop = Shop::start().await;
    let stranger: Client = shop.shopper().await;
    let session = shop.visitor().log_in(&stranger.email, "correct horse battery staple").await.expect(200);
    let link = shop.reset_token(&stranger.email, 1).await;
    let create = ["admin", "create", "--email", &stranger.email];
    let ended = shop.database.kassa_with(&create, &[], PASSWORD).await;
    assert!(ended.err.contains(&stranger.email) && !ended.err.contains(PASSWORD), "{ended:?}");
    done(ended);
    stranger.get("/auth/me").await.problem(401, "unauthenticated");
    let old = json!({ "email": stranger.email, "password": "correct horse battery staple" });
    shop.visitor().post("/auth/login", &old).await.problem(401, "invalid_credentials");
    shop.visitor().refresh(&session).await.problem(401, "unauthenticated");
    shop.visitor().reset_password(&link, "a password of the stranger's").await.problem(400, "invalid_reset_token");
    let live = "SELECT count(*) FROM refresh_tokens WHERE revoked_at IS NULL";
    assert_eq!(shop.count(live).await, 0);
    let session = log_in(&shop, &stranger.email, PASSWORD).await;
    assert_eq!((text(&session["user"]["id"]), text(&session["user"]["role"])), (&*stranger.user.to_string(), "admin"));
    shop.finish().await;
}

#[tokio::test]
async fn no_administrator_is_made_of_bad_input() {
    let database = Database::migrated().await;
    let create = |email| ["admin", "create", "--email", email];
    for (email, input, word) in [
        ("boss@kassa.example", "too short\n", "12 to 128"),
        ("boss@kassa.example", "\n", "12 to 128"),
        ("boss@kassa.example", "password1234\n", "easy to guess"),
        ("boss@kassa.example", "plenty of mismatched socks\nand a second line\n", "more than one line"),
        ("no-address", PASSWORD, "no-address"),
    ] {
        let why = refused(database.kassa_with(&create(email), &[], input).await);
        assert!(why.contains(word) && !why.contains("mismatched"), "{why}");
    }
    assert_eq!(count(&database, "SELECT count(*) FROM users").await, 0);
    let empty = Database::empty().await;
    let why = refused(empty.kassa_with(&create("boss@kassa.example"), &[], PASSWORD).await);
    assert!(why.contains("kassa migrate"), "{why}");
}

async fn jobs(database: &Database, filter: &[&str]) -> Vec<Value> {
    let list = [&["jobs", "list", "--json"], filter].concat();
    serde_json::from_str(&done(database.kassa(&list).await)).expect("a list in JSON")
}

#[tokio::test]
async fn jobs_are_listed_by_queue_and_state() {
    let shop = Shop::start().await;
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    shopper.put_in_cart(&product, 1).await.expect(201);
    let placed = shopper.check_out().await;
    let request = placed.header("x-request-id").to_owned();
    let order = placed.expect(201);
    shop.pay(&shopper, &order).await;
    let database = shop.close().await.copy().await;

    let all = jobs(&database, &[]).await;
    let queues: BTreeSet<&str> = all.iter().map(|job| text(&job["queue"])).collect();
    let expected = ["email.send", "inventory.decrement", "order.expire", "payment.create_intent", "webhook.process"];
    assert!(queues.iter().eq(&expected), "{queues:?}");
    let created = jobs(&database, &["--queue", "payment.create_intent"]).await;
    assert_eq!(created.len(), 1);
    assert_eq!((&created[0]["payload"]["order_id"], &created[0]["request_id"]), (&order["id"], &json!(request)));
    assert_eq!((&created[0]["state"], &created[0]["attempts"]), (&json!("done"), &json!(1)));
    let pending = jobs(&database, &["--state", "pending"]).await;
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0]["queue"], "order.expire");
    assert_eq!(jobs(&database, &["--limit", "2"]).await.len(), 2);
    assert!(jobs(&database, &["--state", "dead"]).await.is_empty());

    database
        .run(
            "UPDATE jobs SET status = 'Killed', done_at = now(), failures = 3, last_error = E'no\\u001b[31m route'
              WHERE job_type = 'order.expire'",
        )
        .await;
    let dead = jobs(&database, &["--state", "dead"]).await;
    assert_eq!((&dead[0]["queue"], &dead[0]["failures"]), (&json!("order.expire"), &json!(3)));
    let table = done(database.kassa(&["jobs", "list"]).await);
    assert!(table.starts_with("ID ") && table.lines().count() == all.len() + 1, "{table}");
    let row = table.lines().find(|line| line.contains("order.expire")).expect("its row");
    let about = format!("order {}", order["number"]);
    assert!(row.contains(" dead ") && row.contains(&about) && row.contains("no [31m route"), "{row}");
    let unknown = done(database.kassa(&["jobs", "list", "--queue", "mail"]).await);
    assert!(unknown.contains("no queue mail") && unknown.contains("email.send"), "{unknown}");
}
