//! `kassa-api`: reads its configuration, then serves until SIGTERM or SIGINT.

use std::{env, process::ExitCode};

use common::config::{self, Environment, Program};

fn main() -> ExitCode {
    match env::args().nth(1).as_deref() {
        None => serve(),
        Some("--help" | "-h") => {
            println!("kassa-api: the HTTP API of Kassa\n\nUsage: kassa-api [--help | --version]\n");
            print!("{}", config::help(Program::Api));
            ExitCode::SUCCESS
        }
        Some("--version" | "-V") => {
            println!("kassa-api {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Some(_) => {
            eprintln!("kassa-api takes no arguments; its configuration is in the environment: see kassa-api --help");
            ExitCode::from(2)
        }
    }
}

fn serve() -> ExitCode {
    let config = match Environment::load().and_then(|environment| config::Api::read(&environment)) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("kassa-api: {problems}");
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("kassa-api: no threads to run on: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(api::run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kassa-api: {error:#}");
            ExitCode::FAILURE
        }
    }
}
