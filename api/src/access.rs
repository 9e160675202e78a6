//! One log line and two metrics for each request. Neither holds an address, a query string or a header; a path is logged as
//! the route that it matched, so that the number of different labels stays bounded.

use std::{cell::RefCell, collections::HashMap, time::Instant};

use axum::{
    extract::{MatchedPath, Request},
    response::Response,
};
use http::{HeaderValue, Method, header};
use metrics::{Counter, Histogram};
use uuid::Uuid;

use crate::{cause, headers, openapi, problem::Problem};

const REQUESTS: &str = "kassa_http_requests_total";
const DURATION: &str = "kassa_http_request_duration_seconds";

const UNMATCHED: &str = "unmatched";
const OTHER: &str = "other";

/// Tells what the metrics mean, and begins to count the failures of each route.
pub(crate) fn describe() {
    metrics::describe_counter!(
        REQUESTS,
        "Requests answered, by method, route and status. What is at no route, or no request, is unmatched."
    );
    metrics::describe_histogram!(
        DURATION,
        metrics::Unit::Seconds,
        "Time from a request's headers to its answer's, by method and route."
    );
    for (method, route) in openapi::operations() {
        for status in ["500", "503"] {
            let labels = [("method", method.to_owned()), ("route", route.clone()), ("status", status.to_owned())];
            metrics::counter!(REQUESTS, &labels).increment(0);
        }
    }
}

/// A request that is to be told of.
pub(crate) struct Access {
    method: &'static str,
    route: Option<MatchedPath>,
    start: Instant,
}

impl Access {
    /// One that begins now.
    pub(crate) fn begin(request: &Request) -> Self {
        let route = request.extensions().get::<MatchedPath>().cloned();
        Self { method: label(request.method()), route, start: Instant::now() }
    }

    /// Tells of it, and of its answer.
    pub(crate) fn tell(self, response: &Response) {
        let duration = self.start.elapsed();
        let method = self.method;
        let route = self.route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
        let status = response.status().as_u16();
        measure(method, route, |series| {
            series.duration.record(duration.as_secs_f64());
            series.count(status);
        });
        if route.starts_with("/health/") {
            tracing::debug!(method, route, status, duration_ms = millis(duration), "request");
        } else {
            tracing::info!(method, route, status, duration_ms = millis(duration), "request");
        }
    }
}

/// What is counted of one method at one route.
struct Series {
    labels: [(&'static str, String); 2],
    duration: Histogram,
    answers: HashMap<u16, Counter>,
}

impl Series {
    fn new(method: &'static str, route: &str) -> Self {
        let labels = [("method", method.to_owned()), ("route", route.to_owned())];
        Self { duration: metrics::histogram!(DURATION, &labels), answers: HashMap::new(), labels }
    }

    fn count(&mut self, status: u16) {
        let [method, route] = &self.labels;
        let new = || metrics::counter!(REQUESTS, &[method.clone(), route.clone(), ("status", status.to_string())]);
        self.answers.entry(status).or_insert_with(new).increment(1);
    }
}

thread_local! {
    /// Looked up by their labels for each request, they would cost more than what they count.
    static SERIES: RefCell<HashMap<&'static str, HashMap<String, Series>>> = RefCell::default();
}

fn measure(method: &'static str, route: &str, observe: impl FnOnce(&mut Series)) {
    SERIES.with_borrow_mut(|known| {
        let of_method = known.entry(method).or_default();
        match of_method.get_mut(route) {
            Some(series) => observe(series),
            None => observe(of_method.entry(route.to_owned()).or_insert(Series::new(method, route))),
        }
    });
}

/// What a client is told, byte by byte, whose request could not be read or is not read: afterwards the connection ends. Tells
/// of it like of any answer.
pub(crate) fn last_words(problem: Problem, date: Option<&str>, over_tls: bool) -> Vec<u8> {
    let id = Uuid::now_v7().to_string();
    let (status, mut headers, body) = problem.into_parts(Some(id.clone()));
    measure(OTHER, UNMATCHED, |series| series.count(status.as_u16()));
    tracing::info!(request_id = id, status = status.as_u16(), "refused what is no request");
    headers.extend(headers::defaults(over_tls));
    headers.insert(cause::REQUEST_ID, HeaderValue::try_from(id).expect("a UUID is visible ASCII"));
    headers.insert(header::CONTENT_LENGTH, body.len().into());
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Some(date) = date.and_then(|date| date.parse().ok()) {
        headers.insert(header::DATE, date);
    }
    let mut words = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for (name, value) in &headers {
        words.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    words.extend(b"\r\n");
    words.extend(body);
    words
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
        _ => OTHER,
    }
}

fn millis(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
