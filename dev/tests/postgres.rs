//! Clusters for real: the throwaway one with its keeper, the durable one over crashes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use dev::{
    postgres::{Cluster, DURABLE_DATABASE, Throwaway, made_by_us, wipe},
    process::Identity,
};
use nix::sys::signal::Signal;
use sqlx::{Connection, Executor, PgConnection};

fn keeper() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kassa-dev"));
    command.arg("postgres").stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// The URL, which is the first line.
fn url(keeper: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(keeper.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line.trim().to_owned()
}

/// The folder of the data and the process of the server behind a URL.
async fn server(url: &str) -> (PathBuf, Identity) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let data: String = sqlx::query_scalar("SHOW data_directory").fetch_one(&mut connection).await.unwrap();
    let pid = fs::read_to_string(Path::new(&data).join("postmaster.pid")).unwrap();
    let pid = pid.lines().next().unwrap().parse().unwrap();
    (PathBuf::from(data).parent().unwrap().to_owned(), Identity::of(pid).unwrap())
}

async fn is_gone(folder: &Path, server: &Identity) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline && (server.is_running() || folder.exists()) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    !server.is_running() && !folder.exists()
}

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("kassa-test-{name}-{}", uuid::Uuid::new_v4().simple()))
}

#[tokio::test]
async fn a_throwaway_goes_when_its_keepers_input_ends() {
    let mut keeper = keeper().spawn().unwrap();
    let (folder, server) = server(&url(&mut keeper)).await;
    drop(keeper.stdin.take()); // as the system does when the owner is killed
    assert!(keeper.wait().unwrap().success());
    assert!(is_gone(&folder, &server).await);
}

#[tokio::test]
async fn a_throwaway_goes_at_sigterm() {
    let mut keeper = keeper().spawn().unwrap();
    let (folder, server) = server(&url(&mut keeper)).await;
    dev::process::send(keeper.id(), Signal::SIGTERM);
    assert!(keeper.wait().unwrap().success());
    assert!(is_gone(&folder, &server).await);
}

#[tokio::test]
async fn a_throwaway_whose_keeper_was_killed_is_removed_by_the_next() {
    let mut killed = keeper().spawn().unwrap();
    let (folder, server) = server(&url(&mut killed)).await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    let next = Throwaway::start().await.unwrap();
    assert!(is_gone(&folder, &server).await);
    next.stop().await;
}

#[tokio::test]
async fn a_command_runs_with_the_url_and_its_exit_code_is_passed_on() {
    let script = "echo \"$DATABASE_URL\"; exit 7";
    let output = keeper().args(["--", "sh", "-c", script]).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("postgres://postgres:") && said.lines().count() == 1, "{said}");
}

#[tokio::test]
async fn a_throwaway_has_room_and_asks_for_the_password() {
    let cluster = Throwaway::start().await.unwrap();
    let mut connection = PgConnection::connect_with(&cluster.options("postgres")).await.unwrap();
    for (setting, value) in [("max_connections", "500"), ("fsync", "off"), ("synchronous_commit", "off")] {
        let found: String =
            sqlx::query_scalar("SELECT current_setting($1)").bind(setting).fetch_one(&mut connection).await.unwrap();
        assert_eq!(found, value, "{setting}");
    }
    let wrong = cluster.options("postgres").password("wrong");
    PgConnection::connect_with(&wrong).await.expect_err("the password is wrong");
    cluster.stop().await;
}

#[tokio::test]
async fn a_durable_cluster_finds_its_data_again_also_after_a_crash() {
    let asked = temporary("durable").join("postgres");
    let log = temporary("durable.log");
    let place = dev::postgres::Place::prepare(&asked).await.unwrap();
    let port = dev::ports::any().unwrap();
    let cluster = Cluster::durable(place.folder(), port, &log).await.unwrap();
    assert_eq!(cluster.port(), port);
    let mut connection = PgConnection::connect(&cluster.url(DURABLE_DATABASE)).await.unwrap();
    connection.execute("CREATE TABLE kept AS SELECT 42 AS answer").await.unwrap();

    // Whoever started it is gone, the server runs on: the next start ends it first.
    let left = cluster.identity().clone();
    std::mem::forget(cluster);
    let cluster = Cluster::durable(place.folder(), port, &log).await.unwrap();
    assert!(!left.is_running());

    // The server was killed; its file names a process that is another one by now.
    let killed = cluster.identity().clone();
    std::mem::forget(cluster);
    killed.signal(Signal::SIGKILL);
    assert!(killed.ended_within(Duration::from_secs(10)).await);
    let note = place.folder().join("data/postmaster.pid");
    let stale =
        fs::read_to_string(&note).unwrap().replacen(&killed.pid.to_string(), &std::process::id().to_string(), 1);
    fs::write(&note, stale).unwrap();
    let cluster = Cluster::durable(place.folder(), port, &log).await.unwrap();

    let mut connection = PgConnection::connect(&cluster.url(DURABLE_DATABASE)).await.unwrap();
    let kept: i32 = sqlx::query_scalar("SELECT answer FROM kept").fetch_one(&mut connection).await.unwrap();
    assert_eq!(kept, 42);
    cluster.stop().await;

    assert_eq!(made_by_us(&asked), Some(true));
    wipe(&asked).await.unwrap();
    assert_eq!(made_by_us(&asked), None);
    fs::remove_dir_all(asked.parent().unwrap()).unwrap();
    fs::remove_file(log).unwrap();
}

/// Root's server runs as another user, who can't enter; everybody else's runs as they do.
#[tokio::test]
async fn a_closed_folder_has_its_cluster_inside_but_that_of_root_elsewhere_and_linked() {
    use std::os::unix::fs::PermissionsExt;
    let home = temporary("closed");
    fs::create_dir(&home).unwrap();
    let home = home.canonicalize().unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    let asked = home.join("checkout/.dev/postgres");
    let place = dev::postgres::Place::prepare(&asked).await.unwrap();
    let is_root = nix::unistd::Uid::effective().is_root();
    assert_eq!(place.is_elsewhere(), is_root);
    assert!(place.folder().starts_with(if is_root { Path::new("/var/lib/kassa-dev") } else { &home }));
    let log = home.join("log");
    let cluster = Cluster::durable(place.folder(), dev::ports::any().unwrap(), &log).await.unwrap();
    cluster.stop().await;
    assert_eq!(dev::postgres::Place::prepare(&asked).await.unwrap().folder(), place.folder());

    // With the checkout's own folder gone, what is left of its shop is no shop any more.
    fs::remove_dir_all(home.join("checkout")).unwrap();
    let again = dev::postgres::Place::prepare(&asked).await.unwrap();
    assert!(again.folder() == place.folder() && !again.folder().join("data").exists());
    wipe(&asked).await.unwrap();
    assert!(!place.folder().exists() && !asked.is_symlink());
    fs::remove_dir_all(home).unwrap();
}
