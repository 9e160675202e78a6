//! The way of a call under `/v1`: who calls, the idempotency key, the operation, the answer, and the fault that meets it on the
//! way. Runs in a task of its own, so that a caller who goes away stops nothing, as at Stripe.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{
    App,
    answer::{self, Reply},
    auth::Caller,
    desk::{API_VERSION, Origin},
    dispatch::{Call, dispatch},
    errors::ApiError,
    faults::{Held, Hit, Moment},
    form::Form,
    idempotency::{self, Claim, Found},
    objects::new_id,
    requests,
    wire::Scissors,
};

const LARGEST_BODY: usize = 1024 * 1024;

/// Answers a call under `/v1`.
pub(crate) async fn handle(
    State(app): State<Arc<App>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: Request,
) -> Response {
    if request.method() == Method::OPTIONS {
        return answer::preflight();
    }
    let now = app.clock.now();
    let request_id = new_id("req");
    let (head, body) = request.into_parts();
    let read = match to_bytes(body, LARGEST_BODY).await {
        Ok(bytes) => read_call(&head, &bytes),
        Err(_) => Err(ApiError::invalid("Request body is too large.")),
    };
    let call = match read {
        Ok(call) => call,
        Err(error) => return Reply::error(&error, &request_id, now).into_response(),
    };
    let serving = serve(app, scissors, head.headers, call, request_id);
    match tokio::spawn(serving).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "the simulator failed to answer");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn read_call(head: &axum::http::request::Parts, body: &[u8]) -> Result<Call, ApiError> {
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if content_type.starts_with("application/json") {
        return Err(ApiError::invalid(
            "Invalid request (check that your POST content type is application/x-www-form-urlencoded). If you have any \
             questions, we can help at https://support.stripe.com/.",
        ));
    }
    let mut encoded = head.uri.query().unwrap_or_default().as_bytes().to_vec();
    encoded.push(b'&');
    encoded.extend_from_slice(body);
    let form = Form::read(&encoded)?;
    Ok(Call { method: head.method.to_string(), path: head.uri.path().to_owned(), form })
}

async fn serve(app: Arc<App>, scissors: Scissors, headers: HeaderMap, mut call: Call, request_id: String) -> Response {
    let hit = app.faults.strike(&call.method, &call.path);
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let key = text("idempotency-key");
    let head = requests::Head { idempotency_key: key.clone(), traceparent: text("traceparent") };
    app.requests().arrived(&request_id, &call, head, hit.is_some(), app.clock.now_ms());
    let held = Held { request_id: request_id.clone(), method: call.method.clone(), path: call.path.clone() };

    let mut reply = reply(&app, &headers, &mut call, key.as_deref(), hit.as_ref(), &held).await;
    if let Some(hit) = &hit
        && let Some(answer) = &hit.fault.answer
    {
        reply = match answer::replace(answer, reply, hit, &held, &scissors, app.clock.now()).await {
            Some(reply) => reply,
            None => return answer::nothing(),
        };
    }
    reply.request_id = request_id;
    reply.version = headers.get("stripe-version").cloned().unwrap_or(HeaderValue::from_static(API_VERSION));
    reply.idempotency_key = headers.get("idempotency-key").cloned();
    app.requests().answered(&reply.request_id, reply.status.as_u16(), reply.replay_of.is_some());
    reply.into_response()
}

/// The genuine answer; an empty one where a fault's stands for it and the operation never began.
async fn reply(
    app: &Arc<App>,
    headers: &HeaderMap,
    call: &mut Call,
    key: Option<&str>,
    hit: Option<&Hit>,
    held: &Held,
) -> Reply {
    let request_id = &held.request_id;
    let refused = |error: &ApiError| Reply::error(error, request_id, app.clock.now());
    if stopped(hit, Moment::Arrival, held).await {
        return Reply::empty();
    }
    let (caller, claim) = match admit(app, headers, call, key) {
        Ok(admitted) => admitted,
        Err(error) => return refused(&error),
    };
    let found = claim.as_ref().map(|claim| {
        let mut state = app.state();
        let oldest = app.clock.now_ms() - state.settings.idempotency_seconds.saturating_mul(1000);
        let state = &mut *state;
        state.running.claim(&state.books, claim, oldest)
    });
    let replay = match found.transpose() {
        Ok(Some(Found::Replay(saved))) => Some(saved),
        Ok(Some(Found::Fresh) | None) => None,
        Err(error) => return refused(&error),
    };
    let never_begins = stopped(hit, Moment::Before, held).await;
    let reply = match replay {
        Some(saved) => Reply::replay(saved),
        None => execute(app, call, caller, claim.as_ref(), hit, never_begins, request_id),
    };
    if let Some(hit) = hit {
        hit.pause(Moment::After, held).await;
    }
    reply
}

/// Pauses at the moment; true if a fault's answer ends the call there.
async fn stopped(hit: Option<&Hit>, moment: Moment, held: &Held) -> bool {
    let Some(hit) = hit else { return false };
    hit.pause(moment, held).await;
    hit.answer(moment).is_some()
}

fn admit(
    app: &App,
    headers: &HeaderMap,
    call: &mut Call,
    key: Option<&str>,
) -> Result<(Caller, Option<Claim>), ApiError> {
    let caller = app.keys.identify(headers, call)?;
    if let Some(version) = headers.get("stripe-version") {
        check_version(version)?;
    }
    let Some(key) = key.filter(|key| !key.is_empty() && call.method == "POST") else { return Ok((caller, None)) };
    idempotency::check_length(key)?;
    Ok((caller, Some(Claim::new(key, &call.path, &call.form))))
}

/// A date, and a name after it in the newer ones.
fn check_version(version: &HeaderValue) -> Result<(), ApiError> {
    let text = version.to_str().unwrap_or_default();
    let date = text.split('.').next().unwrap_or_default();
    if date.len() == 10 && chrono::NaiveDate::parse_from_str(date, "%Y-%m-%d").is_ok() {
        return Ok(());
    }
    Err(ApiError::invalid(format!("Invalid Stripe API version: {text}")))
}

/// The operation and what is kept under its key, in one.
fn execute(
    app: &Arc<App>,
    call: &Call,
    caller: Caller,
    claim: Option<&Claim>,
    hit: Option<&Hit>,
    never_begins: bool,
    request_id: &str,
) -> Reply {
    let origin =
        Origin { request_id: Some(request_id.to_owned()), idempotency_key: claim.map(|claim| claim.key.clone()) };
    let forced = hit
        .and_then(|hit| hit.answer(hit.fault.moment()))
        .and_then(|answer| answer::saved(answer, request_id, app.clock.now()));
    app.at_desk_with_keys(origin, |desk, keys| {
        let now_ms = desk.now_ms;
        let (reply, executed) = if never_begins {
            (Reply::empty(), false)
        } else {
            match dispatch(desk, call, caller) {
                Ok(shown) => (Reply::json(StatusCode::OK, shown), true),
                Err(error) => (Reply::error(&error, request_id, desk.now()), error.executed),
            }
        };
        if let Some(claim) = claim {
            let genuine = executed.then(|| (reply.status.as_u16(), reply.value.clone()));
            let kept = forced.or(genuine).map(|(status, body): (u16, Value)| (status, body, request_id.to_owned()));
            keys.finish(desk.books, claim, kept, now_ms);
        }
        reply
    })
}

/// What is neither the API nor the control endpoints.
pub(crate) async fn not_found(request: Request<Body>) -> Response {
    let error = ApiError::unknown_url(request.method().as_str(), request.uri().path());
    Reply::error(&error, &new_id("req"), 0).into_response()
}
