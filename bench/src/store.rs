//! A filled database, and the shop on it.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use common::{
    account::{AccessTokens, Claims},
    clock::Clock,
    config::Secret,
    db,
    id::UserId,
};
use dev::postgres::{Logged, logged};
use sqlx::{Connection as _, Executor as _, PgPool, Row as _, postgres::PgConnectOptions};
use uuid::Uuid;

use crate::{
    ground::{Ground, JWT_SECRET},
    http::request,
    member::Member,
    options::Scale,
    progress::Step,
    script::Statement,
};

const HELPERS: &str = include_str!("../sql/helpers.sql");
const FILL: &str = include_str!("../sql/fill.sql");
const CLEAN: &str = include_str!("../sql/clean.sql");
/// Longer than any run.
const TOKENS: Duration = Duration::from_secs(24 * 60 * 60);

/// See the module.
pub(crate) struct Store {
    pub(crate) database: String,
    pub(crate) pool: PgPool,
    pub(crate) options: PgConnectOptions,
    pub(crate) scale: Scale,
    pub(crate) api: Option<Member>,
    pub(crate) worker: Option<Member>,
    tokens: AccessTokens,
    log: PathBuf,
}

/// The shopper with this number, as `bench.user_id` has it.
pub(crate) fn user_id(number: usize) -> Uuid {
    Uuid::from_u128(0x0000_0001_0000_7000_8000_0000_0000_0000 | number as u128)
}

/// The product with this number, as `bench.product_id` has it.
pub(crate) fn product_id(number: usize) -> Uuid {
    Uuid::from_u128(0x0000_0002_0000_7000_8000_0000_0000_0000 | number as u128)
}

impl Store {
    /// Makes and fills it.
    pub(crate) async fn fill(ground: &Ground, database: &str, scale: Scale) -> Result<Self> {
        let Scale { products, past, accounts, .. } = scale;
        let step =
            Step::begin(format_args!("filling {database}: {products} products, {accounts} accounts, {past} orders"));
        let server = db::pool(ground.options("postgres"), 1);
        server.execute(format!("CREATE DATABASE {database}").as_str()).await?;
        server.close().await;
        let options = ground.options(database);
        let pool = db::pool(options.clone(), 4);
        db::migrate(&pool, "usd".parse().context("it is one")?).await?;
        pool.execute(HELPERS).await.context("making what the measurements need")?;
        let fill = FILL.replace("$products", &products.to_string()).replace("$past", &past.to_string());
        let fill = fill.replace("$accounts", &accounts.to_string());
        pool.execute(fill.as_str()).await.context("filling the tables")?;
        pool.execute("VACUUM ANALYZE").await?;
        pool.execute("CHECKPOINT").await?;
        step.done(format_args!("{database} is filled: {products} products, {accounts} accounts, {past} past orders"));
        let tokens = AccessTokens::new(&[Secret::new(JWT_SECRET)], TOKENS, Clock::System);
        let (database, log) = (database.to_owned(), ground.log.clone());
        Ok(Self { database, pool, options, scale, api: None, worker: None, tokens, log })
    }

    /// Starts the API, unless it runs, and gives its address.
    pub(crate) async fn api(&mut self, ground: &Ground) -> Result<std::net::SocketAddr> {
        if let Some(api) = &self.api {
            return Ok(api.api);
        }
        let api = self.start("kassa-api", ground, &[]).await?;
        Ok(self.api.insert(api).api)
    }

    /// Starts the worker, unless it runs.
    pub(crate) async fn with_worker(&mut self, ground: &Ground) -> Result<()> {
        if self.worker.is_none() {
            self.worker = Some(self.start("kassa-worker", ground, &[]).await?);
        }
        Ok(())
    }

    /// Ends the worker: where only the API is measured it would take its share of the machine.
    pub(crate) async fn without_worker(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.stop().await;
        }
    }

    /// Ends both.
    pub(crate) async fn close(&mut self) {
        self.without_worker().await;
        if let Some(api) = self.api.take() {
            api.stop().await;
        }
    }

    pub(crate) async fn start(&self, name: &str, ground: &Ground, own: &[(&str, &str)]) -> Result<Member> {
        let mut variables = ground.variables(&self.database);
        variables.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let log = ground.work.0.join(format!("{name}-{}.log", self.database));
        Member::start(name, &ground.programs, &variables, &log).await
    }

    /// `Bearer …` of the shopper with this number.
    pub(crate) fn bearer(&self, shopper: usize) -> String {
        format!("Bearer {}", self.tokens.issue(Claims { user: UserId(user_id(shopper)), version: 1 }))
    }

    /// A request of the shopper with this number.
    pub(crate) fn request_of(
        &self,
        shopper: usize,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Vec<u8> {
        let bearer = self.bearer(shopper);
        let headers = [&[("authorization", &*bearer)], headers].concat();
        request(method, path, &headers, body)
    }

    /// Takes away what a measurement has left, and leaves the tables as they were.
    pub(crate) async fn clean(&self) -> Result<()> {
        // What programs that have just ended were at may not have come to its end in the server.
        db::retrying(|| self.pool.execute(CLEAN)).await.context("cleaning up")?;
        self.settle().await
    }

    /// Does now what autovacuum would do in the midst of a measurement.
    pub(crate) async fn settle(&self) -> Result<()> {
        const TABLES: &str = "cart_items, idempotency_keys, jobs, orders, order_items, order_events, payment_intents, payment_logs, products, webhook_logs";
        self.vacuum(TABLES).await
    }

    async fn vacuum(&self, tables: &str) -> Result<()> {
        self.pool.execute(format!("VACUUM ANALYZE {tables}").as_str()).await.context("vacuuming")?;
        Ok(())
    }

    /// Puts one unit into the cart of each shopper: of the product that `product` (SQL of `n`) names.
    pub(crate) async fn fill_carts(&self, shoppers: usize, product: &str) -> Result<()> {
        let fill = format!(
            "INSERT INTO cart_items (id, user_id, product_id, quantity)
             SELECT gen_random_uuid(), bench.user_id(n), bench.product_id({product}), 1 FROM generate_series(0, {shoppers} - 1) n"
        );
        self.pool.execute(fill.as_str()).await.context("filling the carts")?;
        self.vacuum("cart_items").await // the others were, when they were cleaned
    }

    /// What a `SELECT count(*)` counts.
    pub(crate) async fn count(&self, query: &str) -> Result<usize> {
        let count: i64 = sqlx::query_scalar(query).fetch_one(&self.pool).await?;
        Ok(usize::try_from(count)?)
    }

    /// The statements that an API sends to answer what `ask` asks it, in their order. They go through few connections,
    /// and come one after the other.
    pub(crate) async fn record(
        &self,
        ground: &Ground,
        ask: impl AsyncFnOnce(std::net::SocketAddr) -> Result<()>,
    ) -> Result<Vec<Statement>> {
        let database = &self.database;
        self.pool.execute(format!("ALTER DATABASE {database} SET log_statement = 'all'").as_str()).await?;
        let api = self.start("kassa-api", ground, &[("DATABASE_MAX_CONNECTIONS", "2")]).await?;
        let before = std::fs::read_to_string(&self.log)?.len();
        let asked = ask(api.api).await;
        // Only now: a connection that is opened on the way is to be logged, too.
        self.pool.execute(format!("ALTER DATABASE {database} RESET log_statement").as_str()).await?;
        asked?;
        let log = std::fs::read_to_string(&self.log)?;
        api.stop().await;
        let logged = logged(&log[before..]);
        ensure!(!logged.is_empty(), "the server has logged no statement");
        self.describe(logged).await
    }

    /// Adds the types that the parameters have.
    async fn describe(&self, logged: Vec<Logged>) -> Result<Vec<Statement>> {
        let mut connection = sqlx::PgConnection::connect_with(&self.options).await?;
        let mut statements = Vec::new();
        for logged in logged {
            let mut types = Vec::new();
            if !logged.parameters.is_empty() {
                connection.execute(format!("PREPARE described AS {}", logged.text).as_str()).await?;
                let described = "SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = 'described'";
                types = connection.fetch_one(described).await?.try_get(0)?;
                connection.execute("DEALLOCATE described").await?;
            }
            statements.push(Statement { logged, types });
        }
        connection.close().await?;
        Ok(statements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_databases_functions() {
        assert_eq!(user_id(255).to_string(), "00000001-0000-7000-8000-0000000000ff");
        assert_eq!(product_id(0).to_string(), "00000002-0000-7000-8000-000000000000");
        assert!(HELPERS.contains("'00000001-0000-7000-8000-'") && HELPERS.contains("'00000002-0000-7000-8000-'"));
    }
}
