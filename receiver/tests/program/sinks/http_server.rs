//! A server of HTTP that answers as a test says.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What was posted.
#[derive(Clone, Debug)]
pub struct Posted {
    pub path: String,
    pub content_type: String,
    pub body: Vec<u8>,
    /// The status that was answered.
    pub status: u16,
}

/// How it answers.
pub enum Answer {
    /// With this status, headers and body.
    Status(u16, &'static str, &'static str),
    /// Not at all: it ends the connection.
    HangUp,
}

pub struct Server {
    pub posted: Arc<Mutex<Vec<Posted>>>,
}

impl Server {
    /// Answers the first posts as `answers` say, and the others with the last one.
    pub fn start(port: u16, answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        let posted = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&posted);
        thread::spawn(move || {
            let mut answers = answers.into_iter().peekable();
            let mut last = Answer::Status(200, "", "");
            for stream in listener.incoming() {
                // Until the connection ends.
                while serve(stream.as_ref().expect("a connection"), &taken, || {
                    if let Some(next) = answers.next() {
                        last = next;
                    }
                    match &last {
                        Answer::Status(status, headers, body) => Answer::Status(*status, headers, body),
                        Answer::HangUp => Answer::HangUp,
                    }
                })
                .is_ok()
                {}
            }
        });
        Server { posted }
    }

    /// What it took.
    pub fn taken(&self) -> Vec<Posted> {
        let posted = self.posted.lock().expect("no panic");
        posted.iter().filter(|post| post.status < 300).cloned().collect()
    }

    /// The statuses that it answered.
    pub fn statuses(&self) -> Vec<u16> {
        self.posted.lock().expect("no panic").iter().map(|post| post.status).collect()
    }
}

fn serve(stream: &TcpStream, taken: &Mutex<Vec<Posted>>, answer: impl FnOnce() -> Answer) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut content_type) = (0, String::new());
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().expect("a number"),
            "content-type" => content_type = value.to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (status, headers, text) = match answer() {
        Answer::Status(status, headers, text) => (status, headers, text),
        Answer::HangUp => (999, "", ""),
    };
    taken.lock().expect("no panic").push(Posted { path, content_type, body, status });
    if status == 999 {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status} x\r\n{headers}Content-Length: {}\r\n\r\n{text}", text.len())
}
