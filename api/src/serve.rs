//! Accepts connections and serves each in a task of its own, until it is told to stop.

use std::{io, pin::pin, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time,
};

/// Longest wait for the headers of a request; a connection between two requests may be silent for as long.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest wait for open requests after the signal to stop.
const DRAIN: Duration = Duration::from_secs(25);

/// Pause where the process has no room for one more connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// Serves until `stopped` turns true; returns once the open requests are finished, after 25 seconds at most.
pub(crate) async fn serve(listener: TcpListener, router: Router, mut stopped: watch::Receiver<bool>) {
    // HTTP/1.1 only: to guess the version, the first bytes would have to be waited for, without a limit.
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stopped.wait_for(|stopped| *stopped));
    loop {
        let stream = tokio::select! {
            stream = accept(&listener) => stream,
            _ = &mut stop => break,
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = &*error, "a connection broke"); // clients come and go
            }
        });
    }
    drop(listener);
    if time::timeout(DRAIN, connections.shutdown()).await.is_err() {
        tracing::warn!("requests were still open after {} s, and were cut off", DRAIN.as_secs());
    }
}

/// The next connection. Failing to accept one is no reason to stop: the client may have gone, or the process may be out of
/// file descriptors until another connection ends.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(error = &error as &dyn std::error::Error, "TCP_NODELAY could not be set");
                }
                return stream;
            }
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "no connection can be accepted for now");
                time::sleep(NO_ROOM).await;
            }
        }
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}
