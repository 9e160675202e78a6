//! How the database finds what the shop asks for: each statement that a day in the shop sends is explained on full tables, so that an
//! index which got lost is noticed before a customer notices it.

use std::collections::{BTreeMap, BTreeSet};

use common::db;
use dev::postgres::Logged;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};

use crate::harness::{PASSWORD, Shop, Speaker, text};

/// Those of the measurements, and what they have no use for.
const FILL: [&str; 3] =
    [include_str!("../../bench/sql/helpers.sql"), include_str!("../../bench/sql/fill.sql"), include_str!("plans.sql")];

/// Pages of the catalogue: each order and each filter.
const LISTS: [&str; 10] = [
    "",
    "sort=price",
    "sort=-price",
    "sort=name",
    "min_price=700&max_price=900&in_stock=true",
    "q=amber+apron",
    "q=ambre+aprno",
    "q=amber&sort=relevance",
    "q=amber&sort=price",
    "q=amber&sort=name",
];

/// Tables that don't grow with the shop: to read all of them is right.
const SMALL: [&str; 4] = ["all of _sqlx_migrations", "all of reconciliation_runs", "all of schedules", "all of shop"];

/// How transactions end.
const ENDS: [&str; 2] = ["COMMIT", "ROLLBACK"];

/// The statements that are asked most often, by what is in them, and the index that each stands on.
const HOT: [(&str, &str); 27] = [
    ("FROM users WHERE email = $1", "users_email_key"),
    ("FROM refresh_tokens WHERE token_hash = $1", "refresh_tokens_token_hash_key"),
    ("FROM users WHERE id = $1 AND token_version = $2", "users_pkey"),
    ("FROM users WHERE id = $1 FOR NO KEY UPDATE", "users_pkey"),
    (
        "$1::bigint <= $2::bigint AND (NOT $3 OR stock > reserved) AND status = 'active' AND (created_at, id)",
        "products_newest",
    ),
    ("ORDER BY price, id", "products_price"),
    (
        "$1::bigint <= $2::bigint AND (NOT $3 OR stock > reserved) AND status = 'active' AND (lower(name), id)",
        "products_name",
    ),
    ("WHERE search @@ (SELECT every_word FROM query)", "products_search"),
    ("lexeme <% search_name", "products_search_name"),
    ("FROM cart_items c", "cart_items_user_id_product_id_key"),
    ("DELETE FROM cart_items c USING", "cart_items_user_id_product_id_key"),
    ("FROM orders WHERE user_id = $2 AND status IN", "orders_open_by_user"),
    ("UPDATE products SET reserved = reserved + $2", "products_pkey"),
    ("UPDATE products SET stock = stock - $2", "products_pkey"),
    ("FROM orders WHERE id = $1 FOR NO KEY UPDATE", "orders_pkey"),
    // The second has the id, too: either leads to the one row.
    ("UPDATE orders SET status = $3", "orders_pkey or orders_by_status"),
    ("FROM orders o LEFT JOIN LATERAL", "orders_by_user or orders_pkey"),
    ("FROM order_items i WHERE i.order_id = o.id", "order_items_order_id_product_id_key"),
    (
        "reservation = 'held' AS \"is_held!\" FROM order_items WHERE order_id = $1",
        "order_items_order_id_product_id_key",
    ),
    ("FROM payment_intents WHERE stripe_id = $1", "payment_intents_stripe_id_key"),
    (
        "FROM payment_intents WHERE order_id = $1 OR stripe_id = $2",
        "payment_intents_by_order and payment_intents_stripe_id_key",
    ),
    ("UPDATE payment_intents SET status", "payment_intents_pkey"),
    ("UPDATE webhook_logs SET attempts", "webhook_logs_pkey"),
    ("ORDER BY run_at LIMIT $2 FOR UPDATE SKIP LOCKED", "jobs_due"),
    ("UPDATE jobs SET status = 'Done'", "jobs_pkey"),
    ("UPDATE jobs j SET lock_by = NULL", "jobs_pkey"),
    ("FROM emails WHERE id = $1", "emails_pkey or emails_by_status"),
];

/// A statement in one line.
fn in_a_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a plan reads: indexes by name, whole tables as `all of products`.
type Reads = BTreeSet<String>;

fn collect(plan: &Value, reads: &mut Reads) {
    if let Some(index) = plan["Index Name"].as_str() {
        reads.insert(index.to_owned());
    }
    if plan["Node Type"] == "Seq Scan" {
        reads.insert(format!("all of {}", text(&plan["Relation Name"])));
    }
    plan["Plans"].as_array().into_iter().flatten().for_each(|inner| collect(inner, reads));
}

/// The plan for any values, which is what the shop's sessions ask for.
async fn explain(connection: &mut PgConnection, statement: &Logged) -> Reads {
    let quoted = |value: &Option<String>| match value {
        Some(value) => format!("'{}'", value.replace('\'', "''")),
        None => "NULL".to_owned(),
    };
    let values: Vec<String> = statement.parameters.iter().map(quoted).collect();
    let values = if values.is_empty() { String::new() } else { format!("({})", values.join(", ")) };
    let prepare = format!("PREPARE said AS {}", statement.text);
    connection.execute(prepare.as_str()).await.unwrap_or_else(|error| panic!("{error}: {}", statement.text));
    let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE said{values}");
    let row = connection.fetch_one(explain.as_str()).await.unwrap_or_else(|error| panic!("{error}: {explain}"));
    let found: Value = row.try_get(0).expect("it is JSON");
    let mut reads = Reads::new();
    collect(&found[0]["Plan"], &mut reads);
    connection.execute("DEALLOCATE said").await.expect("it is there");
    reads
}

/// What shoppers do all day.
async fn a_day(shop: &Shop) {
    let (shopper, product) = (shop.shopper().await, shop.product(500, 5).await);
    let session = shop.visitor().log_in(&shopper.email, PASSWORD).await.expect(200);
    shop.visitor().refresh(&session).await.expect(200);
    for query in LISTS {
        shop.visitor().get(&format!("/products?{query}")).await.expect(200);
    }
    for address in ["id", "slug"] {
        shop.visitor().get(&format!("/products/{}", text(&product[address]))).await.expect(200);
    }
    shopper.put_in_cart(&product, 1).await.expect(201);
    shopper.get("/cart").await.expect(200);
    // What fails is booked by the worker, and not in the handler's own transaction.
    let answer = json!({ "kind": "status", "status": 503 });
    shop.inject(&json!({ "path": "/v1/payment_intents", "at": "arrival", "times": 1, "answer": answer })).await;
    let order = shopper.check_out_under("key").await.expect(201);
    shop.pay(&shopper, &order).await;
    shopper.get("/orders").await.expect(200);
    shop.settle().await;
}

/// What the worker looks at for the dashboards: it comes when it comes, and nobody's order waits for it. Its transactions begin with a limit
/// of their own.
fn looks(statements: &[(Speaker, Logged)]) -> BTreeSet<String> {
    let (mut looking, mut looks) = (BTreeSet::new(), BTreeSet::new());
    for (_, Logged { session, text, .. }) in statements {
        if text.contains("set_config('statement_timeout'") {
            looking.insert(session);
        } else if ENDS.contains(&text.as_str()) {
            looking.remove(session);
        }
        if looking.contains(session) {
            looks.insert(text.clone());
        }
    }
    looks
}

#[tokio::test]
async fn no_statement_reads_a_whole_table_and_the_hot_ones_stand_on_their_indexes() {
    let (shop, heard) = Shop::overheard().await;
    for statements in FILL {
        let numbers = [("$products", "3000"), ("$accounts", "3000"), ("$past", "6000")];
        let filled = numbers.iter().fold(statements.to_owned(), |text, (name, number)| text.replace(name, number));
        shop.database.run(&filled).await;
    }
    shop.database.run("VACUUM ANALYZE").await;
    let then = heard.so_far();
    a_day(&shop).await;
    let mut said = BTreeMap::new();
    for (_, statement) in heard.statements(&shop, then).await {
        said.entry(statement.text.clone()).or_insert(statement);
    }
    let looks = looks(&heard.statements(&shop, 0).await);
    let others = |text: &str| text.starts_with("LISTEN") || text.starts_with("BEGIN") || looks.contains(text);
    said.retain(|text, _| !ENDS.contains(&text.as_str()) && !others(text));

    let as_the_shop = shop.database.options().options(db::SESSION);
    let mut connection = PgConnection::connect_with(&as_the_shop).await.expect("it answers");
    let mut plans = Vec::new();
    for (text, statement) in &said {
        plans.push((in_a_line(text), explain(&mut connection, statement).await));
    }
    for (text, reads) in &plans {
        let whole: Vec<&String> =
            reads.iter().filter(|read| read.starts_with("all of") && !SMALL.contains(&read.as_str())).collect();
        assert!(whole.is_empty(), "{whole:?} is read for:\n{text}");
    }
    for (part, index) in HOT {
        let mut asked = plans.iter().filter(|(text, _)| text.contains(part)).peekable();
        assert!(asked.peek().is_some(), "nobody has asked {part:?}; what was said:\n{plans:#?}");
        for (text, reads) in asked {
            let stands = index.split(" or ").any(|way| way.split(" and ").all(|index| reads.contains(index)));
            assert!(stands, "{index} is not among {reads:?} for:\n{text}");
        }
    }
    shop.leave(); // what the tables are full of is no shop's history
    heard.stop().await;
}
