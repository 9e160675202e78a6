//! `kassa-worker`: runs the shop's jobs until SIGTERM or SIGINT.

use std::process::ExitCode;

use common::{
    config::{self, Program},
    program,
};

fn main() -> ExitCode {
    program::main(
        Program::Worker,
        "runs the jobs of a Kassa shop: Stripe, stock and mail",
        config::Worker::read,
        worker::run,
    )
}
