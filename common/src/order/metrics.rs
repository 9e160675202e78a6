//! What the shop counts of its orders.

use metrics::{counter, describe_counter};

use super::{FoundBy, Order, Settled, Status};
use crate::{
    money::{Currency, Money},
    payment::{DisputeStatus, RefundOrigin, RefundStatus},
};

const PLACED: &str = "kassa_orders_placed_total";
const TRANSITIONS: &str = "kassa_order_transitions_total";
const PAID: &str = "kassa_orders_paid_total";
const REVENUE: &str = "kassa_revenue_minor_units_total";
const REFUNDS: &str = "kassa_refunds_total";
const REFUNDED: &str = "kassa_refunded_minor_units_total";
const REVERSED: &str = "kassa_refunds_reversed_minor_units_total";
const FOUND_PAID: &str = "kassa_payments_found_total";
const DISPUTES: &str = "kassa_disputes_total";

/// Where an order can be that goes to review.
const BEFORE_REVIEW: [Status; 7] = [
    Status::Pending,
    Status::AwaitingPayment,
    Status::Processing,
    Status::PaymentFailed,
    Status::Canceling,
    Status::Canceled,
    Status::Refunded,
];

/// Tells what the metrics mean, and begins to count what somebody is woken for.
pub(crate) fn describe_metrics(currency: Currency) {
    describe_counter!(PLACED, "Orders placed.");
    describe_counter!(
        TRANSITIONS,
        "Changes of an order's status, by the one that it left and the one that it entered."
    );
    describe_counter!(PAID, "Orders paid, by currency; each once.");
    describe_counter!(
        REVENUE,
        "Totals of the orders paid, in minor units, by currency. What was refunded is counted apart."
    );
    describe_counter!(
        REFUNDS,
        "What Stripe told of refunds, by status and by who had asked: operator, policy, duplicate or stripe."
    );
    describe_counter!(REFUNDED, "Money of the refunds that succeeded, in minor units, by the payment's currency.");
    describe_counter!(
        REVERSED,
        "Money of the refunds that failed after they had succeeded, in minor units, by the payment's currency."
    );
    describe_counter!(
        FOUND_PAID,
        "Payments that had succeeded and no event had told of, by what found them: cancel (of an order, or of an intent that a paid one needs no more) or expiry. What a comparison finds is among the differences."
    );
    describe_counter!(DISPUTES, "What Stripe told of disputes, by status: warning, open, won or lost.");
    counter!(PLACED).increment(0);
    for from in BEFORE_REVIEW {
        counter!(TRANSITIONS, "from" => from.name(), "to" => Status::PaymentReview.name()).increment(0);
    }
    for origin in [RefundOrigin::Operator, RefundOrigin::Policy, RefundOrigin::Duplicate, RefundOrigin::Stripe] {
        for status in [RefundStatus::Succeeded, RefundStatus::Failed, RefundStatus::Canceled] {
            counter!(REFUNDS, "origin" => origin.name(), "status" => status.name()).increment(0);
        }
    }
    for by in [FoundBy::Cancel, FoundBy::Expiry] {
        counter!(FOUND_PAID, "by" => by.name()).increment(0);
    }
    for status in [DisputeStatus::Warning, DisputeStatus::Open, DisputeStatus::Won, DisputeStatus::Lost] {
        counter!(DISPUTES, "status" => status.name()).increment(0);
    }
    for money in [PAID, REVENUE, REFUNDED, REVERSED] {
        counter!(money, "currency" => currency.code().to_owned()).increment(0);
    }
}

pub(super) fn placed() {
    counter!(PLACED).increment(1);
}

/// What a transaction did to an order, once it has committed: one that is rolled back, or run again, must not count.
pub(super) fn moved(order: &Order) {
    for (from, to) in &order.moves {
        counter!(TRANSITIONS, "from" => from.name(), "to" => to.name()).increment(1);
        if *to == Status::Paid && !order.was_paid {
            counter!(PAID, "currency" => order.currency.clone()).increment(1);
            counter!(REVENUE, "currency" => order.currency.clone()).increment(minor_units(order.total));
        }
    }
    if let Some(by) = order.found_paid_by {
        counter!(FOUND_PAID, "by" => by.name()).increment(1);
    }
    for Settled { origin, before, status, amount, currency } in &order.refunds {
        counter!(REFUNDS, "origin" => origin.name(), "status" => status.name()).increment(1);
        if *status == RefundStatus::Succeeded {
            counter!(REFUNDED, "currency" => currency.clone()).increment(minor_units(*amount));
            // What went back is the difference of the two: both are there.
            counter!(REVERSED, "currency" => currency.clone()).increment(0);
        } else if *before == Some(RefundStatus::Succeeded) {
            counter!(REVERSED, "currency" => currency.clone()).increment(minor_units(*amount));
        }
    }
    for status in &order.disputes {
        counter!(DISPUTES, "status" => status.name()).increment(1);
    }
}

impl FoundBy {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Expiry => "expiry",
        }
    }
}

fn minor_units(amount: Money) -> u64 {
    u64::try_from(amount.0).unwrap_or_default()
}
