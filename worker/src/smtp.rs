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
    /// When MAIL_FROM is no address, or MAIL_URL has parts that lettre doesn't know.
    pub fn new(config: &Worker) -> Result<Self, Problems> {
        Self::open(&config.mail, &config.mail_from, config.smtp_timeout)
    }

    /// The way by this transport, for mails from this address, of which each takes so long at most.
    ///
    /// # Errors
    /// As for [`Mailer::new`].
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
        let to: Mailbox =
            mail.to.parse().map_err(|_| SendError::Permanent("the recipient is not a mail address".into()))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(&rendered.subject)
            .message_id(Some(self.message_id(mail)))
            .multipart(MultiPart::alternative_plain_html(rendered.text.clone(), rendered.html.clone()))
            .map_err(|e| SendError::Permanent(format!("the mail can't be written: {e}")))?;
        // lettre's time limit is for each step of the dialogue; this one is for the whole. A dialogue that is given up takes its
        // connection with it: each mail has its own.
        tokio::time::timeout(self.timeout, self.dispatch(message))
            .await
            .unwrap_or_else(|_| Err(SendError::Transient("the mail server took too long".into())))
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
