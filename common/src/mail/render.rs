//! What each mail says, as text and as HTML. Names come from outside: in HTML they are escaped.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use minijinja::{Environment, Value, context};

use super::{
    About, Kind, OrderFacts, Outgoing, RefundFacts, ResetFacts, ShipmentFacts, StockFacts,
    plain::{LONGEST, line},
};
use crate::{
    account::ResetTokens,
    money::{Currency, Money},
    order::Status,
};

/// Who sends.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The shop's name.
    pub store_name: String,
    /// The shop's URL, without a slash at the end.
    pub public_url: String,
    /// The shop's currency.
    pub currency: Currency,
    /// What the links of password resets are signed with.
    pub resets: ResetTokens,
}

/// A mail, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// For those who read text.
    pub text: String,
    /// For all others.
    pub html: String,
}

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new(); // escapes in templates named .html
    templates.set_trim_blocks(true);
    templates.set_lstrip_blocks(true);
    for (name, source) in [
        ("layout.html", include_str!("templates/layout.html")),
        ("lines.txt", include_str!("templates/lines.txt")),
        ("lines.html", include_str!("templates/lines.html")),
        ("order_confirmed.txt", include_str!("templates/order_confirmed.txt")),
        ("order_confirmed.html", include_str!("templates/order_confirmed.html")),
        ("payment_failed.txt", include_str!("templates/payment_failed.txt")),
        ("payment_failed.html", include_str!("templates/payment_failed.html")),
        ("order_canceled.txt", include_str!("templates/order_canceled.txt")),
        ("order_canceled.html", include_str!("templates/order_canceled.html")),
        ("refunded.txt", include_str!("templates/refunded.txt")),
        ("refunded.html", include_str!("templates/refunded.html")),
        ("shipped.txt", include_str!("templates/shipped.txt")),
        ("shipped.html", include_str!("templates/shipped.html")),
        ("low_stock.txt", include_str!("templates/low_stock.txt")),
        ("low_stock.html", include_str!("templates/low_stock.html")),
        ("password_reset.txt", include_str!("templates/password_reset.txt")),
        ("password_reset.html", include_str!("templates/password_reset.html")),
    ] {
        templates.add_template(name, source).expect("the templates are compiled in and tested");
    }
    templates
});

/// Renders a mail.
///
/// # Errors
/// When a template fails: a defect.
pub fn render(mail: &Outgoing, sender: &Sender) -> Result<Rendered, minijinja::Error> {
    let subject = subject(mail, &sender.store_name);
    let specific = match &mail.about {
        About::Order(order) => of_order(order, sender),
        About::Refund(order, refund) => of_refund(order, refund, sender),
        About::Shipment(order, shipment) => of_shipment(order, shipment, sender),
        About::Stock(stock) => of_stock(stock, sender),
        About::PasswordReset(reset) => of_reset(reset, sender),
    };
    let values = context! { store => sender.store_name, name => mail.name.as_deref().map(plain), ..specific };
    let kind = mail.kind.name();
    Ok(Rendered {
        subject,
        text: TEMPLATES.get_template(&format!("{kind}.txt"))?.render(&values)?,
        html: TEMPLATES.get_template(&format!("{kind}.html"))?.render(&values)?,
    })
}

fn of_order(order: &OrderFacts, sender: &Sender) -> Value {
    let lines: Vec<_> = order
        .lines
        .iter()
        .map(
            |(name, quantity, total)| context! { name => plain(name), quantity, total => sender.currency.show(*total) },
        )
        .collect();
    context! {
        url => format!("{}/orders/{}", sender.public_url, order.id),
        number => order.number,
        lines,
        total => sender.currency.show(order.total),
        expires_at => minute(order.expires_at),
        declined_because => order.declined_because.as_deref().map(plain),
    }
}

fn of_refund(order: &OrderFacts, refund: &RefundFacts, sender: &Sender) -> Value {
    let in_all = (refund.refunded_total > refund.amount).then(|| show(refund.refunded_total, &refund.currency));
    context! {
        amount => show(refund.amount, &refund.currency),
        of_duplicate => refund.of_duplicate,
        is_whole => order.status == Status::Refunded && in_all.is_none(),
        in_all,
        ..of_order(order, sender)
    }
}

/// A payment may have come in a currency that no shop can be run in: its amount stands in whatever is its smallest unit then.
fn show(amount: Money, currency: &str) -> String {
    currency.parse().map_or_else(
        |_| format!("{} {}", amount.0, currency.to_uppercase()),
        |currency: Currency| currency.show(amount),
    )
}

fn of_shipment(order: &OrderFacts, shipment: &ShipmentFacts, sender: &Sender) -> Value {
    context! {
        carrier => shipment.carrier.as_deref().map(plain),
        tracking_number => shipment.tracking_number.as_deref().map(plain),
        ..of_order(order, sender)
    }
}

fn of_stock(stock: &StockFacts, sender: &Sender) -> Value {
    context! {
        url => format!("{}/products/{}", sender.public_url, stock.id),
        product => plain(&stock.name),
        stock => stock.stock,
        available => stock.available,
    }
}

/// The link leads to a page of the shop's front end, which sends the token on with the new password.
fn of_reset(reset: &ResetFacts, sender: &Sender) -> Value {
    context! {
        url => format!("{}/reset-password?token={}", sender.public_url, sender.resets.issue(reset.id)),
        expires_at => minute(reset.expires_at),
    }
}

fn minute(moment: DateTime<Utc>) -> String {
    moment.format("%-d %B %Y, %H:%M UTC").to_string()
}

/// Longest name in a subject, in characters.
const LONGEST_IN_SUBJECT: usize = 60;

fn plain(text: &str) -> String {
    line(text, LONGEST)
}

fn subject(mail: &Outgoing, store: &str) -> String {
    let number = mail.about.order().map_or(0, |order| order.number);
    match (mail.kind, &mail.about) {
        (Kind::OrderConfirmed, _) => format!("{store}: your order {number} is confirmed"),
        (Kind::PaymentFailed, _) => format!("{store}: the payment for your order {number} did not go through"),
        (Kind::OrderCanceled, _) => format!("{store}: your order {number} was canceled"),
        (Kind::Refunded, _) => format!("{store}: money for your order {number} is on its way back to you"),
        (Kind::Shipped, _) => format!("{store}: your order {number} is on its way"),
        (Kind::LowStock, About::Stock(stock)) => {
            format!("{store}: {} left of {}", stock.stock, line(&stock.name, LONGEST_IN_SUBJECT))
        }
        (Kind::LowStock, _) => format!("{store}: low stock"),
        (Kind::PasswordReset, _) => format!("{store}: choose a new password"),
    }
}

#[cfg(test)]
mod tests;
