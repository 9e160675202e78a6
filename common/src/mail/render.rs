//! What each mail says, as text and as HTML. Names come from outside: in HTML they are escaped.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use minijinja::{Environment, Value, context};

use super::{About, Kind, OrderFacts, Outgoing, ResetFacts};
use crate::{account::ResetTokens, money::Currency};

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
        About::PasswordReset(reset) => of_reset(reset, sender),
    };
    let values = context! { store => sender.store_name, name => mail.name, ..specific };
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
        .map(|(name, quantity, total)| context! { name, quantity, total => sender.currency.show(*total) })
        .collect();
    context! {
        url => format!("{}/orders/{}", sender.public_url, order.id),
        number => order.number,
        lines,
        total => sender.currency.show(order.total),
        expires_at => minute(order.expires_at),
        declined_because => order.declined_because,
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

fn subject(mail: &Outgoing, store: &str) -> String {
    let number = match &mail.about {
        About::Order(order) => order.number.to_string(),
        About::PasswordReset(_) => String::new(),
    };
    match mail.kind {
        Kind::OrderConfirmed => format!("{store}: your order {number} is confirmed"),
        Kind::PaymentFailed => format!("{store}: the payment for your order {number} did not go through"),
        Kind::OrderCanceled => format!("{store}: your order {number} was canceled"),
        Kind::PasswordReset => format!("{store}: choose a new password"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;

    use super::*;
    use crate::{
        config::Secret,
        id::{EmailId, OrderId, PasswordResetId},
        money::Money,
        order::Status,
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

    fn order() -> About {
        About::Order(OrderFacts {
            id: OrderId::new(),
            number: 1001,
            status: Status::AwaitingPayment,
            total: Money(2598),
            expires_at: moment(),
            declined_because: Some("Your card has insufficient funds.".into()),
            lines: vec![("Tea & <b>biscuits</b>".into(), 2, Money(2598))],
        })
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
}
