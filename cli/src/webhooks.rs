//! `kassa webhooks`: what Stripe has told the shop, and what became of it.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use clap::{
    Subcommand,
    builder::{PossibleValuesParser, TypedValueParser as _},
};
use common::{
    page::Limit,
    webhook::{self, EventStatus, Filter, Listed, Replay},
};
use serde_json::json;
use sqlx::PgPool;

use crate::{
    operator::operator,
    output,
    table::{short, table},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists events, the newest first
    ///
    /// An event is received (about to be applied), processed, ignored (not for this shop), parked (what it is about isn't known yet: it
    /// is looked at again) or failed (given up, and kept).
    List {
        /// Only with this status
        #[arg(long, value_parser = PossibleValuesParser::new(EventStatus::ALL.map(EventStatus::name)).try_map(|s| s.parse::<EventStatus>()))]
        status: Option<EventStatus>,
        /// Only those of this type, such as payment_intent.succeeded
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// At most as many
        #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..).map(Limit::new))]
        limit: Limit,
        /// Prints them for machines
        #[arg(long)]
        json: bool,
    },
    /// Shows an event and what Stripe sent, without client secrets
    Show {
        /// Its id: Stripe's (evt_…) or ours
        id: String,
        /// Prints it for machines
        #[arg(long)]
        json: bool,
    },
    /// Has events looked at again, as if they had just come
    ///
    /// One that was applied already is left alone: what it said counts.
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Replay {
        /// Their ids: Stripe's (evt_…) or ours
        #[arg(group = "which")]
        ids: Vec<String>,
        /// All that were given up, but for those that were put aside
        #[arg(long, group = "which")]
        failed: bool,
        /// Only says what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

/// Runs the command.
pub(crate) async fn run(command: Command, pool: &PgPool) -> anyhow::Result<()> {
    match command {
        Command::List { status, kind, limit, json } => {
            list(&Filter { status, kind, limit, before: None }, json, pool).await
        }
        Command::Show { id, json } => show(&id, json, pool).await,
        Command::Replay { ids, failed: false, dry_run } => {
            let mut events = Vec::with_capacity(ids.len());
            for id in &ids {
                events.push(find(id, pool).await?); // all of them are there before one is replayed
            }
            replay(&events, dry_run, pool).await
        }
        Command::Replay { failed: true, dry_run, .. } => {
            let filter = Filter { status: Some(EventStatus::Failed), limit: Limit::ALL, ..Filter::default() };
            let events = webhook::page(pool, &filter).await.context("the events can't be listed")?.items;
            let events: Vec<_> = events.into_iter().filter(|event| event.dismissed_at.is_none()).collect();
            if events.is_empty() {
                return output::line("No event was given up.");
            }
            replay(&events, dry_run, pool).await
        }
    }
}

async fn find(id: &str, pool: &PgPool) -> anyhow::Result<Listed> {
    match webhook::find(pool, id).await.context("the event can't be read")? {
        Some(event) => Ok(event),
        None => bail!("there is no event {id}; `kassa reconcile` fetches those that Stripe could not deliver"),
    }
}

async fn list(filter: &Filter, as_json: bool, pool: &PgPool) -> anyhow::Result<()> {
    let page = webhook::page(pool, filter).await.context("the events can't be listed")?;
    let events = page.items;
    if as_json {
        return output::json(&json!(events));
    }
    if events.is_empty() {
        return output::line("No events.");
    }
    output::line(&table(HEADINGS, events.iter().map(cells)))?;
    if page.next_cursor.is_some() {
        eprintln!("There are more than these {}: --limit shows more.", filter.limit);
    }
    Ok(())
}

const HEADINGS: [&str; 6] = ["EVENT", "TYPE", "STATUS", "TRIED", "CAME (UTC)", "WHY"];

fn cells(event: &Listed) -> [String; HEADINGS.len()] {
    [
        short(&event.stripe_event_id),
        short(&event.kind),
        event.dismissed_at.map_or_else(|| event.status.to_string(), |_| format!("{}, put aside", event.status)),
        event.attempts.to_string(),
        event.created_at.format("%Y-%m-%d %H:%M:%S").to_string(),
        short(event.error.as_deref().unwrap_or_default()),
    ]
}

async fn show(id: &str, as_json: bool, pool: &PgPool) -> anyhow::Result<()> {
    let event = find(id, pool).await?;
    let payload = webhook::payload(pool, event.id).await.context("the event can't be read")?;
    if as_json {
        let mut shown = json!(event);
        shown["payload"] = payload;
        return output::json(&shown);
    }
    let mut out = format!("{} {}, {}\n", event.stripe_event_id, event.kind, event.status);
    if let Some(why) = &event.error {
        writeln!(out, "  why      {}", short(why))?;
    }
    if let Some(order) = event.order_id {
        writeln!(out, "  order    {order}")?;
    }
    if let Some(trace) = &event.trace_id {
        writeln!(out, "  trace    {trace}")?;
    }
    writeln!(out, "  came     {}, tried {} times", event.created_at.format("%Y-%m-%d %H:%M:%S UTC"), event.attempts)?;
    output::line(&format!("{out}{payload:#}"))
}

async fn replay(events: &[Listed], dry_run: bool, pool: &PgPool) -> anyhow::Result<()> {
    for event in events {
        let replayed = if dry_run {
            Replay::forecast(event)
        } else {
            webhook::replay(pool, operator(), event.id)
                .await
                .with_context(|| format!("{} was not replayed", event.stripe_event_id))?
        };
        let what = match (replayed, dry_run) {
            (Replay::Enqueued, false) => "is looked at again",
            (Replay::Enqueued, true) => "would be looked at again",
            (Replay::AppliedAlready, _) => "was applied already: nothing is to be done",
            (Replay::UnderWay, _) => "is being looked at right now",
        };
        output::line(&format!("{} {} {what}.", event.stripe_event_id, event.kind))?;
    }
    Ok(())
}
