//! The syslog format, judged by a real rsyslogd.

use crate::harness::{Boot, HOST_NAME, Lease, Nic, Peer, Rsyslog, Service, status};

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

#[test]
fn time_and_name_come_by_dhcp() {
    // 2031-05-06 07:08:09
    let lease = Lease { address: [10, 0, 0, 1].into(), router: None, duration: 3600 };
    let service = Service::new(lease).time(1_935_817_689);
    let boot = Boot::new("syslog-ntp", "debug netconsole=s@/,514@10.0.0.3/");
    let boot = boot.arguments(["-rtc", "base=2026-02-28T23:58:30"]);
    let mut machine = boot.peer(Peer::at("10.0.0.3").serving(service)).start();
    machine.wait_for_text("10.0.0.3:514", "1935817689 seconds since 1970 by NTP server 10.0.0.3");
    machine.type_in("\rnetconsole=@/later,@10.0.0.9/\r");
    machine.wait_for_text("10.0.0.3:514", "later doesn't exist");
    machine.type_in("crash PANIC\r");
    machine.wait_for_text("10.0.0.3:514", "---[ end Kernel panic");
    let text = machine.stop().text("10.0.0.3:514");
    let mut last = text.rsplit('<');
    // The panic path knows time and name as well.
    for start in ["0>1 2031-05-06T07:08:", "3>1 2031-05-06T07:08:"] {
        let message = last.find(|message| message.starts_with(&start[..1])).expect("a message");
        assert!(message.starts_with(start), "{message}");
        assert_eq!(message.split(' ').nth(2), Some(HOST_NAME), "{message}");
    }
}

/// Linux's tenth field.
#[test]
fn the_time_server_of_the_ip_parameter_is_asked() {
    let lease = Lease { address: [10, 0, 0, 9].into(), router: None, duration: 3600 };
    let server = Peer::at("10.0.0.3").serving(Service::new(lease).time(1_935_817_689));
    let parameters = "debug ip=10.0.0.1:::255.255.255.0::eth0:none:::10.0.0.3 netconsole=s@/,514@10.0.0.3/";
    let machine = Boot::new("syslog-ip-ntp", parameters).peer(server).start();
    machine.wait_for_text("10.0.0.3:514", "1935817689 seconds since 1970 by NTP server 10.0.0.3");
    machine.stop();
}

/// Without a name the panic path too gives the address.
#[test]
fn a_crash_report_has_time_and_address() {
    let parameters = "netconsole=s@fd00::1/,514@fd00::2/ after=exit crash=PANIC";
    let boot = Boot::new("syslog-crash", parameters).arguments(["-rtc", "base=2026-02-28T23:58:30"]);
    let capture = boot.peer(Peer::at("fd00::2")).start().end();
    assert_eq!(capture.status, status::PANIC);
    let text = capture.text("[fd00::2]:514");
    let end = text.rsplit('<').next().expect("a message");
    assert!(end.starts_with("0>1 2026-02-28T23:58:"), "{end}");
    assert!(
        end.contains("Z fd00::1 kernel - ")
            && end.ends_with("---[ end Kernel panic - not syncing: panic ]---"),
        "{end}"
    );
}
