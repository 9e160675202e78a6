//! The limit of the HTTP stack: an axum handler that returns bytes which it has, on the shop's paths, and nothing around it. A process
//! of its own, as the API is one.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, Result};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue},
    response::IntoResponse,
    routing::get,
    serve::ListenerExt as _,
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::{
    ground::Work,
    helper::{Running, end_of_input},
    http::Answer,
};

/// Headers that each server makes itself.
const OWN: [&str; 2] = ["content-length", "date"];

/// What it returns.
#[derive(Serialize, Deserialize)]
pub(crate) struct Returned {
    headers: Vec<(String, String)>,
    body: String,
}

impl Returned {
    /// What the shop has answered, byte by byte.
    pub(crate) fn as_answered(answer: &Answer<'_>) -> Self {
        let headers = answer.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers = headers.filter(|(name, _)| !OWN.iter().any(|own| name.eq_ignore_ascii_case(own)));
        Self {
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: String::from_utf8_lossy(answer.body).into_owned(),
        }
    }
}

/// Starts it as a process with this answer, and gives its address.
pub(crate) async fn start(work: &Work, returned: &Returned) -> Result<(Running, SocketAddr)> {
    let file = work.0.join("answer.json");
    std::fs::write(&file, serde_json::to_vec(returned)?)?;
    let running = Running::start(&["bare", &file.display().to_string()], &[]).await?;
    let addr = running.said.parse().context("the bare server prints its address")?;
    Ok((running, addr))
}

/// Runs it until standard input ends; prints its address first.
pub(crate) async fn serve(answer: &Path) -> Result<()> {
    let returned: Returned = serde_json::from_slice(&std::fs::read(answer)?)?;
    let mut headers = HeaderMap::new();
    for (name, value) in returned.headers {
        headers.append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    let state = Arc::new((headers, Bytes::from(returned.body)));
    let router = Router::new().route("/products", get(give)).route("/products/{id}", get(give)).with_state(state);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        let _slower_then = stream.set_nodelay(true);
    });
    axum::serve(listener, router).with_graceful_shutdown(end_of_input()).await.context("the bare server broke")
}

async fn give(State(answer): State<Arc<(HeaderMap, Bytes)>>) -> impl IntoResponse {
    (answer.0.clone(), answer.1.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_server_makes_itself_is_left_out() {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nDate: now\r\ncontent-length: 2\r\n\r\n";
        let returned = Returned::as_answered(&Answer { status: 200, head, body: b"{}" });
        assert_eq!(returned.headers, [("content-type".to_owned(), "application/json".to_owned())]);
        assert_eq!(returned.body, "{}");
    }
}
