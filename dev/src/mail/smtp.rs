//! The server's side of SMTP (RFC 5321), as far as a sender needs it, pipelining (RFC 2920) and sizes (RFC 1870) included.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::task::TaskTracker;

use super::{App, faults::Moment, message::Envelope};

/// The largest mail.
const LARGEST: usize = 25 * 1024 * 1024;
const MOST_RECIPIENTS: usize = 100;
/// Longer than RFC 5321 allows, as extensions lengthen commands.
const LONGEST_COMMAND: usize = 4096;
/// What RFC 5321, section 4.5.3.2.7, asks for.
const PATIENCE: Duration = Duration::from_secs(300);

/// Why a session ends before its `QUIT`.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the sender went away")]
    Gone,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Takes connections until the catcher stops.
pub(super) async fn serve(listener: TcpListener, app: Arc<App>, tasks: TaskTracker) {
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    tasks.spawn(attend(stream, Arc::clone(&app)));
                }
                // Too many open files, say: the next may work again.
                Err(error) => {
                    tracing::warn!(%error, "the mail catcher could not take a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
}

async fn attend(stream: TcpStream, app: Arc<App>) {
    let stop = app.stop.clone();
    let mut session =
        Session { stream: BufStream::new(stream), app, greeted: false, sender: None, recipients: Vec::new() };
    tokio::select! {
        () = stop.cancelled() => {}
        ended = session.run() => if let Err(error) = ended {
            tracing::debug!(%error, "an SMTP session ended early");
        },
    }
}

struct Session {
    stream: BufStream<TcpStream>,
    app: Arc<App>,
    greeted: bool,
    sender: Option<String>,
    recipients: Vec<String>,
}

impl Session {
    async fn run(&mut self) -> Result<(), End> {
        if let Some(refusal) = self.strike(Moment::Connect, &[]).await? {
            return self.say(&refusal).await;
        }
        self.say("220 kassa.localhost mail catcher: nothing is delivered\r\n").await?;
        loop {
            let Ok(line) = timeout(PATIENCE, read_command(&mut self.stream)).await else {
                return self.say("421 Silent for too long\r\n").await;
            };
            let Some(line) = line? else {
                self.say("500 Line too long\r\n").await?;
                continue;
            };
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let answer = match verb.to_ascii_uppercase().as_str() {
                "EHLO" => self.greet(rest, true),
                "HELO" => self.greet(rest, false),
                "MAIL" => self.mail(rest).await?,
                "RCPT" => self.recipient(rest).await?,
                "DATA" => self.data().await?,
                "RSET" => {
                    self.reset();
                    "250 Forgotten\r\n".into()
                }
                "NOOP" => "250 Fine\r\n".into(),
                "VRFY" => "252 Send it and see\r\n".into(),
                "HELP" => "214 EHLO HELO MAIL RCPT DATA RSET NOOP QUIT\r\n".into(),
                "QUIT" => return self.say("221 Bye\r\n").await,
                "STARTTLS" => self.without(Moment::Tls, "454 It has none\r\n").await?,
                "AUTH" => self.without(Moment::Login, "235 Welcome\r\n").await?,
                _ => "500 Unknown command\r\n".into(),
            };
            self.say(&answer).await?;
        }
    }

    async fn say(&mut self, answer: &str) -> Result<(), End> {
        self.stream.write_all(answer.as_bytes()).await?;
        Ok(self.stream.flush().await?)
    }

    fn reset(&mut self) {
        self.sender = None;
        self.recipients.clear();
    }

    fn greet(&mut self, name: &str, extended: bool) -> String {
        if name.trim().is_empty() {
            return "501 Say who you are\r\n".into();
        }
        self.reset();
        self.greeted = true;
        if extended {
            let offered = |at, line| if self.app.faults.has(at) { line } else { "" };
            let (tls, login) = (offered(Moment::Tls, "250-STARTTLS\r\n"), offered(Moment::Login, "250-AUTH PLAIN\r\n"));
            format!(
                "250-kassa.localhost\r\n{tls}{login}250-PIPELINING\r\n250-SIZE {LARGEST}\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
            )
        } else {
            "250 kassa.localhost\r\n".into()
        }
    }

    /// What the catcher has for the sake of its faults alone.
    async fn without(&mut self, at: Moment, passed: &str) -> Result<String, End> {
        if !self.app.faults.has(at) {
            return Ok("502 The mail catcher has neither authentication nor TLS\r\n".into());
        }
        Ok(self.strike(at, &[]).await?.unwrap_or_else(|| passed.to_owned()))
    }

    async fn mail(&mut self, rest: &str) -> Result<String, End> {
        if !self.greeted {
            return Ok("503 Say EHLO first\r\n".into());
        }
        if self.sender.is_some() {
            return Ok("503 A mail is under way: RSET first\r\n".into());
        }
        let Some((sender, parameters)) = path(rest, "FROM:") else {
            return Ok("501 MAIL FROM:<address>\r\n".into());
        };
        for parameter in parameters.split_ascii_whitespace() {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name.to_ascii_uppercase().as_str() {
                "SIZE" => match value.parse::<usize>() {
                    Ok(size) if size > LARGEST => return Ok("552 Larger than 25 MiB\r\n".into()),
                    Ok(_) => {}
                    Err(_) => return Ok("501 SIZE is a number\r\n".into()),
                },
                "BODY" | "SMTPUTF8" => {}
                _ => return Ok("555 Unknown parameter\r\n".into()),
            }
        }
        if let Some(refusal) = self.strike(Moment::Mail, &[]).await? {
            return Ok(refusal);
        }
        self.sender = Some(sender.to_owned());
        Ok("250 Fine\r\n".into())
    }

    async fn recipient(&mut self, rest: &str) -> Result<String, End> {
        if self.sender.is_none() {
            return Ok("503 Say MAIL first\r\n".into());
        }
        let address = match path(rest, "TO:") {
            Some((address, parameters)) if !address.is_empty() && parameters.is_empty() => address.to_owned(),
            _ => return Ok("501 RCPT TO:<address>\r\n".into()),
        };
        if self.recipients.len() == MOST_RECIPIENTS {
            return Ok("452 Too many recipients\r\n".into());
        }
        if let Some(refusal) = self.strike(Moment::Recipient, std::slice::from_ref(&address)).await? {
            return Ok(refusal);
        }
        self.recipients.push(address);
        Ok("250 Fine\r\n".into())
    }

    async fn data(&mut self) -> Result<String, End> {
        if self.recipients.is_empty() {
            return Ok("503 Say MAIL and RCPT first\r\n".into());
        }
        let to = self.recipients.clone();
        if let Some(refusal) = self.strike(Moment::Data, &to).await? {
            return Ok(refusal);
        }
        self.say("354 End with a dot\r\n").await?;
        let Ok(raw) = timeout(PATIENCE, read_mail(&mut self.stream)).await else { return Err(End::Gone) };
        let raw = raw?;
        let envelope = Envelope { from: self.sender.take().unwrap_or_default(), to: to.clone() };
        self.reset();
        let Some(raw) = raw else { return Ok("552 Larger than 25 MiB\r\n".into()) };

        let hit = self.app.faults.strike(Moment::Message, &to);
        let refuses = hit.as_ref().is_some_and(|hit| hit.fault.hang || hit.fault.cut || hit.fault.code.is_some());
        let keeps = !refuses || hit.as_ref().is_some_and(|hit| hit.fault.keep);
        let mut answer = "451 Dropped on purpose\r\n".to_owned();
        if keeps {
            answer = match self.app.mailbox.keep(envelope, raw) {
                Ok(id) => format!("250 Kept as {id}\r\n"),
                Err(error) => format!("451 It can't be kept: {}\r\n", error.kind()),
            };
        }
        Ok(match hit {
            Some(hit) => act_out(&hit).await?.unwrap_or(answer),
            None => answer,
        })
    }

    /// Lets the fault strike that is in force here, if there is one; gives the answer in the place of ours.
    async fn strike(&self, at: Moment, to: &[String]) -> Result<Option<String>, End> {
        match self.app.faults.strike(at, to) {
            Some(hit) => act_out(&hit).await,
            None => Ok(None),
        }
    }
}

async fn act_out(hit: &super::faults::InForce) -> Result<Option<String>, End> {
    tokio::time::sleep(hit.fault.delay()).await;
    if hit.fault.hang {
        hit.removed.cancelled().await;
    }
    if hit.fault.hang || hit.fault.cut { Err(End::Gone) } else { Ok(hit.fault.answer()) }
}

/// `FROM:<address> PARAMETERS` → address and parameters. A source route, as of old, is left out.
fn path<'a>(text: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let (head, rest) = text.split_at_checked(keyword.len())?;
    let rest = rest.trim_start().strip_prefix('<').filter(|_| head.eq_ignore_ascii_case(keyword))?;
    let (address, parameters) = rest.split_once('>')?;
    let address = if address.starts_with('@') { address.split_once(':')?.1 } else { address };
    let sane = !address.contains(|c: char| c.is_control() || c == ' ') && (address.is_empty() || address.contains('@'));
    sane.then(|| (address, parameters.trim()))
}

/// A line without its end; `None` if it is too long, with the rest of it thrown away.
async fn read_command(stream: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<String>, End> {
    let mut line = Vec::new();
    let mut limited = (&mut *stream).take(LONGEST_COMMAND as u64);
    if limited.read_until(b'\n', &mut line).await? == 0 {
        return Err(End::Gone);
    }
    let whole = line.ends_with(b"\n");
    while !line.ends_with(b"\n") {
        line.clear();
        let mut limited = (&mut *stream).take(LONGEST_COMMAND as u64);
        if limited.read_until(b'\n', &mut line).await? == 0 {
            return Err(End::Gone);
        }
    }
    Ok(whole.then(|| String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()))
}

/// The mail up to the line with the dot, dots unstuffed; `None` if it is too large. Only CRLF ends a line here: what other
/// servers take for one has been used to smuggle mails.
async fn read_mail(stream: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Vec<u8>>, End> {
    let (mut mail, mut line) = (Vec::new(), Vec::new());
    let (mut starts, mut fits) = (true, true);
    loop {
        line.clear();
        // In pieces: a line may be as long as the mail.
        let mut limited = (&mut *stream).take(LONGEST_COMMAND as u64);
        if limited.read_until(b'\n', &mut line).await? == 0 {
            return Err(End::Gone);
        }
        if starts && line == b".\r\n" {
            return Ok(fits.then_some(mail));
        }
        let piece = if starts && line.starts_with(b".") { &line[1..] } else { &line[..] };
        // A piece may end between CR and LF.
        let ended = line.ends_with(b"\r\n") || (line == b"\n" && mail.ends_with(b"\r"));
        fits = fits && mail.len() + piece.len() <= LARGEST;
        if fits {
            mail.extend_from_slice(piece);
        }
        starts = ended;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_their_parameters() {
        assert_eq!(path("FROM:<a@b.example> SIZE=12", "FROM:"), Some(("a@b.example", "SIZE=12")));
        assert_eq!(path("from: <>", "FROM:"), Some(("", "")));
        assert_eq!(path("TO:<@relay.example:a@b.example>", "TO:"), Some(("a@b.example", "")));
        for wrong in ["FROM:a@b.example", "FROM:<a@b.example", "TO:<a@b.example>", "FROM:<nobody>", "FROM:<a b@c>", ""]
        {
            assert_eq!(path(wrong, "FROM:"), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn dots_are_unstuffed_and_only_crlf_dot_crlf_ends_a_mail() {
        let sent = b"one\r\n..two\r\n.three\n.\nfour\r\n.\r\nQUIT\r\n";
        let mut stream = &sent[..];
        let mail = read_mail(&mut stream).await.expect("it ends");
        assert_eq!(mail.expect("it is small"), b"one\r\n.two\r\nthree\n.\nfour\r\n");
        assert_eq!(stream, b"QUIT\r\n");
    }

    #[tokio::test]
    async fn a_mail_that_is_too_large_is_read_to_its_end() {
        let mut sent = vec![b'a'; LARGEST + 1];
        sent.extend_from_slice(b"\r\n.\r\nNOOP\r\n");
        let mut stream = &sent[..];
        assert!(read_mail(&mut stream).await.expect("it ends").is_none());
        assert_eq!(stream, b"NOOP\r\n");
    }

    #[tokio::test]
    async fn a_line_end_between_two_pieces_is_seen() {
        let mut sent = vec![b'a'; LONGEST_COMMAND - 1];
        sent.extend_from_slice(b"\r\n.\r\n");
        let mut stream = &sent[..];
        assert!(read_mail(&mut stream).await.expect("it ends").is_some());
    }
}
