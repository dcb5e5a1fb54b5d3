//! A request, read with a bound and a deadline.

use std::fmt;
use std::io::{self, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Bytes of a head.
const HEAD_BYTES: usize = 16 << 10;
/// Header fields.
const FIELDS: usize = 64;
/// Bytes of a body.
const BODY_BYTES: usize = 8 << 10;
/// How long a whole request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// To read.
    Get,
    /// The head alone.
    Head,
    /// To change something.
    Post,
    /// Something else.
    Other,
}

/// A request.
#[derive(Debug)]
pub struct Request {
    /// What is wanted.
    pub method: Method,
    /// The path, as it came.
    pub path: String,
    /// Behind the question mark, as it came.
    query: String,
    fields: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is none.
#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    /// The connection was closed.
    Closed,
    /// It took too long.
    Slow,
    /// The head is too long.
    Head,
    /// The body is too long.
    Body,
    /// It is not as HTTP/1.1 has it (RFC 9112); why.
    Malformed(&'static str),
}

impl Error {
    /// The status that says so.
    pub fn status(&self) -> u16 {
        match self {
            Error::Closed | Error::Malformed(_) => 400,
            Error::Slow => 408,
            Error::Head => 431,
            Error::Body => 413,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Closed => f.write_str("the connection was closed"),
            Error::Slow => write!(f, "the request took more than {} s", PATIENCE.as_secs()),
            Error::Head => write!(f, "the head has more than {HEAD_BYTES} bytes or {FIELDS} fields"),
            Error::Body => write!(f, "the body has more than {BODY_BYTES} bytes"),
            Error::Malformed(why) => write!(f, "malformed: {why}"),
        }
    }
}

impl Request {
    /// Reads one.
    pub fn read(stream: &TcpStream) -> Result<Self, Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut bytes = Vec::new();
        let (mut request, start) = loop {
            if let Some(head) = parse(&bytes)? {
                break head;
            }
            if bytes.len() >= HEAD_BYTES {
                return Err(Error::Head);
            }
            read_some(stream, deadline, &mut bytes)?;
        };
        let length = request.body_length()?;
        while bytes.len().saturating_sub(start) < length {
            read_some(stream, deadline, &mut bytes)?;
        }
        request.body = bytes.get(start..start.saturating_add(length)).unwrap_or_default().to_vec();
        Ok(request)
    }

    /// The value of a header field that comes once; `None` where it is missing or comes more than once.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// How often a header field comes.
    pub fn count(&self, name: &str) -> usize {
        self.fields(name).count()
    }

    fn fields(&self, name: &str) -> impl Iterator<Item = &str> {
        let is_it = move |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        self.fields.iter().filter(is_it).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    fn body_length(&self) -> Result<usize, Error> {
        if self.count("transfer-encoding") > 0 {
            return Err(Error::Malformed("a body in pieces is not taken"));
        }
        match (self.count("content-length"), self.field("content-length")) {
            (0, _) => Ok(0),
            (1, Some(length)) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                let length = length.parse().map_err(|_| Error::Malformed("no length"))?;
                if length > BODY_BYTES { Err(Error::Body) } else { Ok(length) }
            }
            _ => Err(Error::Malformed("no single length")),
        }
    }
}

/// The head, and where the body begins; `None` where more of it is to come.
fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, Error> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let start = match head.parse(bytes) {
        Ok(httparse::Status::Complete(start)) => start,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Error::Head),
        Err(_) => return Err(Error::Malformed("no head")),
    };
    let method = match head.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("POST") => Method::Post,
        _ => Method::Other,
    };
    let target = head.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let text = |value: &[u8]| str::from_utf8(value).map(str::to_owned);
    let field = |field: &httparse::Header<'_>| Ok((field.name.to_owned(), text(field.value)?));
    let fields: Result<Vec<_>, std::str::Utf8Error> = head.headers.iter().map(field).collect();
    let fields = fields.map_err(|_| Error::Malformed("a field that is no text"))?;
    let request =
        Request { method, path: path.to_owned(), query: query.to_owned(), fields, body: Vec::new() };
    Ok(Some((request, start)))
}

fn read_some(mut stream: &TcpStream, deadline: Instant, to: &mut Vec<u8>) -> Result<(), Error> {
    let rest = deadline.saturating_duration_since(Instant::now());
    if rest.is_zero() {
        return Err(Error::Slow);
    }
    stream.set_read_timeout(Some(rest)).map_err(|_| Error::Closed)?;
    let mut buffer = [0; 2048];
    match stream.read(&mut buffer) {
        Ok(0) => Err(Error::Closed),
        Ok(length) => {
            to.extend_from_slice(buffer.get(..length).unwrap_or_default());
            Ok(())
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            Err(Error::Slow)
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        Err(_) => Err(Error::Closed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body_length(fields: &str) -> Result<usize, Error> {
        let head = format!("POST /x?a=1&b=%20c+d HTTP/1.1\r\n{fields}\r\n");
        let (request, start) = parse(head.as_bytes()).expect("a head").expect("a whole one");
        assert_eq!((start, request.path.as_str(), request.method), (head.len(), "/x", Method::Post));
        assert_eq!(request.parameter("b").as_deref(), Some(" c d"));
        request.body_length()
    }

    /// What two servers could understand differently is refused (RFC 9112, 6.3).
    #[test]
    fn a_body_has_one_length() {
        assert_eq!(body_length(""), Ok(0));
        assert_eq!(body_length("Content-Length: 12\r\n"), Ok(12));
        assert_eq!(body_length("Content-Length: 8193\r\n"), Err(Error::Body));
        for fields in [
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: 1, 1\r\n",
            "Content-Length: 99999999999999999999999999\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        ] {
            assert!(matches!(body_length(fields), Err(Error::Malformed(_))), "{fields}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..400), text in "(GET|POST|X) /[ -~]{0,20} HTTP/1.[01]\r\n([ -~]{0,20}:[ -~]{0,20}\r\n){0,4}(\r\n)?") {
            for bytes in [&bytes[..], text.as_bytes()] {
                if let Ok(Some((request, start))) = parse(bytes) {
                    prop_assert!(start <= bytes.len());
                    let _ = (request.body_length(), request.parameter("a"));
                }
            }
        }
    }
}
