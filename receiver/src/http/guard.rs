//! Who may come in: the host that a request names, the page that it comes from, and the token.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use super::request::{Method, Request};

/// A token has at least so many characters.
const LEAST: usize = 16;

/// What proves that somebody may come in.
#[derive(Clone)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Why there is none.
#[derive(Debug)]
pub enum TokenError {
    /// The file can't be read, or the system gives no random numbers.
    Io(io::Error),
    /// It is too short, or not of visible ASCII.
    Unfit,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenError::Io(error) => error.fmt(f),
            TokenError::Unfit => write!(
                f,
                "expected a token of at least {LEAST} visible ASCII characters, as openssl rand -hex 16 makes it"
            ),
        }
    }
}

impl Token {
    /// The one in a file.
    pub fn from_file(path: &Path) -> Result<Self, TokenError> {
        let text = fs::read_to_string(path).map_err(TokenError::Io)?;
        let token = text.trim();
        let is_fit = token.len() >= LEAST && token.bytes().all(|byte| byte.is_ascii_graphic());
        if is_fit { Ok(Token(token.to_owned())) } else { Err(TokenError::Unfit) }
    }

    /// Another one for each run.
    pub fn random() -> Result<Self, TokenError> {
        let mut bytes = [0u8; 16];
        File::open("/dev/urandom")
            .and_then(|mut file| file.read_exact(&mut bytes))
            .map_err(TokenError::Io)?;
        Ok(Token(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// To be shown to the person who started the program.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Takes as long wherever they differ.
    fn is(&self, other: &str) -> bool {
        let differ = self.0.bytes().zip(other.bytes()).fold(0, |differ, (one, other)| differ | (one ^ other));
        self.0.len() == other.len() && differ == 0
    }
}

/// Who may come in.
#[derive(Debug)]
pub struct Guard {
    /// Names by which this host may be called, beside its addresses and `localhost`.
    hosts: Vec<String>,
    /// Reading needs the token, too.
    is_closed: bool,
    token: Option<Token>,
}

/// Why somebody may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The host that is named is not this one: a page of that name may be behind it (DNS rebinding).
    Host,
    /// It comes from another page.
    Origin,
    /// The token is missing or wrong.
    Token,
}

impl Refused {
    /// The status that says so.
    pub fn status(self) -> u16 {
        match self {
            Refused::Host => 421,
            Refused::Origin => 403,
            Refused::Token => 401,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::Host => {
                "Host: expected an address, localhost, or a name that --http-host of netconsole-receiver allows"
            }
            Refused::Origin => "Origin: another page must not do this",
            Refused::Token => "the token is missing or wrong: Authorization: Bearer TOKEN",
        })
    }
}

impl Guard {
    /// For a server at this address. Only on loopback may be read without the token.
    pub fn new(ip: IpAddr, hosts: Vec<String>, token: Option<Token>) -> Self {
        Guard { hosts, is_closed: !ip.to_canonical().is_loopback(), token }
    }

    /// Whether reading needs the token.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Lets a request pass or not; `is_open`: what it is about is for everybody.
    pub fn check(&self, request: &Request, is_open: bool) -> Result<(), Refused> {
        let host = request.field("host").filter(|host| self.knows(host)).ok_or(Refused::Host)?;
        match (request.count("origin"), request.field("origin")) {
            (0, _) => {}
            (1, Some(origin)) if is_of(origin, host) => {}
            _ => return Err(Refused::Origin),
        }
        let changes = !matches!(request.method, Method::Get | Method::Head);
        let needs_token = changes || self.is_closed && !is_open;
        if !needs_token || self.has_token(request) { Ok(()) } else { Err(Refused::Token) }
    }

    fn has_token(&self, request: &Request) -> bool {
        let (Some(token), Some(given)) = (&self.token, request.field("authorization")) else { return false };
        let scheme = given.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        scheme.is_some_and(|(_, given)| token.is(given.trim()))
    }

    /// An address can't be another page's name.
    fn knows(&self, host: &str) -> bool {
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        if let Some((ip, port)) = bracketed {
            return ip.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || is_port(port.strip_prefix(':')));
        }
        let (name, port) = host.split_once(':').unwrap_or((host, "0"));
        let is_known = name.eq_ignore_ascii_case("localhost")
            || name.parse::<IpAddr>().is_ok()
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name));
        is_known && is_port(Some(port))
    }
}

fn is_port(port: Option<&str>) -> bool {
    port.is_some_and(|port| port.parse::<u16>().is_ok())
}

/// Whether a page's origin is the host itself. A proxy before it may speak TLS.
fn is_of(origin: &str, host: &str) -> bool {
    let place = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    place.is_some_and(|place| place.eq_ignore_ascii_case(host))
}
