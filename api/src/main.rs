//! `kassa-api`: serves until SIGTERM or SIGINT.

use std::process::ExitCode;

use common::{
    config::{self, Program},
    program,
};

fn main() -> ExitCode {
    program::main(Program::Api, "the HTTP API of Kassa", config::Api::read, api::run)
}
