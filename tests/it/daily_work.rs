//! The page for the people who run the shop: each of its commands is typed, in its order, by an administrator at a running shop.

use std::{fs, process::Stdio};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::harness::{PASSWORD, Shop, payment, repository, text};

/// No answer is an error, and no command fails in silence.
const STRICT: &str = "set -euo pipefail\ncurl() { command curl --fail-with-body \"$@\"; }\n";

/// The page's commands.
fn commands(page: &str) -> String {
    let blocks: Vec<_> = page.split("\n```sh\n").skip(1).filter_map(|rest| rest.split_once("\n```")).collect();
    assert!(blocks.len() > 12, "{blocks:?}");
    blocks.iter().flat_map(|(block, _)| [block, "\n"]).collect()
}

/// With the test's own values where the page has the reader's.
fn substituted(commands: &str, values: &[(&str, String)]) -> String {
    values.iter().fold(commands.to_owned(), |commands, (theirs, own)| {
        assert!(commands.contains(theirs), "the page has no {theirs}");
        commands.replace(theirs, own)
    })
}

/// Types commands into a shell that has the shop's address, with lines on its standard input; what it printed, line by line.
async fn typed(shop: &Shop, script: &str, input: &str) -> Vec<Value> {
    let folder = std::env::temp_dir().join(format!("kassa-tests-{}-daily-work", std::process::id()));
    fs::create_dir_all(&folder).expect("the temporary folder can be written");
    let mut bash = Command::new("bash");
    bash.arg("-c").arg(format!("{STRICT}{script}")).env("API_URL", format!("http://{}", shop.api.api));
    bash.current_dir(&folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut bash = bash.spawn().expect("bash is there, and curl and jq are");
    let mut stdin = bash.stdin.take().expect("it is piped");
    stdin.write_all(input.as_bytes()).await.expect("it reads");
    drop(stdin);
    let ended = bash.wait_with_output().await.expect("it ends");
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{}:\n{err}\n{out}", ended.status);
    fs::remove_dir_all(&folder).expect("it is our folder");
    out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[tokio::test]
async fn each_command_of_the_page_does_what_it_says() {
    let shop = Shop::start().await;
    let boss = "boss@kassa.example";
    let made = shop.database.kassa_with(&["admin", "create", "--email", boss], &[], &format!("{PASSWORD}\n")).await;
    assert_eq!(made.code, 0, "{made:?}");
    let (clips, shopper) = (shop.product(890, 3).await, shop.shopper().await);
    let wrapping = json!({ "name": "Gift wrapping", "price": 350, "stock": 9 });
    let wrapping = shop.admin().await.post("/products", &wrapping).await.expect(201);
    shopper.put_in_cart(&clips, 1).await.expect(201);
    let order = shop.order(&shopper, &wrapping, 2).await;
    shop.pay(&shopper, &order).await;
    let disputed = shop.order(&shopper, &wrapping, 1).await;
    shop.pay(&shopper, &disputed).await;
    let path = format!("/charges/{}/dispute", payment(&disputed, "intent_id"));
    shop.control().post(&path, &json!({})).await.expect(200);
    let unpaid = shop.order(&shopper, &wrapping, 1).await;
    shop.settle().await;

    let page = fs::read_to_string(repository("docs/operations/daily-work.md")).expect("it can be read");
    let script = substituted(
        &commands(&page),
        &[
            ("NUMBER=1006", format!("NUMBER={}", order["number"])),
            ("UNPAID=1008", format!("UNPAID={}", unpaid["number"])),
            ("WHO=shopper@", format!("WHO={}", shopper.email)),
        ],
    );
    let printed = typed(&shop, &script, &format!("{boss}\n{PASSWORD}\n")).await;
    let has = |wanted: Value| {
        let is_it = |line: &&Value| {
            wanted.as_object().into_iter().flatten().all(|(name, value)| line.get(name.as_str()) == Some(value))
        };
        assert!(printed.iter().any(|line| is_it(&line)), "no {wanted} in {printed:#?}");
    };
    has(json!({ "number": order["number"], "send": [format!("1 × {}", text(&clips["name"])), "2 × Gift wrapping"] }));
    has(json!({ "number": order["number"], "status": "fulfilled" }));
    has(json!({ "amount": 350, "reason": "One came back." }));
    has(json!({ "number": unpaid["number"], "cancel_reason": "operator" }));
    has(json!({ "delta": 24, "kind": "adjustment" }));
    has(json!({ "name": clips["name"], "stock": 2, "available": 2 }));
    has(json!({ "number": disputed["number"], "status": "paid" }));
    has(json!({ "order_id": disputed["id"] }));
    has(json!({ "email": boss, "role": "admin" }));
    has(json!({ "email": shopper.email, "role": "admin" }));
    has(json!({ "action": "user.role_changed" }));
    has(json!({ "kind": "order.fulfilled" }));

    shopper.wait_for(&unpaid, "canceled").await;
    shop.settle().await;
    let sent = shopper.see(&order).await;
    assert_eq!((&sent["status"], &sent["refunded_total"]), (&json!("fulfilled"), &json!(350)), "{sent}");
    // Three of nine were sold, one came back, and 24 were delivered.
    assert_eq!(shop.stock(&wrapping).await, (31, 31));
    // Typed again, what moves money and stock changes nothing.
    let once_more = script.lines().filter(|line| !line.contains("/fulfill") && !line.contains("tracking_number"));
    typed(&shop, &once_more.collect::<Vec<_>>().join("\n"), &format!("{boss}\n{PASSWORD}\n")).await;
    shop.settle().await;
    assert_eq!(shop.stock(&wrapping).await, (31, 31));
    assert_eq!(shopper.see(&order).await["refunded_total"], 350);
    shop.finish().await;
}
