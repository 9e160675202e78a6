//! What a database says of itself and of the shop in it: facts for `kassa doctor`, which judges them. Changes nothing, and asks for
//! nothing that an up-to-date schema alone would have, until it is known that there is one.

use std::{collections::HashMap, net::IpAddr};

use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool, Row as _, postgres::PgConnectOptions};

use crate::db::{SESSION, migrations::MIGRATIONS};

/// What a server says of itself.
#[derive(Clone, Debug)]
pub struct Server {
    /// As Postgres numbers it: 170002 is 17.2.
    pub version: i32,
    /// Those of `fsync`, `synchronous_commit` and `full_page_writes` that are off: what was committed may be lost in a crash.
    pub not_durable: Vec<&'static str>,
    /// How many connections this user may have in this database, those of others among them.
    pub connections: i32,
    /// How many there are.
    pub connected: i64,
    /// Whether our own connection is encrypted.
    pub encrypted: bool,
    /// The server's address, where it is reached over a network.
    pub address: Option<IpAddr>,
    /// What we ask of each session, and what this one has instead: a pooler between may have left it out.
    pub lost_settings: Vec<LostSetting>,
}

/// A session's setting that is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostSetting {
    /// Its name.
    pub name: &'static str,
    /// What was asked for.
    pub wanted: &'static str,
    /// What it is.
    pub found: String,
}

/// Looks at the server that `pool` leads to.
///
/// # Errors
/// The database's.
pub async fn server(pool: &PgPool) -> sqlx::Result<Server> {
    let mut conn = pool.acquire().await?;
    let row = sqlx::query!(
        r#"SELECT current_setting('server_version_num')::int AS "version!",
                  current_setting('fsync')::bool AS "fsync!",
                  current_setting('synchronous_commit') <> 'off' AS "synchronous_commit!",
                  current_setting('full_page_writes')::bool AS "full_page_writes!",
                  least(current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
                          - coalesce(current_setting('reserved_connections', true)::int, 0),
                        (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
                        (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database()))
                    AS "connections!",
                  (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL) AS "connected!",
                  coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS "encrypted!",
                  host(inet_server_addr()) AS address"#,
    )
    .fetch_one(&mut *conn)
    .await?;
    let durability = [
        ("fsync", row.fsync),
        ("synchronous_commit", row.synchronous_commit),
        ("full_page_writes", row.full_page_writes),
    ];
    Ok(Server {
        version: row.version,
        not_durable: durability.into_iter().filter_map(|(name, is_on)| (!is_on).then_some(name)).collect(),
        connections: row.connections,
        connected: row.connected,
        encrypted: row.encrypted,
        address: row.address.and_then(|address| address.parse().ok()),
        lost_settings: lost_settings(&mut conn).await?,
    })
}

/// Whether two connections that are both open lead to one and the same session: then a pooler in transaction (or statement) mode lies
/// between. What is heard by LISTEN, and locks that outlast a transaction, go astray there.
///
/// # Errors
/// The database's.
pub async fn shares_sessions(options: &PgConnectOptions) -> sqlx::Result<bool> {
    let (mut one, mut other) = (options.connect().await?, options.connect().await?);
    let shares = backend(&mut one).await? == backend(&mut other).await?;
    one.close().await?;
    other.close().await?;
    Ok(shares)
}

/// Asked in plain words: a statement that is prepared may be lost on the way.
async fn backend(conn: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(conn).await?.try_get(0)
}

/// What this session has not as we asked for it. `tcp_…` can't tell: they are of the server's own socket, which is a pooler's where one lies
/// between, and none over a Unix socket.
async fn lost_settings(conn: &mut PgConnection) -> sqlx::Result<Vec<LostSetting>> {
    let mut lost = vec![];
    for (name, wanted) in SESSION.into_iter().filter(|(name, _)| !name.starts_with("tcp_")) {
        let found = sqlx::query_scalar!("SELECT current_setting($1, true)", name).fetch_one(&mut *conn).await?;
        let found = found.unwrap_or_default();
        if found != wanted {
            lost.push(LostSetting { name, wanted, found });
        }
    }
    Ok(lost)
}

/// How a database's schema stands to this program's migrations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schema {
    /// There is none.
    None,
    /// So many migrations are missing.
    Behind(usize),
    /// It has all of them, and no others.
    Current,
    /// A newer program has brought so many more. This one goes on working with it.
    Ahead(usize),
    /// This migration began and did not end, or is another than the one that this program has under its number.
    Wrong(i64),
}

/// Compares the schema with this program's migrations.
///
/// # Errors
/// The database's.
pub async fn schema(pool: &PgPool) -> sqlx::Result<Schema> {
    let exists = sqlx::query_scalar!(r#"SELECT to_regclass('_sqlx_migrations') IS NOT NULL AS "exists!""#);
    if !exists.fetch_one(pool).await? {
        return Ok(Schema::None);
    }
    // At run time, as the table is none of our migrations'.
    let applied: Vec<(i64, Vec<u8>, bool)> =
        sqlx::query_as("SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version")
            .fetch_all(pool)
            .await?;
    let ours: HashMap<_, _> =
        MIGRATIONS.iter().map(|migration| (migration.version, migration.checksum.to_vec())).collect();
    let known: Vec<_> = applied.iter().filter(|(version, ..)| ours.contains_key(version)).collect();
    let wrong = applied.iter().find(|(version, checksum, success)| {
        !success || ours.get(version).is_some_and(|expected| expected != checksum)
    });
    Ok(match (wrong, ours.len() - known.len(), applied.len() - known.len()) {
        (Some((version, ..)), ..) => Schema::Wrong(*version),
        (None, 0, 0) => Schema::Current,
        (None, 0, more) => Schema::Ahead(more),
        (None, missing, _) => Schema::Behind(missing),
    })
}

/// The currency that the shop in this database sells in, if there is one.
///
/// # Errors
/// The database's.
pub async fn currency(pool: &PgPool) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("SELECT currency FROM shop").fetch_optional(pool).await
}

/// How many orders wait for an operator, in `payment_review`.
///
/// # Errors
/// The database's.
pub async fn orders_in_review(pool: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM orders WHERE status = 'payment_review'"#)
        .fetch_one(pool)
        .await
}
