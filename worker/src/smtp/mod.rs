//! The way of mails out of the worker: SMTP, or files in a folder.
//!
//! `server` is who is asked, `dialogue` what is said, `words` what is kept of the answers.

mod dialogue;
mod server;
mod words;

use std::time::Duration;

use common::{
    config::{MailTransport, Problems, Worker},
    mail::{Outgoing, Rendered},
};
use lettre::{
    AsyncFileTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Mailbox, MultiPart},
};

use dialogue::Dialogue;
use server::Server;

/// A ready way to send.
pub struct Mailer {
    transport: Transport,
    from: Mailbox,
    timeout: Duration,
}

enum Transport {
    Smtp(Box<Server>),
    Folder(AsyncFileTransport<Tokio1Executor>),
}

/// Why a mail was not sent: which server said what at which step. The texts hold neither a recipient nor a secret.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The server will never take it (550 to 553 from MAIL FROM on, 554 from DATA on), or it can't be written down as a mail.
    #[error("{0}")]
    Permanent(String),
    /// It may be taken later: any other refusal (4xx, a login that is refused, …), and whatever fails without an answer.
    #[error("{0}")]
    Transient(String),
}

impl Mailer {
    /// The configured way. Connects when the first mail is sent.
    ///
    /// # Errors
    /// When MAIL_FROM or OPERATOR_EMAIL is no address, or MAIL_URL has parts that are not known.
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
    /// When `from` is no address, or MAIL_URL has parts that are not known.
    pub fn open(mail: &MailTransport, from: &str, timeout: Duration) -> Result<Self, Problems> {
        let unusable = |what: &str| Problems(vec![what.to_owned()]);
        let from = from.parse().map_err(|_| unusable("MAIL_FROM is not a mail address"))?;
        let transport = match mail {
            MailTransport::Smtp(url) => {
                let server = Server::from_url(url.expose());
                Transport::Smtp(Box::new(server.ok_or_else(|| unusable("MAIL_URL is not a usable SMTP URL"))?))
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
        match &self.transport {
            Transport::Smtp(server) => Dialogue::new(server).probe(self.timeout).await,
            Transport::Folder(_) => Ok(()),
        }
    }

    /// The mail server's `host:port`, if there is one.
    pub fn server(&self) -> Option<String> {
        match &self.transport {
            Transport::Smtp(server) => Some(server.to_string()),
            Transport::Folder(_) => None,
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
        self.dispatch(message).await
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
        self.dispatch(self.message(mail, rendered)?).await
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
            Transport::Smtp(server) => Dialogue::new(server).deliver(&message, self.timeout).await,
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
