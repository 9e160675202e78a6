//! Listening: over a connection that dies without a word, too.

use std::{future::pending, net::Ipv4Addr};

use common::{
    db,
    listen::{Heard, listen},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::support::{Lab, PATIENCE};

const CHANNEL: &str = "some channel";

/// Passes connections on to a port. The first is dead once `freeze` is canceled: open, but nothing comes through.
async fn relay(listener: TcpListener, port: u16, mut freeze: CancellationToken) {
    loop {
        let (mut near, _) = listener.accept().await.expect("it listens");
        let mut far = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("the server is there");
        let dead = std::mem::take(&mut freeze);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = dead.cancelled() => pending().await,
                _ = copy_bidirectional(&mut near, &mut far) => {}
            }
        });
    }
}

#[tokio::test]
async fn a_connection_that_died_without_a_word_is_made_anew() {
    let lab = Lab::new().await;
    let options = (*lab.pool.connect_options()).clone();
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
    let addr = port.local_addr().expect("it is bound");
    let freeze = CancellationToken::new();
    tokio::spawn(relay(port, options.get_port(), freeze.clone()));

    let pool = db::pool(options.host("127.0.0.1").port(addr.port()), 1);
    let (said, mut heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let hear = |heard: Heard<'_>| {
            let what = match heard {
                Heard::Connected => "connected".to_owned(),
                Heard::Notified { payload, .. } => payload.to_owned(),
                Heard::Lost(_) => "lost".to_owned(),
            };
            said.send(what).expect("the test still runs");
        };
        listen(&pool, &[CHANNEL], hear).await;
    });
    let mut next = async || timeout(PATIENCE, heard.recv()).await.expect("something is heard").expect("for ever");
    let tell = async |payload| lab.sql(&format!(r#"NOTIFY "{CHANNEL}", '{payload}'"#)).await;

    assert_eq!(next().await, "connected");
    tell("one").await;
    assert_eq!(next().await, "one");
    freeze.cancel();
    tell("never heard").await;
    assert_eq!(next().await, "lost");
    assert_eq!(next().await, "connected");
    tell("two").await;
    assert_eq!(next().await, "two");
}
