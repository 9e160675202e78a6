//! The proxy between a caller and a server that says everything back.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use dev::proxy::{Direction, Proxy, Way};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// Long enough to be sure that nothing comes, on loopback.
const NOTHING: Duration = Duration::from_millis(150);

/// What should come comes sooner.
const PATIENCE: Duration = Duration::from_secs(10);

/// A proxy before a server that says everything back.
async fn proxy() -> Proxy {
    let server = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let proxy = Proxy::start(server.local_addr().unwrap()).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = server.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    proxy
}

async fn caller(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.addr()).await.unwrap()
}

/// Says something and hears it back; tells how long that took.
async fn talk(stream: &mut TcpStream, text: &str) -> Duration {
    let began = Instant::now();
    stream.write_all(text.as_bytes()).await.unwrap();
    hear(stream, text).await;
    began.elapsed()
}

async fn hear(stream: &mut TcpStream, text: &str) {
    let mut heard = vec![0; text.len()];
    timeout(PATIENCE, stream.read_exact(&mut heard)).await.unwrap().unwrap();
    assert_eq!(heard, text.as_bytes());
}

async fn hears_nothing(stream: &mut TcpStream) {
    let heard = timeout(NOTHING, stream.read(&mut [0; 64])).await;
    assert!(heard.is_err(), "{heard:?}");
}

async fn is_reset(stream: &mut TcpStream) {
    let read = timeout(PATIENCE, stream.read(&mut [0; 64])).await.unwrap();
    assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn what_is_cut_is_refused_until_it_is_restored() {
    let proxy = proxy().await;
    for _ in 0..2 {
        let mut stream = caller(&proxy).await;
        talk(&mut stream, "there").await;
        proxy.cut().await;
        assert_eq!(stream.read(&mut [0; 5]).await.unwrap_or(0), 0);
        TcpStream::connect(proxy.addr()).await.expect_err("it is cut");
        proxy.restore().await.unwrap();
    }
}

#[tokio::test]
async fn each_direction_is_delayed_for_itself_and_in_order() {
    let proxy = proxy().await;
    let mut stream = caller(&proxy).await;
    for (up_ms, down_ms, least) in [(120, 0, 120), (0, 130, 130), (100, 100, 200)] {
        proxy.set(Way::Delayed { up_ms, down_ms }).await.unwrap();
        assert!(talk(&mut stream, "slowly").await >= Duration::from_millis(least));
    }
    // What is sent in parts is late by the delay, not by the sum of delays.
    let began = Instant::now();
    for part in 0..10_u8 {
        stream.write_all(&[b'a' + part]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    hear(&mut stream, "abcdefghij").await;
    assert!(began.elapsed() < Duration::from_millis(1_000), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_is_swallowed_is_lost_and_its_connection_is_reset_afterwards() {
    let proxy = proxy().await;
    for direction in [Direction::Up, Direction::Down] {
        let (mut unlucky, mut idle) = (caller(&proxy).await, caller(&proxy).await);
        talk(&mut unlucky, "before").await;
        talk(&mut idle, "before").await;
        proxy.set(Way::Swallowing { direction }).await.unwrap();
        for _ in 0..2 {
            unlucky.write_all(b"lost").await.unwrap();
            hears_nothing(&mut unlucky).await;
        }
        proxy.restore().await.unwrap();
        is_reset(&mut unlucky).await;
        talk(&mut idle, "after").await;
        talk(&mut caller(&proxy).await, "after").await;
    }
}

#[tokio::test]
async fn in_a_blackhole_nothing_moves_and_nothing_ends_until_it_is_restored() {
    let proxy = proxy().await;
    let (mut old, mut leaving) = (caller(&proxy).await, caller(&proxy).await);
    talk(&mut old, "before").await;
    talk(&mut leaving, "before").await;
    proxy.set(Way::Blackhole).await.unwrap();
    let mut new = caller(&proxy).await;
    for stream in [&mut old, &mut new] {
        stream.write_all(b"held").await.unwrap();
        hears_nothing(stream).await;
    }
    leaving.shutdown().await.unwrap();
    hears_nothing(&mut leaving).await;
    proxy.restore().await.unwrap();
    hear(&mut old, "held").await;
    hear(&mut new, "held").await;
    assert_eq!(leaving.read(&mut [0; 5]).await.unwrap(), 0);
    proxy.set(Way::Blackhole).await.unwrap();
    proxy.cut().await;
    assert_eq!(old.read(&mut [0; 5]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_trap_strikes_when_its_text_is_sent() {
    let proxy = proxy().await;
    let mut stream = caller(&proxy).await;
    proxy.trap("COMMIT", Way::Swallowing { direction: Direction::Down });
    talk(&mut stream, "BEGIN").await;
    talk(&mut stream, "COM").await;
    stream.write_all(b"MIT;").await.unwrap();
    timeout(PATIENCE, proxy.sprung()).await.unwrap();
    hears_nothing(&mut stream).await;
    proxy.restore().await.unwrap();
    is_reset(&mut stream).await;

    let mut stream = caller(&proxy).await;
    proxy.trap("COMMIT", Way::Cut);
    stream.write_all(b"COMMIT").await.unwrap();
    timeout(PATIENCE, proxy.sprung()).await.unwrap();
    assert_eq!(proxy.way(), Way::Cut);
    assert_eq!(stream.read(&mut [0; 5]).await.unwrap_or(0), 0);
    proxy.restore().await.unwrap();
    talk(&mut caller(&proxy).await, "COMMIT").await;
}

#[tokio::test]
async fn orders_are_taken_over_http() {
    let _set_already = rustls::crypto::ring::default_provider().install_default();
    #[expect(clippy::disallowed_methods, reason = "a test's own")]
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
    let proxy = proxy().await;
    let url = |path: &str| format!("{}{path}", proxy.control_url());
    let help = http.get(url("")).send().await.unwrap().text().await.unwrap();
    let ways = [
        json!({ "way": "open" }),
        json!({ "way": "cut" }),
        json!({ "way": "delayed", "up_ms": 5, "down_ms": 0 }),
        json!({ "way": "swallowing", "direction": "up" }),
        json!({ "way": "blackhole" }),
    ];
    for way in &ways {
        assert!(help.contains(way["way"].as_str().unwrap()), "{way}");
        let set = http.put(url("/way")).json(way).send().await.unwrap();
        assert_eq!(set.json::<Value>().await.unwrap(), *way);
        assert_eq!(serde_json::to_value(proxy.way()).unwrap(), *way);
    }
    let wrong = http.put(url("/way")).json(&json!({ "way": "delayed", "ms": 5 })).send().await.unwrap();
    assert_eq!(wrong.status(), 422);
    let trap = json!({ "text": "COMMIT", "then": { "way": "cut" } });
    let set = http.put(url("/trap")).json(&trap).send().await.unwrap();
    assert_eq!(set.json::<Value>().await.unwrap(), trap);
    assert_eq!(http.delete(url("/trap")).send().await.unwrap().status(), 204);
    assert_eq!(http.get(url("/trap")).send().await.unwrap().json::<Value>().await.unwrap(), Value::Null);
    let empty = json!({ "text": "", "then": { "way": "cut" } });
    assert_eq!(http.put(url("/trap")).json(&empty).send().await.unwrap().status(), 422);
}
