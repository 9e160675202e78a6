//! One connection to the mail server, step by step, so that what fails can say where.

use std::{error::Error as _, fmt, io, time::Duration};

use lettre::{
    Address, Message,
    transport::smtp::{
        authentication::DEFAULT_MECHANISMS,
        client::AsyncSmtpConnection,
        commands::{Data, Mail, Rcpt},
        extension::{Extension, MailBodyParameter, MailParameter},
    },
};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};

use super::{
    SendError,
    server::{Encryption, Server},
    words::Hidden,
};

/// Longest wait for the answer to QUIT, which changes nothing any more.
const PARTING: Duration = Duration::from_secs(1);

/// A step of the dialogue, in their order (RFC 5321, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Connect,
    /// With `smtps`, while it isn't known which of the two it is.
    ConnectOrTls,
    Tls,
    /// The server's first words, and its answer to ours.
    Greeting,
    Login,
    MailFrom,
    RcptTo,
    Data,
    AfterData,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "at connect",
            Self::ConnectOrTls => "at connect or TLS",
            Self::Tls => "at TLS",
            Self::Greeting => "at greeting",
            Self::Login => "at login",
            Self::MailFrom => "at MAIL FROM",
            Self::RcptTo => "at RCPT TO",
            Self::Data => "at DATA",
            Self::AfterData => "after DATA",
        })
    }
}

/// Why it came to an end.
enum Trouble {
    /// Of the network.
    Io(io::Error),
    /// The server can't do what this mail needs.
    Unable(&'static str),
    Smtp(lettre::transport::smtp::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<lettre::transport::smtp::Error> for Trouble {
    fn from(error: lettre::transport::smtp::Error) -> Self {
        Self::Smtp(error)
    }
}

/// See the module.
pub(super) struct Dialogue<'a> {
    server: &'a Server,
    step: Step,
}

impl<'a> Dialogue<'a> {
    pub(super) fn new(server: &'a Server) -> Self {
        Self { server, step: Step::Connect }
    }

    /// Connects, with TLS and a login where they are asked for, and says goodbye.
    pub(super) async fn probe(mut self, within: Duration) -> Result<(), SendError> {
        let connected = timeout(within, self.connect()).await;
        let connection = self.told(connected, &[])?;
        part(connection).await;
        Ok(())
    }

    /// Hands over a mail. A dialogue that is given up takes its connection with it: each mail has its own.
    pub(super) async fn deliver(mut self, message: &Message, within: Duration) -> Result<(), SendError> {
        let (deadline, envelope) = (Instant::now() + within, message.envelope());
        let recipients: Vec<&str> = envelope.to().iter().map(AsRef::as_ref).collect();
        let connected = timeout_at(deadline, self.connect()).await;
        let mut connection = self.told(connected, &recipients)?;
        let handed_over = timeout_at(deadline, self.hand_over(&mut connection, message)).await;
        let is_over = handed_over.is_ok();
        let told = self.told(handed_over, &recipients);
        if is_over {
            part(connection).await;
        }
        told
    }

    async fn connect(&mut self) -> Result<AsyncSmtpConnection, Trouble> {
        let Server { host, port, encryption, hello, login } = self.server;
        let address = (host.as_str(), *port);
        let mut connection = if let Encryption::AtOnce(tls) = encryption {
            self.step = Step::ConnectOrTls;
            let opened = AsyncSmtpConnection::connect_tokio1(address, None, hello, Some(tls.clone()), None).await;
            opened.inspect_err(|error| self.step = of_opening(error))?
        } else {
            let stream = TcpStream::connect(address).await?;
            self.step = Step::Greeting;
            AsyncSmtpConnection::connect_with_transport(Box::new(stream), hello).await?
        };
        let starts_tls = match encryption {
            Encryption::Required(tls) => Some(tls),
            Encryption::IfOffered(tls) if connection.can_starttls() => Some(tls),
            _ => None,
        };
        if let Some(tls) = starts_tls {
            self.step = Step::Tls;
            connection.starttls(tls.clone(), hello).await?;
        }
        if let Some(login) = login {
            self.step = Step::Login;
            connection.auth(DEFAULT_MECHANISMS, &login.credentials()).await?;
        }
        Ok(connection)
    }

    async fn hand_over(&mut self, connection: &mut AsyncSmtpConnection, message: &Message) -> Result<(), Trouble> {
        let (envelope, text) = (message.envelope(), message.formatted());
        self.step = Step::MailFrom;
        let mut parameters = Vec::new();
        // Only to a server that says that it takes them (RFC 6531, section 3.2; RFC 6152).
        let takes = |extension| connection.server_info().supports_feature(extension);
        let is_ascii = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
        if !envelope.to().iter().chain(envelope.from()).all(is_ascii) {
            if !takes(Extension::SmtpUtfEight) {
                return Err(Trouble::Unable("takes no address beyond ASCII (SMTPUTF8)"));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if !text.is_ascii() {
            if !takes(Extension::EightBitMime) {
                return Err(Trouble::Unable("takes no text beyond ASCII (8BITMIME)"));
            }
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        connection.command(Mail::new(envelope.from().cloned(), parameters)).await?;
        self.step = Step::RcptTo;
        for recipient in envelope.to() {
            connection.command(Rcpt::new(recipient.clone(), vec![])).await?;
        }
        self.step = Step::Data;
        connection.command(Data).await?;
        self.step = Step::AfterData;
        connection.message(&text).await?;
        Ok(())
    }

    /// What became of it, in words that hold neither a recipient nor a secret.
    fn told<T>(
        &self,
        ended: Result<Result<T, Trouble>, tokio::time::error::Elapsed>,
        recipients: &[&str],
    ) -> Result<T, SendError> {
        let trouble = match ended {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(trouble)) => Some(trouble),
            Err(_) => None,
        };
        let (server, step) = (self.server, self.step);
        // What matters first: where there is little room the end is cut off.
        let transient = |what: &str| SendError::Transient(format!("{what} (mail server {server})"));
        Err(match trouble {
            None => transient(&format!("took too long {step}")),
            Some(Trouble::Unable(what)) => transient(what),
            Some(Trouble::Io(error)) => transient(&format!("failed {step}: {error}")),
            Some(Trouble::Smtp(error)) => match error.status() {
                Some(code) => {
                    let words = error.source().map(ToString::to_string).unwrap_or_default();
                    let words = Hidden::of(recipients, server.login.as_ref()).leave_out(&words);
                    let reply = format!("{step}: {code} {words}");
                    let reply = reply.trim_end();
                    if is_about_the_mail(step, code.into()) {
                        SendError::Permanent(format!("refused {reply} (mail server {server})"))
                    } else if step >= Step::MailFrom {
                        transient(&format!("put off {reply}"))
                    } else {
                        transient(&format!("turned away {reply}"))
                    }
                }
                None if error.is_client() && step == Step::Tls => transient("offers no TLS, as MAIL_URL asks for"),
                None if error.is_client() => transient("offers no way to log in, as MAIL_URL asks for"),
                None if is_end(&error) => transient(&format!("hung up {step}")),
                None if error.is_response() => transient(&format!("no mail server by its answer {step}")),
                None => transient(&format!("failed {step}: {}", root(&error))),
            },
        })
    }
}

/// Says goodbye, for the server's sake.
async fn part(mut connection: AsyncSmtpConnection) {
    let _unanswered = timeout(PARTING, connection.abort()).await;
}

/// Whether a 5xx says that this mail will never be taken (RFC 5321, section 4.2.3). Others, such as a login that is refused (535) or a
/// service that is closed (521), are about us or the server; so is all that is said before there is a mail, and 554 before its text: servers
/// that find us on a list, or our login missing, say so when they are told the recipient.
fn is_about_the_mail(step: Step, code: u16) -> bool {
    match code {
        550..=553 => step >= Step::MailFrom,
        554 => step >= Step::Data,
        _ => false,
    }
}

/// lettre does all of the opening with TLS in one call.
fn of_opening(error: &lettre::transport::smtp::Error) -> Step {
    if error.status().is_some() || error.is_response() {
        return Step::Greeting;
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return match error.kind() {
                // What rustls finds wrong, and a server that ends the handshake.
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => Step::Tls,
                _ => Step::Connect,
            };
        }
        cause = error.source();
    }
    Step::ConnectOrTls
}

/// lettre takes an end for an answer that is not whole.
fn is_end(error: &lettre::transport::smtp::Error) -> bool {
    error.is_response() && root(error) == "incomplete response"
}

/// The first cause: lettre's own words before it say little.
fn root(error: &lettre::transport::smtp::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt as _, net::TcpListener};

    use super::*;

    async fn probed(url: &str) -> String {
        let server = Server::from_url(url).expect("a server");
        Dialogue::new(&server).probe(Duration::from_millis(500)).await.expect_err("it has no TLS").to_string()
    }

    #[tokio::test]
    async fn with_smtps_the_network_is_told_from_tls() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let place = listener.local_addr().expect("it has one");
        let url = format!("smtps://shop:hunter2@{place}");
        let silent = tokio::spawn(async move { listener.accept().await.map(|accepted| (listener, accepted)) });
        assert_eq!(probed(&url).await, format!("took too long at connect or TLS (mail server {place})"));
        let (listener, _kept) = silent.await.expect("it goes on").expect("it takes connections");

        // A server that begins without TLS, as on port 587.
        let plain = tokio::spawn(async move {
            let mut stream = listener.accept().await.expect("it takes connections").0;
            stream.write_all(b"220 mail.example\r\n").await.expect("somebody listens");
            (listener, stream)
        });
        let told = probed(&url).await;
        assert!(told.starts_with("failed at TLS: received corrupt message"), "{told}");
        drop(plain.await.expect("it goes on"));
        let told = probed(&url).await;
        assert!(told.starts_with("failed at connect: Connection refused"), "{told}");
    }

    #[test]
    fn only_what_is_said_of_a_mail_gives_it_up() {
        for (step, code) in [(Step::MailFrom, 550), (Step::RcptTo, 550), (Step::Data, 554), (Step::AfterData, 552)] {
            assert!(is_about_the_mail(step, code), "{step} {code}");
        }
        for (step, code) in [
            (Step::Greeting, 550),
            (Step::Greeting, 554),
            (Step::Login, 550),
            (Step::Login, 535),
            (Step::MailFrom, 535),
            (Step::MailFrom, 554),
            (Step::RcptTo, 450),
            (Step::RcptTo, 521),
            (Step::RcptTo, 554),
            (Step::AfterData, 451),
        ] {
            assert!(!is_about_the_mail(step, code), "{step} {code}");
        }
    }
}
