//! Stripe's events, each a new one, signed as Stripe signs them. The worker rests, as in `checkout`.

use std::time::Duration;

use anyhow::{Result, ensure};
use common::clock::Clock;
use dev::stripe::sign;
use tokio::task::block_in_place;

use super::AT_ONCE;
use crate::{
    figures::Run,
    generator::{Load, Pace, Requests},
    ground::{Ground, WEBHOOK_SECRET},
    http::{Connection, request},
    script::{Name, script as script_of},
    store::Store,
};

/// An event as Stripe sends it.
const SAMPLE: &str = include_str!("../../../docs/webhooks/payment_intent.succeeded.json");
/// Its id in the sample.
const SAMPLE_ID: &str = "evt_SAMPLE";
/// More than the shop takes in a second.
const PER_SECOND: u64 = 6000;
/// The id of the event that is recorded.
const RECORDED: &str = "evt_bench_recorded";

pub(super) async fn send(ground: &Ground, store: &mut Store, pace: Pace, limit: Duration) -> Result<Run> {
    store.without_worker().await;
    let addr = store.api(ground).await?;
    store.clean().await?;
    let count = PER_SECOND * limit.as_millis().try_into().unwrap_or(u64::MAX) / 1000;
    let requests = Requests::Once((0..count).map(|number| event(&format!("evt_bench_{number}"))).collect());
    let load = Load { addr, connections: AT_ONCE, requests: &requests, expected: &[200], comes_again: false };
    let run = block_in_place(|| load.run(pace, limit))?;
    let stored = store.count("SELECT count(*) FROM webhook_logs WHERE status = 'received'").await?;
    ensure!(stored >= run.done, "{} events were answered, but {stored} are stored", run.done);
    Ok(run)
}

/// The request that brings an event with this id.
pub(crate) fn event(id: &str) -> Vec<u8> {
    let payload = SAMPLE.replace(SAMPLE_ID, id);
    let signature = sign(&payload, Clock::System.now().timestamp(), &[WEBHOOK_SECRET.to_owned()]);
    request("POST", "/webhooks/stripe", &[("stripe-signature", &signature)], &payload)
}

/// The same statements as the shop's, for other events.
pub(crate) async fn script(ground: &Ground, store: &Store) -> Result<String> {
    store.clean().await?;
    let ask = async |addr| {
        let mut connection = Connection::open(addr)?;
        let answer = connection.ask(&event(RECORDED))?;
        ensure!(answer.status == 200, "an event is answered with {}", answer.status);
        Ok(())
    };
    let statements = store.record(ground, ask).await?;
    script_of("", &statements, &[Name::new(RECORDED, "'evt_bench_' || :ms::text || '_' || :client_id::text")])
}
