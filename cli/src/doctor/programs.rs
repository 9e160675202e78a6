//! The programs themselves, where they answer: they may well run on other machines, or not yet.

use std::{io, net::SocketAddr, time::Duration};

use common::config::Inspection;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::finding::Finding;

const BOTH: &str = "API and worker";

/// Longest wait for one of them: they answer within two seconds, ready or not.
const PATIENCE: Duration = Duration::from_secs(4);
/// More than any answer about health has, in bytes.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Asks both whether they are ready; at the addresses given, or where they are by their configuration.
pub(super) async fn check(inspection: &Inspection, api: Option<&str>, worker: Option<&str>) -> Vec<Finding> {
    let [api, worker] = [api, worker].map(|given| given.map(authority).filter(|given| !given.is_empty()));
    let [at_api, at_worker] = match inspection.metrics_addrs {
        Some(addresses) => addresses.map(|address| Some(reachable(address).to_string())),
        None => [None, None],
    };
    // With METRICS_ADDR set both are there, and whoever answers would pass for both.
    if let (Some(address), Some(other)) = (api.or(at_api.as_deref()), worker.or(at_worker.as_deref()))
        && address == other
    {
        let finding = format!("{address} is METRICS_ADDR of both, and on one machine only one can have it");
        let remedy = "leave METRICS_ADDR unset, or give each its own; --api and --worker tell where they are";
        return vec![Finding::warning(BOTH, finding, remedy)];
    }
    let asked = tokio::join!(of("API", api, at_api), of("worker", worker, at_worker));
    vec![asked.0, asked.1]
}

/// A URL will do, too: `cargo dev env` gives one.
fn authority(given: &str) -> &str {
    given.trim().trim_start_matches("http://").trim_end_matches('/')
}

/// Who listens everywhere is asked on this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], v4.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], v6.port())),
        address => address,
    }
}

async fn of(name: &'static str, given: Option<&str>, configured: Option<String>) -> Finding {
    let Some(address) = given.map(str::to_owned).or(configured) else {
        return Finding::skipped(name, "METRICS_ADDR can't be used");
    };
    let answer = timeout(PATIENCE, ask(&address)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let log = "see its log";
    match answer {
        Ok((200, body)) => match body["clock_off_by_seconds"].as_i64() {
            None => Finding::well(name, format!("ready ({address})")),
            Some(off) => Finding::warning(name, format!("ready, but its clock is off by {off} s"), "set it by NTP"),
        },
        Ok((_, body)) => {
            let why = body["detail"].as_str().unwrap_or("it does not say why");
            Finding::wrong(name, format!("not ready ({address}): {why}"), log)
        }
        Err(error) if given.is_some() => Finding::wrong(
            name,
            format!("does not answer at {address}: {error}"),
            "see that it runs, and its METRICS_ADDR",
        ),
        Err(_) => {
            Finding::skipped(name, format!("nothing answers at {address}: --{} tells where it is", name.to_lowercase()))
        }
    }
}

/// The status and the JSON of `GET /health/ready`.
async fn ask(address: &str) -> io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /health/ready HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer).await?;
    read(&answer).ok_or_else(|| io::Error::other("what answers there is none of Kassa's programs"))
}

fn read(answer: &str) -> Option<(u16, Value)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    Some((status, serde_json::from_str(body).ok()?))
}
