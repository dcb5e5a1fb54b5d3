//! Syslog messages of RFC 5424, by UDP (RFC 5426), TCP with counted octets (RFC 6587 section 3.4.1) or TLS (RFC 5425).

use std::borrow::Cow;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use super::delivery::{Delivery, Failure};
use super::entry::{Encode, Entry, Key, Value};
#[cfg(feature = "tls")]
use super::tls;
use crate::complain::complain;
use crate::options::{Syslog, Transport};
use crate::output::json::Stamp;
use crate::output::lane::Batch;

/// Longest names (RFC 5424 section 6).
const HOST_BYTES: usize = 255;
const APPLICATION_BYTES: usize = 48;
const PROCESS_BYTES: usize = 128;
const MESSAGE_ID_BYTES: usize = 32;
const PARAMETER_BYTES: usize = 32;
/// The longest message of a datagram, and what is in the place of a longer one's end.
const DATAGRAM_BYTES: usize = 65_507;
const CUT: &str = "…";
/// How long a connection may take, and a write.
const CONNECT_MOST: Duration = Duration::from_secs(10);
const WRITE_MOST: Duration = Duration::from_secs(30);
/// How long the end waits for the other side to close the connection, too.
const CLOSE_MOST: Duration = Duration::from_secs(2);

/// Writes messages.
#[derive(Debug, Default)]
pub struct Messages(Stamp);

impl Encode for Messages {
    fn encode(&mut self, to: &mut Vec<u8>, entry: &Entry<'_>) {
        let record = entry.record();
        let priority = entry.facility().saturating_mul(8).saturating_add(entry.priority());
        to.push(b'<');
        to.extend_from_slice(itoa::Buffer::new().format(priority).as_bytes());
        to.extend_from_slice(b">1 ");
        self.0.write(to, entry.at);
        word(to, Some(&entry.heard.sender.name), HOST_BYTES);
        let origin = record.and_then(|record| record.origin.as_deref());
        let application = origin.map_or(Some(entry.speaker()), |origin| origin.application.as_deref());
        word(to, application, APPLICATION_BYTES);
        word(to, origin.and_then(|origin| origin.process.as_deref()), PROCESS_BYTES);
        word(to, origin.and_then(|origin| origin.message_id.as_deref()), MESSAGE_ID_BYTES);
        let mut fields = Vec::new();
        to.extend_from_slice(b" [netconsole@32473");
        entry.each(|key, value| match key {
            // They are in the header.
            Key::Own("application" | "process" | "message_id") => {}
            Key::Own(key) => parameter(to, key, value),
            Key::Field(key) => parameter(&mut fields, key, value),
        });
        to.push(b']');
        if !fields.is_empty() {
            to.extend_from_slice(b"[fields@32473");
            to.append(&mut fields);
            to.push(b']');
        }
        to.push(b' ');
        to.extend_from_slice(entry.text().as_bytes());
    }
}

/// A space, and a word of the header: printable ASCII.
fn word(to: &mut Vec<u8>, word: Option<&str>, most: usize) {
    to.push(b' ');
    let word = word.filter(|word| !word.is_empty()).unwrap_or("-");
    to.extend(word.chars().take(most).map(|character| match character {
        '!'..='~' => character as u8,
        _ => b'_',
    }));
}

fn parameter(to: &mut Vec<u8>, name: &str, value: Value<'_>) {
    to.push(b' ');
    to.extend(name.chars().take(PARAMETER_BYTES).map(|character| match character {
        '=' | ']' | '"' => b'_',
        '!'..='~' => character as u8,
        _ => b'_',
    }));
    to.extend_from_slice(b"=\"");
    match value {
        Value::Number(number) => to.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        Value::Yes => to.extend_from_slice(b"true"),
        Value::Text(text) => {
            for byte in text.bytes() {
                if matches!(byte, b'"' | b'\\' | b']') {
                    to.push(b'\\');
                }
                to.push(byte);
            }
        }
    }
    to.push(b'"');
}

/// What a datagram holds of a message: of a longer one all up to a whole character, and that its end is missing.
fn fitting(message: &[u8]) -> Cow<'_, [u8]> {
    if message.len() <= DATAGRAM_BYTES {
        return message.into();
    }
    let is_further = |byte: &u8| byte & 0xc0 == 0x80;
    let mut end = DATAGRAM_BYTES - CUT.len();
    while end > 0 && message.get(end).is_some_and(is_further) {
        end -= 1;
    }
    let head = message.get(..end).unwrap_or_default();
    [head, CUT.as_bytes()].concat().into()
}

/// The way to a syslog server.
#[derive(Debug)]
pub struct Forward {
    to: Syslog,
    #[cfg(feature = "tls")]
    tls: Option<tls::Client>,
    way: Way,
    /// Messages of the present batch that were sent.
    sent: usize,
    /// That a message was too long was said.
    cut_is_said: bool,
    /// What was sent last by the present connection: where it is reset, the other side may not have read that.
    last: Vec<u8>,
    last_records: u64,
}

/// How messages go.
#[derive(Debug)]
enum Way {
    None,
    Datagrams(UdpSocket),
    Stream(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<tls::Stream>),
}

impl Forward {
    /// A way there, which is opened when there is something to send.
    pub fn new(to: Syslog, #[cfg(feature = "tls")] tls: Option<tls::Client>) -> Self {
        Forward {
            to,
            #[cfg(feature = "tls")]
            tls,
            way: Way::None,
            sent: 0,
            cut_is_said: false,
            last: Vec::new(),
            last_records: 0,
        }
    }

    fn connect(&self) -> io::Result<Way> {
        let Syslog { transport, host, port } = &self.to;
        let addresses: Vec<SocketAddr> = (host.as_str(), *port).to_socket_addrs()?.collect();
        if *transport == Transport::Udp {
            let to = addresses.first().ok_or(ErrorKind::NotFound)?;
            let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(from)?;
            socket.connect(to)?;
            return Ok(Way::Datagrams(socket));
        }
        let mut failed = io::Error::from(ErrorKind::NotFound);
        for address in &addresses {
            match TcpStream::connect_timeout(address, CONNECT_MOST) {
                Ok(stream) => {
                    stream.set_write_timeout(Some(WRITE_MOST))?;
                    stream.set_read_timeout(Some(CONNECT_MOST))?;
                    #[cfg(feature = "tls")]
                    if let Some(client) = &self.tls {
                        return client.connect(stream, host).map(|stream| Way::Tls(Box::new(stream)));
                    }
                    return Ok(Way::Stream(stream));
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Notices that the other side has gone, before something is sent. Where it was killed with what it had not read, the
    /// last messages go again.
    fn look(&mut self) -> io::Result<()> {
        // A syslog server says nothing, but where TLS does, that is read.
        let mut said = [0; 512];
        let looked = match &mut self.way {
            Way::Stream(stream) => {
                stream.set_nonblocking(true)?;
                let looked = stream.read(&mut said);
                stream.set_nonblocking(false)?;
                looked
            }
            #[cfg(feature = "tls")]
            Way::Tls(stream) => {
                stream.get_ref().set_nonblocking(true)?;
                let looked = stream.read(&mut said);
                stream.get_ref().set_nonblocking(false)?;
                looked
            }
            Way::None | Way::Datagrams(_) => return Ok(()),
        };
        match looked {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Ok(1..) => return Ok(()),
            Ok(0) => self.last.clear(),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => self.last.clear(),
            Err(_) => {}
        }
        self.way = Way::None;
        Ok(())
    }

    fn put(&mut self, batch: &Batch) -> io::Result<()> {
        self.look()?;
        self.put_last()?;
        match &self.way {
            Way::Datagrams(_) => self.put_datagrams(batch),
            _ => {
                let mut bytes = Vec::new();
                for (_, message) in batch.records() {
                    bytes.extend_from_slice(itoa::Buffer::new().format(message.len()).as_bytes());
                    bytes.push(b' ');
                    bytes.extend_from_slice(message);
                }
                self.write(&bytes)?;
                (self.last, self.last_records) = (bytes, batch.records);
                Ok(())
            }
        }
    }

    /// Opens a way where there is none, with what the one before may not have brought there.
    fn put_last(&mut self) -> io::Result<()> {
        if !matches!(self.way, Way::None) {
            return Ok(());
        }
        self.way = self.connect()?;
        let last = std::mem::take(&mut self.last);
        let written = self.write(&last);
        self.last = last;
        written
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.way {
            Way::Stream(stream) => stream.write_all(bytes),
            #[cfg(feature = "tls")]
            Way::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Way::None | Way::Datagrams(_) => Ok(()),
        }
    }

    /// Where nobody listens, that is told by the next call: the message before did not arrive.
    fn put_datagrams(&mut self, batch: &Batch) -> io::Result<()> {
        let Way::Datagrams(socket) = &self.way else { return Ok(()) };
        for (_, message) in batch.records().skip(self.sent) {
            let fitting = fitting(message);
            if matches!(fitting, Cow::Owned(_)) && !std::mem::replace(&mut self.cut_is_said, true) {
                complain(format_args!(
                    "to {}, by UDP: a message of {} bytes, of which a datagram holds {DATAGRAM_BYTES}: {CUT} is in the place of \
                     the rest; tcp:// has room for all of it",
                    self.to.host,
                    message.len()
                ));
            }
            match socket.send(&fitting) {
                Ok(_) => self.sent = self.sent.saturating_add(1),
                Err(error) => {
                    self.sent = self.sent.saturating_sub(1);
                    return Err(error);
                }
            }
        }
        if let Some(error) = socket.take_error()? {
            self.sent = self.sent.saturating_sub(1);
            return Err(error);
        }
        Ok(())
    }

    /// Says that nothing more comes, and waits until the other side has read all and says so, too.
    fn close(&mut self) -> io::Result<()> {
        let stream = match &mut self.way {
            Way::Stream(stream) => stream,
            #[cfg(feature = "tls")]
            Way::Tls(stream) => {
                stream.conn.send_close_notify();
                stream.flush()?;
                stream.get_mut()
            }
            Way::None | Way::Datagrams(_) => return Ok(()),
        };
        stream.shutdown(Shutdown::Write)?;
        stream.set_read_timeout(Some(CLOSE_MOST))?;
        let mut said = [0; 512];
        loop {
            match stream.read(&mut said) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                // It need not close it.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Delivery for Forward {
    const LINGER: Duration = Duration::ZERO;

    fn deliver(&mut self, batch: &Batch) -> Result<(), Failure> {
        let put = self.put(batch);
        if put.is_err() {
            self.way = Way::None;
        } else {
            self.sent = 0;
        }
        put.map_err(Failure::again)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        if matches!(self.way, Way::None) {
            return Ok(());
        }
        let finished = self.look().and_then(|()| self.put_last()).and_then(|()| self.close());
        if finished.is_ok() {
            return Ok(());
        }
        self.way = Way::None;
        let finished = self.put_last().and_then(|()| self.close());
        finished.map_err(|error| {
            Failure::Refused(self.last_records, format!("they may not have been read at the end: {error}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_than_a_datagram_says_so() {
        let whole = "x".repeat(DATAGRAM_BYTES);
        assert_eq!(fitting(whole.as_bytes()), whole.as_bytes());
        let cut = fitting(&[b'x'; DATAGRAM_BYTES + 1]).into_owned();
        assert_eq!((cut.len(), cut.ends_with("x…".as_bytes())), (DATAGRAM_BYTES, true));
        for before in 0..4 {
            let long = "x".repeat(before) + &"😀".repeat(DATAGRAM_BYTES / 4 + 1);
            let cut = fitting(long.as_bytes()).into_owned();
            let text = str::from_utf8(&cut).expect("whole characters");
            assert!(text.ends_with("😀…") && text.len() > DATAGRAM_BYTES - 4, "{before}: {}", text.len());
        }
    }
}
