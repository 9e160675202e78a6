//! The state file.

use dev::stripe::{Simulator, SimulatorOptions};

use crate::harness::{Stripe, Target, until};

fn options(folder: &std::path::Path) -> SimulatorOptions {
    SimulatorOptions { state_file: Some(folder.join("stripe.jsonl")), ..SimulatorOptions::default() }
}

fn folder() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("kassa-simulator-{}", uuid::Uuid::new_v4()))
}

#[tokio::test]
async fn the_books_survive_a_restart() {
    let folder = folder();
    let first = Stripe::start_with(options(&folder)).await;
    first.simulator.set_webhook_target(Some("http://127.0.0.1:9/nobody".parse().unwrap()));
    let params = [("amount", "700"), ("currency", "usd")];
    let under_key = first.post_under("k1", "/v1/payment_intents", &params).await;
    let debit = first.pay("pm_usBankAccount_success").await;
    first.simulator.shutdown().await;

    let second = Stripe::start_with(options(&folder)).await;
    let replayed = second.post_under("k1", "/v1/payment_intents", &params).await;
    assert_eq!((replayed.id(), replayed.headers["idempotent-replayed"].as_str()), (under_key.id(), "true"));
    let target = Target::start(0).await;
    second.simulator.set_webhook_target(Some(target.url.clone()));
    second.until_status(&debit.id(), "succeeded").await;
    let types: Vec<_> = target.received(6).await.iter().map(|one| one.event()["type"].clone()).collect();
    assert!(types.contains(&"payment_intent.succeeded".into()), "{types:?}");
    second.simulator.shutdown().await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn changes_are_written_soon_and_a_torn_last_line_is_no_harm() {
    let folder = folder();
    let file = folder.join("stripe.jsonl");
    let first = Stripe::start_with(options(&folder)).await;
    let id = first.intent().await.id();
    until(async || std::fs::read_to_string(&file).unwrap().contains(&id).then_some(())).await;
    drop(first);
    let torn = std::fs::read_to_string(&file).unwrap() + "{\"kind\":\"payment_int";
    std::fs::write(&file, torn).unwrap();
    let second = Stripe::start_with(options(&folder)).await;
    assert_eq!(second.get(&format!("/v1/payment_intents/{id}")).await.status, 200);
    second.simulator.shutdown().await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_strange_file_and_a_live_key_are_refused() {
    let folder = folder();
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("stripe.jsonl"), "not ours\n").unwrap();
    let refused = Simulator::start(options(&folder)).await.unwrap_err().to_string();
    assert!(refused.starts_with("line 1 of the state file"), "{refused}");
    std::fs::remove_dir_all(folder).unwrap();
    let live = SimulatorOptions { secret_key: "sk_live_1".into(), ..SimulatorOptions::default() };
    assert!(Simulator::start(live).await.is_err());
}
