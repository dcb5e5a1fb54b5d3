//! OTLP: the bodies are read by the protocol's own crate.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

use super::http_server::{Answer, Server};
use super::{Sending, free_port, until};

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()
}

fn text(value: &str) -> Option<Value> {
    Some(Value::StringValue(value.to_owned()))
}

/// It is not there, fails in each way, and has each record once in the end.
#[test]
fn logs_come_through_outages() {
    let port = free_port();
    let to = format!("http://127.0.0.1:{port}");
    let mut sending = Sending::start(&["--otlp", &to, "--name", "127.0.0.1=board7"]);
    sending.records(0..5);
    sending.complaint("it is tried again");
    let answers = vec![
        Answer::Status(503, "Retry-After: 1\r\n", "busy"),
        Answer::HangUp,
        Answer::Status(429, "", ""),
        Answer::Status(200, "", "{\"partialSuccess\":{}}"),
    ];
    let server = Server::start(port, answers);
    until(|| !server.taken().is_empty());
    assert_eq!(server.statuses()[..3], [503, 999, 429]);
    sending.records(5..12);
    // An event, and bytes that are no text.
    sending.send("4,14,14000000,-;record \\x1b[31m\"14\"\n");
    let records = || {
        let mut records = Vec::new();
        for posted in server.taken() {
            assert_eq!(
                (posted.path.as_str(), posted.content_type.as_str()),
                ("/v1/logs", "application/json")
            );
            let request: ExportLogsServiceRequest = serde_json::from_slice(&posted.body).expect("OTLP");
            for logs in request.resource_logs {
                let resource = logs.resource.expect("each has one").attributes;
                assert_eq!(value(&resource, "host.name").cloned(), text("board7"));
                records.extend(logs.scope_logs.into_iter().flat_map(|scope| scope.log_records));
            }
        }
        records
    };
    until(|| records().len() >= 14);
    let (status, errors) = sending.end();
    assert_eq!(status, Some(0), "{errors}");
    assert!(errors.contains(&format!("--otlp {to}: 14 records written, 0 lost, 0 wait")), "{errors}");
    let records = records();
    assert_eq!(records.len(), 14);
    let body = |index: usize| records[index].body.clone();
    for (number, record) in records[..12].iter().enumerate() {
        assert_eq!(body(number), Some(AnyValue { value: text(&format!("record {number}")) }));
        assert_eq!((record.severity_number, record.severity_text.as_str()), (13, "warning"));
        let attribute = |key| value(&record.attributes, key);
        assert_eq!(attribute("netconsole.sequence"), Some(&Value::IntValue(number as i64)));
        assert_eq!(attribute("netconsole.field.SUBSYSTEM").cloned(), text("pci"));
        assert_eq!(attribute("source.address").cloned(), text("127.0.0.1"));
        // After 2026.
        assert!(record.time_unix_nano > 1_767_225_600_000_000_000);
    }
    assert_eq!(value(&records[12].attributes, "netconsole.event").cloned(), text("skipped"));
    assert_eq!(body(13), Some(AnyValue { value: text("record \x1b[31m\"14\"") }));
}

/// What a collector refuses is counted and said, and is not offered again.
#[test]
fn what_is_refused_is_counted() {
    let port = free_port();
    let to = format!("http://127.0.0.1:{port}/x/v1/logs?token=secret");
    let answers = vec![
        Answer::Status(400, "", "no such thing"),
        Answer::Status(
            200,
            "",
            "{\"partialSuccess\":{\"rejectedLogRecords\":\"2\",\"errorMessage\":\"too old\"}}",
        ),
    ];
    let server = Server::start(port, answers);
    let mut sending = Sending::start(&["--otlp", &to]);
    sending.records(0..4);
    sending.complaint("4 records refused, and lost there: answered 400");
    sending.records(4..7);
    sending.complaint("2 records refused, and lost there: too old");
    let (status, errors) = sending.end();
    assert_eq!(status, Some(1), "{errors}");
    let lost = format!("--otlp http://127.0.0.1:{port}/x/v1/logs: 6 records lost: too old\n");
    assert!(errors.contains(&lost) && !errors.contains("secret"), "{errors}");
    assert_eq!(server.statuses(), [400, 200]);
    assert_eq!(server.taken()[0].path, "/x/v1/logs?token=secret");
}
