//! The grammar of `netconsole=`, its errors and their places.

use super::*;
use crate::netconsole::DeviceName;
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

fn good(value: &str) -> Vec<TargetConfig> {
    targets(value.as_bytes())
        .map(|parsed| {
            assert_eq!(parsed.warning, None, "{value}");
            parsed.target.unwrap_or_else(|error| panic!("{value}: {error}"))
        })
        .collect()
}

fn device(name: &str) -> DeviceSelector {
    DeviceSelector::Name(DeviceName::new(name).expect("a name"))
}

const MAC: MacAddr = MacAddr([0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc]);

/// A target of which all is given.
fn full() -> TargetConfig {
    TargetConfig {
        format: Format::Basic,
        local_port: 4444,
        local_ip: Some(IpAddr::from([10, 0, 0, 1])),
        device: device("eth1"),
        remote_port: 9353,
        remote_ip: IpAddr::from([10, 0, 0, 2]),
        remote_mac: Some(MAC),
    }
}

#[test]
fn the_examples_of_the_specification() {
    let to = |remote_ip| TargetConfig { remote_ip, ..TargetConfig::DEFAULT };
    let ten = |last| IpAddr::from([10, 0, 0, last]);
    let home = |last| IpAddr::from([192, 168, 1, last]);
    for (value, expected) in [
        ("4444@10.0.0.1/eth1,9353@10.0.0.2/12:34:56:78:9a:bc", vec![full()]),
        ("@/,@10.0.0.2/", vec![to(ten(2))]),
        ("@/,@fd00:1:2:3::1/", vec![to(IpAddr::from([0xfd00, 1, 2, 3, 0, 0, 0, 1]))]),
        (
            "@/,@10.0.0.2/;@/eth1,6892@10.0.0.3/",
            vec![
                to(ten(2)),
                TargetConfig {
                    device: device("eth1"),
                    remote_port: 6892,
                    remote_ip: ten(3),
                    ..TargetConfig::DEFAULT
                },
            ],
        ),
        (
            "+4444@10.0.0.1/eth1,9353@10.0.0.2/12:34:56:78:9a:bc",
            vec![TargetConfig { format: Format::Extended { release: false }, ..full() }],
        ),
        (
            "+r4444@10.0.0.1/eth1,9353@10.0.0.2/12:34:56:78:9a:bc",
            vec![TargetConfig { format: Format::Extended { release: true }, ..full() }],
        ),
        (
            "s4444@10.0.0.1/eth1,9353@10.0.0.2/12:34:56:78:9a:bc",
            vec![TargetConfig { format: Format::Syslog, ..full() }],
        ),
        (
            "4444@10.0.0.1/22:33:44:55:66:77,9353@10.0.0.2/12:34:56:78:9a:bc",
            vec![TargetConfig {
                device: DeviceSelector::Mac(MacAddr([0x22, 0x33, 0x44, 0x55, 0x66, 0x77])),
                ..full()
            }],
        ),
        (
            "6666@192.168.1.28/eth0,6666@192.168.1.19/00:13:32:20:a9:a5",
            vec![TargetConfig {
                format: Format::Basic,
                local_port: 6666,
                local_ip: Some(home(28)),
                device: device("eth0"),
                remote_port: 6666,
                remote_ip: home(19),
                remote_mac: Some(MacAddr([0, 0x13, 0x32, 0x20, 0xa9, 0xa5])),
            }],
        ),
        (
            "514@10.0.0.1/eth1,514@10.0.0.2/12:34:56:78:9a:bc",
            vec![TargetConfig { local_port: 514, remote_port: 514, ..full() }],
        ),
        (
            "514@10.0.0.2/12:34:56:78:9a:bc",
            vec![TargetConfig { remote_port: 514, remote_mac: Some(MAC), ..to(ten(2)) }],
        ),
        ("@/", vec![TargetConfig::DEFAULT]),
        ("@/,@/", vec![TargetConfig::DEFAULT]),
        ("+@/", vec![TargetConfig { format: Format::Extended { release: false }, ..TargetConfig::DEFAULT }]),
        (
            "6665@fe80::1/eth0.100,6666@ff02::1/",
            vec![TargetConfig {
                local_ip: Some(IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 1])),
                device: device("eth0.100"),
                ..to(IpAddr::from([0xff02, 0, 0, 0, 0, 0, 0, 1]))
            }],
        ),
        ("@0.0.0.0/,@10.0.0.2/", vec![to(ten(2))]),
    ] {
        assert_eq!(good(value), expected, "{value}");
    }
}

#[test]
fn a_typing_error_in_the_target_s_mac_leaves_the_target_running() {
    let value = "6666@192.168.1.28/eth0,6666@192.168.1.19/00:13:32:20:r9:a5";
    let parsed = targets(value.as_bytes()).next().expect("a target");
    let target = parsed.target.expect("a target that runs");
    assert_eq!(target.remote_ip, IpAddr::from([192, 168, 1, 19]));
    assert_eq!(target.remote_mac, None);
    assert_eq!(
        parsed.warning.expect("a warning").to_string(),
        "couldn't parse config at '00:13:32:20:r9:a5'! target ethernet address: \
         expected a hexadecimal digit, found 'r' at character 54"
    );
    for mac in ["12:34:56:78:9a", "12-34-56-78-9a-bc", "eth0", "12:34:56:78:9a:b"] {
        let value = format!("@/,@10.0.0.2/{mac}");
        let parsed = targets(value.as_bytes()).next().expect("a target");
        assert!(parsed.target.is_ok() && parsed.warning.is_some(), "{value}");
    }
}

/// `(value, message)`, each of which refuses the target.
const BAD: &[(&str, &str)] = &[
    ("", "''! target port: expected a port and '@', or '@' alone, found nothing at character 1"),
    ("@", "''! target address: expected '/' behind the address, found nothing at character 2"),
    ("/", "'/'! target port: expected a port and '@', or '@' alone, found '/' at character 1"),
    (",", "','! source port: expected a port and '@', or '@' alone, found nothing at character 1"),
    ("@/,", "''! target port: expected a port and '@', or '@' alone, found nothing at character 4"),
    ("@/,@", "''! target address: expected '/' behind the address, found nothing at character 5"),
    (
        "0@/,@10.0.0.2/",
        "'0@/,@10.0.0.2/'! source port: expected a number from 1 to 65535, found '0' at character 1",
    ),
    (
        "65536@/,@10.0.0.2/",
        "'65536@/,@10.0.0.2/'! source port: expected a number from 1 to 65535, found '65536' at character 1",
    ),
    (
        "-1@/,@10.0.0.2/",
        "'-1@/,@10.0.0.2/'! source port: expected a number from 1 to 65535, found '-1' at character 1",
    ),
    (
        "++1@/,@10.0.0.2/",
        "'+1@/,@10.0.0.2/'! source port: expected a number from 1 to 65535, found '+1' at character 2",
    ),
    (
        "@/,0@10.0.0.2/",
        "'0@10.0.0.2/'! target port: expected a number from 1 to 65535, found '0' at character 4",
    ),
    (
        "@/,65536@10.0.0.2/",
        "'65536@10.0.0.2/'! target port: expected a number from 1 to 65535, found '65536' at character 4",
    ),
    (
        "@/,66a@10.0.0.2/",
        "'66a@10.0.0.2/'! target port: expected a number from 1 to 65535, found '66a' at character 4",
    ),
    (
        "@/,10.0.0.2/",
        "'10.0.0.2/'! target port: expected a port and '@', or '@' alone, found '10.0.0.2/' at character 4",
    ),
    (
        "/eth0,@10.0.0.2/",
        "'/eth0,@10.0.0.2/'! source port: expected a port and '@', or '@' alone, \
         found '/eth0' at character 1",
    ),
    (
        "6665,@10.0.0.2/",
        "'6665,@10.0.0.2/'! source port: expected a port and '@', or '@' alone, found '6665' at character 1",
    ),
    (
        "@10.0.0.1,@10.0.0.2/",
        "'10.0.0.1,@10.0.0.2/'! source address: expected '/' behind the address, \
         found nothing at character 10",
    ),
    (
        "@10.0.0.256/,@10.0.0.2/",
        "'10.0.0.256/,@10.0.0.2/'! source address: expected an IPv4 or IPv6 address, \
         found '10.0.0.256' at character 2",
    ),
    (
        "@224.0.0.1/,@10.0.0.2/",
        "'224.0.0.1/,@10.0.0.2/'! source address: expected the address of one interface, \
         found '224.0.0.1' at character 2",
    ),
    (
        "@255.255.255.255/,@10.0.0.2/",
        "'255.255.255.255/,@10.0.0.2/'! source address: expected the address of one interface, \
         found '255.255.255.255' at character 2",
    ),
    (
        "@10.0.0.1/eth0 x,@10.0.0.2/",
        "'eth0 x,@10.0.0.2/'! interface: expected an interface's name (at most 15 characters) or \
         ethernet address, found 'eth0 x' at character 11",
    ),
    (
        "@/anamethatistoolong,@10.0.0.2/",
        "'anamethatistoolong,@10.0.0.2/'! interface: expected an interface's name (at most 15 characters) \
         or ethernet address, found 'anamethatistoolong' at character 3",
    ),
    (
        "@/eth0/1,@10.0.0.2/",
        "'eth0/1,@10.0.0.2/'! interface: expected an interface's name (at most 15 characters) or \
         ethernet address, found 'eth0/1' at character 3",
    ),
    (
        "@/22:33:44:55:66,@10.0.0.2/",
        "'22:33:44:55:66,@10.0.0.2/'! interface: expected ':', found nothing at character 17",
    ),
    (
        "@/22:33:44:55:66:7g,@10.0.0.2/",
        "'22:33:44:55:66:7g,@10.0.0.2/'! interface: expected a hexadecimal digit, found 'g' at character 19",
    ),
    (
        "@/22:33:44:55:66:77:88,@10.0.0.2/",
        "'22:33:44:55:66:77:88,@10.0.0.2/'! interface: expected nothing more, found ':' at character 20",
    ),
    (
        "@/eth0",
        "''! target: expected ',' and the target, [port]@[address]/[ethernet address], \
         found nothing at character 7",
    ),
    (
        "4444@10.0.0.1/eth1",
        "''! target: expected ',' and the target, [port]@[address]/[ethernet address], \
         found nothing at character 19",
    ),
    ("@/eth0,", "''! target port: expected a port and '@', or '@' alone, found nothing at character 8"),
    (
        "6665@/,6666@10.0.0.256/",
        "'10.0.0.256/'! target address: expected an IPv4 or IPv6 address, \
         found '10.0.0.256' at character 13",
    ),
    (
        "@/,@10.0.0/",
        "'10.0.0/'! target address: expected an IPv4 or IPv6 address, found '10.0.0' at character 5",
    ),
    ("@/,@host/", "'host/'! target address: expected an IPv4 or IPv6 address, found 'host' at character 5"),
    (
        "@/,@fe80::1%eth0/",
        "'fe80::1%eth0/'! target address: expected an IPv4 or IPv6 address, \
         found 'fe80::1%eth0' at character 5",
    ),
    (
        "@/,@[fd00::1]/",
        "'[fd00::1]/'! target address: expected an IPv4 or IPv6 address, found '[fd00::1]' at character 5",
    ),
    (
        "@/,@fd00:::1/",
        "'fd00:::1/'! target address: expected an IPv4 or IPv6 address, found 'fd00:::1' at character 5",
    ),
    (
        "@/,@0.0.0.0/",
        "'0.0.0.0/'! target address: expected an address that can be sent to, found '0.0.0.0' at character 5",
    ),
    ("@/,@::/", "'::/'! target address: expected an address that can be sent to, found '::' at character 5"),
    (
        "@10.0.0.1/,@fd00::1/",
        "'fd00::1/'! target address: expected an IPv4 address like the source's, \
         found 'fd00::1' at character 13",
    ),
    (
        "@fd00::1/,@10.0.0.1/",
        "'10.0.0.1/'! target address: expected an IPv6 address like the source's, \
         found '10.0.0.1' at character 12",
    ),
    (
        "@/,@10.0.0.2",
        "'10.0.0.2'! target address: expected '/' behind the address, found nothing at character 13",
    ),
    (
        "@/,@10.0.0.2/12:34:56:78:9a:bc/",
        "'12:34:56:78:9a:bc/'! target ethernet address: expected nothing more, found '/' at character 31",
    ),
    (
        "@/,@10.0.0.2/12:34:56:78:9a:bcd",
        "'12:34:56:78:9a:bcd'! target ethernet address: expected nothing more, found 'd' at character 31",
    ),
    (
        "@/,@10.0.0.2/12:34:56:78:9a:bc quiet",
        "'12:34:56:78:9a:bc quiet'! target ethernet address: expected nothing more, \
         found ' ' at character 31",
    ),
    (
        "@/,@10.0.0.2/,@10.0.0.3/",
        "',@10.0.0.3/'! target ethernet address: expected nothing more, found ',' at character 14",
    ),
    (
        "@/,@10.0.0.2/12:34:5,x",
        "'12:34:5,x'! target ethernet address: expected nothing more, found ',' at character 21",
    ),
    (
        "s+@/,@10.0.0.2/",
        "'+@/,@10.0.0.2/'! source port: expected a number from 1 to 65535, found '+' at character 2",
    ),
    (
        "+s@/,@10.0.0.2/",
        "'s@/,@10.0.0.2/'! source port: expected a number from 1 to 65535, found 's' at character 2",
    ),
    (
        "@/,@\u{e4}\n/",
        "'\\u{e4}\\n/'! target address: expected an IPv4 or IPv6 address, found '\\u{e4}\\n' at character 5",
    ),
];

#[test]
fn a_bad_target_is_refused_with_a_line_that_says_where_and_why() {
    for (value, message) in BAD {
        let parsed: Vec<_> = targets(value.as_bytes()).collect();
        assert_eq!(parsed.len(), 1, "{value}");
        let error = parsed[0].target.expect_err(value);
        assert_eq!(error.to_string(), format!("couldn't parse config at {message}"), "{value}");
    }
}

#[test]
fn a_bad_target_leaves_the_others_alone() {
    for (value, _) in BAD {
        let value = format!("@/,@10.0.0.2/;{value};@/");
        let parsed: Vec<_> = targets(value.as_bytes()).map(|parsed| parsed.target.is_ok()).collect();
        assert_eq!(parsed, [true, false, true], "{value}");
    }
    // Places are counted from the beginning of the whole value.
    let error = targets(b"@/;@/,0@/").nth(1).expect("a target").target.expect_err("an error");
    assert_eq!(error.character, 7);
}

#[test]
fn the_release_needs_the_extended_format() {
    for (value, place) in [("r@/,@10.0.0.2/", 1), ("sr@/,@10.0.0.2/", 2)] {
        let error = targets(value.as_bytes()).next().expect("a target").target.expect_err(value);
        assert_eq!(
            error.to_string(),
            format!(
                "Release feature requires extended log message: couldn't parse config at '{value}'! \
                 format: expected '+' before it, found 'r' at character {place}"
            )
        );
    }
}

#[test]
fn bytes_that_are_no_text_refuse_their_target_alone() {
    let parsed: Vec<_> = targets(b"@/;@/,\xff@/;@/").collect();
    assert_eq!(parsed.len(), 3);
    assert!(parsed[0].target.is_ok() && parsed[2].target.is_ok());
    assert_eq!(
        parsed[1].target.expect_err("an error").to_string(),
        "couldn't parse config at '@/,'! target: expected UTF-8 text, found another byte at character 7"
    );
}

#[test]
fn a_vlan_s_name_says_its_base_and_number() {
    let vlan = |name| device(name).vlan().map(|(base, id)| (base.as_str().to_owned(), id));
    assert_eq!(vlan("eth0.100"), Some(("eth0".into(), 100)));
    assert_eq!(vlan("eth0.1"), Some(("eth0".into(), 1)));
    assert_eq!(vlan("eth0.4094"), Some(("eth0".into(), 4094)));
    for name in ["eth0", "eth0.", "eth0.0", "eth0.4095", "eth0.+1", "eth0.1a", ".1"] {
        assert_eq!(vlan(name), None, "{name}");
    }
    assert_eq!(DeviceSelector::Mac(MAC).vlan(), None);
}

fn any_ip() -> impl Strategy<Value = (Option<IpAddr>, IpAddr)> {
    let v4 = (any::<Option<Ipv4Addr>>(), any::<Ipv4Addr>())
        .prop_map(|(local, remote)| (local.map(IpAddr::V4), IpAddr::V4(remote)));
    let v6 = (any::<Option<Ipv6Addr>>(), any::<Ipv6Addr>())
        .prop_map(|(local, remote)| (local.map(IpAddr::V6), IpAddr::V6(remote)));
    prop_oneof![v4, v6].prop_filter("addresses of a target", |(local, remote)| {
        !remote.is_unspecified()
            && local
                .is_none_or(|ip| !ip.is_unspecified() && !ip.is_multicast() && ip != TargetConfig::REMOTE_IP)
    })
}

prop_compose! {
    fn any_target()(
        format in prop_oneof![
            Just(Format::Basic),
            Just(Format::Syslog),
            any::<bool>().prop_map(|release| Format::Extended { release }),
        ],
        ports in (1..=u16::MAX, 1..=u16::MAX),
        ips in any_ip(),
        device in prop_oneof![
            "[a-z0-9._@+-]{1,15}".prop_map(|name| device(&name)),
            any::<[u8; 6]>().prop_map(|mac| DeviceSelector::Mac(MacAddr(mac))),
            Just(DeviceSelector::Any),
        ],
        mac in any::<Option<[u8; 6]>>(),
    ) -> TargetConfig {
        TargetConfig {
            format,
            local_port: ports.0,
            local_ip: ips.0,
            device,
            remote_port: ports.1,
            remote_ip: ips.1,
            remote_mac: mac.map(MacAddr),
        }
    }
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(target in any_target()) {
        let text = target.to_string();
        let parsed: Vec<_> = targets(text.as_bytes()).collect();
        prop_assert_eq!(parsed, [Parsed { target: Ok(target), warning: None }]);
    }

    #[test]
    fn any_bytes_give_targets_that_print_and_parse_or_errors_that_print(value: Vec<u8>) {
        check_any(&value);
    }

    #[test]
    fn any_text_of_the_grammar_s_characters_does_too(value in "[+rs0-9a-f@/,;:.eth\u{e4} ]{0,60}") {
        check_any(value.as_bytes());
    }
}

fn check_any(value: &[u8]) {
    for parsed in targets(value) {
        match parsed.target {
            Ok(target) => {
                assert_eq!(good(&target.to_string()), [target]);
            }
            Err(error) => assert!(error.to_string().contains("couldn't parse config at '")),
        }
    }
}
