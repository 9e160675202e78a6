//! `kassa order show`: an order with all that is known of it, from its lines to the last mail; and `kassa order dismiss-refund`.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use clap::Subcommand;
use common::{
    id::{OrderId, RefundId},
    money::{Currency, Money},
    order::{
        self, AdminOrderView, Clue, DismissRefundError, Found,
        timeline::{self, Entry},
    },
    page::{Limit, decode_cursor},
};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::{
    operator::operator,
    output,
    table::{short, table},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows an order: its lines, payment, refunds and disputes, and what happened to it
    ///
    /// Jobs that are done leave the timeline after JOB_RETENTION_DAYS, settled events after WEBHOOK_RETENTION_DAYS.
    Show {
        /// Its number, or anything that belongs to it: an id of the shop's (of the order, a job, a mail, a refund, …), Stripe's id (pi_…,
        /// ch_…, re_…, dp_…, evt_…, req_…), or a trace's
        #[arg(value_name = "NUMBER_OR_ID")]
        order: Clue,
        /// Prints it for machines
        #[arg(long)]
        json: bool,
    },
    /// Counts a refund no more that has failed, or was canceled: its money went back in another way, or stays by agreement
    ///
    /// The refund is kept as it is. Nothing is given back.
    DismissRefund {
        /// Its id, which `kassa order show` tells
        refund: RefundId,
    },
}

/// Runs the command.
pub(crate) async fn run(command: Command, pool: &PgPool) -> anyhow::Result<()> {
    match command {
        Command::Show { order, json } => show_order(&order, json, pool).await,
        Command::DismissRefund { refund } => match order::dismiss_refund(pool, operator(), refund).await {
            Ok(_) => output::line(&format!("{refund} is no longer counted.")),
            Err(DismissRefundError::Database(error)) => Err(error).context("the refund is counted still"),
            Err(error) => bail!("{refund}: {error}"),
        },
    }
}

/// The order that a clue leads to.
async fn find(clue: &Clue, pool: &PgPool) -> anyhow::Result<OrderId> {
    match order::find(pool, clue).await.context("the order can't be looked for")? {
        Found::Orders(orders) => match orders[..] {
            [order] => Ok(order.id),
            _ => {
                let numbers: Vec<_> = orders.iter().map(|order| order.number.to_string()).collect();
                bail!("{clue} leads to several orders: name one of {}", numbers.join(", "))
            }
        },
        Found::NoOrder(kind) => match (kind, clue) {
            ("job", Clue::Id(_)) => bail!("{clue} is about no order; see `kassa jobs show {clue}`"),
            ("event", Clue::Id(_)) => bail!("{clue} is about no order; see `kassa webhooks show {clue}`"),
            ("event", Clue::Stripe(id)) if id.starts_with("evt_") => {
                bail!("{clue} is about no order; see `kassa webhooks show {clue}`")
            }
            _ => bail!("{clue} leads to a {kind} that is about no order"),
        },
        Found::Nothing => match clue {
            Clue::Number(_) => bail!("there is no order {clue}"),
            Clue::Id(_) => bail!("there is no order {clue}, nor anything of one that has this id"),
            Clue::Stripe(_) => {
                bail!("no order is known by {clue}; `kassa reconcile` fetches what Stripe could not tell")
            }
            Clue::Trace(_) => bail!("no order is part of the trace {clue}"),
        },
    }
}

async fn show_order(clue: &Clue, json: bool, pool: &PgPool) -> anyhow::Result<()> {
    let id = find(clue, pool).await?;
    let view =
        order::admin_view(pool, id, "").await.context("the order can't be read")?.context("the order is gone")?;
    let entries = timeline(id, pool).await.context("the timeline can't be read")?;
    if json { output::json(&for_machines(&view, &entries)) } else { output::line(&for_people(&view, &entries)) }
}

/// Most entries that are read at once.
const BATCH: Limit = Limit::new(1_000);

async fn timeline(id: OrderId, pool: &PgPool) -> anyhow::Result<Vec<Entry>> {
    let (mut entries, mut after) = (Vec::new(), None);
    loop {
        let page = timeline::page(pool, id, after, BATCH).await?.context("the order is gone")?;
        entries.extend(page.items);
        match page.next_cursor {
            Some(cursor) => after = Some(decode_cursor(&cursor)?),
            None => return Ok(entries),
        }
    }
}

fn for_machines(order: &AdminOrderView, entries: &[Entry]) -> Value {
    let mut shown = json!(order);
    if let Some(payment) = shown["payment"].as_object_mut() {
        payment.remove("client_secret");
        payment.remove("publishable_key"); // it is the API's
    }
    shown["timeline"] = json!(entries);
    shown
}

fn for_people(order: &AdminOrderView, entries: &[Entry]) -> String {
    let view = &order.order;
    let money = |amount: Money| show(amount, &view.currency);
    let mut out = format!("order {}, {}\n", view.number, view.status);
    let mut row = |name: &str, value: &str| writeln!(out, "  {name:<10} {value}").expect("a String takes all");
    row("id", &view.id.to_string());
    let name = order.user.name.as_deref().map(|name| format!("{} ", short(name))).unwrap_or_default();
    row("shopper", &format!("{name}<{}>, user {}", short(&order.user.email), order.user.id));
    row("placed", &time(view.created_at));
    row("expires", &time(view.expires_at));
    row("moved", &time(view.updated_at));
    for (name, reason) in [
        ("review", order.review_reason.clone()),
        ("canceled", order.cancel_reason.and_then(|reason| json!(reason).as_str().map(str::to_owned))),
    ] {
        if let Some(reason) = reason {
            row(name, &reason);
        }
    }
    for item in &view.items {
        let back = item.restocked.filter(|units| *units > 0).map(|units| format!(", {units} came back into the stock"));
        let (name, all) = (short(&item.name), money(item.line_total));
        row("line", &format!("{} × {name}, {all} ({}){}", item.quantity, item.id, back.unwrap_or_default()));
    }
    row("total", &format!("{}, given back {}", money(view.total), money(view.refunded_total)));
    row("payment", view.payment.intent_id.as_deref().unwrap_or("none at Stripe yet"));
    if let Some(error) = &view.payment.last_error {
        row("declined", &format!("{}: {}", short(&error.code), short(&error.message)));
    }
    for refund in &order.refunds {
        let at_stripe = refund.stripe_refund_id.as_deref().unwrap_or("not at Stripe");
        let unknown = if refund.outcome_unknown { ", its outcome is unknown" } else { "" };
        let aside = if refund.dismissed_at.is_some() { ", put aside" } else { "" };
        let why = [&refund.reason, &refund.failure_reason].into_iter().flatten().map(|why| format!(": {}", short(why)));
        row(
            "refund",
            &format!(
                "{}, {}, asked for by {} at {} ({at_stripe}{unknown}{aside}){}",
                show(refund.amount, &refund.currency),
                refund.status.name(),
                refund.origin.name(),
                time(refund.created_at),
                why.collect::<String>(),
            ),
        );
    }
    for dispute in &order.disputes {
        let why = dispute.reason.as_deref().map(|why| format!(": {}", short(why))).unwrap_or_default();
        let (amount, id) = (show(dispute.amount, &dispute.currency), &dispute.stripe_dispute_id);
        row("dispute", &format!("{amount}, {} since {} ({id}){why}", dispute.status.name(), time(dispute.updated_at)));
    }
    if let Some(shipment) = &order.shipment {
        let (carrier, number) = (shipment.carrier.as_deref(), shipment.tracking_number.as_deref());
        let told: Vec<_> = carrier.into_iter().chain(number).map(short).chain([time(shipment.created_at)]).collect();
        row("sent", &told.join(", "));
    }
    out.push('\n');
    out + &table(HEADINGS, entries.iter().map(cells))
}

const HEADINGS: [&str; 7] = ["TIME (UTC)", "TOLD BY", "WHAT", "WHO", "REQUEST", "TRACE", "MORE"];

fn cells(entry: &Entry) -> [String; HEADINGS.len()] {
    [
        entry.created_at.format("%Y-%m-%d %H:%M:%S%.3f").to_string(),
        entry.source.name().to_owned(),
        short(&entry.kind),
        short(&entry.actor),
        short(entry.request_id.as_deref().unwrap_or("–")),
        short(entry.trace_id.as_deref().unwrap_or("–")),
        more(&entry.data),
    ]
}

/// The members that say something, in one line.
fn more(data: &Value) -> String {
    let members = data.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let members = members.map(|(name, value)| match value {
        Value::String(text) => format!("{name}={}", short(text)),
        other => format!("{name}={}", short(&other.to_string())),
    });
    members.collect::<Vec<_>>().join(" ")
}

fn show(amount: Money, currency: &str) -> String {
    currency.parse().map_or_else(|_| format!("{} {currency}", amount.0), |currency: Currency| currency.show(amount))
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_a_line_of_what_is_known() {
        let data = json!({ "a": null, "b": "x\ny", "c": { "d": 1 }, "e": 2 });
        assert_eq!(more(&data), r#"b=x y c={"d":1} e=2"#);
    }
}
