//! What each kind of mail says, whatever names are in it.

use chrono::TimeZone as _;

use super::*;
use crate::{
    config::Secret,
    id::{EmailId, OrderId, PasswordResetId, ProductId},
};

fn sender(currency: &str) -> Sender {
    Sender {
        store_name: "Kassa".into(),
        public_url: "https://shop.example".into(),
        currency: currency.parse().expect("a currency"),
        resets: ResetTokens::new(&[Secret::new("0123456789abcdef0123456789abcdef")]),
    }
}

fn moment() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 1, 12, 30, 0).single().expect("a moment")
}

fn mail(kind: Kind, about: About) -> Outgoing {
    let name = Some("<script>alert(1)</script>".into());
    Outgoing { id: EmailId::new(), kind, to: "ada@example.com".into(), name, about }
}

fn facts(line: &str) -> OrderFacts {
    OrderFacts {
        id: OrderId::new(),
        number: 1001,
        status: Status::AwaitingPayment,
        total: Money(2598),
        expires_at: moment(),
        was_charged: false,
        declined_because: Some("Your card has insufficient funds.".into()),
        lines: vec![(line.into(), 2, Money(2598))],
    }
}

fn order() -> About {
    About::Order(facts("Tea & <b>biscuits</b>"))
}

fn refund(amount: i64, refunded_total: i64, status: Status) -> About {
    let facts = OrderFacts { status, ..facts("Tea") };
    let (amount, refunded_total) = (Money(amount), Money(refunded_total));
    let refund =
        RefundFacts { amount, currency: "usd".into(), refunded_total, of_duplicate: false, has_succeeded: true };
    About::Refund(facts, refund)
}

/// A name from outside is text, and no markup.
#[track_caller]
fn check_greeting(rendered: &Rendered) {
    assert!(!rendered.html.contains("<script>"), "{}", rendered.html);
    assert!(rendered.text.starts_with("Hello <script>alert(1)</script>,"), "{}", rendered.text);
}

#[test]
fn each_kind_about_an_order_tells_number_lines_and_total_and_escapes_names_in_html() {
    for kind in [Kind::OrderConfirmed, Kind::PaymentFailed, Kind::OrderCanceled] {
        let rendered = render(&mail(kind, order()), &sender("usd")).expect("renders");
        assert!(rendered.subject.contains("1001"), "{}", rendered.subject);
        for body in [&rendered.text, &rendered.html] {
            assert!(body.contains("1001") && body.contains("25.98 USD"), "{kind:?}: {body}");
        }
        assert!(rendered.text.contains("2 × Tea & <b>biscuits</b>"), "{}", rendered.text);
        assert!(rendered.html.contains("Tea &amp; &lt;b&gt;biscuits"), "{}", rendered.html);
        assert!(!rendered.html.contains("<b>biscuits"), "{}", rendered.html);
        check_greeting(&rendered);
    }
}

#[test]
fn a_password_reset_has_a_link_that_its_token_is_in_and_says_until_when() {
    let (sender, id) = (sender("usd"), PasswordResetId::new());
    let about = About::PasswordReset(ResetFacts { id, expires_at: moment(), is_open: true });
    let rendered = render(&mail(Kind::PasswordReset, about), &sender).expect("renders");
    let token = sender.resets.issue(id);
    assert!(rendered.text.contains(&format!("\nhttps://shop.example/reset-password?token={token}\n")));
    assert!(rendered.html.contains(&format!("?token={token}\">")), "{}", rendered.html);
    for body in [&rendered.text, &rendered.html] {
        assert!(body.contains("1 March 2026, 12:30 UTC"), "{body}");
    }
    assert!(!rendered.subject.contains(&token));
    check_greeting(&rendered);
}

#[test]
fn a_shopper_without_a_name_is_greeted_all_the_same() {
    let mail = Outgoing { name: None, ..mail(Kind::OrderConfirmed, order()) };
    let rendered = render(&mail, &sender("jpy")).expect("renders");
    assert!(rendered.text.starts_with("Hello,"), "{}", rendered.text);
    assert!(rendered.text.contains("2598 JPY"), "{}", rendered.text);
}
#[test]
fn a_refund_says_how_much_of_the_payment_it_was() {
    let told = |about| render(&mail(Kind::Refunded, about), &sender("usd")).expect("renders");
    let all = told(refund(2598, 2598, Status::Refunded));
    assert!(all.text.contains("we have given back your payment for order 1001: 25.98 USD."), "{}", all.text);
    let first = told(refund(1000, 1000, Status::Paid));
    assert!(first.text.contains("we have given back 10.00 USD of your payment for order 1001.\n"), "{}", first.text);
    assert!(!first.text.contains("before"), "{}", first.text);
    let last = told(refund(1598, 2598, Status::Refunded));
    for body in [&last.text, &last.html] {
        assert!(
            body.contains("15.98 USD") && body.contains("With what went back before, that makes 25.98 USD."),
            "{body}"
        );
    }
    let About::Refund(order, facts) = refund(2598, 0, Status::Paid) else { panic!("it is one") };
    let second = told(About::Refund(order.clone(), RefundFacts { of_duplicate: true, ..facts.clone() }));
    for body in [&second.text, &second.html] {
        assert!(body.contains("was paid twice") && body.contains("25.98 USD"), "{body}");
    }
    let foreign = told(About::Refund(order, RefundFacts { currency: "kwd".into(), ..facts }));
    assert!(foreign.text.contains("2598 KWD"), "{}", foreign.text);
}

#[test]
fn a_refund_that_came_back_a_spent_link_and_an_archived_product_are_told_of_to_nobody() {
    let About::Refund(order, facts) = refund(1, 0, Status::Paid) else { panic!("it is one") };
    assert!(!mail(Kind::Refunded, About::Refund(order.clone(), facts.clone())).is_moot());
    assert!(mail(Kind::Refunded, About::Refund(order, RefundFacts { has_succeeded: false, ..facts })).is_moot());
    let stock = StockFacts { id: ProductId::new(), name: "Mug".into(), stock: 1, available: 1, is_for_sale: true };
    assert!(!mail(Kind::LowStock, About::Stock(stock.clone())).is_moot());
    assert!(mail(Kind::LowStock, About::Stock(StockFacts { is_for_sale: false, ..stock })).is_moot());
}

#[test]
fn of_an_order_only_what_is_so_is_told() {
    use Status::{AwaitingPayment, Canceled, Fulfilled, Paid, PaymentFailed, PaymentReview, Refunded};
    let is_told = |kind, status, was_charged| {
        !mail(kind, About::Order(OrderFacts { status, was_charged, ..facts("Tea") })).is_moot()
    };
    assert!(is_told(Kind::OrderCanceled, Canceled, false));
    assert!(!is_told(Kind::OrderCanceled, Canceled, true));
    for status in [Paid, PaymentReview, Refunded, Fulfilled] {
        assert!(!is_told(Kind::OrderCanceled, status, true), "{status}");
        assert_eq!(is_told(Kind::OrderConfirmed, status, true), [Paid, Fulfilled].contains(&status), "{status}");
    }
    assert!(
        is_told(Kind::PaymentFailed, PaymentFailed, false) && !is_told(Kind::PaymentFailed, AwaitingPayment, false)
    );
    let nothing = OrderFacts { lines: vec![], ..facts("Tea") };
    assert!(mail(Kind::Shipped, About::Shipment(nothing, ShipmentFacts::default())).is_moot());
    assert!(!mail(Kind::Shipped, About::Shipment(facts("Tea"), ShipmentFacts::default())).is_moot());
}

#[test]
fn a_shipment_names_its_carrier_and_number_where_they_are_known() {
    let told = |shipment| render(&mail(Kind::Shipped, About::Shipment(facts("Tea"), shipment)), &sender("usd"));
    let full = ShipmentFacts { carrier: Some("Post & Co".into()), tracking_number: Some("JD0146".into()) };
    let full = told(full).expect("renders");
    assert!(full.text.contains("\nCarrier: Post & Co\nTracking number: JD0146\n"), "{}", full.text);
    assert!(full.html.contains("Post &amp; Co") && full.html.contains("JD0146"), "{}", full.html);
    let bare = told(ShipmentFacts::default()).expect("renders");
    assert!(!bare.text.contains("Carrier") && !bare.html.contains("Tracking"), "{}", bare.text);
}

/// Each kind about something whose every name from outside is this.
fn hostile(kind: Kind, name: &str) -> Outgoing {
    let text = || Some(name.to_owned());
    let facts = OrderFacts { declined_because: text(), ..facts(name) };
    let about = match kind {
        Kind::OrderConfirmed | Kind::PaymentFailed | Kind::OrderCanceled => About::Order(facts),
        Kind::Refunded => {
            let About::Refund(_, refund) = refund(1, 2, Status::Paid) else { panic!("it is one") };
            About::Refund(facts, refund)
        }
        Kind::Shipped => About::Shipment(facts, ShipmentFacts { carrier: text(), tracking_number: text() }),
        Kind::LowStock => {
            let name = name.to_owned();
            About::Stock(StockFacts { id: ProductId::new(), name, stock: 3, available: 2, is_for_sale: true })
        }
        Kind::PasswordReset => {
            About::PasswordReset(ResetFacts { id: PasswordResetId::new(), expires_at: moment(), is_open: true })
        }
    };
    Outgoing { name: text(), ..mail(kind, about) }
}

#[test]
fn no_name_gets_out_of_its_place_in_any_kind_of_mail() {
    let plain_lines = |kind| render(&hostile(kind, "Ada"), &sender("usd")).expect("renders").text.lines().count();
    for name in [
        "<script>alert(1)</script><img src=x onerror=alert(1)>\" onmouseover=\"alert(1)",
        "Ada\r\nBcc: eve@example.com\r\n\r\nYou owe us money",
        "\u{202e}gnp.exe\u{2066}\u{200f}",
        &"A".repeat(10_000),
        "🫖👩‍👩‍👧‍👦 ﷽",
        "{{ store }}{% for x in range(10) %}",
        "\0\u{1b}[31m\u{2028}\u{85}",
    ] {
        for kind in Kind::ALL {
            let Rendered { subject, text, html } = render(&hostile(kind, name), &sender("usd")).expect("renders");
            let context = format!("{kind:?} with {name:.40?}:\n{subject}\n{text}\n{html}");
            assert!(!subject.chars().any(char::is_control) && subject.chars().count() <= 150, "{context}");
            assert_eq!(text.lines().count(), plain_lines(kind), "{context}");
            assert!(text.len() + html.len() < 10_000, "{context}");
            for body in [&subject, &text, &html] {
                assert!(
                    !body.contains(['\u{202e}', '\u{2066}', '\u{200f}', '\0', '\u{1b}', '\r', '\u{2028}']),
                    "{context}"
                );
            }
            for markup in ["<script", "<img", "onerror=alert(1)>", "\" onmouseover"] {
                assert!(!html.contains(markup), "{context}");
            }
            if name.starts_with("{{") {
                assert!(text.contains(name), "it is no template: {context}");
            }
            if name.starts_with('🫖') {
                assert!(text.contains("🫖👩‍👩‍👧‍👦 ﷽") && html.contains("🫖👩‍👩‍👧‍👦 ﷽"), "{context}");
            }
        }
    }
}
