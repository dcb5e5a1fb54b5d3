//! To rsyslogd.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Sending, free_port, until};

/// A rsyslogd, whose files are in `dir`.
struct Rsyslogd(Child);

impl Rsyslogd {
    fn start(dir: &Path, inputs: &str) -> Self {
        let (output, configuration) = (dir.join("messages"), dir.join("rsyslog.conf"));
        let text = format!(
            r#"{inputs}
template(name="fields" type="string" string="%pri%\t%hostname%\t%app-name%\t%structured-data%\t%msg%\n")
ruleset(name="all") {{ action(type="omfile" file="{}" template="fields") }}
"#,
            output.display()
        );
        fs::write(&configuration, text).expect("a file");
        let log = File::options().create(true).append(true).open(dir.join("log")).expect("a file");
        let child = Command::new("rsyslogd")
            .args(["-n", "-f"])
            .arg(&configuration)
            .arg("-i")
            .arg(dir.join("pid"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("rsyslogd is missing: run scripts/setup rsyslog");
        Self(child)
    }

    fn end(mut self) {
        kill(Pid::from_raw(self.0.id().try_into().expect("a pid")), Signal::SIGTERM).expect("it runs");
        self.0.wait().expect("it ends");
    }
}

impl Drop for Rsyslogd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// It is not there at first, and is started again in between: it has each record once, and in order.
fn goes_through_outages(
    scheme: &str,
    inputs: impl Fn(u16, &Path) -> String,
    more: impl Fn(&Path) -> Vec<String>,
) {
    let dir = tempfile::tempdir().expect("a directory");
    let port = free_port();
    let inputs = inputs(port, dir.path());
    let to = format!("{scheme}://localhost:{port}");
    let mut arguments =
        vec!["--syslog".to_owned(), to.clone(), "--name".to_owned(), "127.0.0.1=board7".to_owned()];
    arguments.extend(more(dir.path()));
    let mut sending = Sending::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let messages = || {
        let text = fs::read_to_string(dir.path().join("messages")).unwrap_or_default();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    sending.records(0..5);
    sending.complaint("it is tried again");
    let rsyslogd = Rsyslogd::start(dir.path(), &inputs);
    sending.complaint("taken again");
    until(|| messages().len() >= 5);
    sending.records(5..10);
    until(|| messages().len() >= 10);
    rsyslogd.end();
    sending.records(10..20);
    sending.complaint("it is tried again");
    let rsyslogd = Rsyslogd::start(dir.path(), &inputs);
    until(|| messages().len() >= 20);
    let (status, errors) = sending.end();
    assert_eq!(status, Some(0), "{errors}");
    assert!(errors.contains(&format!("--syslog {to}: 20 records written, 0 lost, 0 wait")), "{errors}");
    rsyslogd.end();
    let messages = messages();
    assert_eq!(messages.len(), 20, "{messages:#?}");
    for (number, message) in messages.iter().enumerate() {
        let fields: Vec<_> = message.split('\t').collect();
        let data = fields[3];
        assert_eq!((fields[0], fields[1], fields[2]), ("4", "board7", "kernel"), "{message}");
        assert!(
            data.contains(&format!(" sequence=\"{number}\" timestamp_us=\"{}\"", number * 1_000_000)),
            "{message}"
        );
        let device = format!("[fields@32473 SUBSYSTEM=\"pci\" DEVICE=\"+pci:0000:00:0{}.0\"]", number % 8);
        assert!(data.ends_with(&device), "{message}");
        assert_eq!(fields[4], format!("record {number}"), "{message}");
    }
}

fn none(_: &Path) -> Vec<String> {
    Vec::new()
}

#[test]
fn by_udp() {
    let inputs = |port: u16, _: &Path| {
        format!(r#"module(load="imudp") input(type="imudp" address="127.0.0.1" port="{port}" ruleset="all")"#)
    };
    goes_through_outages("udp", inputs, none);
}

#[test]
fn by_tcp() {
    let inputs = |port: u16, _: &Path| {
        format!(r#"module(load="imtcp") input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="all")"#)
    };
    goes_through_outages("tcp", inputs, none);
}

#[cfg(feature = "tls")]
#[test]
fn by_tls() {
    let inputs = |port: u16, dir: &Path| {
        certificates(dir);
        let dir = dir.display();
        format!(
            r#"global(DefaultNetstreamDriverCAFile="{dir}/ca.pem" DefaultNetstreamDriverCertFile="{dir}/own.pem" DefaultNetstreamDriverKeyFile="{dir}/own.key")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="all")"#
        )
    };
    goes_through_outages("tls", inputs, |dir| vec!["--ca".to_owned(), format!("{}/ca.pem", dir.display())]);
}

/// An authority, and a certificate of it for `localhost`.
#[cfg(feature = "tls")]
fn certificates(dir: &Path) {
    let script = "
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 9
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout own.key -out own.csr -subj /CN=localhost
printf 'subjectAltName=DNS:localhost\\nbasicConstraints=CA:FALSE\\n' >extensions
openssl x509 -req -in own.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -extfile extensions -out own.pem
";
    let made = Command::new("sh").args(["-ec", script]).current_dir(dir).output().expect("a shell");
    assert!(made.status.success(), "scripts/setup openssl? {}", String::from_utf8_lossy(&made.stderr));
}

/// What a sink could not bring anywhere is counted and said at the end, and the others have it.
#[test]
fn what_is_lost_is_counted() {
    let dir = tempfile::tempdir().expect("a directory");
    let logs = dir.path().to_str().expect("text");
    let to = format!("tcp://127.0.0.1:{}", free_port());
    let mut sending = Sending::start(&["--syslog", &to, "--dir", logs, "--time", "none"]);
    sending.records(0..7);
    sending.complaint("it is tried again");
    let log = || fs::read_to_string(dir.path().join("127.0.0.1.log")).unwrap_or_default();
    until(|| log().lines().count() == 7);
    let (status, errors) = sending.end();
    assert_eq!(status, Some(1), "{errors}");
    assert!(errors.contains(&format!("--syslog {to}: 7 records lost: Connection refused")), "{errors}");
}
