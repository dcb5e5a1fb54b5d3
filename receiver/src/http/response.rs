//! Answers, with what tells a browser to trust nothing else.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// Nothing but what comes from here, no script in the page, no frame around it.
const SECURITY: &str = "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
     X-Content-Type-Options: nosniff\r\n\
     X-Frame-Options: DENY\r\n\
     Referrer-Policy: no-referrer\r\n\
     Cross-Origin-Resource-Policy: same-origin\r\n\
     Cross-Origin-Opener-Policy: same-origin\r\n\
     Cache-Control: no-store\r\n";
/// So long and so much is read of a request that was refused, so that its sender sees the answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 << 10;

/// An answer.
#[derive(Debug)]
pub struct Response<'a> {
    /// The status.
    pub status: u16,
    /// What the body is.
    pub content_type: &'a str,
    /// Further header fields, each with its end of line.
    pub fields: String,
    /// The body.
    pub body: &'a [u8],
}

impl<'a> Response<'a> {
    /// A line of text.
    pub fn text(status: u16, text: &'a str) -> Self {
        Self::of("text/plain; charset=utf-8", text.as_bytes()).with_status(status)
    }

    /// Something that is there.
    pub fn of(content_type: &'a str, body: &'a [u8]) -> Self {
        Response { status: 200, content_type, fields: String::new(), body }
    }

    /// With another status.
    pub fn with_status(self, status: u16) -> Self {
        let fields = match status {
            401 => "WWW-Authenticate: Bearer\r\n".to_owned(),
            405 if self.body == b"POST\n" => "Allow: POST\r\n".to_owned(),
            405 => "Allow: GET, HEAD\r\n".to_owned(),
            _ => self.fields,
        };
        Response { status, fields, ..self }
    }

    /// Sends it, and says that nothing follows.
    pub fn send(&self, mut stream: &TcpStream, with_body: bool) -> io::Result<()> {
        let Response { status, content_type, fields, body } = self;
        let mut bytes = head(*status, content_type, fields);
        bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        if with_body {
            bytes.extend_from_slice(body);
        }
        stream.write_all(&bytes)?;
        stream.shutdown(Shutdown::Write)
    }

    /// Sends it where the request was not read to its end. What is unread when a connection is closed takes the answer
    /// with it.
    pub fn refuse(&self, mut stream: &TcpStream) -> io::Result<()> {
        self.send(stream, true)?;
        let (until, mut rest, mut buffer) = (Instant::now() + LINGER, LINGER_BYTES, [0; 4096]);
        while rest > 0 {
            let time = until.saturating_duration_since(Instant::now());
            if time.is_zero() {
                break;
            }
            stream.set_read_timeout(Some(time))?;
            match stream.read(&mut buffer)? {
                0 => break,
                length => rest = rest.saturating_sub(length),
            }
        }
        Ok(())
    }
}

fn head(status: u16, content_type: &str, fields: &str) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "",
    };
    format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nConnection: close\r\n{SECURITY}{fields}"
    )
    .into_bytes()
}

/// Where an answer goes.
#[derive(Debug)]
pub struct Stream<'a> {
    stream: &'a TcpStream,
    with_body: bool,
}

impl<'a> Stream<'a> {
    /// By this connection.
    pub fn new(stream: &'a TcpStream, with_body: bool) -> Self {
        Stream { stream, with_body }
    }

    /// A whole answer.
    pub fn send(self, response: &Response<'_>) -> io::Result<()> {
        response.send(self.stream, self.with_body)
    }

    /// An answer that goes on: `next` gives its parts, as long as it and the reader like to.
    pub fn send_parts(
        mut self,
        content_type: &str,
        mut next: impl FnMut() -> Option<Vec<u8>>,
    ) -> io::Result<()> {
        let mut bytes = head(200, content_type, "");
        bytes.extend_from_slice(b"\r\n");
        self.stream.write_all(&bytes)?;
        while self.with_body {
            let Some(part) = next() else { break };
            self.stream.write_all(&part)?;
            if self.is_closed() {
                break;
            }
        }
        self.stream.shutdown(Shutdown::Write)
    }

    /// Whether the reader has gone. It has nothing more to say.
    fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        if self.stream.set_nonblocking(true).is_err() {
            return true;
        }
        let read = self.stream.read(&mut byte);
        let is_blocking = self.stream.set_nonblocking(false).is_ok();
        let is_open = matches!(&read, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        !(is_open && is_blocking)
    }
}
