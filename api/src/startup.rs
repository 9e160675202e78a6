//! From the configuration to a running server, and from a signal to its end.

use std::{error::Error, io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use common::{config, db, db::SchemaError, order, telemetry};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{
    access, ops, routes,
    serve::serve,
    server,
    state::{App, AppState},
};

/// Pause between two tries to reach a database that doesn't answer.
const DATABASE_RETRY: Duration = Duration::from_secs(1);

/// Serves until SIGTERM or SIGINT, then finishes the open requests.
///
/// # Errors
/// When an address is taken, or the database is one that this program can't serve: of another currency, say. A database that
/// merely doesn't answer is waited for.
pub async fn run(config: config::Api) -> anyhow::Result<()> {
    telemetry::log_to_stderr(&config.log, config.log_format)?;
    let metrics = telemetry::record_metrics()?;
    access::describe();
    ops::describe();
    order::describe_metrics();
    routes::describe();
    let app = Arc::new(App::new(config));
    let api = bind(app.config.addr, "API_ADDR").await?;
    let operations = bind(app.config.metrics_addr, "METRICS_ADDR").await?;
    tracing::info!(addr = %app.config.addr, metrics_addr = %app.config.metrics_addr, "listening");

    tokio::spawn(app.waiters.clone().listen(app.config.database.options.clone()));
    let (stop, stopped) = watch::channel(false);
    let api = tokio::spawn(serve(api, server::router(app.clone()), stopped.clone()));
    let operations = tokio::spawn(serve(operations, ops::router(app.clone(), metrics), stopped));
    let outcome = tokio::select! {
        Err(error) = prepare_database(&app) => Err(error).context("the database can't be used"),
        outcome = signalled() => outcome.context("signals can't be waited for"),
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

/// Migrates the database, or checks that somebody did, as soon as it answers; then the gate opens.
async fn prepare_database(app: &AppState) -> Result<(), SchemaError> {
    let currency = app.config.currency;
    loop {
        let outcome = if app.config.migrate {
            db::migrate(&app.pool, currency).await
        } else {
            db::check(&app.pool, currency).await
        };
        match outcome {
            Err(error) if is_unreachable(&error) => {
                tracing::warn!(error = &error as &dyn Error, "the database doesn't answer; trying again");
                tokio::time::sleep(DATABASE_RETRY).await;
            }
            Ok(()) => {
                app.gate.open();
                tracing::info!("ready");
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_unreachable(error: &SchemaError) -> bool {
    match error {
        SchemaError::Database(error) => db::is_unavailable(error),
        SchemaError::Migrate(sqlx::migrate::MigrateError::Execute(error)) => db::is_unavailable(error),
        _ => false,
    }
}

async fn signalled() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
