//! The grammar of `netconsole=`, its errors and their places.

use super::*;
use crate::settings::DeviceName;
use crate::wire::MacAddr;
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

mod wild;

fn good(value: &str) -> Vec<TargetConfig> {
    targets(value.as_bytes())
        .map(|parsed| {
            assert_eq!(said(&parsed), [""; 0], "{value}");
            parsed.target.unwrap_or_else(|error| panic!("{value}: {error}"))
        })
        .collect()
}

/// The warnings about a target.
fn said(parsed: &Parsed<'_>) -> Vec<String> {
    parsed.warnings.iter().map(|warning| warning.to_string()).collect()
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
    let warning = parsed.warnings.iter().next().expect("a warning");
    assert_eq!(warning.level(), log::Level::Error);
    assert_eq!(
        warning.to_string(),
        "couldn't parse config at '00:13:32:20:r9:a5'! target ethernet address: \
         expected a hexadecimal digit, found 'r'; it is resolved instead: \
         6666@192.168.1.28/eth0,6666@192.168.1.19/00:13:32:20:>>>r<<<9:a5"
    );
    for mac in ["12:34:56:78:9a", "12-34-56-78-9a", "eth0", "12:34:56:78:9a:b", "514", "0:1:2:3:4:5", "<mac>"]
    {
        let value = format!("@/,@10.0.0.2/{mac}");
        let parsed = targets(value.as_bytes()).next().expect("a target");
        assert_eq!(parsed.target.map(|target| target.remote_mac), Ok(None), "{value}");
        assert_eq!(said(&parsed).len(), 1, "{value}");
    }
}

/// `(value, what its target prints as, warnings)`: what Linux refuses or ignores without a word.
const TAKEN: &[(&str, &str, &[&str])] = &[
    (
        "@/,@10.0.0.2/12-34-56-78-9A-bc",
        "6665@/,6666@10.0.0.2/12:34:56:78:9a:bc",
        &["target ethernet address: '-' is taken for ':': @/,@10.0.0.2/12>>>-<<<34-56-78-9A-bc"],
    ),
    (
        "@10.0.0.2/12-34-56-78-9a-bc",
        "6665@/,6666@10.0.0.2/12:34:56:78:9a:bc",
        &["target ethernet address: '-' is taken for ':': @10.0.0.2/12>>>-<<<34-56-78-9a-bc"],
    ),
    (
        "@/22-33-44-55-66-77,@10.0.0.2/",
        "6665@/22:33:44:55:66:77,6666@10.0.0.2/",
        &["interface: '-' is taken for ':': @/22>>>-<<<33-44-55-66-77,@10.0.0.2/"],
    ),
    (
        "@/,@10.0.0.2/12:34:56:78:9a:bc/",
        "6665@/,6666@10.0.0.2/12:34:56:78:9a:bc",
        &["target ethernet address: what follows it is ignored: @/,@10.0.0.2/12:34:56:78:9a:bc>>>/<<<"],
    ),
    (
        "@/,@10.0.0.2/12:34:56:78:9a:bc,",
        "6665@/,6666@10.0.0.2/12:34:56:78:9a:bc",
        &["target ethernet address: what follows it is ignored: @/,@10.0.0.2/12:34:56:78:9a:bc>>>,<<<"],
    ),
    (
        "@/,@10.0.0.2/12:34:56:78:9a:bc-V100:1",
        "6665@/,6666@10.0.0.2/12:34:56:78:9a:bc",
        &["target ethernet address: what follows it is ignored: @/,@10.0.0.2/12:34:56:78:9a:bc>>>-V100:1<<<"],
    ),
    (
        "@/,@10.0.0.2/12:34:56:78:9a:bcd",
        "6665@/,6666@10.0.0.2/12:34:56:78:9a:bc",
        &["target ethernet address: what follows it is ignored: @/,@10.0.0.2/12:34:56:78:9a:bc>>>d<<<"],
    ),
    (
        "@/22:33:44:55:66:77:88,@10.0.0.2/",
        "6665@/22:33:44:55:66:77,6666@10.0.0.2/",
        &["interface: what follows it is ignored: @/22:33:44:55:66:77>>>:88<<<,@10.0.0.2/"],
    ),
    (
        " @/, @10.0.0.2/\t",
        "6665@/,6666@10.0.0.2/",
        &["warning: whitespace is not allowed, it is ignored: >>> <<<@/, @10.0.0.2/\\t"],
    ),
    ("@/,@[fd00::1]/", "6665@/,6666@fd00::1/", &[]),
    ("@[fd00::2]/eth1,@[fd00::1]/", "6665@fd00::2/eth1,6666@fd00::1/", &[]),
    ("@/,@fe80::1%eth1/", "6665@/eth1,6666@fe80::1/", &[]),
    ("@/,@[fe80::1%eth1]/", "6665@/eth1,6666@fe80::1/", &[]),
    ("@fe80::2%eth1/,@fe80::1%eth1/", "6665@fe80::2/eth1,6666@fe80::1/", &[]),
    ("@/eth1,@fe80::1%eth1/", "6665@/eth1,6666@fe80::1/", &[]),
    ("@/,@fe80::1%eth0/", "6665@/eth0,6666@fe80::1/", &[]),
    (
        "@/eth1,@fe80::1%eth0/",
        "6665@/eth1,6666@fe80::1/",
        &["target address: its zone is ignored: @/eth1,@fe80::1%>>>eth0<<</"],
    ),
    (
        "@/,@fe80::1%2/",
        "6665@/,6666@fe80::1/",
        &["target address: its zone is ignored: @/,@fe80::1%>>>2<<</"],
    ),
    (
        "@/,@010.000.0.02/",
        "6665@/,6666@10.0.0.2/",
        &["target address: taken for 10.0.0.2: @/,@>>>010.000.0.02<<</"],
    ),
    ("06666@/,00514@10.0.0.2/", "6666@/,514@10.0.0.2/", &[]),
];

#[test]
fn what_can_mean_one_thing_only_is_taken() {
    for (value, target, warnings) in TAKEN {
        let parsed: Vec<_> = targets(value.as_bytes()).collect();
        assert_eq!(parsed.len(), 1, "{value}");
        assert_eq!(parsed[0].target.map(|target| target.to_string()).as_deref(), Ok(*target), "{value}");
        assert_eq!(said(&parsed[0]), *warnings, "{value}");
        assert!(parsed[0].warnings.iter().all(|warning| warning.level() == log::Level::Warn), "{value}");
    }
}

#[test]
fn separators_too_many_are_no_targets() {
    let two = ["6665@/,6666@10.0.0.2/", "6665@/eth1,6666@10.0.0.3/"];
    for value in [
        "@/,@10.0.0.2/;@/eth1,@10.0.0.3/",
        ";@/,@10.0.0.2/;; @/eth1,@10.0.0.3/ ;",
        "@/,@10.0.0.2/; ;@/eth1,@10.0.0.3/;",
    ] {
        let targets: Vec<_> =
            targets(value.as_bytes()).map(|parsed| parsed.target.expect(value).to_string()).collect();
        assert_eq!(targets, two, "{value}");
    }
    for value in ["", ";", " ; ;"] {
        let parsed: Vec<_> = targets(value.as_bytes()).collect();
        assert!(parsed.len() == 1 && parsed[0].target.is_err(), "{value}");
    }
}

/// `(value, message)`, each of which refuses the target.
const BAD: &[(&str, &str)] = &[
    ("@", "''! target address: expected '/' behind it, found the end: @>>><<<"),
    ("/", "'/'! target port: expected a port and '@', or '@' alone, found '/': >>>/<<<"),
    (",", "','! source port: expected a port and '@', or '@' alone, found ',': >>>,<<<"),
    ("@/,", "''! target port: expected a port and '@', or '@' alone, found the end: @/,>>><<<"),
    ("@/,@", "''! target address: expected '/' behind it, found the end: @/,@>>><<<"),
    (
        "0@/,@10.0.0.2/",
        "'0@/,@10.0.0.2/'! source port: expected a number from 1 to 65535, found '0': >>>0<<<@/,@10.0.0.2/",
    ),
    (
        "65536@/,@10.0.0.2/",
        "'65536@/,@10.0.0.2/'! source port: expected a number from 1 to 65535, found '65536': \
         >>>65536<<<@/,@10.0.0.2/",
    ),
    (
        "++1@/,@10.0.0.2/",
        "'+1@/,@10.0.0.2/'! source port: expected a number from 1 to 65535, found '+1': +>>>+1<<<@/,@10.0.0.2/",
    ),
    (
        "@/,66a@10.0.0.2/",
        "'66a@10.0.0.2/'! target port: expected a number from 1 to 65535, found '66a': @/,>>>66a<<<@10.0.0.2/",
    ),
    (
        "@/,10.0.0.2/",
        "'10.0.0.2/'! target address: expected '@' before it, found '10.0.0.2': @/,>>>10.0.0.2<<</",
    ),
    ("10.0.0.2", "'10.0.0.2'! target address: expected '@' before it, found '10.0.0.2': >>>10.0.0.2<<<"),
    (
        "10.0.0.1/eth0,@10.0.0.2/",
        "'10.0.0.1/eth0,@10.0.0.2/'! source address: expected '@' before it, found '10.0.0.1': \
         >>>10.0.0.1<<</eth0,@10.0.0.2/",
    ),
    (
        "eth0,@10.0.0.2/",
        "'eth0,@10.0.0.2/'! source port: expected a port and '@', or '@' alone, found 'eth0': \
         >>>eth0<<<,@10.0.0.2/",
    ),
    (
        "6665,@10.0.0.2/",
        "'6665,@10.0.0.2/'! source port: expected '@' behind it, found ',': 6665>>>,<<<@10.0.0.2/",
    ),
    (
        "@10.0.0.1,@10.0.0.2/",
        "'10.0.0.1,@10.0.0.2/'! source address: expected '/' behind it, found ',': @10.0.0.1>>>,<<<@10.0.0.2/",
    ),
    (
        "@10.0.0.256/,@10.0.0.2/",
        "'10.0.0.256/,@10.0.0.2/'! source address: expected a number from 0 to 255, found '256': \
         @10.0.0.>>>256<<</,@10.0.0.2/",
    ),
    (
        "@224.0.0.1/,@10.0.0.2/",
        "'224.0.0.1/,@10.0.0.2/'! source address: expected the address of one of this machine's interfaces, \
         found '224.0.0.1': @>>>224.0.0.1<<</,@10.0.0.2/",
    ),
    (
        "@127.0.0.1/,@10.0.0.2/",
        "'127.0.0.1/,@10.0.0.2/'! source address: expected the address of one of this machine's interfaces, \
         found '127.0.0.1': @>>>127.0.0.1<<</,@10.0.0.2/",
    ),
    (
        "@/anamethatistoolong,@10.0.0.2/",
        "'anamethatistoolong,@10.0.0.2/'! interface: expected an interface's name (at most 15 characters) or \
         ethernet address, found 'anamethatistoolong': @/>>>anamethatistoolong<<<,@10.0.0.2/",
    ),
    (
        "@10.0.0.1/24/eth0,@10.0.0.2/",
        "'24/eth0,@10.0.0.2/'! interface: expected an interface's name (at most 15 characters) or \
         ethernet address, found '24/eth0': @10.0.0.1/>>>24/eth0<<<,@10.0.0.2/",
    ),
    (
        "@/22:33:44:55:66,@10.0.0.2/",
        "'22:33:44:55:66,@10.0.0.2/'! interface: expected ':', found nothing: \
         @/22:33:44:55:66>>><<<,@10.0.0.2/",
    ),
    (
        "@/22:33:44:55:66:7g,@10.0.0.2/",
        "'22:33:44:55:66:7g,@10.0.0.2/'! interface: expected a hexadecimal digit, found 'g': \
         @/22:33:44:55:66:7>>>g<<<,@10.0.0.2/",
    ),
    (
        "4444@10.0.0.1/eth1",
        "''! target: expected ',' and the target, [port]@[address]/[ethernet address], \
         found the end: 4444@10.0.0.1/eth1>>><<<",
    ),
    (
        "6665@/,6666@10.0.0.256/",
        "'10.0.0.256/'! target address: expected a number from 0 to 255, found '256': \
         6665@/,6666@10.0.0.>>>256<<</",
    ),
    (
        "@/,@10.0.0/",
        "'10.0.0/'! target address: expected four numbers with '.' between them, found '10.0.0': \
         @/,@>>>10.0.0<<</",
    ),
    (
        "@/,@10.0..2/",
        "'10.0..2/'! target address: expected four numbers with '.' between them, found '10.0..2': \
         @/,@>>>10.0..2<<</",
    ),
    (
        "@/,@10.0.0.2.5/",
        "'10.0.0.2.5/'! target address: expected four numbers with '.' between them, found '10.0.0.2.5': \
         @/,@>>>10.0.0.2.5<<</",
    ),
    (
        "@/,@10.0.0.2:514/",
        "'10.0.0.2:514/'! target address: expected nothing more (the port goes before '@'), found ':514': \
         @/,@10.0.0.2>>>:514<<</",
    ),
    (
        "@/,@[fd00::1]:514/",
        "'[fd00::1]:514/'! target address: expected nothing more (the port goes before '@'), found ':514': \
         @/,@[fd00::1]>>>:514<<</",
    ),
    (
        "@/,@[fd00::1/",
        "'[fd00::1/'! target address: expected ']' behind it, found nothing: @/,@[fd00::1>>><<</",
    ),
    (
        "@/,@loghost/",
        "'loghost/'! target address: expected an IPv4 or IPv6 address (names are not looked up), \
         found 'loghost': @/,@>>>loghost<<</",
    ),
    (
        "@/,@<log host>/",
        "'<log host>/'! target address: expected an IPv4 or IPv6 address, found '<log host>': \
         @/,@>>><log host><<</",
    ),
    (
        "@/,@fd00:::1/",
        "'fd00:::1/'! target address: expected at most four hexadecimal digits and ':', and '::' once, \
         found ':::': @/,@fd00>>>:::<<<1/",
    ),
    (
        "@/,@fd00::12345/",
        "'fd00::12345/'! target address: expected at most four hexadecimal digits and ':', and '::' once, \
         found '12345': @/,@fd00::>>>12345<<</",
    ),
    (
        "@/,@fd00::g/",
        "'fd00::g/'! target address: expected an IPv4 or IPv6 address, found 'g': @/,@fd00::>>>g<<</",
    ),
    (
        "@/,@0.0.0.0/",
        "'0.0.0.0/'! target address: expected an address that can be sent to, found '0.0.0.0': \
         @/,@>>>0.0.0.0<<</",
    ),
    (
        "@/,@127.0.0.1/",
        "'127.0.0.1/'! target address: expected another machine's address (this one never leaves the machine), \
         found '127.0.0.1': @/,@>>>127.0.0.1<<</",
    ),
    (
        "@/,@::1/",
        "'::1/'! target address: expected another machine's address (this one never leaves the machine), \
         found '::1': @/,@>>>::1<<</",
    ),
    (
        "@10.0.0.1/,@fd00::1/",
        "'fd00::1/'! target address: expected an IPv4 address like the source's, found 'fd00::1': \
         @10.0.0.1/,@>>>fd00::1<<</",
    ),
    (
        "@fd00::1/,@10.0.0.1/",
        "'10.0.0.1/'! target address: expected an IPv6 address like the source's, found '10.0.0.1': \
         @fd00::1/,@>>>10.0.0.1<<</",
    ),
    ("@/,@10.0.0.2", "'10.0.0.2'! target address: expected '/' behind it, found the end: @/,@10.0.0.2>>><<<"),
    (
        "@/,@10.0.0.2/,@10.0.0.3/",
        "',@10.0.0.3/'! target ethernet address: expected ';' between two targets, found ',': \
         @/,@10.0.0.2/>>>,<<<@10.0.0.3/",
    ),
    (
        "@/,@10.0.0.2/12:34:5,x",
        "'12:34:5,x'! target ethernet address: expected nothing more, found ',': @/,@10.0.0.2/12:34:5>>>,<<<x",
    ),
    (
        "s+@/,@10.0.0.2/",
        "'+@/,@10.0.0.2/'! source port: expected a number from 1 to 65535, found '+': s>>>+<<<@/,@10.0.0.2/",
    ),
    (
        "@/,@\u{e4}\n/",
        "'\\xc3\\xa4\\n/'! target address: expected an IPv4 or IPv6 address, found '\\xc3\\xa4\\n': \
         @/,@>>>\\xc3\\xa4\\n<<</",
    ),
    (
        "6666@2001:db8:0:1:0:0:0:1/enp0s31f6,6666@2001:db8:0:1:0:0:0:25z/02:00:5e:00:53:01",
        "'2001:db8:0:1:0:0:0:25z/02:00:5e:00:53:01'! target address: expected an IPv4 or IPv6 address, \
         found 'z': 6666@2001:db8:0:1:0:0:0:1/enp0s31f6,6666@2001:db8:0:1:0:0:0:25>>>z<<</02:00:5e:00:53:01",
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
    assert!(targets(b"").next().expect("a target").target.is_err());
}

#[test]
fn the_release_needs_the_extended_format() {
    for (value, marked) in
        [("r@/,@10.0.0.2/", ">>>r<<<@/,@10.0.0.2/"), ("sr@/,@10.0.0.2/", "s>>>r<<<@/,@10.0.0.2/")]
    {
        let error = targets(value.as_bytes()).next().expect("a target").target.expect_err(value);
        assert_eq!(
            error.to_string(),
            format!(
                "Release feature requires extended log message: couldn't parse config at '{value}'! \
                 format: expected '+' before it, found 'r': {marked}"
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
        "couldn't parse config at '@/,\\xff@/'! target: expected UTF-8 text, found '\\xff': @/,>>>\\xff<<<@/"
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
        Expected::of_destination(*remote).is_none()
            && local.is_none_or(|ip| !ip.is_unspecified() && Expected::of_source(ip).is_none())
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
        prop_assert_eq!(parsed, [Parsed { target: Ok(target), warnings: Warnings::default() }]);
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
    let is_one_line = |text: &str| text.bytes().all(|byte| (b' '..0x7f).contains(&byte));
    for parsed in targets(value) {
        assert!(said(&parsed).iter().all(|text| is_one_line(text)));
        match parsed.target {
            Ok(target) => {
                assert_eq!(good(&target.to_string()), [target]);
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("couldn't parse config at '") && is_one_line(&text), "{text}");
            }
        }
    }
}
