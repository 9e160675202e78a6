//! After the last fault: the queues drain, what got lost is reconciled, and all books are held against each other.

use std::{collections::BTreeSet, time::Instant};

use anyhow::{Context, Result};
use sqlx::{Connection, PgConnection};

use super::{
    audit::{Known, bare, differences},
    books::{ShopBooks, StripeBooks},
    drain::drain,
    ground::Ground,
    report::Report,
    tally::Tally,
};
use crate::progress::Step;

/// See the module. Fills in the report.
pub(super) async fn reach(ground: &Ground, units: u32, tally: &Tally, report: &mut Report) -> Result<()> {
    let step = Step::begin("draining the queues");
    let began = Instant::now();
    report.left = drain(ground, tally).await?;
    report.drained_after = began.elapsed();
    if !report.left.is_nothing() {
        report.problems.push(format!("not drained in time: {}", report.left));
    }
    step.done("drained");

    // Events that Stripe takes for delivered are told of by nothing else.
    let step = Step::begin("reconciling with Stripe");
    report.reconciled = Some(reconcile(ground, &mut report.violations).await?);
    report.left = drain(ground, tally).await?;
    step.done("reconciled with Stripe");

    let step = Step::begin("checking the books");
    let verified = ground.try_to_operate(&["verify"], "").await?;
    if !verified.status.success() {
        let (out, told) = (String::from_utf8_lossy(&verified.stdout), String::from_utf8_lossy(&verified.stderr));
        report.violations.push(format!("`kassa verify`: {}{}", out.trim(), told.trim()));
    }
    let mut database = PgConnection::connect_with(&ground.database).await.context("connecting to the database")?;
    let (shop, stripe) = (ShopBooks::read(&mut database).await?, StripeBooks::read(ground).await?);
    let mails: BTreeSet<String> = ground
        .mail
        .messages()
        .iter()
        .map(|mail| mail.message_id.as_deref().map(bare).unwrap_or("none").to_owned())
        .collect();
    {
        let seen = tally.seen();
        let known = Known { units: units.into(), orders: &seen.orders, paid: &seen.paid, mails: &mails };
        report.violations.extend(differences(&shop, &stripe, &known));
    }
    report.orders = shop.outcomes().into_iter().map(|(status, count)| (status.to_owned(), count)).collect();
    report.dead = dead(&mut database).await?;
    step.done("checked the books");
    Ok(())
}

/// Runs the comparison as an operator does, and gives what it sums up. What it has to leave is a violation.
async fn reconcile(ground: &Ground, violations: &mut Vec<String>) -> Result<String> {
    let compared = ground.try_to_operate(&["reconcile"], "").await?;
    let (out, told) = (String::from_utf8_lossy(&compared.stdout), String::from_utf8_lossy(&compared.stderr));
    if !compared.status.success() {
        violations.push(format!("`kassa reconcile`: {}{}", out.trim(), told.trim()));
    }
    Ok(out.trim().lines().last().unwrap_or_default().to_owned())
}

/// Jobs that were given up.
async fn dead(database: &mut PgConnection) -> Result<Vec<String>> {
    let dead = "SELECT 'dead: ' || job_type || ' ' || job || ' after ' || attempts || ' attempts: ' || coalesce(last_error, '')
                FROM jobs WHERE status = 'Killed' ORDER BY id";
    sqlx::query_scalar(dead).fetch_all(database).await.context("looking for dead jobs")
}
