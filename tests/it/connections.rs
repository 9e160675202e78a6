//! The programs' connections to the database.

use crate::harness::Shop;

#[tokio::test]
async fn operators_can_tell_the_programs_apart_in_the_database() {
    let shop = Shop::start().await;
    for (program, least) in [("kassa-api", 1), ("kassa-worker", 2)] {
        let connected = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = '{program}'"
        );
        assert!(shop.count(&connected).await >= least, "{program}");
    }
    // `kassa` comes and goes: the database notes its name while it is there.
    shop.database
        .run(
            "CREATE TABLE callers (name text);
             CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
               'BEGIN INSERT INTO callers VALUES (current_setting(''application_name'')); RETURN NEW; END';
             CREATE TRIGGER note AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION note()",
        )
        .await;
    let create = ["admin", "create", "--email", "boss@kassa.example"];
    let made = shop.database.kassa_with(&create, &[], "plenty of mismatched socks\n").await;
    assert_eq!(made.code, 0, "{made:?}");
    assert_eq!(shop.count("SELECT count(*) FROM callers WHERE name = 'kassa'").await, 1);
    shop.finish().await;
}
