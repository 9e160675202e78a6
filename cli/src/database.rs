//! The way to the database, with an error that says what is in the way.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use common::db;
use sqlx::{
    ConnectOptions as _, Connection as _, PgPool,
    postgres::{PgConnectOptions, PgConnection},
};

/// Longest wait for the database to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// No command does two things at once.
const CONNECTIONS: u32 = 1;

/// A pool for a database that has just answered. A pool alone would go on trying, and tell in the end only that time was up.
pub(crate) async fn reach(options: PgConnectOptions) -> anyhow::Result<PgPool> {
    let connected = tokio::time::timeout(PATIENCE, options.connect()).await;
    let connection: PgConnection = connected
        .map_err(|_| anyhow!("no answer within {} s", PATIENCE.as_secs()))
        .and_then(|connected| Ok(connected?))
        .with_context(|| format!("the database can't be reached (DATABASE_URL names {})", place(&options)))?;
    connection.close().await?;
    Ok(db::pool(options, CONNECTIONS))
}

/// Host, port and database: what may be shown of an address.
fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(socket) => format!("{database} at {}", socket.display()),
        None => format!("{database} at {}:{}", options.get_host(), options.get_port()),
    }
}
