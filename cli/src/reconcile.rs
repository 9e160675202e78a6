//! `kassa reconcile`: compares the shop's books with Stripe's, and brings the shop's to where Stripe's are.

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::Args;
use common::{
    config,
    reconciliation::{self, Difference, Outcome},
};
use serde_json::json;
use sqlx::PgPool;
use worker::{
    reconcile::Reconciliation,
    stripe::{self, Stripe},
};

use crate::{
    operator::operator,
    output,
    table::{short, table},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only tells what differs; changes nothing
    #[arg(long)]
    dry_run: bool,
    /// Prints the report for machines
    #[arg(long)]
    json: bool,
    /// Compares nothing, but puts aside what was left of an object of Stripe's: another shop's on the same account, say
    ///
    /// It is kept, and counts anew where it changes at Stripe.
    #[arg(long, value_name = "ID", conflicts_with_all = ["dry_run", "json"])]
    dismiss: Option<String>,
}

/// Compares. Exit code 1 tells that something differs still.
pub(crate) async fn run(
    arguments: &Arguments,
    config: &config::Reconciliation,
    pool: &PgPool,
) -> anyhow::Result<ExitCode> {
    if let Some(id) = &arguments.dismiss {
        if !reconciliation::dismiss(pool, operator(), id).await.context("the difference counts still")? {
            bail!("nothing is left of {id}");
        }
        return output::line(&format!("{id} is no longer counted.")).map(|()| ExitCode::SUCCESS);
    }
    stripe::set_up_tls();
    let stripe = Stripe::new(&config.stripe).context("the HTTP client can't be set up")?;
    let is_watched = io::stderr().is_terminal();
    let progress = move |checked: u64| {
        if is_watched {
            let _unseen = write!(io::stderr(), "\r{checked} compared");
        }
    };
    let reconciliation = Reconciliation {
        pool,
        actor: operator(),
        stripe: &stripe,
        unfulfillable: config.unfulfillable,
        dry_run: arguments.dry_run,
        progress: &progress,
    };
    let compared = reconciliation.run().await;
    if is_watched {
        eprintln!();
    }
    let report = compared.context("the comparison was cut off; what was healed until then is healed")?;
    if arguments.json {
        output::json(&json!({
            "checked": report.checked,
            "differences": report.differences,
            "unresolved": report.left(),
        }))?;
    } else {
        if !report.differences.is_empty() {
            output::line(&table(HEADINGS, report.differences.iter().map(cells)))?;
        }
        let (found, left) = (report.differences.len(), report.left());
        output::line(&format!("{} compared: {found} differed, {left} do still", report.checked))?;
    }
    Ok(if report.left() == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

const HEADINGS: [&str; 6] = ["WHAT", "ID", "OURS", "STRIPE'S", "ORDER", "NOW"];

fn cells(difference: &Difference) -> [String; HEADINGS.len()] {
    [
        difference.kind.name().to_owned(),
        short(&difference.stripe_object_id),
        short(&difference.ours),
        short(&difference.theirs),
        difference.order_id.map(|id| id.to_string()).unwrap_or_default(),
        match &difference.outcome {
            Outcome::Healed => "healed".to_owned(),
            Outcome::Left(why) => format!("left: {}", short(why)),
        },
    ]
}
