//! What `--http` serves: the wall, the counts for Prometheus, and whether the run gets on.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

use crate::complain::complain;
use crate::http::{self, Guard, Method, Request, Response, Server, Stream, Token, TokenError};
use crate::limits;
use crate::metrics;
use crate::options::Options;
use crate::question::{Asker, Question, Unsent};
use crate::wall::{Feed, Hello, PAGE, SCRIPT, STYLE, Wall};

const HANGS: &str = "the run does not get on, or ends\n";

/// Why nothing can be served.
#[derive(Debug)]
pub enum Error {
    /// The address can't be listened on.
    Listen(SocketAddr, io::Error),
    /// The token's file.
    Token(PathBuf, TokenError),
    /// No token can be made.
    Random(TokenError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Listen(address, error) => write!(f, "--http: can't listen on {address}: {error}"),
            Error::Token(path, error) => write!(f, "{}: {error}", path.display()),
            Error::Random(error) => write!(f, "no random numbers for a token: {error}"),
        }
    }
}

/// The pages.
#[derive(Debug)]
pub struct Site {
    guard: Guard,
    run: Asker,
    wall: Arc<Wall>,
    hello: Hello,
}

/// Whether an address can be listened on.
pub fn try_listen(address: SocketAddr) -> Result<(), Error> {
    TcpListener::bind(address).map(drop).map_err(|error| Error::Listen(address, error))
}

/// The token that the options name.
pub fn token(options: &Options) -> Result<Option<Token>, Error> {
    let read = |path: &PathBuf| Token::from_file(path).map_err(|error| Error::Token(path.clone(), error));
    options.http_token_file.as_ref().map(read).transpose()
}

/// A line for a console, as the page sends it.
#[derive(Deserialize)]
struct Typed {
    machine: String,
    line: String,
}

impl Site {
    /// Serves at an address as the options say.
    pub fn start(
        address: SocketAddr,
        options: &Options,
        token: Option<Token>,
        run: Asker,
        wall: &Arc<Wall>,
    ) -> Result<(), Error> {
        let failed = |error| Error::Listen(address, error);
        let server = Server::bind(address).map_err(failed)?;
        let is_own = token.is_none();
        let token = token.map_or_else(Token::random, Ok).map_err(Error::Random)?;
        let place = server.address().map_err(failed)?;
        let guard = Guard::new(address.ip(), options.http_host.clone(), Some(token.clone()));
        complain(format_args!(
            "http://{place}/ is the wall; it keeps {} lines of a machine, {} MiB of all",
            limits::WALL_LINES,
            (limits::WALL_BYTES + limits::WALL_DATAGRAMS_BYTES) >> 20
        ));
        let needs_token = guard.is_closed() || options.http_console;
        if needs_token && is_own {
            complain(format_args!(
                "the token of this run, as --http-token-file names none: {}",
                token.text()
            ));
        }
        let hello = Hello {
            version: env!("CARGO_PKG_VERSION"),
            console: options.http_console,
            silent_after: options.silent_after.as_secs(),
        };
        server.start(Arc::new(Site { guard, run, wall: Arc::clone(wall), hello })).map_err(failed)
    }

    fn metrics(&self, stream: Stream<'_>) -> io::Result<()> {
        match self.run.ask(Question::Metrics) {
            Some(metrics) => stream.send(&Response::of(metrics::CONTENT_TYPE, metrics.text().as_bytes())),
            None => stream.send(&Response::text(503, HANGS)),
        }
    }

    fn events(&self, request: &Request, stream: Stream<'_>) -> io::Result<()> {
        let find = request.parameter("find").unwrap_or_default();
        let mut feed = Feed::new(Arc::clone(&self.wall), self.hello, &find, request.parameter("machine"));
        stream.send_parts("text/event-stream", || Some(feed.wait()))
    }

    fn log(&self, request: &Request, stream: Stream<'_>) -> io::Result<()> {
        let machine = request.parameter("machine").unwrap_or_default();
        let (content_type, log) = match request.parameter("as").as_deref() {
            Some("json") => ("application/x-ndjson", self.wall.json(&machine)),
            Some("pcap") => ("application/vnd.tcpdump.pcap", self.wall.capture(&machine)),
            _ => return stream.send(&Response::text(400, "as: expected json or pcap\n")),
        };
        match log {
            Some(log) => stream.send(&Response::of(content_type, &log)),
            None => stream.send(&Response::text(404, "no machine has that name\n")),
        }
    }

    fn console(&self, request: &Request, stream: Stream<'_>) -> io::Result<()> {
        if !self.hello.console {
            return stream.send(&Response::text(403, "consoles are closed: --http-console opens them\n"));
        }
        let Ok(Typed { machine, line }) = serde_json::from_slice(&request.body) else {
            return stream.send(&Response::text(400, "expected {\"machine\": NAME, \"line\": TEXT}\n"));
        };
        let line = line.into_bytes();
        let sent = self.run.ask(|answer| Question::Line { machine, line, answer });
        let status = match sent {
            Some(Ok(())) => return stream.send(&Response::text(202, "sent\n")),
            None => return stream.send(&Response::text(503, HANGS)),
            Some(Err(Unsent::Unknown)) => 404,
            Some(Err(Unsent::Unfit)) => 400,
            Some(Err(Unsent::Full)) => 409,
        };
        let why = sent.and_then(Result::err).map_or(String::new(), |error| format!("{error}\n"));
        stream.send(&Response::text(status, &why))
    }
}

impl http::Site for Site {
    fn answer(&self, request: &Request, stream: Stream<'_>) -> io::Result<()> {
        let is_post = request.path == "/console";
        match request.method {
            Method::Get | Method::Head if !is_post => {}
            Method::Post if is_post => return self.console(request, stream),
            _ => return stream.send(&Response::text(405, if is_post { "POST\n" } else { "GET\n" })),
        }
        match request.path.as_str() {
            "/" => stream.send(&Response::of("text/html; charset=utf-8", PAGE.as_bytes())),
            "/wall.css" => stream.send(&Response::of("text/css; charset=utf-8", STYLE.as_bytes())),
            "/wall.js" => stream.send(&Response::of("text/javascript; charset=utf-8", SCRIPT.as_bytes())),
            "/events" => self.events(request, stream),
            "/log" => self.log(request, stream),
            "/metrics" => self.metrics(stream),
            "/healthz" => match self.run.ask(Question::Alive) {
                Some(()) => stream.send(&Response::text(200, "ok\n")),
                None => stream.send(&Response::text(503, HANGS)),
            },
            _ => stream.send(&Response::text(404, "there are /, /metrics and /healthz\n")),
        }
    }

    fn guard(&self) -> &Guard {
        &self.guard
    }

    /// The page itself, which is the same everywhere, and asks for the token.
    fn is_open(&self, path: &str) -> bool {
        matches!(path, "/" | "/wall.css" | "/wall.js" | "/healthz")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Duration;

    use clap::Parser;

    /// Nobody answers its questions.
    #[test]
    fn a_run_that_hangs_is_said_to() {
        let options = Options::try_parse_from([""]).expect("no options");
        let free =
            TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let wall = Arc::new(Wall::new(Duration::from_secs(60)));
        Site::start(free, &options, None, Asker::new(drop), &wall).expect("a free port");
        for path in ["/healthz", "/metrics"] {
            let mut stream = TcpStream::connect(free).expect("it listens");
            write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("text");
            assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with(HANGS), "{path}: {answer}");
        }
    }
}
