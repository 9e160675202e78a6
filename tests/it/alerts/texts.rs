//! The words of alerts that tell a figure: promtool says what somebody would read.

use std::{env, fs};

use serde_json::{Value, json};

use super::promtool;
use crate::harness::{repository, rules};

const REFUSED: &str = "kassa_stripe_requests_total{operation=\"create_intent\",outcome=\"400\"}";
const UNANSWERED: &str = "kassa_stripe_requests_total{operation=\"create_intent\",outcome=\"unanswered\"}";
const TAKEN: &str = "kassa_stripe_requests_total{operation=\"create_intent\",outcome=\"ok\"}";
const FAILED: &str = "kassa_http_requests_total{route=\"/checkout\",status=\"500\"}";
const SERVED: &str = "kassa_http_requests_total{route=\"/checkout\",status=\"201\"}";
const FORGED: &str = "kassa_webhook_events_received_total{outcome=\"invalid_signature\"}";
const SLOW: &str = "kassa_http_request_duration_seconds_bucket{route=\"/products\",le=\"2.5\"}";
const ALL: &str = "kassa_http_request_duration_seconds_bucket{route=\"/products\",le=\"+Inf\"}";
const LATE: &str = "kassa_job_start_delay_seconds_bucket{queue=\"email.send\",le=\"60\"}";
const STARTED: &str = "kassa_job_start_delay_seconds_bucket{queue=\"email.send\",le=\"+Inf\"}";

/// A rule, series by the minute, and what its summary is four hours later.
type Told = (&'static str, &'static [(&'static str, &'static str)], &'static str);

const TOLD: [Told; 22] = [
    (
        "KassaMoneyJobDead",
        &[("kassa_jobs{queue=\"payment.refund\",state=\"dead\"}", "2x300")],
        "Dead jobs of payment.refund: 2",
    ),
    ("KassaJobDead", &[("kassa_jobs{queue=\"email.send\",state=\"dead\"}", "1x300")], "Dead jobs of email.send: 1"),
    (
        "KassaQueueOld",
        &[("kassa_jobs_oldest_due_age_seconds{queue=\"email.send\"}", "0+60x300")],
        "The oldest job of email.send has been due for 4h 0m 0s",
    ),
    ("KassaJobsStartLate", &[(LATE, "0+10x300"), (STARTED, "0+10x300")], "Jobs of email.send start 57s late"),
    ("KassaMailsFailed", &[("kassa_emails_unsent{status=\"failed\"}", "1x300")], "Mails that were given up: 1"),
    (
        "KassaPaymentReview",
        &[("kassa_orders{status=\"payment_review\"}", "1x300")],
        "Orders that were paid and can't be completed: 1",
    ),
    (
        "KassaRefundFailed",
        &[("kassa_refunds_unsettled{status=\"failed\"}", "1x300")],
        "Refunds that failed, or were canceled, and whose money is still here: 1",
    ),
    (
        "KassaRefundOutcomeUnknown",
        &[("kassa_refunds_unsettled{status=\"outcome_unknown\"}", "1x300")],
        "Refunds of which nobody knows whether Stripe made them: 1",
    ),
    ("KassaDisputeOpen", &[("kassa_disputes_unsettled{status=\"open\"}", "1x300")], "Payments that are disputed: 1"),
    (
        "KassaReconciliationHealed",
        &[("kassa_reconciliation_last_differences{outcome=\"healed\"}", "1234567x300")],
        "Differences that the last comparison with Stripe mended: 1234567",
    ),
    (
        "KassaReconciliationLeft",
        &[("kassa_reconciliation_last_differences{outcome=\"left\"}", "1x300")],
        "Differences from Stripe's books that are left: 1",
    ),
    (
        "KassaReconciliationOverdue",
        &[("kassa_reconciliation_last_finished_timestamp_seconds", "1800x300")],
        "The books were last compared with Stripe's 3h 30m 0s ago",
    ),
    (
        "KassaClockOff",
        &[("kassa_clock_offset_seconds{job=\"kassa-api\",instance=\"a\"}", "-45.25x300")],
        "The clock of kassa-api at a is 45.25s off the database's",
    ),
    (
        "KassaFiguresStale",
        &[("kassa_standing_sampled_timestamp_seconds", "600x300")],
        "What is in the tables was last counted 3h 50m 0s ago",
    ),
    ("KassaApiErrors", &[(SERVED, "0+2x300"), (FAILED, "0+1x300")], "33.33% of the requests fail"),
    ("KassaApiSlow", &[(SLOW, "0+60x300"), (ALL, "0+60x300")], "/products takes 2.375s"),
    ("KassaStripeErrors", &[(TAKEN, "0+2x300"), (UNANSWERED, "0+1x300")], "33.33% of the calls to Stripe fail"),
    (
        "KassaStripeRefusesOrders",
        &[(TAKEN, "0+2x300"), (REFUSED, "0+1x300")],
        "Stripe refuses 33.33% of the orders' payments before anybody can pay",
    ),
    (
        "KassaWebhookSignatures",
        &[(FORGED, "0x226 1 2 3 4 5x60")],
        "Events refused for their signatures within a quarter of an hour: 5",
    ),
    (
        "KassaEventsLost",
        &[
            ("kassa_payments_found_total{by=\"expiry\"}", "0x200 1 2 3 4 5x60"),
            ("kassa_reconciliation_differences_total{kind=\"intent\",outcome=\"healed\"}", "0x300"),
            ("kassa_orders_paid_total{currency=\"usd\"}", "0x200 1 2 3 4 5x60"),
        ],
        "Payments that were found within an hour, and that no event had told of: 5",
    ),
    (
        "KassaWebhookEventsFailed",
        &[("kassa_webhook_events_unsettled{status=\"failed\"}", "1x300")],
        "Events of Stripe's that were given up: 1",
    ),
    (
        "KassaWebhookEventsParked",
        &[("kassa_webhook_events_unsettled{status=\"parked\"}", "1x300")],
        "Events of Stripe's that wait for orders that nobody knows: 1",
    ),
];

#[test]
fn each_figure_in_an_alert_is_rounded_and_its_words_fit_one_and_many() {
    let rules = rules();
    let with_figures: Vec<_> = rules.iter().filter(|rule| rule.summary.contains("$value")).collect();
    let told: Vec<_> = TOLD.iter().map(|(name, ..)| *name).collect();
    for rule in &with_figures {
        assert!(told.contains(&rule.name.as_str()), "what {} says is not tested", rule.name);
    }
    let tests: Vec<Value> = TOLD
        .iter()
        .map(|(name, series, summary)| {
            let rule = with_figures.iter().find(|rule| rule.name == *name);
            let rule = rule.unwrap_or_else(|| panic!("{name} tells no figure"));
            assert!(!rule.description.contains("{{"), "{name}: its figures belong into the summary");
            let series: Vec<_> =
                series.iter().map(|(series, values)| json!({ "series": series, "values": values })).collect();
            let annotations = json!({
                "summary": summary, "description": rule.description, "runbook_url": rule.runbook
            });
            let labels = labels(summary, &rule.severity);
            json!({
                "name": name,
                "interval": "1m",
                "input_series": series,
                "alert_rule_test": [{
                    "alertname": name, "eval_time": "4h", "exp_alerts": [{ "exp_labels": labels, "exp_annotations": annotations }]
                }],
            })
        })
        .collect();
    let folder = env::temp_dir().join(format!("kassa-tests-{}-texts", std::process::id()));
    fs::create_dir_all(&folder).expect("the temporary folder can be written");
    let file = folder.join("texts.yml");
    let rules = repository("grafana/alerts").join("*.yml");
    let all = json!({ "rule_files": [rules], "evaluation_interval": "1m", "tests": tests });
    fs::write(&file, all.to_string()).expect("it is our folder");
    promtool(&["test", "rules"], &[&file], &folder);
    fs::remove_dir_all(&folder).expect("it is our folder");
}

/// What an alert is labelled by: what its summary names.
fn labels(summary: &str, severity: &str) -> Value {
    let mut labels = json!({ "severity": severity });
    for (name, values) in [
        ("queue", &["payment.refund", "email.send"][..]),
        ("job", &["kassa-api"]),
        ("instance", &["a"]),
        ("route", &["/products"]),
    ] {
        if name == "instance" && labels["job"].is_null() {
            continue;
        }
        let found = values.iter().find(|value| summary.split([' ', ':']).any(|word| word == **value));
        if let Some(value) = found {
            labels[name] = json!(value);
        }
    }
    labels
}
