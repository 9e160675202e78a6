//! The way of mails out of the worker: SMTP, or files in a folder.

use std::time::Duration;

use common::{
    config::{MailTransport, Problems, Worker},
    mail::{Outgoing, Rendered},
};
use lettre::{
    AsyncFileTransport, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Mailbox, MultiPart},
    transport::smtp::response::Code,
};

/// A ready way to send.
pub struct Mailer {
    transport: Transport,
    from: Mailbox,
    timeout: Duration,
}

enum Transport {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Folder(AsyncFileTransport<Tokio1Executor>),
}

/// Why a mail was not sent. The texts hold no address.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The server will never take it (5xx), or it can't be written down as a mail.
    #[error("{0}")]
    Permanent(String),
    /// It may be taken later.
    #[error("{0}")]
    Transient(String),
}

/// Whether a 5xx says that this mail will never be taken (RFC 5321, section 4.2.3). Others, such as a login that is refused (535),
/// a service that is closed (521) or not there (554), are about us or the server.
fn is_about_the_mail(code: Code) -> bool {
    (550..=553).contains(&u16::from(code))
}

/// What keeps us from a mail server. Its own words may quote what we said: its code says enough.
fn obstacle(error: &lettre::transport::smtp::Error) -> String {
    match error.status().map(u16::from) {
        Some(code @ (530 | 534 | 535 | 538)) => format!("the mail server refused the login ({code})"),
        Some(code) => format!("the mail server refused the connection ({code})"),
        None if error.is_tls() => "TLS with the mail server failed".into(),
        None if error.is_timeout() => "the mail server took too long".into(),
        None if error.is_response() => "what answered is no mail server".into(),
        None if error.is_client() => "the mail server has not what MAIL_URL asks of it: TLS, or a way to log in".into(),
        None => "the mail server can't be reached".into(),
    }
}

impl Mailer {
    /// The configured way. Connects when the first mail is sent.
    ///
    /// # Errors
    /// When MAIL_FROM or OPERATOR_EMAIL is no address, or MAIL_URL has parts that lettre doesn't know.
    pub fn new(config: &Worker) -> Result<Self, Problems> {
        if let Some(operator) = &config.operator_email {
            let unusable = || Problems(vec!["OPERATOR_EMAIL is not a mail address".to_owned()]);
            operator.parse::<Mailbox>().map_err(|_| unusable())?;
        }
        Self::open(&config.mail, &config.mail_from, config.smtp_timeout)
    }

    /// The way by this transport, for mails from this address, of which each takes so long at most.
    ///
    /// # Errors
    /// When `from` is no address, or MAIL_URL has parts that lettre doesn't know.
    pub fn open(mail: &MailTransport, from: &str, timeout: Duration) -> Result<Self, Problems> {
        let unusable = |what: &str| Problems(vec![what.to_owned()]);
        let from = from.parse().map_err(|_| unusable("MAIL_FROM is not a mail address"))?;
        let transport = match mail {
            MailTransport::Smtp(url) => {
                let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose())
                    .map_err(|_| unusable("MAIL_URL is not a usable SMTP URL"))?;
                Transport::Smtp(builder.timeout(Some(timeout)).build())
            }
            MailTransport::Folder(folder) => {
                std::fs::create_dir_all(folder).map_err(|_| unusable("MAIL_URL names a folder that can't be made"))?;
                Transport::Folder(AsyncFileTransport::new(folder))
            }
        };
        Ok(Self { transport, from, timeout })
    }

    /// Connects, as to send a mail: with TLS and a login where they are asked for. Sends nothing.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn probe(&self) -> Result<(), SendError> {
        let Transport::Smtp(smtp) = &self.transport else { return Ok(()) };
        match tokio::time::timeout(self.timeout, smtp.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(SendError::Transient("the mail server hung up".into())),
            Ok(Err(error)) => Err(SendError::Transient(obstacle(&error))),
            Err(_) => Err(SendError::Transient("the mail server took too long".into())),
        }
    }

    /// Sends a few words to somebody who asked for them.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send_words(&self, to: &str, subject: &str, words: &str) -> Result<(), SendError> {
        let to: Mailbox = to.parse().map_err(|_| SendError::Permanent("the recipient is not a mail address".into()))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(subject)
            .body(words.to_owned())
            .map_err(|e| SendError::Permanent(format!("the mail can't be written: {e}")))?;
        tokio::time::timeout(self.timeout, self.dispatch(message))
            .await
            .unwrap_or_else(|_| Err(SendError::Transient("the mail server took too long".into())))
    }

    /// The mail's Message-ID: made of its own id, so that a repeated mail can be told as such.
    pub fn message_id(&self, mail: &Outgoing) -> String {
        format!("<{}@{}>", mail.id, self.from.email.domain())
    }

    /// Sends a mail.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(&self, mail: &Outgoing, rendered: &Rendered) -> Result<(), SendError> {
        let message = self.message(mail, rendered)?;
        // lettre's time limit is for each step of the dialogue; this one is for the whole. A dialogue that is given up takes its
        // connection with it: each mail has its own.
        tokio::time::timeout(self.timeout, self.dispatch(message))
            .await
            .unwrap_or_else(|_| Err(SendError::Transient("the mail server took too long".into())))
    }

    /// As it is written down (RFC 5322), text and HTML side by side.
    fn message(&self, mail: &Outgoing, rendered: &Rendered) -> Result<Message, SendError> {
        let to: Mailbox =
            mail.to.parse().map_err(|_| SendError::Permanent("the recipient is not a mail address".into()))?;
        Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(&rendered.subject)
            .message_id(Some(self.message_id(mail)))
            .multipart(MultiPart::alternative_plain_html(rendered.text.clone(), rendered.html.clone()))
            .map_err(|e| SendError::Permanent(format!("the mail can't be written: {e}")))
    }

    async fn dispatch(&self, message: Message) -> Result<(), SendError> {
        match &self.transport {
            Transport::Smtp(smtp) => smtp.send(message).await.map(|_| ()).map_err(|e| {
                // The server's own words may quote the address: its code says enough.
                let code = e.status().map(|code| format!(" ({code})")).unwrap_or_default();
                if e.status().is_some_and(is_about_the_mail) {
                    SendError::Permanent(format!("the mail server refused the mail{code}"))
                } else {
                    SendError::Transient(format!("the mail server did not take the mail{code}"))
                }
            }),
            Transport::Folder(folder) => {
                folder.send(message).await.map(|_| ()).map_err(|e| SendError::Transient(format!("no file: {e}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use common::{
        id::{EmailId, ProductId},
        mail::{About, Kind, StockFacts},
    };

    use super::*;

    fn mailer() -> Mailer {
        Mailer {
            transport: Transport::Folder(AsyncFileTransport::new("nowhere")),
            from: "Kassa <shop@kassa.example>".parse().expect("an address"),
            timeout: Duration::from_secs(1),
        }
    }

    fn written(to: &str, subject: &str) -> Result<String, SendError> {
        let stock = StockFacts { id: ProductId::new(), name: String::new(), stock: 1, available: 1, is_for_sale: true };
        let (id, kind, name) = (EmailId::new(), Kind::LowStock, None);
        let mail = Outgoing { id, kind, to: to.to_owned(), name, about: About::Stock(stock) };
        let rendered = Rendered { subject: subject.to_owned(), text: "text".into(), html: "<p>HTML</p>".into() };
        let message = mailer().message(&mail, &rendered)?;
        Ok(String::from_utf8(message.formatted()).expect("it is ASCII"))
    }

    #[test]
    fn no_subject_adds_a_header_and_no_line_is_longer_than_mail_may_have() {
        let long = "é".repeat(10_000);
        for subject in ["a\r\nBcc: eve@example.com", "a\nBcc: eve@example.com\n\nbody", "\u{202e}gnp 🫖", &long] {
            let mail = written("ops@shop.example", subject).expect("it can be written");
            let (head, body) = mail.split_once("\r\n\r\n").expect("a head and a body");
            let names = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
            let names: Vec<_> = names.map(|line| line.split(':').next().unwrap_or_default()).collect();
            for name in ["From", "To", "Subject", "Message-ID", "Date", "MIME-Version", "Content-Type"] {
                assert_eq!(names.iter().filter(|other| **other == name).count(), 1, "{name}: {head}");
            }
            assert_eq!(names.len(), 7, "{head}");
            assert!(body.contains("Content-Type: text/plain") && body.contains("Content-Type: text/html"), "{body}");
            assert!(mail.is_ascii() && mail.split("\r\n").all(|line| line.len() <= 998), "{mail}"); // RFC 5322, section 2.1.1
        }
    }

    #[test]
    fn an_address_with_more_in_it_is_refused_for_good() {
        for to in ["a@b.example\r\nBcc: eve@example.com", "no address", ""] {
            assert!(matches!(written(to, "subject"), Err(SendError::Permanent(_))), "{to:?}");
        }
    }
}
