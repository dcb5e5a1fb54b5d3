//! `ip=` in Linux's forms and dracut's, and what is said of wrong ones.

use super::*;
use crate::settings::Settings;

fn error(value: &str) -> String {
    IpParameter::parse(value).expect_err(value).to_string()
}

#[test]
fn ip_takes_linux_s_forms() {
    let ten = |last| Some(IpAddr::from([10, 0, 0, last]));
    let eth = |name| DeviceName::new(name);
    const D: IpParameter = IpParameter::DEFAULT;
    let fixed = IpParameter { client: ten(2), prefix: 8, ..D };
    for (value, expected) in [
        ("", D),
        ("dhcp", D),
        ("on", D),
        ("any", D),
        ("off", IpParameter { autoconf: Autoconf::Off, ..D }),
        ("none", IpParameter { autoconf: Autoconf::Off, ..D }),
        ("10.0.0.2", fixed),
        ("172.16.0.2", IpParameter { client: Some(IpAddr::from([172, 16, 0, 2])), prefix: 16, ..D }),
        ("192.168.0.2", IpParameter { client: Some(IpAddr::from([192, 168, 0, 2])), prefix: 24, ..D }),
        ("10.0.0.2:::255.255.255.0", IpParameter { prefix: 24, ..fixed }),
        ("10.0.0.2:::28", IpParameter { prefix: 28, ..fixed }),
        (
            "10.0.0.2:10.0.0.3:10.0.0.1:255.255.254.0:board-1.lab:eth1:off",
            IpParameter {
                client: ten(2),
                server: ten(3),
                gateway: ten(1),
                prefix: 23,
                hostname: HostName::new(b"board-1.lab"),
                device: eth("eth1"),
                autoconf: Autoconf::Off,
                ntp: None,
            },
        ),
        (
            "10.0.0.2::10.0.0.1:255.255.255.0::enp3s0:none:8.8.8.8:8.8.4.4:10.0.0.4",
            IpParameter {
                gateway: ten(1),
                prefix: 24,
                device: eth("enp3s0"),
                autoconf: Autoconf::Off,
                ntp: ten(4),
                ..fixed
            },
        ),
        ("::::::::8.8.4.4:", D),
        (":::::::::10.0.0.4:more", IpParameter { ntp: ten(4), ..D }),
        // dracut's MTU and Ethernet address.
        ("10.0.0.2::::::none:1400:52:54:00:12:34:56", IpParameter { autoconf: Autoconf::Off, ..fixed }),
        ("enp3s0:dhcp", IpParameter { device: eth("enp3s0"), ..D }),
        ("eth1:off:1400", IpParameter { device: eth("eth1"), autoconf: Autoconf::Off, ..D }),
        (":::::eth1:dhcp", IpParameter { device: eth("eth1"), ..D }),
        ("0.0.0.0::::board", IpParameter { hostname: HostName::new(b"board"), ..D }),
        (
            "[fd00::2]::[fd00::1]:48::eth0:off",
            IpParameter {
                client: Some("fd00::2".parse().expect("an address")),
                prefix: 48,
                gateway: Some("fd00::1".parse().expect("an address")),
                device: eth("eth0"),
                autoconf: Autoconf::Off,
                ..D
            },
        ),
        ("[fd00::2]", IpParameter { client: Some("fd00::2".parse().expect("an address")), prefix: 64, ..D }),
    ] {
        assert_eq!(IpParameter::parse(value), Ok(expected), "{value}");
    }
}

#[test]
fn a_bad_ip_names_its_part_and_place() {
    const CLIENT: &str = "client: expected an IPv4 address, or an IPv6 address in brackets";
    const NETMASK: &str = "netmask: expected a netmask like 255.255.255.0, or a number from 1 to 32";
    const PREFIX: &str = "prefix length: expected a number from 1 to 128";
    const HOSTNAME: &str = "hostname: expected at most 63 letters, digits, hyphens and dots";
    const AUTOCONF: &str = "autoconf: expected dhcp, on, any, off or none";
    for (before, found, after, expected) in [
        ("", "bootp", "", AUTOCONF),
        ("", "10.0.0.256", ":", CLIENT),
        ("", "fd00", "::2", CLIENT),
        ("", "[fd00::2", "", CLIENT),
        ("", "[10.0.0.2]", "", CLIENT),
        ("", "224.0.0.1", "", CLIENT),
        ("10.0.0.2:", "x", "", "server: expected an address like the client's"),
        ("10.0.0.2::", "[fd00::1]", "", "gateway: expected an address like the client's"),
        ("10.0.0.2:::", "255.0.255.0", ":host", NETMASK),
        ("10.0.0.2:::", "33", "", NETMASK),
        ("[fd00::2]:::", "129", "", PREFIX),
        ("[fd00::2]:::", "255.255.255.0", "", PREFIX),
        ("10.0.0.2::::", "a_b", "", HOSTNAME),
        (":::::", "eth0/1", "", "device: expected an interface's name (at most 15 characters)"),
        (":::::eth0:", "maybe", ":10.0.0.3", AUTOCONF),
    ] {
        let place = format!("{before}>>>{found}<<<{after}");
        let message = format!("{expected}, found '{found}': {place}");
        assert_eq!(error(&format!("{before}{found}{after}")), message);
    }
    let long = "x".repeat(64);
    let shown = format!("{}...", "x".repeat(48));
    let message = format!("{HOSTNAME}, found '{shown}': 10.0.0.2::::>>>{shown}<<<");
    assert_eq!(error(&format!("10.0.0.2::::{long}")), message);
}

#[test]
fn a_bad_ip_is_one_problem_and_changes_nothing() {
    let mut problems = Vec::new();
    let line = b"ip=10.0.0.2 ip=bootp";
    let settings = Settings::parse(line, &mut |_, problem| problems.push(problem.to_string()));
    let ip = IpParameter { client: Some(IpAddr::from([10, 0, 0, 2])), prefix: 8, ..IpParameter::DEFAULT };
    let mut expected = Settings::DEFAULT;
    expected.ip = ip;
    assert_eq!(settings, expected);
    assert_eq!(problems, [format!("ip: {}; ignored", error("bootp"))]);
}
