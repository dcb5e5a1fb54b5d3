//! The syslog format, judged by a real rsyslogd.

use crate::harness::{Boot, Nic, Rsyslog, status};

#[test]
fn rsyslogd_reads_every_field() {
    let rsyslog = Rsyslog::start("rsyslog");
    let parameters =
        format!("debug netconsole=s@/,{}@10.0.2.2/ ip=::::board7:eth0:dhcp after=exit", rsyslog.port());
    let capture = Boot::new("syslog", parameters)
        .nics([Nic::virtio().user_network()])
        .arguments(["-rtc", "base=2026-02-28T23:58:30"])
        .start()
        .end();
    assert_eq!(capture.status, status::GOOD);
    let sent = capture.payloads(&format!("10.0.2.2:{}", rsyslog.port())).len();
    assert!(sent > 10);
    let messages = rsyslog.messages(sent);
    for (number, message) in messages.iter().enumerate() {
        let [priority, time, host, application, message_id, data, _] = &message[..] else {
            panic!("not seven fields: {message:?}")
        };
        assert!(["3", "4", "6", "7"].contains(&priority.as_str()), "facility kern, and a level: {message:?}");
        assert!(time.starts_with("2026-02-28T23:58:") && time.ends_with('Z'), "{message:?}");
        assert_eq!((host.as_str(), application.as_str()), ("board7", "kernel"), "{message:?}");
        assert!(!message_id.is_empty() && message_id != "-", "{message:?}");
        assert_eq!(data, &format!("[netconsole@32473 seq=\"{number}\"]"));
    }
    assert!(messages.iter().any(|message| message[6] == "netconsole: network logging started"));
}

#[test]
fn without_a_name_the_address_is_the_host() {
    let rsyslog = Rsyslog::start("rsyslog-address");
    let parameters = format!("netconsole=s@/,{}@10.0.2.2/ after=exit", rsyslog.port());
    let boot = Boot::new("syslog-address", parameters).nics([Nic::virtio().user_network()]);
    let capture = boot.start().end();
    let sent = capture.payloads(&format!("10.0.2.2:{}", rsyslog.port())).len();
    assert!(rsyslog.messages(sent).iter().all(|message| message[2] == "10.0.2.15"));
}
