//! What `--http` serves: the counts for Prometheus, and whether the run gets on.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::complain::complain;
use crate::http::{self, Guard, Method, Request, Response, Server, Stream, Token, TokenError};
use crate::metrics;
use crate::options::Options;
use crate::question::{Asker, Question};

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
}

impl Site {
    /// Serves at an address as the options say.
    pub fn start(address: SocketAddr, options: &Options, run: Asker) -> Result<(), Error> {
        let failed = |error| Error::Listen(address, error);
        let server = Server::bind(address).map_err(failed)?;
        let token = match &options.http_token_file {
            Some(path) => Token::from_file(path).map_err(|error| Error::Token(path.clone(), error))?,
            None => Token::random().map_err(Error::Random)?,
        };
        let place = server.address().map_err(failed)?;
        let guard = Guard::new(address.ip(), options.http_host.clone(), Some(token.clone()));
        complain(format_args!("http://{place}/metrics and http://{place}/healthz"));
        if guard.is_closed() && options.http_token_file.is_none() {
            complain(format_args!(
                "the token of this run, as --http-token-file names none: {}",
                token.text()
            ));
        }
        server.start(Arc::new(Site { guard, run })).map_err(failed)
    }
}

impl http::Site for Site {
    fn answer(&self, request: &Request, stream: Stream<'_>) -> io::Result<()> {
        let text = match (request.method, request.path.as_str()) {
            (Method::Get | Method::Head, "/metrics") => match self.run.ask(Question::Metrics) {
                Some(metrics) => {
                    return stream.send(&Response::of(metrics::CONTENT_TYPE, metrics.text().as_bytes()));
                }
                None => (503, "the run does not get on, or ends\n"),
            },
            (Method::Get | Method::Head, "/healthz") => match self.run.ask(Question::Alive) {
                Some(()) => (200, "ok\n"),
                None => (503, "the run does not get on, or ends\n"),
            },
            (_, "/metrics" | "/healthz") | (Method::Other, _) => (405, "GET\n"),
            _ => (404, "there are /metrics and /healthz\n"),
        };
        stream.send(&Response::text(text.0, text.1))
    }

    fn guard(&self) -> &Guard {
        &self.guard
    }

    fn is_open(&self, path: &str) -> bool {
        path == "/healthz"
    }
}
