//! From the configuration to a running server, and from a signal to its end.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use common::{
    config,
    db::{self, SchemaError},
    order, program, telemetry,
};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    access, cache, news, ops, routes,
    serve::serve,
    server,
    state::{App, AppState},
};

/// Serves until SIGTERM or SIGINT, then finishes the open requests.
///
/// # Errors
/// When an address is taken, or the database is one that this program can't serve: of another currency, say. A database that
/// merely doesn't answer, or that others migrate, is waited for.
pub async fn run(config: config::Api) -> anyhow::Result<()> {
    telemetry::log_to_stderr(&config.log, config.log_format)?;
    let metrics = telemetry::record_metrics()?;
    access::describe();
    cache::describe();
    ops::describe();
    order::describe_metrics();
    routes::describe();
    let told_to_stop = program::told_to_stop()?;
    let app = Arc::new(App::new(config));
    let api = bind(app.config.addr, "API_ADDR").await?;
    let operations = bind(app.config.metrics_addr, "METRICS_ADDR").await?;
    tracing::info!(addr = %app.config.addr, metrics_addr = %app.config.metrics_addr, "listening");

    tokio::spawn(news::listen(app.clone()));
    let (stop, stopped) = watch::channel(false);
    let api = tokio::spawn(serve(api, server::router(app.clone()), stopped.clone()));
    let operations = tokio::spawn(serve(operations, ops::router(app.clone(), metrics), stopped));
    let outcome = tokio::select! {
        Err(error) = open_gate(&app) => Err(error).context("the database can't be used"),
        () = told_to_stop => Ok(()),
    };
    tracing::info!("stopping: no new requests are taken, those that are open are finished");
    stop.send_replace(true);
    api.await.context("the server broke")?;
    operations.await.context("the metrics' server broke")?;
    app.pool.close().await;
    outcome
}

async fn bind(addr: SocketAddr, variable: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(addr).await.with_context(|| format!("{variable}: can't listen on {addr}"))
}

/// Lets requests through to the database once it is ready for them.
async fn open_gate(app: &AppState) -> Result<(), SchemaError> {
    db::wait_until_usable(&app.pool, app.config.currency, app.config.migrate).await?;
    app.gate.open();
    tracing::info!("ready");
    Ok(())
}
