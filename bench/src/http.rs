//! HTTP/1.1 as a load generator wants it: requests that are bytes already, one kept connection, and of an answer no more than its
//! status and its length. Blocking, one thread for each connection: that takes less of the processor than anything that polls.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// More than a head has.
const ROOM: usize = 16 * 1024;

/// A kept connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer; what it says is in the connection's buffer.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) head: &'a str,
    pub(crate) body: &'a [u8],
}

impl Connection {
    /// Opens one.
    pub(crate) fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: vec![0; ROOM] })
    }

    /// Sends a request and reads its answer, which has to say how long it is.
    pub(crate) fn ask(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request)?;
        let mut filled = 0;
        let head = loop {
            filled += self.read(filled)?;
            if let Some(end) = find(&self.buffer[..filled], b"\r\n\r\n") {
                break end + 4;
            }
        };
        let (status, length) = {
            let head = std::str::from_utf8(&self.buffer[..head]).map_err(|_| malformed("a head that is no text"))?;
            (status(head)?, length(head)?)
        };
        while filled < head + length {
            filled += self.read(filled)?;
        }
        if filled > head + length {
            return Err(malformed("more than one answer to one request"));
        }
        let (head, body) = self.buffer[..filled].split_at(head);
        Ok(Answer { status, head: std::str::from_utf8(head).unwrap_or_default(), body })
    }

    fn read(&mut self, filled: usize) -> io::Result<usize> {
        if filled == self.buffer.len() {
            self.buffer.resize(2 * filled, 0);
        }
        match self.stream.read(&mut self.buffer[filled..])? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        }
    }
}

impl Answer<'_> {
    /// The body, if it is JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(self.body).unwrap_or_default()
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// `HTTP/1.1 200 OK`
fn status(head: &str) -> io::Result<u16> {
    let status = head.split_ascii_whitespace().nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| malformed("an answer without a status"))
}

fn length(head: &str) -> io::Result<usize> {
    for line in head.lines().skip(1) {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            return value.trim().parse().map_err(|_| malformed("a length that is no number"));
        }
    }
    if matches!(status(head)?, 204 | 304) { Ok(0) } else { Err(malformed("an answer of unknown length")) }
}

/// A request as it is sent. The body's length and type are added where there is one.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: shop.example\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if method != "GET" {
        request.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    if !body.is_empty() {
        request.push_str("content-type: application/json\r\n");
    }
    request.push_str("\r\n");
    request.push_str(body);
    request.into_bytes()
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    /// What a client reads where a server sends these parts, one after the other.
    fn read(parts: &'static [&'static str]) -> io::Result<(u16, Vec<u8>)> {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = server.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let _asked = stream.read(&mut [0; 1024]).unwrap();
            for part in parts {
                stream.write_all(part.as_bytes()).unwrap();
                thread::sleep(Duration::from_millis(5)); // so that the parts don't come as one
            }
        });
        let mut connection = Connection::open(addr)?;
        let answer = connection.ask(&request("GET", "/", &[], ""))?;
        Ok((answer.status, answer.body.to_vec()))
    }

    #[test]
    fn an_answer_is_read_however_it_is_cut() {
        let parts = &["HTTP/1.1 200 OK\r\nContent-Le", "ngth: 5\r\n\r", "\nhel", "lo"];
        assert_eq!(read(parts).unwrap(), (200, b"hello".to_vec()));
        assert_eq!(read(&["HTTP/1.1 304 Not Modified\r\n\r\n"]).unwrap().0, 304);
    }

    #[test]
    fn an_answer_that_is_none_is_an_error() {
        assert!(read(&["HTTP/1.1 200 OK\r\n\r\nhello"]).is_err(), "its length is not known");
        assert!(read(&["HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nhello"]).is_err(), "too much");
        assert!(read(&["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello"]).is_err(), "it breaks off");
    }

    #[test]
    fn a_request_tells_how_long_its_body_is() {
        let sent = String::from_utf8(request("POST", "/a", &[("x", "y")], "{}")).unwrap();
        assert_eq!(
            sent,
            "POST /a HTTP/1.1\r\nhost: shop.example\r\nx: y\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}"
        );
    }
}
