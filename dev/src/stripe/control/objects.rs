//! Control of objects: what banks, shoppers and the dashboard do to them.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::post,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        App, attempt, confirm,
        desk::{Desk, Origin},
        disputes,
        errors::ApiError,
        intents,
        objects::{DisputeStatus, RefundStatus},
        refunds,
    },
    Answered, Refused,
};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/_control/payment_intents/{id}", post(alter))
        .route("/_control/payment_intents/{id}/settle", post(settle))
        .route("/_control/payment_intents/{id}/authenticate", post(authenticate))
        .route("/_control/charges/{id}/dispute", post(dispute))
        .route("/_control/disputes/{id}", post(change_dispute))
        .route("/_control/refunds/{id}", post(change_refund))
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Succeeded,
    Failed,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Ending {
    outcome: Option<Outcome>,
}

impl Ending {
    fn succeeds(&self) -> Option<bool> {
        self.outcome.map(|outcome| matches!(outcome, Outcome::Succeeded))
    }
}

fn at_desk(app: &Arc<App>, work: impl FnOnce(&mut Desk<'_>) -> Result<Value, ApiError>) -> Answered<Value> {
    Ok(Json(app.at_desk(Origin::default(), work)?))
}

async fn settle(State(app): State<Arc<App>>, Path(id): Path<String>, Json(ending): Json<Ending>) -> Answered<Value> {
    at_desk(&app, |desk| {
        attempt::settle(desk, &id, ending.succeeds())?;
        intents::retrieve(desk, &id)
    })
}

async fn authenticate(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Json(ending): Json<Ending>,
) -> Answered<Value> {
    let Some(succeeds) = ending.succeeds() else { return Err(Refused::invalid("outcome is succeeded or failed")) };
    at_desk(&app, |desk| {
        confirm::authenticate(desk, &id, succeeds)?;
        intents::retrieve(desk, &id)
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Alteration {
    amount: Option<i64>,
    currency: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
}

/// Makes an intent differ from what the shop asked for, without an event.
async fn alter(State(app): State<Arc<App>>, Path(id): Path<String>, Json(change): Json<Alteration>) -> Answered<Value> {
    at_desk(&app, |desk| {
        let mut intent = intents::find(desk, &id, "intent")?;
        intent.amount = change.amount.unwrap_or(intent.amount);
        intent.currency = change.currency.unwrap_or(intent.currency);
        intent.metadata = change.metadata.unwrap_or(intent.metadata);
        let shown = intent.show();
        desk.books.intents.put(intent);
        Ok(shown)
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NewDispute {
    reason: Option<String>,
    inquiry: bool,
}

/// Of a charge, or of an intent's latest charge.
async fn dispute(State(app): State<Arc<App>>, Path(id): Path<String>, Json(new): Json<NewDispute>) -> Answered<Value> {
    at_desk(&app, |desk| {
        let of_intent = desk.books.intents.get(&id).and_then(|intent| intent.latest_charge.clone());
        let charge = desk.books.charges.get(of_intent.as_ref().unwrap_or(&id)).cloned();
        let charge = charge.ok_or_else(|| ApiError::missing("charge", &id, "id"))?;
        let reason = new.reason.as_deref().unwrap_or("fraudulent");
        let dispute = disputes::open(desk, &charge, reason, new.inquiry);
        disputes::retrieve(desk, &dispute)
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DisputeChange {
    status: DisputeStatus,
}

async fn change_dispute(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Json(change): Json<DisputeChange>,
) -> Answered<Value> {
    at_desk(&app, |desk| {
        disputes::change(desk, &id, change.status)?;
        disputes::retrieve(desk, &id)
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundChange {
    status: RefundStatus,
}

async fn change_refund(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Json(change): Json<RefundChange>,
) -> Answered<Value> {
    at_desk(&app, |desk| {
        refunds::settle(desk, &id, Some(change.status))?;
        refunds::retrieve(desk, &id)
    })
}

/// Shows nothing but what was done.
pub(super) fn done() -> Json<Value> {
    Json(json!({}))
}
