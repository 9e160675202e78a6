//! One log line and two metrics for each request. Neither holds an address, a query string or a header; a path is logged as
//! the route that it matched, so that the number of different labels stays bounded.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use http::Method;

const REQUESTS: &str = "kassa_http_requests_total";
const DURATION: &str = "kassa_http_request_duration_seconds";

/// Tells what the metrics mean.
pub(crate) fn describe() {
    metrics::describe_counter!(REQUESTS, "Requests answered, by method, route and status.");
    metrics::describe_histogram!(DURATION, metrics::Unit::Seconds, "Time from a request's headers to its answer's.");
}

/// Lets the request through, then tells of it.
pub(crate) async fn record(request: Request, next: Next) -> Response {
    let method = label(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let start = Instant::now();
    let response = next.run(request).await;
    let duration = start.elapsed();

    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let status = response.status().as_u16();
    let labels = [("method", method.to_owned()), ("route", route.to_owned())];
    metrics::histogram!(DURATION, &labels).record(duration.as_secs_f64());
    let [method_label, route_label] = labels;
    let labels = [method_label, route_label, ("status", status.to_string())];
    metrics::counter!(REQUESTS, &labels).increment(1);
    if route.starts_with("/health/") {
        tracing::debug!(method, route, status, duration_ms = millis(duration), "request");
    } else {
        tracing::info!(method, route, status, duration_ms = millis(duration), "request");
    }
    response
}

/// A method may be any word; only the usual ones become labels.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn millis(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
