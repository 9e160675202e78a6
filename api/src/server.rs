//! The router, and the layer that every request goes through.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;
use tower_http::cors::CorsLayer;

use crate::{
    access::Access,
    cause::Origin,
    client::{self, Client},
    cors,
    encoding::Packing,
    extract::BODY_LIMIT,
    head, headers, openapi, ops,
    problem::{Problem, kinds},
    routes,
    slots::Lane,
    state::AppState,
    unread,
};

/// Longest that one request may take, its body's arrival included.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// The same where an image arrives: there is much of it, and some lines are thin.
const UPLOAD_TIME_LIMIT: Duration = Duration::from_secs(120);

/// The whole API.
pub fn router(app: AppState) -> Router {
    shell(app, routes::router().into())
}

/// These routes, and whatever holds for all of them, from the outside in: [`answer`], CORS, and [`within`]. They are one layer, as each costs
/// every request some copies and allocations.
fn shell(app: AppState, routes: Router<AppState>) -> Router {
    let with = |kind, routes: Router<AppState>| {
        let around = Arc::new(Around { app: app.clone(), kind, cors: cors::layer(&app.config.http) });
        routes.method_not_allowed_fallback(method_not_allowed).layer(middleware::from_fn_with_state(around, answer))
    };
    with(Kind::Shop, routes)
        .merge(with(Kind::Document, Router::from(openapi::router()).fallback(unknown_path)))
        .merge(with(Kind::Probe, ops::routes().into()))
        .with_state(app)
}

/// What is around a request.
struct Around {
    app: AppState,
    kind: Kind,
    cors: Option<CorsLayer>,
}

/// What a path is there for, and so what its requests are held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The shop: so many for each address, in a slot, once the database is fit.
    Shop,
    /// The API's description, and paths at which nothing is: so many for each address.
    Document,
    /// Health: nothing.
    Probe,
}

/// What holds for every answer, refusals included. What is awaited here and in [`within`] is boxed: a future holds each one that it is given
/// two or three times over, and these, one in the other, came to 200 kB for each request.
async fn answer(State(around): State<Arc<Around>>, mut request: Request, next: Next) -> Response {
    let over_tls = around.app.config.http.tls.is_some();
    let body = unread::watch(&mut request);
    let (origin, access) = (Origin::of(request.headers()), Access::begin(&request));
    let packing = Packing::take_from(&mut request);
    let answered = Box::pin(async move {
        let response = match &around.cors {
            None => within(&around, request, next).await,
            Some(cors) => cors::answer(cors, request, |request| within(&around, request, next.clone())).await,
        };
        let mut response = packing.pack(response).await;
        headers::add(&mut response, over_tls);
        access.tell(&response);
        response
    });
    let mut response = origin.answer(answered).await;
    if let Some(body) = body {
        body.settle(&mut response).await;
    }
    response
}

/// What holds for every request before somebody answers it. Who answers may panic, and may not take for ever.
async fn within(around: &Around, mut request: Request, next: Next) -> Response {
    if let Err(problem) = head::check(&request) {
        return problem.into_response();
    }
    DefaultBodyLimit::max(BODY_LIMIT).apply(&mut request);
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let limit = if route == Some(routes::UPLOADS) { UPLOAD_TIME_LIMIT } else { TIME_LIMIT };
    let answered = tokio::time::timeout(limit, Box::pin(held_to_limits(around, request, next)));
    // What requests share is behind locks and atomics; whoever finds a lock poisoned goes on.
    match AssertUnwindSafe(answered).catch_unwind().await {
        Ok(Ok(answered)) => answered.into_response(),
        Ok(Err(_elapsed)) => {
            tracing::warn!("a request was given up after {} s", limit.as_secs());
            Problem::new(kinds::UNAVAILABLE, "The request took too long; nothing of it was done, or all of it.")
                .retry_after(1)
                .into_response()
        }
        Err(panic) => panicked(&*panic).into_response(),
    }
}

/// Lets a request through as often, and to as much, as its kind is let. Probes are always let through.
async fn held_to_limits(around: &Around, request: Request, next: Next) -> Result<Response, Problem> {
    let Around { app, kind, cors: _ } = around;
    if *kind == Kind::Probe {
        return Ok(next.run(request).await);
    }
    let client = client::of(app, request.extensions(), request.headers());
    // Stripe's events are not counted: they come from few addresses, and in floods.
    let is_counted = request.uri().path() != routes::WEBHOOKS;
    let standing = if is_counted { app.limits.request(client)? } else { None };
    let mut response = match kind {
        Kind::Shop => in_slot(app, client, request, next).await.into_response(),
        Kind::Document | Kind::Probe => next.run(request).await,
    };
    if let Some(standing) = standing {
        standing.tell(response.headers_mut());
    }
    Ok(response)
}

async fn in_slot(app: &AppState, client: Client, request: Request, next: Next) -> Result<Response, Problem> {
    app.gate.pass()?;
    let lane = Lane::of(request.method(), request.uri().path());
    app.load.in_slot(lane, client, next.run(request)).await
}

async fn unknown_path() -> Problem {
    Problem::new(kinds::NOT_FOUND, "There is nothing at this path.")
}

async fn method_not_allowed() -> Problem {
    Problem::new(kinds::METHOD_NOT_ALLOWED, "The `Allow` header says which methods this path knows.")
}

fn panicked(panic: &(dyn Any + Send)) -> Problem {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(panic = message, "a handler panicked");
    Problem::of(kinds::INTERNAL)
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        routing::get,
    };
    use common::{
        config::{self, Environment},
        images::Storage,
    };
    use http::{Request, StatusCode};
    use serde_json::Value;
    use tower::ServiceExt as _;

    use super::*;
    use crate::state::App;

    /// An API whose database is away.
    fn app() -> AppState {
        let environment = Environment::from([
            ("DATABASE_URL", "postgres://nobody@127.0.0.1:9/nothing"),
            ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
            ("STRIPE_PUBLISHABLE_KEY", "pk_test_0123456789abcdef"),
            ("STRIPE_WEBHOOK_SECRET", "whsec_0123456789abcdef0123456789abcdef"),
            ("OBJECT_STORE_URL", &format!("file:{}", std::env::temp_dir().join("kassa-api-tests").display())),
        ]);
        let config = config::Api::read(&environment).expect("a complete configuration");
        let storage = Storage::open(&config.images.store).expect("it can be made");
        Arc::new(App::new(config, storage))
    }

    async fn explode() {
        panic!("boom")
    }

    async fn ask(app: AppState, method: &str, path: &str, id: Option<&str>) -> (StatusCode, http::HeaderMap, Value) {
        let routes = Router::new().route("/explode", get(explode));
        let mut request = Request::builder().method(method).uri(path).header("host", "shop.example");
        if let Some(id) = id {
            request = request.header("x-request-id", id);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = shell(app, routes).oneshot(request).await.expect("an answer");
        let (head, body) = response.into_parts();
        let body = to_bytes(body, 10_000).await.expect("a body");
        (head.status, head.headers, serde_json::from_slice(&body).expect("JSON"))
    }

    #[tokio::test]
    async fn a_panic_becomes_a_problem_that_tells_nothing() {
        let app = app();
        app.gate.open();
        let (status, headers, body) = ask(app, "GET", "/explode", Some("mine")).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!((&body["code"], &body["request_id"]), (&"internal".into(), &"mine".into()));
        assert_eq!(headers["x-request-id"], "mine");
        assert_eq!(headers["content-type"], "application/problem+json");
        assert!(!body.to_string().contains("boom"), "{body}");
    }

    #[tokio::test]
    async fn until_the_database_is_fit_requests_are_put_off_but_the_process_is_alive() {
        let (status, headers, body) = ask(app(), "GET", "/explode", None).await;
        assert_eq!((status, &body["code"]), (StatusCode::SERVICE_UNAVAILABLE, &"unavailable".into()));
        assert_eq!(headers["retry-after"], "1");
        assert_eq!(ask(app(), "GET", "/health/live", None).await.0, StatusCode::OK);
        assert_eq!(ask(app(), "GET", "/health/ready", None).await.0, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn unknown_paths_and_methods_become_problems_with_an_id() {
        let (status, headers, body) = ask(app(), "GET", "/nowhere", Some("not sane")).await;
        assert_eq!((status, &body["code"]), (StatusCode::NOT_FOUND, &"not_found".into()));
        assert_eq!(headers["x-request-id"], body["request_id"].as_str().expect("an id"));
        assert_ne!(headers["x-request-id"], "not sane");
        let (status, headers, body) = ask(app(), "POST", "/health/live", None).await;
        assert_eq!((status, &body["code"]), (StatusCode::METHOD_NOT_ALLOWED, &"method_not_allowed".into()));
        assert_eq!(headers["allow"], "GET,HEAD");
    }
}
