//! Brings the schema up to date while the shop sells. sqlx's own migrator waits for its turn and for locks as long as it takes: whoever
//! waits for its turn is a transaction that an index which is built concurrently waits for, and a change of a table that waits behind a
//! backup keeps everybody else from the table.

use std::{collections::HashMap, error::Error, time::Duration};

use sqlx::{
    PgConnection, PgPool,
    migrate::{Migrate as _, MigrateError, Migration, Migrator},
};

use super::{RETRY, is_transient};

/// The migrations, compiled in.
pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// The advisory lock of whoever migrates; such locks are each database's own.
const TURN: i64 = 0x6b61_7373_615f_6d69; // kassa_mi
/// How long a migration waits for a table, and others behind it. One outside a transaction may wait for ever: it is in nobody's way.
const LOCK_TIMEOUT: &str = "1s";
/// Pause after it waited in vain, in which those who waited behind it go on.
const PAUSE: Duration = Duration::from_secs(4);

/// Applies what the database has not. What it has and this program doesn't know is of a newer one, which has migrated already.
pub(super) async fn run(pool: &PgPool) -> Result<(), MigrateError> {
    let mut conn = pool.acquire().await?;
    conn.close_on_drop(); // the turn and the setting end with it
    while !sqlx::query_scalar::<_, bool>("SELECT pg_try_advisory_lock($1)").bind(TURN).fetch_one(&mut *conn).await? {
        tokio::time::sleep(RETRY).await;
    }
    conn.ensure_migrations_table().await?;
    if let Some(version) = conn.dirty_version().await? {
        return Err(MigrateError::Dirty(version));
    }
    let applied = conn.list_applied_migrations().await?;
    let applied: HashMap<_, _> = applied.into_iter().map(|known| (known.version, known.checksum)).collect();
    for migration in MIGRATIONS.iter() {
        match applied.get(&migration.version) {
            Some(checksum) if *checksum == migration.checksum => {}
            Some(_) => return Err(MigrateError::VersionMismatch(migration.version)),
            None => apply(&mut conn, migration).await?,
        }
    }
    Ok(())
}

async fn apply(conn: &mut PgConnection, migration: &Migration) -> Result<(), MigrateError> {
    let timeout = if migration.no_tx { "0" } else { LOCK_TIMEOUT };
    sqlx::query("SELECT set_config('lock_timeout', $1, false)").bind(timeout).execute(&mut *conn).await?;
    loop {
        if migration.no_tx {
            drop_broken_indexes(conn, migration).await?;
        }
        match conn.apply(migration).await {
            Err(MigrateError::ExecuteMigration(error, version)) if is_in_the_way(&error) => {
                tracing::warn!(version, error = &error as &dyn Error, "a table is in use; migrating it again soon");
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome.map(|_took| ()),
        }
    }
}

/// Whether the migration met others' locks, and may be tried again.
fn is_in_the_way(error: &sqlx::Error) -> bool {
    let timed_out = matches!(error, sqlx::Error::Database(e) if e.code().as_deref() == Some("55P03"));
    timed_out || is_transient(error)
}

/// An index that was being built concurrently when its migrator ended is there, is written to, and is never read: `IF NOT EXISTS` would
/// leave it at that.
async fn drop_broken_indexes(conn: &mut PgConnection, migration: &Migration) -> Result<(), MigrateError> {
    let broken: Vec<String> = sqlx::query_scalar(
        r"SELECT format('%I', relname) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
          WHERE NOT indisvalid AND pg_table_is_visible(indexrelid) AND relname = ANY (regexp_split_to_array($1, '\W+'))",
    )
    .bind(&*migration.sql)
    .fetch_all(&mut *conn)
    .await?;
    for index in broken {
        sqlx::raw_sql(&format!("DROP INDEX CONCURRENTLY {index}")).execute(&mut *conn).await?;
    }
    Ok(())
}
