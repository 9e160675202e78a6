//! From the configuration to a running server, and from a signal to its end.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use common::{
    config,
    db::{self, SchemaError},
    images::Storage,
    metrics::Exposition,
    program, telemetry,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    access, cache, limits, load, news, ops, routes,
    serve::{Entrance, serve},
    server,
    shares::Shares,
    state::{App, AppState},
    tls,
};

/// Connections of those who ask for metrics and health.
const MOST_OPERATORS: usize = 256;

/// Serves until SIGTERM or SIGINT, then finishes the open requests.
///
/// # Errors
/// When an address is taken, or the database is one that this program can't serve: of another currency, say. A database that
/// merely doesn't answer, or that others migrate, is waited for.
pub async fn run(config: config::Api) -> anyhow::Result<()> {
    let _guard = telemetry::log_to_stderr(&config.log, config.log_format)?;
    let metrics = Exposition::start(config.currency)?;
    access::describe();
    cache::describe();
    limits::describe();
    load::describe();
    routes::describe();
    let told_to_stop = program::told_to_stop()?;
    tls::choose_provider();
    let storage = Storage::open(&config.images.store).map_err(config::Problems::from)?;
    let app = Arc::new(App::new(config, storage));
    let metrics = metrics
        .with_pool("requests", &app.pool)
        .with_pool("catalogue", &app.catalogue)
        .with_pool("webhooks", &app.webhooks);
    let http = &app.config.http;
    allow_files(http.max_connections);
    let tls = http.tls.clone().map(tls::acceptor).transpose()?;
    let api = Entrance {
        listener: bind(http.addr, "API_ADDR").await?,
        tls,
        connections: app.load.connections.clone(),
        trusted_proxies: http.trusted_proxies.clone(),
    };
    let operations = Entrance {
        listener: bind(app.config.metrics_addr, "METRICS_ADDR (each program on a machine needs its own)").await?,
        tls: None,
        connections: Shares::new(MOST_OPERATORS),
        trusted_proxies: vec![],
    };
    tracing::info!(addr = %http.addr, tls = api.tls.is_some(), metrics_addr = %app.config.metrics_addr, "listening");

    tokio::spawn(news::listen(app.clone()));
    tokio::spawn({
        let app = app.clone();
        async move { app.waiters.poll(&app.pool).await }
    });
    tokio::spawn({
        let app = app.clone();
        async move { app.limits.keep_small().await }
    });
    tokio::spawn(ops::watch(app.clone()));
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
    app.catalogue.close().await;
    app.webhooks.close().await;
    outcome
}

/// Raises the limit of open files to what so many connections take, as far as the system allows.
fn allow_files(connections: usize) {
    /// Those to the database, and whatever else is open.
    const OTHERS: u64 = 128;
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHERS);
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let raised = wanted.min(hard).max(soft);
        setrlimit(Resource::RLIMIT_NOFILE, raised, hard).map(|()| raised)
    });
    match raised {
        Ok(files) if files >= wanted => {}
        Ok(files) => tracing::warn!(files, "fewer files may be open than API_MAX_CONNECTIONS takes"),
        Err(error) => tracing::warn!(%error, "the limit of open files can't be raised"),
    }
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
