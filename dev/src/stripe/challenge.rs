//! The page on which a shopper authenticates, in the place of the bank's: two buttons, or a POST with `outcome`.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Path, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use url::Url;

use super::{
    App, confirm,
    desk::Origin,
    money::display,
    objects::{Intent, IntentStatus},
};

/// `GET /3d_secure/{intent}/{token}`.
pub(crate) async fn show(State(app): State<Arc<App>>, Path((id, token)): Path<(String, String)>) -> Response {
    let Some(intent) = waiting(&app, &id, &token) else { return gone() };
    let amount = display(intent.amount, &intent.currency);
    Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>3D Secure (simulated)</title>\
         <body style=\"font-family:sans-serif;max-width:30rem;margin:4rem auto\">\
         <h1>3D Secure</h1><p>A payment of <strong>{amount}</strong> waits for your bank's confirmation. No bank is asked: this \
         is the simulator.</p><form method=\"post\">\
         <button name=\"outcome\" value=\"succeeded\">Complete authentication</button> \
         <button name=\"outcome\" value=\"failed\">Fail authentication</button></form></body></html>"
    ))
    .into_response()
}

/// What the shopper chose.
#[derive(Debug, Deserialize)]
pub(crate) struct Choice {
    outcome: String,
}

/// `POST /3d_secure/{intent}/{token}`.
pub(crate) async fn choose(
    State(app): State<Arc<App>>,
    Path((id, token)): Path<(String, String)>,
    Form(choice): Form<Choice>,
) -> Response {
    let Some(intent) = waiting(&app, &id, &token) else { return gone() };
    let succeeds = match choice.outcome.as_str() {
        "succeeded" => true,
        "failed" => false,
        _ => return (StatusCode::UNPROCESSABLE_ENTITY, "outcome is succeeded or failed\n").into_response(),
    };
    let done = app.at_desk(Origin::default(), |desk| confirm::authenticate(desk, &id, succeeds));
    if done.is_err() {
        return gone();
    }
    let Some(mut url) =
        intent.challenge.and_then(|challenge| challenge.return_url).and_then(|url| Url::parse(&url).ok())
    else {
        return Html("<!doctype html><title>Done</title><p>Done: you may go back to the shop.</p>\n").into_response();
    };
    let paid = app.books(|books| books.intents.get(&id).is_some_and(|intent| intent.status == IntentStatus::Succeeded));
    url.query_pairs_mut()
        .append_pair("payment_intent", &id)
        .append_pair("payment_intent_client_secret", &intent.client_secret)
        .append_pair("redirect_status", if paid { "succeeded" } else { "failed" });
    Redirect::to(url.as_str()).into_response()
}

fn waiting(app: &App, id: &str, token: &str) -> Option<Intent> {
    let waits = |intent: &&Intent| intent.challenge.as_ref().is_some_and(|challenge| challenge.token == token);
    app.books(|books| books.intents.get(id).filter(waits).cloned())
}

fn gone() -> Response {
    (StatusCode::NOT_FOUND, "No authentication waits here.\n").into_response()
}
