//! Programs that cannot start: they say why, once, and end with a code that tells whose fault it is.

use crate::harness::{Database, JWT_SECRET, url};

const PROGRAMS: [&str; 2] = ["kassa-api", "kassa-worker"];

/// All that either program must be told.
const SETTINGS: [(&str, &str); 10] = [
    ("API_ADDR", "127.0.0.1:0"),
    ("METRICS_ADDR", "127.0.0.1:0"),
    ("JWT_SECRET", JWT_SECRET),
    ("STRIPE_API_BASE", "http://127.0.0.1:9"),
    ("STRIPE_SECRET_KEY", "sk_test_simulator"),
    ("STRIPE_PUBLISHABLE_KEY", "pk_test_simulator"),
    ("STRIPE_WEBHOOK_SECRET", "whsec_of_the_tests"),
    ("MAIL_URL", "smtp://127.0.0.1:9"),
    ("MAIL_FROM", "shop@kassa.example"),
    ("OBJECT_STORE_URL", "file:kassa-tests-startup"),
];

#[tokio::test]
async fn all_that_is_wrong_with_the_configuration_is_said_at_once_without_its_values() {
    let database = Database::migrated().await;
    for program in PROGRAMS {
        let missing = database.program(program, &[], &[("DATABASE_URL", "")], "").await;
        let own = if program == "kassa-api" { "JWT_SECRET" } else { "MAIL_FROM" };
        for name in ["DATABASE_URL", own] {
            assert!(missing.err.contains(&format!("{name} is not set")), "{missing:?}");
        }
        let settings = SETTINGS.map(|(name, _)| (name, "hunter2"));
        let wrong = database.program(program, &[], &settings, "").await;
        for ended in [&missing, &wrong] {
            assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{ended:?}");
        }
        assert!(wrong.err.lines().count() > 4 && !wrong.err.contains("hunter2"), "{wrong:?}");
    }
}

#[tokio::test]
async fn what_a_closer_look_finds_wrong_is_the_configurations_fault_too() {
    let database = Database::migrated().await;
    for (program, setting) in [
        ("kassa-api", ("LOG", "info,=")),
        ("kassa-worker", ("LOG", "info,=")),
        ("kassa-worker", ("MAIL_FROM", "hunter2@")),
        ("kassa-worker", ("MAIL_URL", "file:/dev/null/mails")),
        ("kassa-api", ("OBJECT_STORE_URL", "file:/dev/null/images")),
        ("kassa-worker", ("OBJECT_STORE_URL", "file:/dev/null/images")),
    ] {
        let settings = [&SETTINGS[..], &[setting]].concat();
        let ended = database.program(program, &[], &settings, "").await;
        assert!(ended.code == 2 && ended.err.contains(setting.0) && !ended.err.contains("hunter2"), "{ended:?}");
    }
}

#[tokio::test]
async fn nothing_starts_on_a_secret_that_can_be_guessed() {
    let database = Database::migrated().await;
    let weak = ["", &JWT_SECRET[..31], &format!("{JWT_SECRET},{}", &JWT_SECRET[..31]), &format!("{JWT_SECRET},")];
    let example = "change-me-change-me-change-me-change-me";
    for program in PROGRAMS {
        for secret in weak.into_iter().chain([example, &"secret".repeat(9)]) {
            let settings = [&SETTINGS[..], &[("JWT_SECRET", secret)]].concat();
            let ended = database.program(program, &[], &settings, "").await;
            assert!(ended.code == 2 && ended.err.contains("\n  JWT_SECRET "), "{ended:?}");
            assert_eq!(ended.err.lines().count(), 2, "nothing else is wrong: {ended:?}");
            assert!(secret.is_empty() || !ended.err.contains(secret), "{ended:?}");
        }
    }
}

#[tokio::test]
async fn arguments_are_refused_but_for_those_that_explain() {
    let database = Database::migrated().await;
    for program in PROGRAMS {
        let help = database.program(program, &["--help"], &[], "").await;
        assert!(help.code == 0 && help.out.contains("DATABASE_URL") && help.err.is_empty(), "{help:?}");
        let version = database.program(program, &["--version"], &[], "").await;
        assert_eq!((version.code, version.out), (0, format!("{program} {}\n", env!("CARGO_PKG_VERSION"))));
        let refused = database.program(program, &["--port=80"], &SETTINGS, "").await;
        assert!(refused.code == 2 && refused.err.contains("--help"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_database_that_can_never_be_used_ends_a_program() {
    let database = Database::migrated().await;
    let nowhere = url(&database.options().database("nowhere"));
    let stranger = url(&database.options().password("hunter2"));
    for program in PROGRAMS {
        for (setting, why) in [
            (("STORE_CURRENCY", "jpy"), "sells in usd"),
            (("DATABASE_URL", &*nowhere), "nowhere"),
            (("DATABASE_URL", &stranger), "password authentication failed"),
        ] {
            let settings = [&SETTINGS[..], &[setting]].concat();
            let ended = database.program(program, &[], &settings, "").await;
            assert!(ended.code == 1 && ended.err.contains(why) && !ended.err.contains("hunter2"), "{ended:?}");
            assert!(ended.err.contains(&format!("{program}: the database can't be used: ")), "{ended:?}");
        }
    }
}

#[tokio::test]
async fn an_address_that_is_taken_ends_a_program() {
    let database = Database::migrated().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = listener.local_addr().expect("it is bound").to_string();
    for program in PROGRAMS {
        let settings = [&SETTINGS[..], &[("METRICS_ADDR", &taken)]].concat();
        let ended = database.program(program, &[], &settings, "").await;
        assert_eq!(ended.code, 1, "{ended:?}");
        let told = format!("METRICS_ADDR (each program on a machine needs its own): can't listen on {taken}: Address");
        assert!(ended.err.contains(&told), "{ended:?}");
    }
    let settings = [&SETTINGS[..], &[("API_ADDR", &taken)]].concat();
    let ended = database.program("kassa-api", &[], &settings, "").await;
    assert!(ended.code == 1 && ended.err.contains(&format!("API_ADDR: can't listen on {taken}")), "{ended:?}");
    // Two addresses of its own that are one can't be meant.
    let settings = [&SETTINGS[..], &[("API_ADDR", &*taken), ("METRICS_ADDR", &taken)]].concat();
    let ended = database.program("kassa-api", &[], &settings, "").await;
    assert!(ended.code == 2 && ended.err.contains("METRICS_ADDR is where API_ADDR is"), "{ended:?}");
}
