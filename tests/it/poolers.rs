//! A connection pooler between the programs and the database: PgBouncer, the one that most have. Recorded runs, as it is not on every
//! machine: `tests/recorded/pgbouncer`. What was seen is in docs/operations/scaling.md.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use common::db;

use crate::harness::{Database, Shop, eventually, url};

/// A running PgBouncer before the tests' cluster; it ends when dropped.
struct PgBouncer {
    process: Child,
    folder: PathBuf,
    port: u16,
}

impl PgBouncer {
    /// One with these lines in its configuration, which must take connections in the end.
    async fn start(database: &Database, settings: &str) -> Self {
        let program = std::env::var("KASSA_PGBOUNCER").expect("KASSA_PGBOUNCER names the program");
        let port = dev::ports::any().expect("a free port");
        let folder = std::env::temp_dir().join(format!("kassa-tests-{}-pgbouncer-{port}", std::process::id()));
        fs::create_dir_all(&folder).expect("there is room");
        let address = url(&database.options());
        let (login, _) = address.trim_start_matches("postgres://").split_once('@').expect("with a login");
        let (user, password) = login.split_once(':').expect("with a password");
        let unprivileged = if nix::unistd::geteuid().is_root() { "user = nobody" } else { "" };
        let config = format!(
            "[databases]\n* = host=127.0.0.1 port={} user={user} password={password}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\nmax_client_conn = 500\n{unprivileged}\n{settings}\n",
            database.options().get_port()
        );
        let file = folder.join("pgbouncer.ini");
        fs::write(&file, config).expect("there is room");
        let log = fs::File::create(folder.join("log")).expect("there is room");
        let mut command = Command::new(program);
        command.arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().expect("it runs");
        let bouncer = Self { process, folder, port };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        eventually("PgBouncer listens", async || tokio::net::TcpStream::connect(address).await.ok()).await;
        bouncer
    }

    /// The way to a database through it.
    fn url(&self, database: &Database) -> String {
        url(&database.options().host("127.0.0.1").port(self.port))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(40).collect();
            eprintln!("--- PgBouncer ---\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
        let _ended = self.process.kill().and_then(|()| self.process.wait());
        let _left = fs::remove_dir_all(&self.folder);
    }
}

/// Has shoppers buy, one after the other and then all at once; how long one waited for an order's intent, at the median.
async fn sells(shop: &Shop) -> Duration {
    let product = shop.product(500, 100).await;
    let mut waited = vec![];
    for shopper in shop.crowd(9).await {
        shopper.put_in_cart(&product, 1).await.expect(201);
        let began = Instant::now();
        let order = shopper.check_out().await.expect(201);
        waited.push(began.elapsed());
        shop.pay(&shopper, &order).await;
    }
    let at_once = shop.crowd(20).await;
    let bought = at_once.iter().map(async |shopper| {
        let order = shop.order(shopper, &product, 1).await;
        shop.pay(shopper, &order).await
    });
    futures::future::join_all(bought).await;
    shop.settle().await;
    assert_eq!(shop.stock(&product).await, (71, 71));
    let found = shop.visitor().get("/products?q=prodct&sort=relevance").await.expect(200);
    assert!(!found["items"].as_array().expect("a list").is_empty(), "typing errors are forgiven");
    waited.sort_unstable();
    waited[4]
}

/// What PgBouncer has to be told to leave out, for it knows neither.
const IGNORED: &str = "ignore_startup_parameters = extra_float_digits, options";

#[tokio::test]
#[ignore = "needs PgBouncer; docs/operations/scaling.md has a run of it"]
async fn in_session_mode_a_shop_sells_as_without_a_pooler() {
    let database = Database::migrated().await;
    let bouncer = PgBouncer::start(&database, &format!("pool_mode = session\ndefault_pool_size = 60\n{IGNORED}")).await;
    let url = bouncer.url(&database);
    let settings = [("DATABASE_URL", url.as_str())];
    let told = database.kassa_with(&["doctor"], &settings, "").await.out;
    assert!(told.contains("! sessions") && told.contains("ALTER ROLE"), "what is left out is told of: {told}");
    // What the doctor says, for the database in the place of the role, which the tests share.
    for (name, value) in db::SESSION.into_iter().filter(|(name, _)| !name.starts_with("tcp_")) {
        let set = format!("ALTER DATABASE %I SET {name} = ''{value}''");
        database.run(&format!("DO $$ BEGIN EXECUTE format('{set}', current_database()); END $$")).await;
    }
    // Only connections that are made from now on have it.
    database
        .run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
    let told = database.kassa_with(&["doctor"], &settings, "").await.out;
    assert!(told.contains("✓ sessions"), "{told}");
    let shop = Shop::over_at(database, &url, &[]).await;
    let behind = sells(&shop).await;
    shop.finish().await;
    let shop = Shop::start().await;
    let directly = sells(&shop).await;
    println!(
        "from checkout to intent: {} ms behind PgBouncer, {} ms directly",
        behind.as_millis(),
        directly.as_millis()
    );
    shop.finish().await;
}

#[tokio::test]
#[ignore = "needs PgBouncer 1.21; docs/operations/scaling.md has a run of it"]
async fn transaction_mode_is_told_of_before_it_does_harm() {
    let database = Database::migrated().await;
    for prepared in [0, 200] {
        let mode = format!("pool_mode = transaction\nmax_prepared_statements = {prepared}\n{IGNORED}");
        let bouncer = PgBouncer::start(&database, &mode).await;
        let told = database.kassa_with(&["doctor"], &[("DATABASE_URL", &bouncer.url(&database))], "").await;
        assert!(told.code == 1 && told.out.contains("✗ sessions"), "{told:?}");
    }
}
