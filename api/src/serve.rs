//! Accepts connections, so many at once, and serves each in a task of its own, until it is told to stop.

use std::{error::Error, io, net::IpAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use ipnet::IpNet;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time,
};
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

use crate::{
    client::{self, Client, Peer},
    head::HEADERS_LIMIT,
    load::shed,
    shares::{Share, Shares},
    stream::ClientStream,
};

/// Longest wait for the headers of a request; a connection between two requests may be silent for as long.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest wait for a client to agree on keys.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Most bytes that are read ahead. What of a head doesn't fit is refused unread; hyper's limit of 100 headers stands.
const BUFFER: usize = 2 * HEADERS_LIMIT;

/// Longest wait for open requests after the signal to stop.
const DRAIN: Duration = Duration::from_secs(25);

/// Pause where the process has no room for one more connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// Those who are told at once that there is no room for them; beyond, nothing is said.
const REFUSALS: usize = 64;

/// Where clients come in.
pub(crate) struct Entrance {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<TlsAcceptor>,
    /// Those that may be open at once.
    pub(crate) connections: Arc<Shares>,
    /// Their connections are held against no address: they bring many clients.
    pub(crate) trusted_proxies: Vec<IpNet>,
}

/// Serves until `stopped` turns true; returns once the open requests are finished, after 25 seconds at most.
pub(crate) async fn serve(entrance: Entrance, router: Router, mut stopped: watch::Receiver<bool>) {
    // HTTP/1.1 only: to guess the version, the first bytes would have to be waited for, without a limit.
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(BUFFER);
    let http = Arc::new(http);
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stopped.wait_for(|stopped| *stopped));
    loop {
        let (stream, peer) = tokio::select! {
            accepted = accept(&entrance.listener) => accepted,
            _ = &mut stop => break,
        };
        let is_proxy = client::is_trusted(peer, &entrance.trusted_proxies);
        let mut place = entrance.connections.of((!is_proxy).then_some(Client(peer.to_canonical())));
        if !place.grow(1) {
            refuse(stream, entrance.tls.is_some(), &refusals);
            continue;
        }
        let connection = Connection {
            http: http.clone(),
            router: router.clone(),
            peer: Peer(peer),
            _place: place,
            watcher: connections.watcher(),
        };
        match entrance.tls.clone() {
            None => tokio::spawn(connection.serve(ClientStream::new(stream, false))),
            Some(tls) => tokio::spawn(connection.serve_over_tls(stream, tls)),
        };
    }
    drop(entrance);
    if time::timeout(DRAIN, connections.shutdown()).await.is_err() {
        tracing::warn!("requests were still open after {} s, and were cut off", DRAIN.as_secs());
    }
}

/// One of a client's.
struct Connection {
    http: Arc<http1::Builder>,
    router: Router,
    peer: Peer,
    _place: Share,
    watcher: Watcher,
}

impl Connection {
    async fn serve_over_tls(self, stream: TcpStream, tls: TlsAcceptor) {
        match time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.serve(ClientStream::new(stream, true)).await,
            Ok(Err(error)) => tracing::debug!(error = &error as &dyn Error, "there was no agreement on TLS"),
            Err(_) => tracing::debug!("there was no agreement on TLS in time"),
        }
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: ClientStream<S>) {
        let left_unread = stream.left_unread();
        let service = service_fn(move |mut request: http::Request<Incoming>| {
            request.extensions_mut().insert(self.peer);
            request.extensions_mut().insert(left_unread.clone());
            self.router.clone().call(request)
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        if let Err(error) = self.watcher.watch(connection).await {
            tracing::debug!(error = &error as &dyn Error, "a connection broke"); // clients come and go
        }
    }
}

/// Tells a client that there is no room for its connection, if that can be done at once.
fn refuse(stream: TcpStream, over_tls: bool, refusals: &Arc<Semaphore>) {
    let problem = shed("connections");
    if over_tls {
        return;
    }
    if let Ok(turn) = refusals.clone().try_acquire_owned() {
        tokio::spawn(async move {
            if let Err(error) = ClientStream::new(stream, false).refuse(problem).await {
                tracing::debug!(error = &error as &dyn Error, "a refusal was not heard");
            }
            drop(turn);
        });
    }
}

/// The next connection. Failing to accept one is no reason to stop: the client may have gone, or the process may be out of
/// file descriptors until another connection ends.
async fn accept(listener: &TcpListener) -> (TcpStream, IpAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(error = &error as &dyn Error, "TCP_NODELAY could not be set");
                }
                return (stream, peer.ip());
            }
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::error!(error = &error as &dyn Error, "no connection can be accepted for now");
                time::sleep(NO_ROOM).await;
            }
        }
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}
