//! `kassa doctor`: looks at all that a shop needs, one line each, and says of what isn't well how it is mended. It goes on after what is
//! wrong, changes nothing that stays, and shows no secret.

mod configuration;
mod database;
mod finding;
mod images;
mod mail;
mod programs;
mod queue;
mod secrets;
mod stripe;

use std::process::ExitCode;

use clap::Args;
use common::config::{Environment, Inspection};
use serde_json::json;

use crate::output;
use finding::{Finding, Verdict};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Sends a test mail to this address; without it the mail server is asked, and nothing sent
    #[arg(long, value_name = "ADDRESS")]
    mail: Option<String>,
    /// Where the API's metrics and health are [default: METRICS_ADDR, or 127.0.0.1:9464]
    #[arg(long, value_name = "HOST:PORT", env = "API_METRICS_URL", hide_env_values = true)]
    api: Option<String>,
    /// Where the worker's are [default: METRICS_ADDR, or 127.0.0.1:9465]
    #[arg(long, value_name = "HOST:PORT", env = "WORKER_METRICS_URL", hide_env_values = true)]
    worker: Option<String>,
    /// Prints the findings for machines
    #[arg(long)]
    json: bool,
}

/// Looks. Exit code 1 tells that something is wrong; what is only worth a warning does not.
pub(crate) async fn run(arguments: &Arguments, environment: &Environment) -> anyhow::Result<ExitCode> {
    worker::stripe::set_up_tls();
    let inspection = Inspection::of(environment);
    let (of_database, of_stripe, of_mail, of_images, of_programs) = tokio::join!(
        database::check(&inspection),
        stripe::check(&inspection),
        mail::check(&inspection, arguments.mail.as_deref()),
        images::check(&inspection),
        programs::check(&inspection, arguments.api.as_deref(), arguments.worker.as_deref()),
    );
    let findings: Vec<Finding> = [
        configuration::check(&inspection),
        secrets::check(&inspection),
        of_database,
        of_stripe,
        of_mail,
        of_images,
        of_programs,
    ]
    .into_iter()
    .flatten()
    .collect();
    let is_well = findings.iter().all(|finding| finding.verdict != Verdict::Wrong);
    if arguments.json {
        output::json(&json!({ "well": is_well, "findings": findings }))?;
    } else {
        output::line(&finding::for_people(&findings))?;
    }
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
