//! What each mail says, as text and as HTML. Names come from outside: in HTML they are escaped.

use std::sync::LazyLock;

use minijinja::{Environment, context};

use super::{Kind, Outgoing};
use crate::money::Currency;

/// Who sends.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The shop's name.
    pub store_name: String,
    /// The shop's URL, without a slash at the end.
    pub public_url: String,
    /// The shop's currency.
    pub currency: Currency,
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
    let lines: Vec<_> = mail
        .lines
        .iter()
        .map(|(name, quantity, total)| context! { name, quantity, total => sender.currency.show(*total) })
        .collect();
    let values = context! {
        store => sender.store_name,
        url => format!("{}/orders/{}", sender.public_url, mail.order_id),
        name => mail.name,
        number => mail.number,
        lines,
        total => sender.currency.show(mail.total),
        expires_at => mail.expires_at.format("%-d %B %Y, %H:%M UTC").to_string(),
        declined_because => mail.declined_because,
    };
    let kind = mail.kind.name();
    Ok(Rendered {
        subject: subject(mail, sender),
        text: TEMPLATES.get_template(&format!("{kind}.txt"))?.render(&values)?,
        html: TEMPLATES.get_template(&format!("{kind}.html"))?.render(&values)?,
    })
}

fn subject(mail: &Outgoing, sender: &Sender) -> String {
    let (store, number) = (&sender.store_name, mail.number);
    match mail.kind {
        Kind::OrderConfirmed => format!("{store}: your order {number} is confirmed"),
        Kind::PaymentFailed => format!("{store}: the payment for your order {number} did not go through"),
        Kind::OrderCanceled => format!("{store}: your order {number} was canceled"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{TimeZone as _, Utc};

    use super::*;
    use crate::{
        id::{EmailId, OrderId},
        money::Money,
        order::Status,
    };

    fn mail(kind: Kind) -> Outgoing {
        Outgoing {
            id: EmailId::new(),
            kind,
            to: "ada@example.com".into(),
            name: Some("<script>alert(1)</script>".into()),
            order_id: OrderId::new(),
            number: 1001,
            order_status: Status::AwaitingPayment,
            total: Money(2598),
            expires_at: Utc.with_ymd_and_hms(2026, 3, 1, 12, 30, 0).single().expect("a moment"),
            declined_because: Some("Your card has insufficient funds.".into()),
            lines: vec![("Tea & <b>biscuits</b>".into(), 2, Money(2598))],
        }
    }

    #[test]
    fn each_kind_tells_order_lines_and_total_and_escapes_names_in_html() {
        let sender = Sender {
            store_name: "Kassa".into(),
            public_url: "https://shop.example".into(),
            currency: "usd".parse().expect("a currency"),
        };
        for kind in [Kind::OrderConfirmed, Kind::PaymentFailed, Kind::OrderCanceled] {
            let mail = mail(kind);
            let rendered = render(&mail, &sender).expect("renders");
            assert!(rendered.subject.contains("1001"), "{}", rendered.subject);
            for body in [&rendered.text, &rendered.html] {
                assert!(body.contains("1001") && body.contains("25.98 USD"), "{kind:?}: {body}");
            }
            assert!(rendered.text.contains("2 × Tea & <b>biscuits</b>"), "{}", rendered.text);
            assert!(rendered.html.contains("Tea &amp; &lt;b&gt;biscuits"), "{}", rendered.html);
            assert!(!rendered.html.contains("<script>") && !rendered.html.contains("<b>biscuits"), "{}", rendered.html);
            assert!(
                rendered.text.starts_with("Hello <script>alert(1)</script>,"),
                "text is no markup: {}",
                rendered.text
            );
        }
    }

    #[test]
    fn a_shopper_without_a_name_is_greeted_all_the_same() {
        let sender =
            Sender { store_name: "Kassa".into(), public_url: String::new(), currency: "jpy".parse().expect("ok") };
        let rendered = render(&Outgoing { name: None, ..mail(Kind::OrderConfirmed) }, &sender).expect("renders");
        assert!(rendered.text.starts_with("Hello,"), "{}", rendered.text);
        assert!(rendered.text.contains("2598 JPY"), "{}", rendered.text);
    }
}
