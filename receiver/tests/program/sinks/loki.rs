//! Loki: what its push API takes, and nothing else.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::http_server::{Answer, Server};
use super::{Sending, free_port, until};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Push {
    streams: Vec<Stream>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stream {
    stream: BTreeMap<String, String>,
    /// Nanoseconds, the line, structured metadata.
    values: Vec<(String, String, BTreeMap<String, String>)>,
}

#[test]
fn lines_come_through_outages() {
    let port = free_port();
    let to = format!("http://127.0.0.1:{port}");
    let mut sending = Sending::start(&["--loki", &to, "--name", "127.0.0.1=board7"]);
    // The second is the first once more, by text and time.
    (0..2).for_each(|number| sending.send(&format!("3,{number},7,-;the same\n a.key=1\n a.key=2\n")));
    sending.complaint("it is tried again");
    let server = Server::start(port, vec![Answer::Status(500, "", "ring"), Answer::Status(204, "", "")]);
    let values = || {
        let mut values = Vec::new();
        for posted in server.taken() {
            assert_eq!(posted.path, "/loki/api/v1/push");
            let push: Push = serde_json::from_slice(&posted.body).expect("a push");
            for stream in push.streams {
                let labels: Vec<_> =
                    stream.stream.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
                assert_eq!(labels, [("host", "board7"), ("job", "netconsole")]);
                values.extend(stream.values);
            }
        }
        values
    };
    until(|| values().len() >= 2);
    sending.records(2..9);
    until(|| values().len() >= 9);
    let (status, errors) = sending.end();
    assert_eq!(status, Some(0), "{errors}");
    assert!(errors.contains(&format!("--loki {to}: 9 records written, 0 lost, 0 wait")), "{errors}");
    let values = values();
    let times: Vec<u64> = values.iter().map(|(time, ..)| time.parse().expect("nanoseconds")).collect();
    assert!(times.is_sorted_by(|one, next| one < next), "{times:?}");
    let (_, line, metadata) = &values[1];
    let of = |key: &str| metadata.get(key).map(String::as_str);
    assert_eq!((line.as_str(), of("level"), of("priority")), ("the same", Some("error"), Some("3")));
    assert_eq!((of("sequence"), of("field_a_key")), (Some("1"), Some("1 2")));
    assert_eq!(values[8].1, "record 8");
}
