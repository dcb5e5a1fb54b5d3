//! Sinks: other programs and machines that records are sent to. Each is an output of its own, with its queue, its thread,
//! its tries and its counts.

mod delivery;
mod entry;
#[cfg(feature = "http-sinks")]
mod export;
#[cfg(feature = "http-sinks")]
mod http;
mod journal;
#[cfg(feature = "http-sinks")]
mod loki;
#[cfg(feature = "http-sinks")]
mod otlp;
mod syslog;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "http-sinks")]
mod webhook;

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::error::Error;
use super::lane::{Batch, Lane, TOO_SLOW, Whose};
use super::places::Place;
use crate::event::{Event, Heard, Identity};
use crate::options::{Options, Syslog, Transport};
use crate::symbols::Translation;
use delivery::Delivery;
use entry::{Encode, Entry};

/// Between a name and its number.
const NUMBER: &str = " #";

/// One of them.
pub struct Sink {
    lane: Lane,
    encoder: Box<dyn Encode>,
}

impl Sink {
    /// All that the options name.
    pub fn open(options: &Options) -> Result<Vec<Sink>, Error> {
        let waits = options.read.is_some();
        let mut sinks = Vec::new();
        for to in &options.syslog {
            syslog(to, options, waits, &mut sinks)?;
        }
        for to in &options.journal {
            if !is_url(to) {
                let socket = journal::Socket::new(PathBuf::from(to));
                let encoder = Box::new(journal::Entries::new(false));
                Sink::start(&mut sinks, format!("--journal {to}"), "records", waits, encoder, socket)?;
            }
        }
        #[cfg(feature = "http-sinks")]
        by_http(options, waits, &mut sinks)?;
        #[cfg(not(feature = "http-sinks"))]
        none_by_http(options)?;
        Ok(sinks)
    }

    /// Adds one. Where others have its name it gets a number, too: each has counts of its own.
    fn start(
        sinks: &mut Vec<Sink>,
        name: String,
        unit: &'static str,
        waits: bool,
        encoder: Box<dyn Encode>,
        delivery: impl Delivery + Send + 'static,
    ) -> Result<(), Error> {
        let same = sinks.iter().filter(|sink| sink.lane.name().split(NUMBER).next() == Some(&name)).count();
        let name = if same == 0 { name } else { format!("{name}{NUMBER}{}", same.saturating_add(1)) };
        let named = name.clone();
        let lane = Lane::start(name, unit, waits, move |queue, counts| {
            delivery::run(delivery, (&named, unit), queue, counts)
        })?;
        sinks.push(Sink { lane, encoder });
        Ok(())
    }

    /// Collects an event.
    pub fn event(&mut self, at: Duration, heard: &Heard, translation: &Translation) {
        let Sink { lane, encoder } = self;
        let entry = Entry { at, heard, translation };
        if lane.batch.put(&heard.sender.name, Place::Flat, |bytes| encoder.encode(bytes, &entry)) {
            lane.batch.records = lane.batch.records.saturating_add(1);
        }
        if lane.is_full() {
            self.flush();
        }
    }

    /// Hands on what was collected.
    pub fn flush(&mut self) {
        let Sink { lane, encoder } = self;
        lane.flush(|batch, whose, count| tell(batch, &mut **encoder, whose, count));
    }

    /// Its queue's end.
    pub fn lane(&self) -> &Lane {
        &self.lane
    }

    /// The same.
    pub fn lane_mut(&mut self) -> &mut Lane {
        &mut self.lane
    }
}

/// Tells that records of this sender were lost here.
fn tell(batch: &mut Batch, encoder: &mut dyn Encode, whose: &Whose, count: u64) {
    let Some((name, place)) = whose else { return };
    let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let sender = Rc::new(Identity { address, name: name.clone(), named: true });
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let heard = Heard { sender, at, event: Event::Lost { count, reason: TOO_SLOW.to_owned() } };
    let entry = Entry { at, heard: &heard, translation: &Translation::default() };
    batch.put(name, *place, |bytes| encoder.encode(bytes, &entry));
}

fn is_url(to: &str) -> bool {
    to.starts_with("http://") || to.starts_with("https://")
}

fn syslog(to: &Syslog, options: &Options, waits: bool, sinks: &mut Vec<Sink>) -> Result<(), Error> {
    let name = format!("--syslog {to}");
    #[cfg(feature = "tls")]
    let forward = {
        let client = || tls::authorities(options.ca.as_deref()).and_then(|ca| tls::Client::new(&ca));
        let client = (to.transport == Transport::Tls).then(client).transpose();
        syslog::Forward::new(to.clone(), client.map_err(|error| Error::Sink(name.clone(), error))?)
    };
    #[cfg(not(feature = "tls"))]
    let forward = {
        let _ = options;
        if to.transport == Transport::Tls {
            return Err(Error::Sink(name, "this program was built without TLS: its feature tls".to_owned()));
        }
        syslog::Forward::new(to.clone())
    };
    Sink::start(sinks, name, "records", waits, Box::new(syslog::Messages::default()), forward)
}

#[cfg(feature = "http-sinks")]
fn by_http(options: &Options, waits: bool, sinks: &mut Vec<Sink>) -> Result<(), Error> {
    let journals = options.journal.iter().filter(|to| is_url(to));
    let is_any = !options.otlp.is_empty() || !options.loki.is_empty() || !options.webhook.is_empty();
    if !is_any && journals.clone().next().is_none() {
        return Ok(());
    }
    #[cfg(feature = "tls")]
    let config = {
        let authorities = tls::authorities(options.ca.as_deref());
        http::config(&authorities.map_err(|error| Error::Sink("--ca".to_owned(), error))?)
    };
    #[cfg(not(feature = "tls"))]
    let config = http::config();
    let mut add = Adding { waits, config, sinks };
    for url in &options.otlp {
        add.post::<otlp::Export>("--otlp", url, Box::new(otlp::Logs))?;
    }
    for url in &options.loki {
        add.post::<loki::Push>("--loki", url, Box::new(loki::Lines::default()))?;
    }
    for url in journals {
        add.post::<export::Upload>("--journal", url, Box::new(journal::Entries::new(true)))?;
    }
    for url in &options.webhook {
        add.post::<webhook::Call>("--webhook", url, Box::new(webhook::Reports::default()))?;
    }
    Ok(())
}

/// A URL as others may see it: a user's name and password, what is behind the path, and of a webhook the path too, may be
/// secrets.
#[cfg(feature = "http-sinks")]
fn shown(url: &str, has_secret_path: bool) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{}", if has_secret_path { "" } else { path })
}

/// Adds sinks that are alike.
#[cfg(feature = "http-sinks")]
struct Adding<'a> {
    waits: bool,
    config: ureq::config::Config,
    sinks: &'a mut Vec<Sink>,
}

#[cfg(feature = "http-sinks")]
impl Adding<'_> {
    fn post<F: http::Format + Send + 'static>(
        &mut self,
        option: &str,
        url: &str,
        encoder: Box<dyn Encode>,
    ) -> Result<(), Error> {
        let name = format!("{option} {}", shown(url, option == "--webhook"));
        let post = http::Post::<F>::new(url, self.config.clone());
        let post = post.map_err(|error| Error::Sink(name.clone(), error))?;
        Sink::start(self.sinks, name, F::UNIT, self.waits, encoder, post)
    }
}

#[cfg(not(feature = "http-sinks"))]
fn none_by_http(options: &Options) -> Result<(), Error> {
    let journals = options.journal.iter().filter(|to| is_url(to));
    let mut urls = options.otlp.iter().chain(&options.loki).chain(&options.webhook).chain(journals);
    urls.try_for_each(|url| {
        let why = "this program was built without what goes out by HTTP: its feature http-sinks";
        Err(Error::Sink(url.clone(), why.to_owned()))
    })
}

#[cfg(all(test, feature = "http-sinks"))]
mod tests {
    use super::*;
    use clap::Parser;

    /// Or their counts would be one series of two values.
    #[test]
    fn each_has_a_name_of_its_own() {
        let [one, other] = [1, 2].map(|secret| format!("--webhook=http://127.0.0.1:1/{secret}"));
        let arguments = ["", &one, &other, "--syslog=udp://127.0.0.1:1", &other];
        let options = Options::try_parse_from(arguments).expect("options");
        let sinks = Sink::open(&options).expect("nothing is asked yet");
        let names: Vec<_> = sinks.iter().map(|sink| sink.lane.name()).collect();
        let webhook = "--webhook http://127.0.0.1:1";
        let numbered = [2, 3].map(|number| format!("{webhook} #{number}"));
        assert_eq!(names, ["--syslog udp://127.0.0.1:1", webhook, &numbered[0], &numbered[1]]);
    }

    #[test]
    fn no_secret_of_a_url_is_shown() {
        assert_eq!(
            shown("https://me:pass@logs.example:3100/loki/api/v1/push?key=1", false),
            "https://logs.example:3100/loki/api/v1/push"
        );
        assert_eq!(shown("https://hooks.example/services/T0/B0/secret", true), "https://hooks.example");
        assert_eq!(shown("https://hooks.example#x", true), "https://hooks.example");
    }
}
