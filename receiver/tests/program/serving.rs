//! A receiver with `--http`, asked over loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::ChildStderr;
use std::thread;
use std::time::Duration;

use crate::run::Listening;

/// A receiver that serves, and what it says.
pub struct Serving {
    pub receiver: Listening,
    /// Its address and port.
    pub place: String,
    stderr: BufReader<ChildStderr>,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Serving {
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", arguments)
    }

    pub fn start_at(http: &str, arguments: &[&str]) -> Self {
        let mut receiver = Listening::start(&[&["--quiet", "--http", http], arguments].concat());
        let mut stderr = BufReader::new(receiver.child.stderr.take().expect("a pipe"));
        let mut said = Vec::new();
        loop {
            let mut line = String::new();
            assert_ne!(stderr.read_line(&mut line).expect("text"), 0, "it ended: {said:?}");
            let place = line.strip_prefix("http://").and_then(|rest| rest.split_once('/'));
            if let Some((place, _)) = place {
                let place = place.to_owned();
                return Serving { receiver, place, stderr };
            }
            said.push(line);
        }
    }

    /// The next line that it says.
    pub fn says(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).expect("text");
        line.trim_end().to_owned()
    }

    pub fn port(&self) -> &str {
        self.place.rsplit_once(':').expect("a port").1
    }

    pub fn connect(&self) -> TcpStream {
        TcpStream::connect(format!("127.0.0.1:{}", self.port())).expect("it listens")
    }

    /// Sends these bytes, and reads to the end.
    pub fn exchange(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {answer}"));
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub fn ask(&self, method: &str, path: &str, fields: &[&str], body: &str) -> Answer {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        self.exchange(format!("{method} {path} HTTP/1.1\r\n{fields}{length}\r\n{body}").as_bytes())
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[&format!("Host: {}", self.place)], "")
    }

    /// Asks until the answer is so.
    pub fn until(&self, path: &str, is_so: impl Fn(&str) -> bool) -> String {
        for _ in 0..24_000 {
            let Answer { body, .. } = self.get(path);
            if is_so(&body) {
                return body;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("it never was so");
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.receiver.child.kill();
        let _ = self.receiver.child.wait();
    }
}
