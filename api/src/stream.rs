//! A client's connection, as hyper is given it. What hyper can't parse it refuses without a word: here a problem takes the place
//! of that answer. Who does not read is cut off, and who still sends when all is said is heard out for a moment: closing at once
//! would reset the connection, and the answer with it (RFC 9112, section 9.6).

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    time::{Sleep, sleep},
};

use crate::{
    access,
    problem::{Kind, Problem, kinds},
};

/// Longest wait for a client to read on.
const STALLED: Duration = Duration::from_secs(30);

/// How long a client that still sends is heard out, and how many bytes of it.
const HEARD_OUT: Duration = Duration::from_secs(2);
const MOST_HEARD: usize = 16 * 1024 * 1024;

/// Whether what a client has sent was left unread; known to its connection and to each of its requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct LeftUnread(Arc<AtomicBool>);

impl LeftUnread {
    /// It was: there may be more on its way, even if nothing of it is there yet.
    pub(crate) fn tell(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct ClientStream<S> {
    inner: S,
    over_tls: bool,
    /// Whether the client was refused before its request was read.
    refused: bool,
    left_unread: LeftUnread,
    /// What has not been sent yet of what takes the place of hyper's own answer.
    last_words: Vec<u8>,
    /// Until when the client may leave unread what is sent.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Until when it is heard out, and how many bytes it may send.
    leaving: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ClientStream<S> {
    pub(crate) fn new(inner: S, over_tls: bool) -> Self {
        let left_unread = LeftUnread::default();
        Self { inner, over_tls, refused: false, left_unread, last_words: vec![], stalled: None, leaving: None }
    }

    /// By which a request says that some of it was left unread.
    pub(crate) fn left_unread(&self) -> LeftUnread {
        self.left_unread.clone()
    }

    /// Says this, whatever the client would have asked, and ends the connection.
    pub(crate) async fn refuse(mut self, problem: Problem) -> io::Result<()> {
        self.say_last(problem, None);
        self.shutdown().await
    }

    fn say_last(&mut self, problem: Problem, date: Option<&str>) {
        self.refused = true;
        self.last_words = access::last_words(problem, date, self.over_tls);
    }

    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.last_words.is_empty() {
            let sent = Pin::new(&mut self.inner).poll_write(cx, &self.last_words);
            match ready!(self.unless_stalled(cx, sent))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.last_words.drain(..sent),
            };
        }
        Poll::Ready(Ok(()))
    }

    /// What came of sending, unless the client has left it unread for too long.
    fn unless_stalled<T>(&mut self, cx: &mut Context<'_>, sent: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if sent.is_ready() {
            self.stalled = None;
            return sent;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(STALLED)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads on, to no purpose but that the client gets to read. Who sends nothing, and was read to the end, is not waited for.
    fn poll_hear_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let was_read = !self.refused && !self.left_unread.0.load(Ordering::Acquire);
        let Some((until, left)) = &mut self.leaving else { return Poll::Ready(Ok(())) };
        let mut buffer = [0; 8 * 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut buffer);
            match Pin::new(&mut self.inner).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if (1..*left).contains(&buffer.filled().len()) => *left -= buffer.filled().len(),
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending if *left == MOST_HEARD && was_read => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    ready!(until.as_mut().poll(cx));
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_last_words(cx))?;
        if let Some((kind, date)) = refusal_of_hypers(bytes) {
            this.say_last(explained(kind), date);
            return Poll::Ready(Ok(bytes.len()));
        }
        let sent = Pin::new(&mut this.inner).poll_write(cx, bytes);
        this.unless_stalled(cx, sent)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [bytes] = slices {
            return self.poll_write(cx, bytes);
        }
        let this = self.get_mut();
        ready!(this.poll_last_words(cx))?;
        let sent = Pin::new(&mut this.inner).poll_write_vectored(cx, slices);
        this.unless_stalled(cx, sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_last_words(cx))?;
        let flushed = Pin::new(&mut this.inner).poll_flush(cx);
        this.unless_stalled(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.leaving.is_none() {
            ready!(this.poll_last_words(cx))?;
            let ended = Pin::new(&mut this.inner).poll_shutdown(cx);
            ready!(this.unless_stalled(cx, ended))?;
            this.leaving = Some((Box::pin(sleep(HEARD_OUT)), MOST_HEARD));
        }
        this.poll_hear_out(cx)
    }
}

/// Which of hyper's own refusals this is, if it is one, with its date: a status, and no header but these. Each answer of ours has
/// more.
fn refusal_of_hypers(bytes: &[u8]) -> Option<(Kind, Option<&str>)> {
    const LONGEST: usize = 200;
    if bytes.len() > LONGEST || !bytes.starts_with(b"HTTP/1.1 4") {
        return None;
    }
    let mut lines = str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?.split("\r\n");
    let kind = match lines.next()?.split(' ').nth(1)? {
        "400" => kinds::MALFORMED_REQUEST,
        "414" => kinds::URI_TOO_LONG,
        "431" => kinds::HEADERS_TOO_LARGE,
        _ => return None,
    };
    let mut date = None;
    for line in lines {
        match line.split_once(": ")? {
            ("content-length", "0") | ("connection", "close") => {}
            ("date", value) => date = Some(value),
            _ => return None,
        }
    }
    Some((kind, date))
}

fn explained(kind: Kind) -> Problem {
    let detail = match kind {
        kinds::URI_TOO_LONG => "The path and the query are longer than is read here.",
        kinds::HEADERS_TOO_LARGE => "There are more headers, or longer ones, than are read here: 100, in 32 KiB.",
        _ => "This is no request of HTTP/1.1.",
    };
    Problem::new(kind, detail)
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, duplex},
        time::Instant,
    };

    use super::*;

    const HYPERS: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\ndate: Fri, 27 Nov 2026 05:30:07 GMT\r\n\r\n";

    #[tokio::test]
    async fn a_refusal_of_hypers_is_replaced_and_nothing_else() {
        for (said, passed_on) in [
            (HYPERS.to_owned(), false),
            (HYPERS.replace("\r\n\r\n", "\r\nx-request-id: 1\r\n\r\n"), true),
            (HYPERS.replace("400 Bad Request", "404 Not Found"), true),
            (HYPERS.replace("length: 0", "length: 1") + "x", true),
        ] {
            let (mut client, server) = duplex(4096);
            let mut server = ClientStream::new(server, false);
            server.write_all(said.as_bytes()).await.expect("there is room");
            server.flush().await.expect("there is room");
            drop(server);
            let mut heard = String::new();
            client.read_to_string(&mut heard).await.expect("text");
            assert_eq!(heard == said, passed_on, "{heard}");
            assert!(passed_on || heard.contains("malformed_request") && heard.contains("date: Fri, 27 Nov"), "{heard}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_cut_off() {
        let (mut client, server) = duplex(16);
        let mut server = ClientStream::new(server, false);
        let began = Instant::now();
        let error = server.write_all(&[0; 64]).await.expect_err("there is no room");
        assert_eq!((error.kind(), began.elapsed().as_secs()), (io::ErrorKind::TimedOut, STALLED.as_secs()));
        client.read_exact(&mut [0; 16]).await.expect("what was sent");
        server.write_all(&[0; 16]).await.expect("there is room again");
    }

    #[tokio::test(start_paused = true)]
    async fn who_still_sends_is_heard_out_for_a_while() {
        for (sends, is_unread, seconds) in
            [(&b""[..], false, 0), (b"more", false, HEARD_OUT.as_secs()), (b"", true, HEARD_OUT.as_secs())]
        {
            let (mut client, server) = duplex(4096);
            client.write_all(sends).await.expect("there is room");
            let began = Instant::now();
            let mut server = ClientStream::new(server, false);
            if is_unread {
                server.left_unread().tell();
            }
            server.shutdown().await.expect("nothing hinders it");
            assert_eq!(began.elapsed().as_secs(), seconds);
        }
    }
}
