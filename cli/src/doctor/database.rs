//! The database: whether it is there, is one that keeps what was committed, and has the schema, the clock and the room that the
//! programs need.

use std::time::Duration;

use common::{
    clock::Clock,
    config::Inspection,
    db,
    diagnosis::{self, LostSetting, Schema, Server},
    money::Currency,
};
use sqlx::{PgPool, postgres::PgConnectOptions};

use super::{finding::Finding, queue};
use crate::{database, net::is_private, output};

const DATABASE: &str = "database";
const DURABILITY: &str = "durability";
const CONNECTIONS: &str = "connections";
const SESSIONS: &str = "sessions";
const CLOCK: &str = "clock";
const MIGRATIONS: &str = "migrations";
const CURRENCY: &str = "currency";

/// Longest wait for all that is asked.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the programs need, as Postgres numbers it.
const OLDEST_VERSION: i32 = 140_000;

/// Beside DATABASE_MAX_CONNECTIONS, the catalogue's and those of Stripe's events: an API's listener; a worker's listener and runtime;
/// `kassa` itself.
const OWN_CONNECTIONS: i64 = 1 + 4 + 1;

pub(super) async fn check(inspection: &Inspection) -> Vec<Finding> {
    let Some(options) = inspection.database.clone() else {
        return vec![Finding::skipped(DATABASE, "DATABASE_URL can't be used")];
    };
    let pool = match database::reach(options.clone()).await {
        Ok(pool) => pool,
        Err(error) => {
            let remedy = "see that Postgres runs and that DATABASE_URL has its host, port, user, password and database";
            return vec![Finding::wrong(DATABASE, output::causes(&error), remedy)];
        }
    };
    if let Ok(findings) = tokio::time::timeout(PATIENCE, look(inspection, options, &pool)).await {
        pool.close().await;
        return findings;
    }
    let finding = format!("let us in, and then kept us waiting for {} s", PATIENCE.as_secs());
    vec![Finding::wrong(DATABASE, finding, "see what waits for what (pg_stat_activity), and whether its disk is full")]
}

async fn look(inspection: &Inspection, options: PgConnectOptions, pool: &PgPool) -> Vec<Finding> {
    if let Ok(true) = diagnosis::shares_sessions(&options).await {
        let finding = "are shared: a pooler in transaction mode lies between, and requests will fail";
        let remedy = "have it pool sessions (PgBouncer: pool_mode = session), or connect to Postgres itself";
        return vec![Finding::wrong(SESSIONS, finding, remedy)];
    }
    let mut findings = match diagnosis::server(pool).await {
        Ok(server) => of_server(&server, inspection.max_connections),
        Err(error) => vec![unanswered(DATABASE, &error)],
    };
    findings.push(of_clock(pool).await);
    findings.extend(of_schema(pool, inspection.currency).await);
    findings
}

pub(super) fn unanswered(name: &'static str, error: &sqlx::Error) -> Finding {
    Finding::wrong(name, format!("the database did not say: {error}"), "look into the database's log")
}

fn of_server(server: &Server, max_connections: Option<u32>) -> Vec<Finding> {
    let mut findings = vec![of_version(server), of_durability(server)];
    findings.extend(max_connections.map(|each| of_room(server, each)));
    findings.push(of_sessions(&server.lost_settings));
    findings
}

fn of_version(server: &Server) -> Finding {
    let version = format!("Postgres {}.{}", server.version / 10_000, server.version % 10_000);
    if server.version < OLDEST_VERSION {
        return Finding::wrong(DATABASE, version, "update it to Postgres 14 or newer");
    }
    match server.address {
        Some(address) if !server.encrypted && !is_private(address) => Finding::warning(
            DATABASE,
            format!("{version}, unencrypted over a public network"),
            "add ?sslmode=verify-full to DATABASE_URL",
        ),
        _ => Finding::well(DATABASE, version),
    }
}

fn of_durability(server: &Server) -> Finding {
    if server.not_durable.is_empty() {
        return Finding::well(DURABILITY, "fsync, synchronous_commit and full_page_writes are on");
    }
    let off = server.not_durable.join(", ");
    let remedy = "set it on in postgresql.conf, or for the role and the database, and reload";
    Finding::wrong(DURABILITY, format!("{off} off: a crash of the machine loses paid orders"), remedy)
}

/// Room for one API and one worker, and while they are upgraded for the next of each beside them.
fn of_room(server: &Server, each: u32) -> Finding {
    let needed = 2 * i64::from(each) + 2 * i64::from(db::connections_apart(each)) + OWN_CONNECTIONS;
    let (allowed, connected) = (i64::from(server.connections), server.connected);
    let finding = format!("{allowed} allowed, {connected} there; one API and one worker may take {needed}");
    let remedy = "raise max_connections (or the role's or database's limit), or lower DATABASE_MAX_CONNECTIONS";
    if allowed < needed {
        Finding::wrong(CONNECTIONS, finding, remedy)
    } else if allowed < 2 * needed {
        Finding::warning(CONNECTIONS, format!("{finding}: an upgrade has two of each"), remedy)
    } else {
        Finding::well(CONNECTIONS, finding)
    }
}

fn of_sessions(lost: &[LostSetting]) -> Finding {
    let Some(LostSetting { name, wanted, found }) = lost.first() else {
        return Finding::well(SESSIONS, "have the settings that the programs ask for");
    };
    let remedy = lost
        .iter()
        .map(|setting| format!("ALTER ROLE CURRENT_USER SET {} = '{}'", setting.name, setting.wanted))
        .collect::<Vec<_>>()
        .join("; ");
    let finding = format!("{name} is '{found}' in place of '{wanted}': something between has left it out");
    Finding::warning(SESSIONS, finding, remedy)
}

async fn of_clock(pool: &PgPool) -> Finding {
    let remedy = "have both machines set their clocks by NTP: the API refuses tokens and webhooks by its own";
    match db::clock_error(pool, Clock::System).await {
        Ok(None) => Finding::well(CLOCK, format!("within {} s of the database's", db::CLOCK_TOLERANCE.as_secs())),
        Ok(Some(off)) => {
            let (seconds, side) = (off.num_seconds().abs(), if off.num_seconds() < 0 { "behind" } else { "ahead of" });
            Finding::wrong(CLOCK, format!("{seconds} s {side} the database's"), remedy)
        }
        Err(error) => unanswered(CLOCK, &error),
    }
}

/// The schema, and what can be asked only of one that is there.
async fn of_schema(pool: &PgPool, configured: Option<Currency>) -> Vec<Finding> {
    const MIGRATE: &str = "run `kassa migrate`";
    let schema = match diagnosis::schema(pool).await {
        Ok(schema) => schema,
        Err(error) => return vec![unanswered(MIGRATIONS, &error)],
    };
    match schema {
        Schema::Current => {}
        Schema::Ahead(more) => {
            let finding = format!("{more} newer than this program's: it goes on working");
            let upgraded = Finding::warning(MIGRATIONS, finding, "upgrade this program, too");
            return [vec![upgraded], of_content(pool, configured).await].concat();
        }
        Schema::None => return vec![Finding::wrong(MIGRATIONS, "the database is empty", MIGRATE)],
        Schema::Behind(missing) => {
            return vec![Finding::wrong(MIGRATIONS, format!("{missing} are missing"), MIGRATE)];
        }
        Schema::Wrong(version) => {
            let finding = format!("{version} failed, or is another than this program's");
            return vec![Finding::wrong(
                MIGRATIONS,
                finding,
                "see what `kassa migrate` says; restore a backup if need be",
            )];
        }
    }
    [vec![Finding::well(MIGRATIONS, "up to date")], of_content(pool, configured).await].concat()
}

async fn of_content(pool: &PgPool, configured: Option<Currency>) -> Vec<Finding> {
    let mut findings = vec![];
    if let Some(configured) = configured {
        findings.push(of_currency(pool, configured).await);
    }
    findings.extend(queue::check(pool).await);
    findings
}

async fn of_currency(pool: &PgPool, configured: Currency) -> Finding {
    match diagnosis::currency(pool).await {
        Ok(Some(found)) if found == configured.code() => Finding::well(CURRENCY, found),
        Ok(Some(found)) => Finding::wrong(
            CURRENCY,
            format!("the shop in this database sells in {found}, but STORE_CURRENCY is {configured}"),
            format!("set STORE_CURRENCY={found}, or use another database"),
        ),
        Ok(None) => Finding::wrong(CURRENCY, "the database has none", "run `kassa migrate`"),
        Err(error) => unanswered(CURRENCY, &error),
    }
}
