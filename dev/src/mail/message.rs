//! A mail as it came, and what it says.

use chrono::{DateTime, Utc};
use mail_parser::{Addr, MessageParser, PartType};
use serde::Serialize;
use uuid::Uuid;

/// Who sends to whom, as the SMTP session said. Blind copies are only here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Envelope {
    /// Empty for a notice of non-delivery.
    pub(super) from: String,
    pub(super) to: Vec<String>,
}

/// A mail, read.
#[derive(Debug, Clone, Serialize)]
pub struct Message {
    /// The catcher's name for it; names of later mails sort after it.
    pub id: Uuid,
    /// The `From` header as text, or the envelope's sender where there is none.
    pub from: String,
    /// The recipients of the envelope.
    pub to: Vec<String>,
    /// Decoded; empty if there is none.
    pub subject: String,
    /// Without its angle brackets.
    pub message_id: Option<String>,
    /// When the catcher took it.
    pub received_at: DateTime<Utc>,
    /// The first plain part, decoded.
    pub text: Option<String>,
    /// The first HTML part, decoded.
    pub html: Option<String>,
    /// Of the mail as it came, in bytes.
    pub size: usize,
    #[serde(skip)]
    pub(super) raw: Vec<u8>,
}

impl Message {
    /// Reads a mail. What is no mail at all is kept as a text.
    pub(super) fn read(id: Uuid, envelope: Envelope, raw: Vec<u8>) -> Self {
        let parsed = MessageParser::default().parse(&raw).unwrap_or_default();
        let header = parsed.from().and_then(|address| address.first()).map(show);
        let bodies = || parsed.text_bodies().chain(parsed.html_bodies());
        let text = bodies().find_map(|part| match &part.body {
            PartType::Text(text) => Some(text.to_string()),
            _ => None,
        });
        let html = bodies().find_map(|part| match &part.body {
            PartType::Html(html) => Some(html.to_string()),
            _ => None,
        });
        Self {
            id,
            from: header.unwrap_or(envelope.from),
            to: envelope.to,
            subject: parsed.subject().unwrap_or_default().to_owned(),
            message_id: parsed.message_id().map(str::to_owned),
            received_at: time_of(id),
            text,
            html,
            size: raw.len(),
            raw,
        }
    }

    /// Whether it went to this address; case does not matter.
    #[must_use]
    pub fn went_to(&self, address: &str) -> bool {
        self.to.iter().any(|to| to.eq_ignore_ascii_case(address))
    }
}

fn show(sender: &Addr<'_>) -> String {
    let address = sender.address.as_deref().unwrap_or_default();
    match sender.name.as_deref() {
        Some(name) if !name.is_empty() => format!("{name} <{address}>"),
        _ => address.to_owned(),
    }
}

/// The time in an id of version 7.
fn time_of(id: Uuid) -> DateTime<Utc> {
    let (seconds, nanos) = id.get_timestamp().map_or((0, 0), |time| time.to_unix());
    DateTime::from_timestamp(i64::try_from(seconds).unwrap_or_default(), nanos).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> Message {
        let envelope = Envelope { from: "shop@kassa.example".into(), to: vec!["Ada@kassa.example".into()] };
        Message::read(Uuid::now_v7(), envelope, raw.replace('\n', "\r\n").into_bytes())
    }

    #[test]
    fn both_forms_of_a_mail_are_decoded() {
        let message = read(
            "From: =?utf-8?q?Kassa_K=C3=B6ln?= <shop@kassa.example>
To: ada@kassa.example
Subject: =?utf-8?b?RGFua2UgZsO8ciBJaHJlIEJlc3RlbGx1bmc=?=
Message-ID: <42@kassa.example>
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=\"b\"

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe, und ein langer Satz, der =
weitergeht
--b
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64

PHA+R3LDvMOfZTwvcD4=
--b--
",
        );
        assert_eq!(message.from, "Kassa Köln <shop@kassa.example>");
        assert_eq!(message.subject, "Danke für Ihre Bestellung");
        assert_eq!(message.message_id.as_deref(), Some("42@kassa.example"));
        assert_eq!(message.text.as_deref().map(str::trim_end), Some("Grüße, und ein langer Satz, der weitergeht"));
        assert_eq!(message.html.as_deref(), Some("<p>Grüße</p>"));
        assert!(message.went_to("ada@KASSA.example") && !message.went_to("eve@kassa.example"));
    }

    #[test]
    fn a_mail_of_one_form_has_only_that() {
        let message = read("Subject: hi\n\nplain\n");
        assert_eq!((message.text.as_deref(), message.html), (Some("plain\r\n"), None));
        assert_eq!(message.from, "shop@kassa.example");
        let message = read("Content-Type: text/html\n\n<b>bold</b>\n");
        assert_eq!((message.text, message.html.as_deref()), (None, Some("<b>bold</b>\r\n")));
    }

    #[test]
    fn what_is_no_mail_is_kept_all_the_same() {
        let message = Message::read(Uuid::now_v7(), Envelope::default(), vec![0xff, 0, b'\r', b'\n', 0xfe]);
        assert_eq!((message.size, message.subject.as_str()), (5, ""));
    }
}
