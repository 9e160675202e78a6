//! A throwaway Postgres for this run, the same as the shop's other tests have: nothing that is installed or configured on the
//! machine is touched.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use sqlx::postgres::PgConnectOptions;

struct Cluster {
    options: PgConnectOptions,
    /// Removes the cluster when its standard input ends: with this process, however that ends, so that a killed run leaves
    /// nothing behind either.
    _keeper: Child,
}

/// How to connect to it. The first who asks starts it; the others wait.
pub(crate) fn options() -> PgConnectOptions {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(start).options.clone()
}

fn start() -> Cluster {
    let mut keeper = Command::new(dev::cargo::build_for_test(&["dev"]).join("kassa-dev"))
        .arg("postgres")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("kassa-dev has just been built");
    let mut url = String::new();
    let output = keeper.stdout.take().expect("it is piped");
    BufReader::new(output).read_line(&mut url).expect("kassa-dev prints text");
    let options = url.trim().parse().expect("there is a Postgres for the tests; kassa-dev says above what is missing");
    Cluster { options, _keeper: keeper }
}
