//! `kassa doctor`: says that a shop is well where it is, and of each thing that is broken what it is and how it is mended.

use common::db;
use dev::{mail::Fault, postgres::Throwaway};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Database, Ended, Shop, eventually, text, url};

/// What a shop of the tests has weaker than it should be.
const STRONG: [(&str, &str); 2] = [
    ("JWT_SECRET", "7d0f3f6a1c5be2498807d3f1a6cc5e02b94d8e7f6a315c20d9fe84b7163ac5e8"),
    ("STRIPE_WEBHOOK_SECRET", "whsec_Jw3rT8pLq0ZxV5nB7mKc2dHs9fGy4uEa"),
];

/// A report, and with which code it came.
struct Report {
    findings: Vec<Value>,
    ended: Ended,
}

impl Report {
    /// The names of the lines with this verdict, in their order.
    fn names(&self, verdict: &str) -> Vec<&str> {
        self.findings.iter().filter(|line| line["verdict"] == verdict).map(|line| text(&line["name"])).collect()
    }

    /// The only line that is wrong, which is of this name: what was found, and the remedy.
    #[track_caller]
    fn only_wrong(&self, name: &str) -> String {
        assert_eq!((self.names("wrong"), self.ended.code), (vec![name], 1), "{}", self.ended.out);
        self.line(name)
    }

    /// The only line that is worth a look, where none is wrong.
    #[track_caller]
    fn only_warning(&self, name: &str) -> String {
        assert_eq!((self.names("wrong"), self.ended.code), (vec![], 0), "{}", self.ended.out);
        assert_eq!(self.names("warning"), [name], "{}", self.ended.out);
        self.line(name)
    }

    #[track_caller]
    fn line(&self, name: &str) -> String {
        let line = self.findings.iter().find(|line| line["name"] == name).expect("there is such a line");
        assert!(!text(&line["remedy"]).is_empty(), "what isn't well has its remedy: {line}");
        format!("{}: {}", text(&line["finding"]), text(&line["remedy"]))
    }
}

impl Shop {
    /// Has the doctor look at this shop, with these settings in the place of its own.
    async fn doctor(&self, settings: &[(&str, &str)], arguments: &[&str]) -> Ended {
        let public = format!("http://{}", self.api.api);
        let (api, worker) = (self.api.operations.to_string(), self.worker.operations.to_string());
        let mut all = [self.settings(), STRONG.to_vec(), vec![("PUBLIC_URL", &public)]].concat();
        all.extend(settings);
        let arguments = [&["doctor", "--api", &api, "--worker", &worker], arguments].concat();
        self.database.kassa_with(&arguments, &all, "").await
    }

    async fn examine(&self, settings: &[(&str, &str)]) -> Report {
        let ended = self.doctor(settings, &["--json"]).await;
        let report: Value = serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{ended:?}"));
        assert_eq!(report["well"], json!(ended.code == 0));
        Report { findings: report["findings"].as_array().expect("a list").clone(), ended }
    }
}

/// A shop on a server that keeps what was committed.
async fn durable() -> (Shop, Throwaway) {
    let server = Throwaway::start_durable().await.expect("a server");
    let shop = Shop::over(Database::migrated_on(&server).await, &[]).await;
    (shop, server)
}

#[tokio::test]
async fn a_shop_that_is_well_is_told_so_and_left_as_it_was() {
    let (shop, server) = durable().await;
    // A worker writes its schedule down when it starts.
    let scheduled = "SELECT count(*) FROM schedules";
    eventually("the worker has its schedule", async || (shop.count(scheduled).await == 3).then_some(())).await;
    let before = shop.contents().await;
    let report = shop.examine(&[]).await;
    assert_eq!((report.ended.code, report.names("well").len()), (0, report.findings.len()), "{}", report.ended.out);
    let told = shop.doctor(&[], &[]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.ends_with("all is well\n"), "{}", told.out);
    for name in ["database", "durability", "migrations", "clock", "connections", "Stripe account", "mail server"] {
        assert!(told.out.lines().any(|line| line.starts_with(&format!("✓ {name}  "))), "{name}: {}", told.out);
    }
    let secrets = ["sk_test_simulator", STRONG[0].1, STRONG[1].1];
    assert!(secrets.iter().all(|secret| !told.out.contains(secret)), "{}", told.out);

    assert_eq!(shop.contents().await, before, "nothing was written");
    assert!(shop.mail.messages().is_empty(), "nothing was sent");
    let folder = shop.settings().into_iter().find(|(name, _)| *name == "OBJECT_STORE_URL").expect("it is set").1;
    let left = std::fs::read_dir(folder.strip_prefix("file:").expect("a folder")).expect("it is there").count();
    assert_eq!(left, 0, "no object is left");
    let made = shop.control().get("/requests?method=POST").await.body;
    assert_eq!(made, json!([]), "nothing was made at Stripe");

    let mailed = shop.doctor(&[], &["--mail", "owner@kassa.example"]).await;
    assert_eq!(mailed.code, 0, "{mailed:?}");
    assert_eq!(shop.mail.messages().len(), 1);
    shop.finish().await;
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_outside_has_its_line_and_its_remedy() {
    let (shop, server) = durable().await;
    let wrong = async |settings: &[(&str, &str)], name: &str| shop.examine(settings).await.only_wrong(name);

    // Stripe: a wrong key, nobody there, other modes, no endpoint, one that is off, one that is sent too little.
    let told = wrong(&[("STRIPE_SECRET_KEY", "sk_test_of_somebody_else")], "Stripe account").await;
    assert!(told.contains("401") && !told.contains("somebody_else"), "{told}");
    wrong(&[("STRIPE_API_BASE", "http://127.0.0.1:9")], "Stripe account").await;
    let told = wrong(&[("STRIPE_PUBLISHABLE_KEY", "pk_live_abcdefghij")], "Stripe keys").await;
    assert!(told.contains("live") && told.contains("test"), "{told}");
    let told = wrong(&[("PUBLIC_URL", "https://shop.example")], "Stripe webhooks").await;
    assert!(told.contains("https://shop.example/webhooks/stripe") && told.contains("charge.dispute.closed"), "{told}");
    let elsewhere = shop.examine(&[("PUBLIC_URL", "http://localhost:1")]).await;
    assert!(elsewhere.only_warning("Stripe webhooks").contains("stripe listen"), "Stripe could not reach it anyway");
    shop.control().put("/webhooks", &json!({ "status": "disabled" })).await.expect(200);
    assert!(wrong(&[], "Stripe webhooks").await.contains("disabled"));
    let few = json!({ "status": "enabled", "enabled_events": ["payment_intent.succeeded", "refund.created"] });
    shop.control().put("/webhooks", &few).await.expect(200);
    let told = wrong(&[], "Stripe webhooks").await;
    assert!(told.contains("payment_intent.canceled") && !told.contains("refund.created"), "{told}");
    shop.control().put("/webhooks", &json!({ "enabled_events": ["*"] })).await.expect(200);

    // A restricted key: with too little, and with just what is needed.
    let key = ("STRIPE_SECRET_KEY", "rk_test_abcdefghij");
    let allow = async |permissions: Value| {
        shop.control().put("/restricted_keys", &json!({ "key": key.1, "permissions": permissions })).await.expect(200);
    };
    allow(json!(["rak_charge_read", "rak_webhook_read", "rak_event_read"])).await;
    let told = wrong(&[key], "Stripe permissions").await;
    assert!(told.contains("PaymentIntents: write") && told.contains("Disputes: read"), "{told}");
    assert!(!told.contains("Events"), "{told}");
    let needed = ["rak_payment_intent_write", "rak_charge_write", "rak_dispute_read", "rak_event_read"];
    allow(json!(needed)).await;
    assert!(shop.examine(&[key]).await.only_warning("Stripe webhooks").contains("Webhook Endpoints: read"));
    let made = shop.stripe_api().with_token("sk_test_simulator").get("/v1/payment_intents").await.expect(200);
    assert_eq!(made["data"], json!([]), "asking made nothing");

    // Mail: nobody there, one that turns us away, a folder.
    let told = wrong(&[("MAIL_URL", "smtp://shop:hunter2@127.0.0.1:9")], "mail server").await;
    assert!(told.starts_with("failed at connect: Connection refused (os error"), "{told}");
    assert!(told.contains("(mail server 127.0.0.1:9)") && !told.contains("hunter2"), "{told}");
    let fault: Fault =
        serde_json::from_value(json!({ "at": "connect", "code": 554, "text": "5.3.2 no" })).expect("a fault");
    shop.mail.add_fault(fault);
    let address = shop.mail.smtp_url();
    let told = wrong(&[], "mail server").await;
    let place = address.trim_start_matches("smtp://");
    assert!(told.starts_with(&format!("turned away at greeting: 554 5.3.2 no (mail server {place})")), "{told}");
    shop.mail.remove_faults();
    let secure = format!("{address}?tls=required");
    let with_a_login = address.replace("smtp://", "smtp://shop:hunter2@");
    for url in [&secure, &with_a_login] {
        let told = wrong(&[("MAIL_URL", url)], "mail server").await;
        assert!(told.contains("MAIL_URL asks") && !told.contains("hunter2"), "the catcher has neither: {told}");
    }
    shop.examine(&[("MAIL_URL", "file:/tmp")]).await.only_warning("mail server");

    // Images: a folder that can't be written to, and none.
    let read_only = if std::path::Path::new("/sys").is_dir() { "file:/sys" } else { "file:/" };
    wrong(&[("OBJECT_STORE_URL", read_only)], "store of images").await;
    wrong(&[("OBJECT_STORE_URL", "file:/tmp/kassa-is-not-there")], "store of images").await;
    assert!(!std::path::Path::new("/tmp/kassa-is-not-there").exists(), "it is not made");

    // One address for both programs: whoever answers there would pass for both.
    let one = shop.worker.operations.to_string();
    let all = [shop.settings(), STRONG.to_vec(), vec![("METRICS_ADDR", &one)]].concat();
    let told = shop.database.kassa_with(&["doctor"], &all, "").await.out;
    assert!(told.contains(&format!("{one} is METRICS_ADDR of both")) && !told.contains("ready"), "{told}");
    wrong(&[("API_ADDR", "127.0.0.1:9464"), ("METRICS_ADDR", "0.0.0.0:9464")], "configuration").await;

    // The configuration: all of it is told, without a value, and the rest is looked at.
    let settings = [("JWT_SECRET", "hunter2"), ("RESERVATION_MINUTES", "-1"), ("METRICS_ADDR", "hunter2")];
    let report = shop.examine(&settings).await;
    assert_eq!((report.names("wrong"), report.ended.code), (vec!["configuration"; 3], 1), "{}", report.ended.out);
    assert!(report.names("well").contains(&"Stripe webhooks"));
    assert!(!report.ended.out.contains("hunter2"), "{}", report.ended.out);

    let thought_up = [("JWT_SECRET", "a-secret-of-the-tests-that-is-long-enough")];
    shop.examine(&thought_up).await.only_warning("JWT secret");
    wrong(&[("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:9/d")], "database").await;
    shop.finish().await;
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_the_database_has_its_line_and_its_remedy() {
    let (mut shop, server) = durable().await;
    let database = shop.database.clone();
    let alter = async |what: &str| {
        let altered = format!("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I {what}', current_database()); END $$");
        database.run(&altered).await;
    };
    alter("SET synchronous_commit = off").await;
    assert!(shop.examine(&[]).await.only_wrong("durability").contains("synchronous_commit"));
    alter("RESET synchronous_commit").await;
    alter("CONNECTION LIMIT 14").await;
    assert!(shop.examine(&[]).await.only_wrong("connections").contains("14 allowed"));
    assert!(shop.examine(&[("DATABASE_MAX_CONNECTIONS", "2")]).await.only_warning("connections").contains("upgrade"));
    alter("CONNECTION LIMIT -1").await;
    assert!(shop.examine(&[("STORE_CURRENCY", "eur")]).await.only_wrong("currency").contains("STORE_CURRENCY=usd"));

    database
        .run(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
              VALUES (99990101000000, 'of tomorrow', true, '', 0)",
        )
        .await;
    assert!(shop.examine(&[]).await.only_warning("migrations").contains("1 newer"));
    database.run("DELETE FROM _sqlx_migrations WHERE version = 99990101000000").await;
    database.run("CREATE TABLE kept AS SELECT * FROM _sqlx_migrations ORDER BY version DESC LIMIT 1").await;
    database.run("DELETE FROM _sqlx_migrations WHERE version = (SELECT version FROM kept)").await;
    let behind = shop.examine(&[]).await;
    assert_eq!(behind.names("wrong"), ["migrations", "API", "worker"], "{}", behind.ended.out);
    assert!(behind.line("migrations").contains("1 are missing: run `kassa migrate`"));
    database.run("INSERT INTO _sqlx_migrations SELECT * FROM kept; DROP TABLE kept").await;
    let empty = url(&Database::empty().await.options());
    let report = shop.examine(&[("DATABASE_URL", &empty)]).await;
    assert!(report.line("migrations").contains("empty"), "{}", report.ended.out);

    // A migration of somebody else's, say, that doesn't come to its end.
    let mut other = db::begin(&database.pool).await.expect("the database answers");
    sqlx::query("LOCK TABLE _sqlx_migrations").execute(&mut *other).await.expect("nobody else has it");
    let kept_waiting = shop.examine(&[]).await;
    assert_eq!(kept_waiting.names("wrong"), ["database", "API", "worker"], "{}", kept_waiting.ended.out);
    assert!(kept_waiting.line("database").contains("kept us waiting"));
    other.rollback().await.expect("the database answers");

    // To who connects from now on it is an hour later than they think.
    database
        .run(
            "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
               'SELECT pg_catalog.clock_timestamp() + interval ''1 hour'''",
        )
        .await;
    alter("SET search_path = public, pg_catalog").await;
    let report = shop.examine(&[]).await;
    assert!(report.names("wrong").contains(&"clock"), "{}", report.ended.out);
    let told = report.line("clock");
    assert!(told.starts_with("3599 s behind") || told.starts_with("3600 s behind"), "{told}");
    alter("RESET search_path").await;
    database.run("DROP FUNCTION public.clock_timestamp()").await;

    // A job that nobody does, and one that was given up.
    let product = shop.product(500, 5).await;
    let shopper = shop.shopper().await;
    shop.order(&shopper, &product, 1).await;
    shop.settle().await;
    database.run("UPDATE jobs SET status = 'Killed' WHERE job_type = 'payment.create_intent'").await;
    assert!(shop.examine(&[]).await.only_warning("dead jobs").contains("1 of payment.create_intent"));
    database.run("UPDATE jobs SET status = 'Done' WHERE job_type = 'payment.create_intent'").await;
    shop.worker.signal(Signal::SIGTERM);
    shop.worker.end().await;
    // Put off since it was due, as for a bank that still decides, is not late.
    let due =
        async |columns: &str| database.run(&format!("UPDATE jobs SET {columns} WHERE job_type = 'order.expire'")).await;
    due("attempts = 9, due_at = now() - interval '3 d', run_at = now() + interval '10 min'").await;
    let put_off = shop.examine(&[]).await;
    assert!(!put_off.names("wrong").contains(&"waiting jobs"), "{}", put_off.ended.out);
    due("run_at = now() - interval '20 min'").await;
    let late = shop.examine(&[]).await;
    assert_eq!(late.names("wrong"), ["waiting jobs", "worker"], "{}", late.ended.out);
    assert!(late.line("waiting jobs").contains("order.expire"));
    due("attempts = 0, run_at = now() + interval '10 min', due_at = now() + interval '10 min'").await;
    shop.restart_worker().await;
    shop.finish().await;
    server.stop().await;
}
