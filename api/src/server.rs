//! The router, and the layers that every request goes through.

use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;
use tower::ServiceBuilder;

use crate::{
    access::Access,
    cause::Asked,
    client::{self, Client},
    cors,
    encoding::Packing,
    extract::BODY_LIMIT,
    head, headers, openapi, ops,
    problem::{Problem, kinds},
    routes,
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

/// These routes, and whatever holds for all of them.
fn shell(app: AppState, routes: Router<AppState>) -> Router {
    let part = |part, router: Router<AppState>| {
        let inside = middleware::from_fn_with_state((app.clone(), part), within);
        router.method_not_allowed_fallback(method_not_allowed).layer(inside)
    };
    // Each layer costs every request some copies and allocations: what belongs together is one.
    let layers = ServiceBuilder::new()
        .layer(middleware::from_fn_with_state(app.clone(), around))
        .option_layer(cors::layer(&app.config.http));
    part(Part::Work, routes)
        .merge(part(Part::Reading, Router::from(openapi::router()).fallback(unknown_path)))
        .merge(part(Part::Health, ops::routes().into()))
        .layer(layers)
        .with_state(app)
}

/// What a request is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// What is done for a shop's clients.
    Work,
    /// The API's description, and whatever is not there.
    Reading,
    /// What probes ask for: always answered.
    Health,
}

/// What is around every answer, refusals included.
async fn around(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let over_tls = app.config.http.tls.is_some();
    let body = unread::watch(&mut request);
    let (asked, access) = (Asked::by(request.headers()), Access::begin(&request));
    let packing = Packing::asked_for(&mut request);
    let answer = async move {
        let mut response = packing.pack(next.run(request).await).await;
        headers::add(&mut response, over_tls);
        access.tell(&response);
        response
    };
    let mut response = asked.run(answer).await;
    if let Some(body) = body {
        body.settle(&mut response).await;
    }
    response
}

/// What holds for every request before somebody answers it. Who answers may panic, and may not take for ever.
async fn within(
    State((app, part)): State<(AppState, Part)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    head::check(&request)?;
    DefaultBodyLimit::max(BODY_LIMIT).apply(&mut request);
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let limit = if route == Some(routes::UPLOADS) { UPLOAD_TIME_LIMIT } else { TIME_LIMIT };
    let answered = AssertUnwindSafe(counted(&app, part, request, next)).catch_unwind();
    match tokio::time::timeout(limit, answered).await {
        Ok(answered) => answered.unwrap_or_else(|panic| Err(panicked(&*panic))),
        Err(_) => {
            tracing::warn!("a request was given up after {} s", limit.as_secs());
            Err(Problem::new(kinds::UNAVAILABLE, "The request took too long; nothing of it was done, or all of it.")
                .retry_after(1))
        }
    }
}

/// Counts a request, whatever it asks for, unless it is a probe's. Stripe's events are not counted: they come from few addresses, and in
/// floods.
async fn counted(app: &AppState, part: Part, request: Request, next: Next) -> Result<Response, Problem> {
    if part == Part::Health {
        return Ok(next.run(request).await);
    }
    let client = client::of(app, request.extensions(), request.headers());
    let is_counted = request.uri().path() != routes::WEBHOOKS;
    let standing = if is_counted { app.limits.request(client)? } else { None };
    let mut response = match part {
        Part::Work => in_slot(app, client, request, next).await.into_response(),
        Part::Reading | Part::Health => next.run(request).await,
    };
    if let Some(standing) = standing {
        standing.tell(response.headers_mut());
    }
    Ok(response)
}

/// What holds for what is work.
async fn in_slot(app: &AppState, client: Client, request: Request, next: Next) -> Result<Response, Problem> {
    app.gate.pass()?;
    app.load.in_slot(client, next.run(request)).await
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
    use std::sync::Arc;

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
