//! HTTP as it is on the wire, for requests that no client would send.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Longest wait for an answer and the connection's end; longer than any limit of the API's.
const PATIENCE: Duration = Duration::from_secs(45);

/// What came back until the connection ended.
#[derive(Debug)]
pub(crate) struct Answer {
    /// 0 if nothing came.
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

/// A connection, on which something was said.
pub(crate) async fn say(addr: SocketAddr, what: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.expect("it listens");
    // A server that refuses may have ended before it has heard all.
    let _refused = stream.write_all(what).await;
    stream
}

/// All that comes back to this, on a connection of its own.
pub(crate) async fn ask(addr: SocketAddr, what: &[u8]) -> Answer {
    Answer::until_the_end(say(addr, what).await).await
}

impl Answer {
    /// Reads until the other side ends the connection.
    pub(crate) async fn until_the_end(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
        read.expect("the connection ends").expect("it is not reset");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// A header's value, empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value).next().unwrap_or_default()
    }

    /// It must be a problem of this status and code, with which the connection ended.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert_eq!((self.status, &body["code"]), (status, &code.into()), "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("content-length"), self.body.len().to_string());
        assert_eq!(self.header("connection"), "close");
        assert_eq!(self.header("x-content-type-options"), "nosniff");
        assert!(body["request_id"].is_string() && body["request_id"] == self.header("x-request-id"), "{self:?}");
        body
    }
}
