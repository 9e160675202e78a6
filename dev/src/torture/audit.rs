//! Holds the shop's books against Stripe's, against what was there at the start, and against what shoppers were told. Pure: it
//! looks at what was read when nothing moved any more.

use std::collections::{BTreeMap, BTreeSet};

use super::books::{Order, ShopBooks, StripeBooks, StripeIntent};

/// What was there, and who was told what.
pub(super) struct Known<'a> {
    /// Units of each product at the start.
    pub(super) units: i64,
    /// The orders that shoppers were told of.
    pub(super) orders: &'a BTreeSet<String>,
    /// Those of them that their shoppers saw paid.
    pub(super) paid: &'a BTreeSet<String>,
    /// The Message-IDs of the mails that came.
    pub(super) mails: &'a BTreeSet<String>,
}

/// Every difference, in a sentence.
pub(super) fn differences(shop: &ShopBooks, stripe: &StripeBooks, known: &Known<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let mut payments: BTreeMap<&str, Vec<&StripeIntent>> = BTreeMap::new();
    for intent in &stripe.intents {
        payments.entry(&intent.order).or_default().push(intent);
    }
    for order in &shop.orders {
        let intents = payments.remove(order.id.as_str()).unwrap_or_default();
        check_order(shop, stripe, order, &intents, &mut found);
    }
    for intent in payments.into_values().flatten() {
        found.push(format!(
            "{} ({}) at Stripe belongs to no order: its order_id is {:?}",
            intent.id, intent.status, intent.order
        ));
    }
    check_refunds(shop, stripe, &mut found);
    for product in shop.products.iter().filter(|product| product.stock + product.sold != known.units) {
        let (name, sold, stock) = (&product.name, product.sold, product.stock);
        found.push(format!("{name}: {sold} sold and {stock} in stock are not the {} of the start", known.units));
    }
    check_what_was_told(shop, known, &mut found);
    found
}

/// What was paid of an order at Stripe, and what went back.
fn check_order(
    shop: &ShopBooks,
    stripe: &StripeBooks,
    order: &Order,
    intents: &[&StripeIntent],
    found: &mut Vec<String>,
) {
    let mut tell =
        |what: String| found.push(format!("order {} ({}, {}): {what}", order.number, order.id, order.status));
    let is_duplicate =
        |intent: &StripeIntent| shop.intents.iter().any(|own| own.duplicate && own.stripe_id == intent.id);
    let given_back = |intent: &StripeIntent, statuses: &[&str]| -> i64 {
        let of_it = stripe.refunds.iter().filter(|refund| refund.intent == intent.id);
        of_it.filter(|refund| statuses.contains(&refund.status.as_str())).map(|refund| refund.amount).sum()
    };
    let succeeded: Vec<&&StripeIntent> = intents.iter().filter(|intent| intent.status == "succeeded").collect();
    let (duplicates, payments): (Vec<_>, Vec<_>) = succeeded.into_iter().partition(|intent| is_duplicate(intent));
    for intent in duplicates {
        if given_back(intent, &["succeeded"]) != intent.received {
            tell(format!("{} is a second payment, and was not given back in full", intent.id));
        }
    }
    let received: i64 = payments.iter().map(|intent| intent.received).sum();
    let back: i64 = payments.iter().map(|intent| given_back(intent, &["succeeded"])).sum();
    match order.status.as_str() {
        "paid" | "fulfilled" | "refunded" => {
            if payments.len() != 1 || received != order.total {
                tell(format!("{} payments of {received} in all at Stripe, not one of {}", payments.len(), order.total));
            }
            if received > 0 && (order.status == "refunded") != (back == received) {
                tell(format!("{back} of {received} went back at Stripe"));
            }
            if order.refunded_total != back {
                tell(format!("refunded_total is {}, but {back} went back at Stripe", order.refunded_total));
            }
        }
        "canceled" if back != received => tell(format!("{received} were paid at Stripe, and {back} went back")),
        "canceled" => {}
        _ => tell(format!("it is left on its way; {received} were paid at Stripe, and {back} went back")),
    }
    let over = ["succeeded", "canceled"];
    for intent in intents.iter().filter(|intent| !over.contains(&intent.status.as_str())) {
        tell(format!("{} can still be paid: it is {}", intent.id, intent.status));
    }
}

/// Each refund is in both books, with the same amount and status; one that never reached Stripe has ended.
fn check_refunds(shop: &ShopBooks, stripe: &StripeBooks, found: &mut Vec<String>) {
    for refund in &stripe.refunds {
        let own: Vec<_> = shop.refunds.iter().filter(|own| own.stripe_id.as_ref() == Some(&refund.id)).collect();
        let same = |own: &&super::books::Refund| own.amount == refund.amount && own.status == refund.status;
        if own.len() != 1 || !own.iter().all(same) {
            let (id, amount, status) = (&refund.id, refund.amount, &refund.status);
            found.push(format!("{id} ({amount}, {status}) at Stripe is {own:?} in the shop"));
        }
    }
    for own in &shop.refunds {
        let there = |id: &String| stripe.refunds.iter().any(|refund| refund.id == *id);
        let ended = matches!(own.status.as_str(), "failed" | "canceled");
        if own.stripe_id.as_ref().map_or(!ended, |id| !there(id)) {
            found.push(format!("refund {} ({}, {}) is not at Stripe", own.id, own.amount, own.status));
        }
    }
}

/// Nobody was told of an order that isn't there, nor has one that was never told of; and who saw it paid is not told otherwise.
fn check_what_was_told(shop: &ShopBooks, known: &Known<'_>, found: &mut Vec<String>) {
    let orders: BTreeMap<&str, &Order> = shop.orders.iter().map(|order| (order.id.as_str(), order)).collect();
    for id in known.orders.iter().filter(|id| !orders.contains_key(id.as_str())) {
        found.push(format!("order {id} was told to its shopper, and is not there"));
    }
    for order in shop.orders.iter().filter(|order| !known.orders.contains(&order.id)) {
        found.push(format!("order {} ({}) was made, and its shopper never told of it", order.number, order.id));
    }
    for id in known.paid {
        let status = orders.get(id.as_str()).map_or("gone", |order| order.status.as_str());
        if !matches!(status, "paid" | "fulfilled" | "refunded") {
            found.push(format!("order {id} was paid for its shopper, and is {status} now"));
        }
    }
    // A Message-ID is made of the mail's id. One that was sent by a worker that could not tell of it may have been withdrawn since.
    let own: BTreeSet<&str> = shop.mails.iter().map(|mail| mail.id.as_str()).collect();
    for mail in shop.mails.iter().filter(|mail| mail.status == "sent") {
        let id = mail.message_id.as_deref().map(bare);
        if !id.is_some_and(|id| known.mails.contains(id)) {
            found.push(format!("the mail {} ({id:?}) was sent, and never came", mail.dedupe_key));
        }
    }
    let is_own = |message_id: &str| message_id.split_once('@').is_some_and(|(id, _)| own.contains(id));
    for id in known.mails.iter().filter(|id| !is_own(id)) {
        found.push(format!("a mail came with the Message-ID {id}, which the shop does not know"));
    }
}

/// A Message-ID without its brackets.
pub(super) fn bare(id: &str) -> &str {
    id.trim_start_matches('<').trim_end_matches('>')
}

#[cfg(test)]
mod tests {
    use super::{
        super::books::{Intent, Mail, Product, Refund, StripeRefund},
        *,
    };

    /// One order that was paid and of which a part was given back, and one that was canceled.
    fn sound() -> (ShopBooks, StripeBooks) {
        let order = |number: i64, status: &str, refunded_total| Order {
            id: format!("order-{number}"),
            number,
            status: status.into(),
            total: 500,
            refunded_total,
        };
        let stripe_intent = |number: i64, status: &str, received| StripeIntent {
            id: format!("pi_{number}"),
            order: format!("order-{number}"),
            status: status.into(),
            received,
        };
        let shop = ShopBooks {
            orders: vec![order(1, "paid", 200), order(2, "canceled", 0)],
            intents: vec![Intent { stripe_id: "pi_1".into(), duplicate: false }],
            refunds: vec![Refund {
                id: "refund-1".into(),
                amount: 200,
                status: "succeeded".into(),
                stripe_id: Some("re_1".into()),
            }],
            products: vec![Product { name: "Pot".into(), stock: 9, sold: 1 }],
            mails: vec![Mail {
                id: "m1".into(),
                dedupe_key: "order_confirmed:order-1".into(),
                status: "sent".into(),
                message_id: Some("<m1@shop>".into()),
            }],
        };
        let stripe = StripeBooks {
            intents: vec![stripe_intent(1, "succeeded", 500), stripe_intent(2, "canceled", 0)],
            refunds: vec![StripeRefund {
                id: "re_1".into(),
                intent: "pi_1".into(),
                amount: 200,
                status: "succeeded".into(),
            }],
        };
        (shop, stripe)
    }

    fn found(change: impl FnOnce(&mut ShopBooks, &mut StripeBooks)) -> Vec<String> {
        let (mut shop, mut stripe) = sound();
        change(&mut shop, &mut stripe);
        let own = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
        let (orders, paid, mails) = (own(&["order-1", "order-2"]), own(&["order-1"]), own(&["m1@shop"]));
        differences(&shop, &stripe, &Known { units: 10, orders: &orders, paid: &paid, mails: &mails })
    }

    #[test]
    fn books_that_agree_have_no_differences() {
        assert_eq!(found(|_, _| {}), Vec::<String>::new());
    }

    #[test]
    fn money_that_is_not_where_it_should_be_is_found() {
        let second = |stripe: &mut StripeBooks| {
            let second = StripeIntent { id: "pi_3".into(), ..stripe.intents[0].clone() };
            stripe.intents.push(second);
        };
        assert_eq!(found(|_, stripe| second(stripe)).len(), 1, "charged twice");
        let marked = found(|shop, stripe| {
            second(stripe);
            shop.intents.push(Intent { stripe_id: "pi_3".into(), duplicate: true });
        });
        assert!(marked[0].contains("second payment"), "{marked:?}");
        assert_eq!(found(|_, stripe| stripe.intents[0].received = 400).len(), 1, "too little");
        let unpaid = found(|_, stripe| stripe.intents[0].status = "canceled".into());
        assert!(unpaid[0].contains("0 payments of 0"), "{unpaid:?}");
        assert!(unpaid[1].contains("refunded_total is 200, but 0"), "{unpaid:?}");
        assert_eq!(unpaid.len(), 2, "{unpaid:?}");
        let charged = found(|_, stripe| {
            (stripe.intents[1].status, stripe.intents[1].received) = ("succeeded".into(), 500);
        });
        assert!(charged[0].contains("500 were paid"), "{charged:?}");
        let open = found(|_, stripe| stripe.intents[1].status = "requires_payment_method".into());
        assert!(open[0].contains("can still be paid"), "{open:?}");
        let orphan = found(|_, stripe| stripe.intents[1].order = "nobody".into());
        assert!(orphan[0].contains("belongs to no order"), "{orphan:?}");
        assert_eq!(found(|shop, _| shop.orders[1].status = "payment_review".into()).len(), 1, "left");
    }

    #[test]
    fn refunds_that_differ_are_found() {
        assert_eq!(found(|shop, _| shop.refunds[0].amount = 100).len(), 1);
        assert_eq!(found(|shop, _| shop.refunds[0].status = "pending".into()).len(), 1);
        assert_eq!(found(|shop, _| shop.refunds[0].stripe_id = None).len(), 2, "unknown to both");
        assert_eq!(found(|shop, _| shop.orders[0].refunded_total = 0).len(), 1);
        let full = found(|shop, stripe| {
            (shop.refunds[0].amount, stripe.refunds[0].amount, shop.orders[0].refunded_total) = (500, 500, 500);
        });
        assert!(full[0].contains("500 of 500"), "{full:?}");
    }

    #[test]
    fn units_orders_and_mails_that_are_lost_are_found() {
        assert_eq!(found(|shop, _| shop.products[0].stock = 10).len(), 1);
        let lost = found(|shop, stripe| {
            shop.orders.remove(1);
            stripe.intents.remove(1);
        });
        assert!(lost[0].contains("is not there"), "{lost:?}");
        let more = found(|shop, _| {
            let untold = Order { id: "order-3".into(), number: 3, ..shop.orders[1].clone() };
            shop.orders.push(untold);
        });
        assert!(more[0].contains("never told"), "{more:?}");
        assert_eq!(found(|shop, _| shop.mails.clear()).len(), 1);
        assert_eq!(found(|shop, _| shop.mails[0].message_id = None).len(), 1, "sent without a trace");
        assert_eq!(found(|shop, _| shop.mails[0].id = "m2".into()).len(), 1, "nobody's");
    }
}
