//! Records as the bodies of HTTP requests.

use std::marker::PhantomData;
use std::time::Duration;

use ureq::Agent;
use ureq::config::Config;
use ureq::http::header::{CONTENT_TYPE, RETRY_AFTER};
use ureq::http::{Response, StatusCode, Uri};

use super::delivery::{Delivery, Failure};
use crate::output::lane::Batch;

/// How long a connection may take, and a request with its answer.
const CONNECT_MOST: Duration = Duration::from_secs(10);
const REQUEST_MOST: Duration = Duration::from_secs(30);
/// How long records wait for others, of which a request can carry very many.
const LINGER: Duration = Duration::from_millis(200);
/// Bytes of an answer that are looked at, and shown.
const ANSWER_BYTES: u64 = 64 << 10;
const SHOWN_CHARACTERS: usize = 200;

/// What the other side takes.
pub trait Format {
    /// The path of the URL where the user gives none.
    const PATH: &str;
    /// The content's type.
    const TYPE: &str;
    /// What is counted.
    const UNIT: &str = "records";

    /// The bodies of the requests that a batch becomes, each with how many records are in it.
    fn bodies(batch: &Batch) -> Vec<(Vec<u8>, u64)>;

    /// What an answer says that means success.
    fn judge(_answer: &[u8]) -> Result<(), Failure> {
        Ok(())
    }
}

/// A URL to which requests go.
#[derive(Debug)]
pub struct Post<F> {
    agent: Agent,
    url: String,
    /// Requests of the present batch that were taken.
    sent: usize,
    /// What was refused of it, and why.
    refused: (u64, String),
    format: PhantomData<F>,
}

impl<F: Format> Post<F> {
    /// To this URL, or to `PATH` on its host.
    pub fn new(url: &str, config: Config) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("no URL: {error}"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
            return Err("expected a URL, http://HOST:PORT or https://HOST".to_owned());
        }
        if uri.scheme_str() == Some("https") && !cfg!(feature = "tls") {
            return Err("this program was built without https: its feature tls".to_owned());
        }
        let is_bare = uri.path_and_query().is_none_or(|path| path.as_str() == "/");
        let url = if is_bare { format!("{}{}", url.trim_end_matches('/'), F::PATH) } else { url.to_owned() };
        Ok(Post { agent: config.into(), url, sent: 0, refused: (0, String::new()), format: PhantomData })
    }

    fn post(&self, body: &[u8], records: u64) -> Result<(), Failure> {
        let sent = self.agent.post(&self.url).header(CONTENT_TYPE, F::TYPE).send(body);
        let mut response = sent.map_err(Failure::again)?;
        let status = response.status();
        let answer = response.body_mut().with_config().limit(ANSWER_BYTES).read_to_vec().unwrap_or_default();
        if status.is_success() {
            return F::judge(&answer);
        }
        let said = String::from_utf8_lossy(&answer);
        let said: String = said.trim().escape_debug().take(SHOWN_CHARACTERS).collect();
        let why = format!("answered {status}{}{said}", if said.is_empty() { "" } else { ": " });
        // These are about what was sent: it would be refused again.
        let is_final = matches!(
            status,
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY
        );
        if is_final {
            Err(Failure::Refused(records, why))
        } else {
            Err(Failure::Again(why, after(&response)))
        }
    }
}

/// When the other side wants to be asked again.
fn after<T>(response: &Response<T>) -> Duration {
    let seconds = response.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or_default())
}

impl<F: Format> Delivery for Post<F> {
    const LINGER: Duration = LINGER;

    fn deliver(&mut self, batch: &Batch) -> Result<(), Failure> {
        for (body, records) in F::bodies(batch).into_iter().skip(self.sent) {
            match self.post(&body, records) {
                Ok(()) => {}
                Err(Failure::Refused(records, why)) => {
                    self.refused = (self.refused.0.saturating_add(records), why);
                }
                Err(again) => return Err(again),
            }
            self.sent = self.sent.saturating_add(1);
        }
        self.sent = 0;
        match std::mem::take(&mut self.refused) {
            (0, _) => Ok(()),
            (records, why) => Err(Failure::Refused(records, why)),
        }
    }
}

/// How requests are made.
pub fn config(#[cfg(feature = "tls")] authorities: &[rustls::pki_types::CertificateDer<'static>]) -> Config {
    let config = Agent::config_builder()
        .timeout_connect(Some(CONNECT_MOST))
        .timeout_global(Some(REQUEST_MOST))
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(concat!("netconsole-receiver/", env!("CARGO_PKG_VERSION")));
    #[cfg(feature = "tls")]
    let config = {
        use std::sync::Arc;
        let roots: Vec<_> =
            authorities.iter().map(|der| ureq::tls::Certificate::from_der(der).to_owned()).collect();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ureq::tls::TlsConfig::builder()
            .root_certs(ureq::tls::RootCerts::new_with_certs(&roots))
            .unversioned_rustls_crypto_provider(provider);
        config.tls_config(tls.build())
    };
    config.build()
}
