//! A real rsyslogd that receives on loopback, and what it made of each message.

use super::boot::target;
use super::port::{free_port, wait_for_listener};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub struct Rsyslog {
    child: Child,
    port: u16,
    output: PathBuf,
}

impl Rsyslog {
    /// Starts one, whose files go to `target/tests/NAME/`, and waits until it listens.
    pub fn start(name: &str) -> Self {
        let files = target().join("tests").join(name);
        let _ = fs::remove_dir_all(&files);
        fs::create_dir_all(&files).expect("target/tests is writable");
        let port = free_port();
        let (output, configuration) = (files.join("messages"), files.join("rsyslog.conf"));
        let text = format!(
            r#"module(load="imudp")
template(name="fields" type="string" string="%pri%\t%timereported:::date-rfc3339%\t%hostname%\t%app-name%\t%msgid%\t%structured-data%\t%msg%\n")
ruleset(name="all") {{ action(type="omfile" file="{}" template="fields") }}
input(type="imudp" address="127.0.0.1" port="{port}" ruleset="all")
"#,
            output.display()
        );
        fs::write(&configuration, text).expect("target/tests is writable");
        let log = File::create(files.join("rsyslogd.log")).expect("target/tests is writable");
        let child = Command::new("rsyslogd")
            .args(["-n", "-f"])
            .arg(&configuration)
            .arg("-i")
            .arg(files.join("pid"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("rsyslogd is missing: run scripts/setup rsyslog");
        wait_for_listener(port, "rsyslogd");
        Self { child, port, output }
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits for this many messages, and returns the fields of each: priority, time, host, application,
    /// message id, structured data, text.
    pub fn messages(&self, count: usize) -> Vec<Vec<String>> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let text = fs::read_to_string(&self.output).unwrap_or_default();
            if text.lines().count() >= count {
                return text.lines().map(|line| line.split('\t').map(String::from).collect()).collect();
            }
            assert!(Instant::now() < deadline, "rsyslogd has {} of {count} messages", text.lines().count());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
