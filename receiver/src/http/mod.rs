//! A small HTTP/1.1 server for a few people and programs: a thread for each connection, one request each, everything with
//! a bound and a deadline. It knows nothing of senders, output, wall, metrics.
//!
//! `httparse`, the parser of `hyper`, reads the head. A server crate is not used: those for threads (`tiny_http`) have
//! neither a bound on connections nor a deadline for slow ones, and the others bring a runtime.

mod guard;
mod request;
mod response;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

pub use guard::{Guard, Refused, Token, TokenError};
pub use request::{Method, Request};
pub use response::{Response, Stream};

/// Connections at once.
const CONNECTIONS: usize = 64;
/// What a thread of a connection needs.
const STACK_BYTES: usize = 512 << 10;
/// How long a write may wait for who reads.
const WRITE: Duration = Duration::from_secs(10);
/// How long nothing is accepted after that failed, as there are too many open files.
const REST: Duration = Duration::from_millis(100);

/// What answers requests.
pub trait Site: Send + Sync + 'static {
    /// Answers one that the guard let pass, or has `stream` do so.
    fn answer(&self, request: &Request, stream: Stream<'_>) -> io::Result<()>;
    /// Who may come in.
    fn guard(&self) -> &Guard;
    /// Whether what this path has is for everybody: it tells nothing of any machine.
    fn is_open(&self, path: &str) -> bool;
}

/// A socket that listens.
#[derive(Debug)]
pub struct Server(TcpListener);

impl Server {
    /// Listens.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        TcpListener::bind(address).map(Server)
    }

    /// The address.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Serves, as long as the program runs.
    pub fn start(self, site: Arc<impl Site>) -> io::Result<()> {
        let work = move || self.accept(&site);
        thread::Builder::new().name("http".to_owned()).stack_size(STACK_BYTES).spawn(work).map(|_| ())
    }

    fn accept(&self, site: &Arc<impl Site>) {
        let open = Arc::new(AtomicUsize::new(0));
        loop {
            let Ok((stream, _)) = self.0.accept() else {
                thread::sleep(REST);
                continue;
            };
            let place = Place::take(&open);
            let site = Arc::clone(site);
            let work = move || {
                // Who has gone, or does not read, gets no answer.
                let _ = serve(&stream, &*site, place.is_some());
            };
            // Without a thread the connection is closed.
            let _ = thread::Builder::new().stack_size(STACK_BYTES).spawn(work);
        }
    }
}

/// A connection's place among all.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Place(Arc::clone(open));
        // Where it is not to be had, `place` gives back what was added.
        (open.fetch_add(1, Ordering::Relaxed) < CONNECTIONS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn serve(stream: &TcpStream, site: &impl Site, has_place: bool) -> io::Result<()> {
    stream.set_write_timeout(Some(WRITE))?;
    stream.set_nodelay(true)?;
    if !has_place {
        return Response::text(503, "too many connections\n").send(stream, true);
    }
    let request = match Request::read(stream) {
        Ok(request) => request,
        Err(request::Error::Closed) => return Ok(()),
        Err(error) => return Response::text(error.status(), &format!("{error}\n")).refuse(stream),
    };
    let with_body = request.method != Method::Head;
    if let Err(refused) = site.guard().check(&request, site.is_open(&request.path)) {
        return Response::text(refused.status(), &format!("{refused}\n")).send(stream, with_body);
    }
    site.answer(&request, Stream::new(stream, with_body))
}
