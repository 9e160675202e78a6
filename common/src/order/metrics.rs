//! What the shop counts of its orders.

use metrics::{counter, describe_counter};

use super::{Order, Status};

const PLACED: &str = "kassa_orders_placed_total";
const TRANSITIONS: &str = "kassa_order_transitions_total";
const PAID: &str = "kassa_orders_paid_total";
const REVENUE: &str = "kassa_revenue_minor_units_total";

/// Tells what the metrics mean.
pub fn describe_metrics() {
    describe_counter!(PLACED, "Orders placed.");
    describe_counter!(
        TRANSITIONS,
        "Changes of an order's status, by the one that it left and the one that it entered."
    );
    describe_counter!(PAID, "Orders paid, by currency.");
    describe_counter!(REVENUE, "Totals of the orders paid, in minor units, by currency.");
}

pub(super) fn placed() {
    counter!(PLACED).increment(1);
}

/// What a transaction did to an order, once it has committed: one that is rolled back, or run again, must not count.
pub(super) fn moved(order: &Order) {
    for (from, to) in &order.moves {
        counter!(TRANSITIONS, "from" => from.name(), "to" => to.name()).increment(1);
        if *to == Status::Paid {
            counter!(PAID, "currency" => order.currency.clone()).increment(1);
            let minor_units = u64::try_from(order.total.0).unwrap_or_default();
            counter!(REVENUE, "currency" => order.currency.clone()).increment(minor_units);
        }
    }
}
