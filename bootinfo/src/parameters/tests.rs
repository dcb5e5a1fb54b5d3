//! Every parameter, and what is said of wrong ones.

use super::*;
use netconsole::seal::{BootId, Key, KeyStore, Secrecy};
use netconsole::settings::{Fallback, Format, MAX_TARGETS, OF_NETCONSOLE, TargetConfig, wipe_keys};
use proptest::prelude::*;
use std::net::IpAddr;

/// The parameters and the problems' lines.
fn read(line: &str) -> (Parameters, Vec<String>) {
    let mut problems = Vec::new();
    let parameters = Parameters::parse(line.as_bytes(), &mut |_, problem| problems.push(problem.to_string()));
    (parameters, problems)
}

/// The parameters of a line without problems.
fn good(line: &str) -> Parameters {
    let (parameters, problems) = read(line);
    assert_eq!(problems, [""; 0], "{line}");
    parameters
}

/// The targets, with a key store that has decided as the line asks.
fn targets(parameters: &Parameters) -> Vec<TargetConfig> {
    let keys = KeyStore::new();
    keys.decide(&parameters.settings.secrecy, || BootId([7; 16]));
    parameters.settings.targets(&keys).expect("it has decided").to_vec()
}

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";

#[test]
fn every_parameter_sets_its_field_and_no_other() {
    const D: Parameters = Parameters::DEFAULT;
    let with = |set: fn(&mut Settings)| {
        let mut parameters = D;
        set(&mut parameters.settings);
        parameters
    };
    let serial = |serial| Parameters { console: Console::Serial(serial), ..D };
    let crash = |kind, place| Parameters { crash: Some(Crash { kind, place }), ..D };
    for (line, expected) in [
        ("", D),
        ("loglevel=0", with(|settings| settings.loglevel = 0)),
        ("loglevel=8", with(|settings| settings.loglevel = 8)),
        ("loglevel=9", with(|settings| settings.loglevel = 8)),
        ("loglevel=15", with(|settings| settings.loglevel = 8)),
        ("loglevel=99999999999999999999", with(|settings| settings.loglevel = 8)),
        ("quiet", with(|settings| settings.loglevel = 4)),
        ("debug", with(|settings| settings.loglevel = 8)),
        ("ignore_loglevel", with(|settings| settings.ignore_loglevel = true)),
        ("ignore-loglevel=y", with(|settings| settings.ignore_loglevel = true)),
        ("printk.time=0", with(|settings| settings.printk_time = false)),
        ("printk.time=N", with(|settings| settings.printk_time = false)),
        ("printk.time=0 printk.time=Y", D),
        ("printk.time=no", with(|settings| settings.printk_time = false)),
        ("netconsole.oops_only=on", with(|settings| settings.oops_only = true)),
        ("console=tty0", D),
        (
            "console=ttyS1 console=tty0 console=hvc0 console=ttyUSB0,9600 console=uart8250,io,0x3f8",
            serial(SerialConsole { port: 1, ..SerialConsole::DEFAULT }),
        ),
        ("console=ttyS1,115200n8r", serial(SerialConsole { port: 1, ..SerialConsole::DEFAULT })),
        ("netconsole.fallback=errors", D),
        ("netconsole.fallback=log", with(|settings| settings.fallback = Fallback::Log)),
        ("netconsole.fallback=off", with(|settings| settings.fallback = Fallback::Off)),
        (
            "virtio_mmio.device=512@0xfeb00e00:12 virtio_mmio.device=4K@3489660928:5:0",
            Parameters { virtio_mmio: MmioDevices::of([0xfeb0_0e00, 0xd000_0000]), ..D },
        ),
        ("console=null", Parameters { console: Console::Null, ..D }),
        ("console=ttyS0", D),
        ("console=ttyS1", serial(SerialConsole { port: 1, ..SerialConsole::DEFAULT })),
        ("console=ttyS2", serial(SerialConsole { port: 2, ..SerialConsole::DEFAULT })),
        ("console=ttyS3,9600", serial(SerialConsole { port: 3, speed: 9600, ..SerialConsole::DEFAULT })),
        (
            "console=ttyS1,38400e7",
            serial(SerialConsole { port: 1, speed: 38400, parity: Parity::Even, bits: 7 }),
        ),
        ("console=ttyS0,115200o", serial(SerialConsole { parity: Parity::Odd, ..SerialConsole::DEFAULT })),
        ("log_buf_len=64K", Parameters { log_buf_len: 65536, ..D }),
        ("log_buf_len=16M", Parameters { log_buf_len: 16 << 20, ..D }),
        ("log_buf_len=131072", Parameters { log_buf_len: 131_072, ..D }),
        ("panic=-1", Parameters { panic: Some(-1), ..D }),
        ("panic=2147483647", Parameters { panic: Some(i32::MAX), ..D }),
        ("watchdog=600", Parameters { watchdog: Some(600), ..D }),
        ("watchdog=5 watchdog=0", D),
        ("netconsole.carrier_timeout=0", with(|settings| settings.carrier_timeout = 0)),
        ("netconsole.carrier_timeout=3600", with(|settings| settings.carrier_timeout = 3600)),
        ("netconsole.oops_only=1", with(|settings| settings.oops_only = true)),
        ("netconsole.input=1", with(|settings| settings.input = true)),
        ("netconsole.ncrx=0", with(|settings| settings.ncrx = false)),
        ("netconsole.panic_repeat=0", with(|settings| settings.panic_repeat = 0)),
        ("netconsole.panic-repeat=10", with(|settings| settings.panic_repeat = 10)),
        ("netconsole.echo=0", with(|settings| settings.echo = false)),
        ("after=serve", Parameters { after: Some(After::Serve), ..D }),
        (
            "linux=scan",
            Parameters {
                linux: Linux { scans: true, ..D.linux },
                ..with(|settings| settings.ships_another_log = true)
            },
        ),
        (
            "linux=again",
            Parameters {
                linux: Linux { scans: true, again: true, ..D.linux },
                ..with(|settings| settings.ships_another_log = true)
            },
        ),
        ("linux.broadcast=0", with(|settings| settings.broadcasts_another_log = false)),
        ("linux.caller=1", linux(|linux| linux.caller = true)),
        ("linux.loglevel=5", linux(|linux| linux.loglevel = 5)),
        ("linux.patience=3600", linux(|linux| linux.patience = 3600)),
        ("after=poweroff", Parameters { after: Some(After::Poweroff), ..D }),
        ("after=reboot", Parameters { after: Some(After::Reboot), ..D }),
        ("after=halt", Parameters { after: Some(After::Halt), ..D }),
        ("after=exit", Parameters { after: Some(After::Exit), ..D }),
        ("flood=20000", Parameters { flood: 20000, ..D }),
        ("flood.length=22", Parameters { flood_length: 22, ..D }),
        ("flood.length=1000", Parameters { flood_length: 1000, ..D }),
        ("flood=4294967295", Parameters { flood: u32::MAX, ..D }),
        ("crash=PANIC", crash(CrashKind::Panic, None)),
        ("crash=overflow_ring@early", crash(CrashKind::OverflowRing, Some(CrashPlace::Early))),
        ("crash=BUG@panic2", crash(CrashKind::Bug, Some(CrashPlace::Panic2))),
        ("root=UUID=a322511e ro BOOT_IMAGE=/boot/x quiet=1 nosuch.thing=9", D),
        ("a -- loglevel=3 netconsole=@/", D),
    ] {
        assert_eq!(good(line), expected, "{line}");
    }
}

/// Parameters that are the default but for this about a Linux that crashed.
fn linux(change: impl FnOnce(&mut Linux)) -> Parameters {
    let mut parameters = Parameters::DEFAULT;
    change(&mut parameters.linux);
    parameters
}

/// Both of kexec's loaders say where the ELF core header lies, each in its way.
#[test]
fn a_crash_kernel_is_told_where_the_core_header_lies() {
    for (line, address) in [
        ("elfcorehdr=0x1f000000", 0x1f00_0000),
        ("elfcorehdr=511348K", 511_348 << 10),
        ("elfcorehdr=4096", 4096),
        ("elfcorehdr=3M", 3 << 20),
        ("elfcorehdr=5G", 5 << 30),
    ] {
        let parameters = good(line);
        assert_eq!(parameters.linux.core_header, Some(address), "{line}");
        assert!(parameters.settings.ships_another_log, "{line}");
    }
    for value in ["", "0x", "1fK0", "17179869184G", "-1"] {
        let mut problems = Vec::new();
        let line = format!("elfcorehdr={value}");
        let parameters =
            Parameters::parse(line.as_bytes(), &mut |_, problem| problems.push(problem.to_string()));
        assert_eq!(parameters.linux.core_header, None, "{line}");
        assert!(problems[0].contains("expected a physical address, with 0x or K, M or G"), "{problems:?}");
    }
}

#[test]
fn the_crash_s_words_print_and_parse() {
    for &kind in CrashKind::ALL {
        for place in CrashPlace::ALL.iter().copied().map(Some).chain([None]) {
            let crash = Crash { kind, place };
            assert_eq!(crash.to_string().parse(), Ok(crash));
        }
    }
}

#[test]
fn a_bad_value_is_one_line_and_changes_nothing() {
    const SERIAL: &str = "ttyS0 to ttyS3, then, if need be, ',' and the speed (115200 or what divides it), \
                          parity (n, o, e) and bits (5 to 8), or null";
    const PLACES: &str = "behind '@' one of log message tx rx serial smoltcp console panic panic2 panic3 paniccard paniccards firmware early pci";
    for (line, expected) in [
        ("loglevel=-1", "a number from 0 to 8"),
        ("loglevel=+1", "a number from 0 to 8"),
        ("loglevel=", "a number from 0 to 8"),
        ("loglevel", "a number from 0 to 8"),
        ("loglevel=7x", "a number from 0 to 8"),
        ("loglevel=9x", "a number from 0 to 8"),
        ("ignore_loglevel=2", "0 or 1"),
        ("printk.time=", "0 or 1"),
        ("printk.time=perhaps", "0 or 1"),
        ("console=", SERIAL),
        ("console=ttyS4", SERIAL),
        ("console=ttys0", SERIAL),
        ("console=ttyS0,", SERIAL),
        ("console=ttyS0,0", SERIAL),
        ("console=ttyS0,230400", SERIAL),
        ("console=ttyS0,7", SERIAL),
        ("console=ttyS0,9600x", SERIAL),
        ("console=ttyS0,9600n9", SERIAL),
        ("console=ttyS0,9600n8x", SERIAL),
        ("log_buf_len=32K", "a power of two from 64K to 16M"),
        ("log_buf_len=32M", "a power of two from 64K to 16M"),
        ("log_buf_len=100K", "a power of two from 64K to 16M"),
        ("log_buf_len=1T", "a power of two from 64K to 16M"),
        ("log_buf_len=M", "a power of two from 64K to 16M"),
        ("log_buf_len=18446744073709551615G", "a power of two from 64K to 16M"),
        ("panic=2147483648", "a number from -2147483648 to 2147483647"),
        ("watchdog=601", "a number from 0 to 600"),
        ("netconsole.carrier_timeout=3601", "a number from 0 to 3600"),
        ("netconsole.oops_only=always", "0 or 1"),
        ("netconsole.fallback=on", "errors, log or off"),
        ("netconsole.input=2", "0 or 1"),
        ("netconsole.snp=2", "a number from 0 to 1"),
        ("netconsole.ncrx=x", "0 or 1"),
        ("netconsole.panic_repeat=11", "a number from 0 to 10"),
        ("netconsole.echo=-", "0 or 1"),
        ("after=sleep", "serve, poweroff, reboot, halt or exit"),
        ("flood=4294967296", "a number from 0 to 4294967295"),
        ("flood.length=21", "a number from 22 to 1000"),
        ("flood.length=1001", "a number from 22 to 1000"),
        ("crash=PANIC@", PLACES),
        ("crash=PANIC@home", PLACES),
    ] {
        let (parameters, problems) = read(line);
        assert_eq!(parameters, Parameters::DEFAULT, "{line}");
        assert_eq!(problems, [format!("{line}: expected {expected}; ignored")]);
    }
    let (_, problems) = read("crash=NOTHING");
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("crash=NOTHING: expected one of PANIC BUG EXCEPTION "), "{problems:?}");
    assert_eq!(read("loglevel=3 loglevel=x").0.settings.loglevel, 3);
}

#[test]
fn bytes_that_are_no_text_are_shown_escaped() {
    let mut lines = Vec::new();
    Parameters::parse(b"after=\xff\x01 ip=\xff", &mut |_, line| lines.push(line.to_string()));
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], "after=\\xff\\x01: expected serve, poweroff, reboot, halt or exit; ignored");
}

#[test]
fn targets_add_up_to_sixteen() {
    let parameters = good("netconsole=@/ netconsole=\"+@/,@10.0.0.2/;@/,@10.0.0.3/\"");
    let three = targets(&parameters);
    assert_eq!(three.len(), 3);
    assert_eq!(three[1].format, Format::Extended { release: false });
    assert_eq!(three[2].remote_ip, IpAddr::from([10, 0, 0, 3]));

    assert_eq!(targets(&good(&"netconsole=@/ ".repeat(MAX_TARGETS))).len(), MAX_TARGETS);
    let (parameters, problems) = read(&"netconsole=@/ ".repeat(MAX_TARGETS + 1));
    assert_eq!(targets(&parameters).len(), MAX_TARGETS);
    assert_eq!(
        problems,
        ["netconsole: '6665@/,6666@255.255.255.255/' is one more than 16 targets, aborting"]
    );
}

#[test]
fn problems_of_targets_are_lines_that_begin_with_netconsole() {
    let (parameters, problems) =
        read("ro netconsole=\"@/,@10.0.0.256/;6666@192.168.1.28/eth0,6666@192.168.1.19/00:13:32:20:r9:a5\"");
    assert_eq!(targets(&parameters).len(), 1);
    assert_eq!(
        problems,
        [
            "netconsole: couldn't parse config at '10.0.0.256/'! target address: expected a number from 0 to 255, \
             found '256': @/,@10.0.0.>>>256<<</",
            "netconsole: couldn't parse config at '00:13:32:20:r9:a5'! target ethernet address: expected a \
             hexadecimal digit, found 'r'; it is resolved instead: \
             6666@192.168.1.28/eth0,6666@192.168.1.19/00:13:32:20:>>>r<<<9:a5",
        ]
    );
}

/// What is wrong with the only target is to be told: by whom, and how, `netconsole.fallback=` says.
#[test]
fn where_no_target_could_be_taken_that_is_said() {
    const NONE: &str = "netconsole: no target could be taken: ";
    for (line, broadcasts) in [
        ("netconsole=@/,@10.0.0.256/", true),
        ("netconsole=", true),
        ("netconsole=@/,@10.0.0.256/ netconsole=@/eth0", true),
        ("NETCONSOLE=@/,@10.0.0.2/", true),
        ("netconsole=@/,@10.0.0.256/ netconsole=@/,@10.0.0.2/", false),
        ("", false),
        ("netconsole.typo=1", false),
        ("netconsole=@/,@10.0.0.256/ netconsole.fallback=off", false),
        ("netconsole=@/,@10.0.0.256/ netconsole.fallback=log", false),
    ] {
        let (parameters, problems) = read(line);
        assert_eq!(parameters.settings.broadcasts_errors(), broadcasts, "{line}");
        let is_said = problems.last().is_some_and(|last| last.starts_with(NONE));
        assert_eq!(is_said, broadcasts || line.contains("fallback"), "{line}: {problems:?}");
        let falls_back = line.contains("fallback=log") || line.contains("@10.0.0.2/ ");
        let expected: &[TargetConfig] = if falls_back { &[TargetConfig::DEFAULT] } else { &[] };
        if line.contains("fallback") {
            assert_eq!(targets(&parameters), expected, "{line}");
        }
    }
}

/// Whatever may be a key stops the broadcasts; a key whose name has a typing error stops everything.
#[test]
fn what_looks_like_a_key_stops_the_broadcasts() {
    for fallback in ["errors", "log"] {
        for (word, secrecy) in [
            (format!("netconsole.key={KEY}"), None),
            (format!("netconsole.key={}", &KEY[1..]), Some(Secrecy::Silent)),
            (format!("netconsole.kye={KEY}"), Some(Secrecy::Silent)),
            (format!("netconsole_key={KEY}"), Some(Secrecy::Silent)),
            (format!("NETCONSOLE.KEY={KEY}"), Some(Secrecy::Silent)),
            ("netconsole.k".into(), Some(Secrecy::Silent)),
            (format!("netconsole.key{KEY}"), Some(Secrecy::Silent)),
            (format!("\"init=x netconsole.key={KEY}"), Some(Secrecy::Silent)),
            (format!("netcosole.key={KEY}"), Some(Secrecy::Clear)),
            (format!("roothash={KEY}"), Some(Secrecy::Clear)),
            (format!("\"roothash={KEY}\""), Some(Secrecy::Clear)),
            (format!("roothash=sha256:{KEY}{KEY}"), Some(Secrecy::Clear)),
            (format!("-- netconsole.key={KEY}"), Some(Secrecy::Clear)),
        ] {
            let line = format!("netconsole=@/,@10.0.0.256/ netconsole.fallback={fallback} {word}");
            let (parameters, problems) = read(&line);
            assert!(!parameters.settings.broadcasts_errors() && targets(&parameters).is_empty(), "{line}");
            assert!(parameters.settings.may_hold_key, "{line}");
            assert!(secrecy.is_none_or(|secrecy| parameters.settings.secrecy == secrecy), "{line}");
            assert!(!problems.iter().any(|problem| problem.contains(&KEY[1..])), "{problems:?}");
        }
    }
}

#[test]
fn a_key_with_a_wrong_name_stops_all_targets() {
    let (parameters, problems) = read(&format!("netconsole=@/,@10.0.0.2/ netconsole.kye={KEY}"));
    assert!(targets(&parameters).is_empty());
    assert_eq!(problems[0], "netconsole.key: a parameter has nearly this name");
    // With a good one besides there is nothing to guess.
    let both = format!("netconsole=@/,@10.0.0.2/ netconsole.kye={KEY} netconsole.key={KEY}");
    assert!(matches!(read(&both).0.settings.secrecy, Secrecy::Sealed(_)));
}

#[test]
fn what_was_probably_meant_is_said() {
    const ALL: &str = "of netconsole. there are carrier_timeout echo fallback input key ncrx oops_only panic_repeat snp userdata";
    for (word, meant) in [
        ("NETCONSOLE=@/,@10.0.0.2/", "netconsole= was probably meant"),
        ("Netconsole=@/", "netconsole= was probably meant"),
        ("netcosnole=@/", "netconsole= was probably meant"),
        ("net-console=@/", "netconsole= was probably meant"),
        ("netconsoles=@/", "netconsole= was probably meant"),
        ("netconsole.inptu=1", "netconsole.input= was probably meant"),
        ("netconsole.oopsonly=1", "netconsole.oops_only= was probably meant"),
        ("netconsole.Echo=0", "netconsole.echo= was probably meant"),
        ("netconsole_ncrx=0", "netconsole.ncrx= was probably meant"),
        ("netconsole.typo=1", ALL),
        ("netconsole.x", ALL),
    ] {
        let (_, problems) = read(word);
        assert_eq!(problems[0], format!("netconsole: '{word}' is not known and ignored: {meant}"));
    }
    for word in ["console.x=1", "net=1", "net.ifnames=0", "printk.x=1", "netroot=dhcp", "nosuch"] {
        assert_eq!(read(word).1, [""; 0], "{word}");
    }
    assert!(OF_NETCONSOLE.iter().all(|name| {
        let (_, problems) = read(&format!("netconsole.{name}=-"));
        problems.iter().all(|problem| !problem.contains("not known"))
    }));
}

#[test]
fn a_blank_in_a_target_is_told() {
    let (parameters, problems) = read("netconsole=@/, 6666@10.0.0.2/ quiet");
    assert!(parameters.settings.broadcasts_errors());
    assert_eq!(
        problems[1],
        "netconsole: '6666@10.0.0.2/' is ignored: a blank ends netconsole=; leave it out, or put quotes around the whole"
    );
    assert_eq!(read("6666@10.0.0.2/ netconsole=@/ a@b/ user@10.0.0.2").1, [""; 0]);
}

/// What Linux calls it where netconsole is a module.
#[test]
fn the_module_s_own_parameter_is_taken() {
    let (parameters, problems) = read("netconsole.netconsole=@/,@10.0.0.2/");
    assert_eq!(targets(&parameters)[0].remote_ip, IpAddr::from([10, 0, 0, 2]));
    assert_eq!(problems, ["netconsole: netconsole.netconsole= is taken for netconsole="]);
}

#[test]
fn the_key_is_read_and_never_shown() {
    let parameters = good(&format!("netconsole.key={KEY}"));
    assert_eq!(parameters.settings.secrecy, Secrecy::Sealed(Key(std::array::from_fn(|index| index as u8))));
    assert!(format!("{parameters:?}").contains("Key(hidden)"));
}

#[test]
fn a_key_that_is_none_stops_all_targets_and_is_not_shown() {
    for key in ["", "00", &KEY[1..], &format!("{KEY}0"), &KEY.replace('f', "g")] {
        let (parameters, problems) =
            read(&format!("netconsole=@/ netconsole.input=1 netconsole.key={key} quiet"));
        let mut silent = Settings::DEFAULT;
        silent.loglevel = 4;
        silent.secrecy = Secrecy::Silent;
        silent.may_hold_key = true;
        silent.asks_for_target = true;
        assert_eq!(parameters.settings, silent);
        assert_eq!(
            problems,
            ["netconsole.key: expected 64 hexadecimal digits, and no open quotes before it; no target is \
              started, so that nothing goes out in the clear"]
        );
    }
}

#[test]
fn keys_are_wiped_wherever_they_stand() {
    for (line, wiped) in [
        ("netconsole.key=abc quiet", "netconsole.key=*** quiet"),
        ("a netconsole.key=\"a c\" netconsole.key=d", "a netconsole.key=\"***\" netconsole.key=*"),
        ("\"netconsole.key=a c\" x", "\"netconsole.key=***\" x"),
        ("a -- netconsole-key=x netconsole.key=abc", "a -- netconsole-key=* netconsole.key=***"),
        ("netconsole.key netconsole.key=", "netconsole.key netconsole.key="),
        ("netconsole.keyabc Netconsole.kye=abc x", "netconsole.key*** Netconsole.kye=*** x"),
        ("x=netconsole.key=a b", "x=netconsole.key=* b"),
        ("netconsole=\"@/ netconsole.key=abc quiet", "netconsole=\"@/ netconsole.key=*********"),
        ("xnetconsole.keys=a", "xnetconsole.keys=*"),
        (
            &format!("netcosole.key={KEY} roothash={KEY}0 {}", &KEY[1..]),
            &format!("netcosole.key={} roothash={} {}", "*".repeat(64), "*".repeat(65), &KEY[1..]),
        ),
    ] {
        let mut bytes = line.as_bytes().to_vec();
        wipe_keys(&mut bytes);
        assert_eq!(String::from_utf8_lossy(&bytes), wiped);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(line: Vec<u8>) {
        check_any(&line);
    }

    #[test]
    fn any_values_of_known_names_are_too(
        words in prop::collection::vec(
            (
                prop_oneof![
                    Just("ip"), Just("netconsole"), Just("console"), Just("log_buf_len"), Just("loglevel"),
                    Just("crash"), Just("netconsole.key"), Just("panic"),
                ],
                "[0-9a-fA-FtyS@:/.,;\\[\\]nKM-]{0,24}",
            ),
            0..20,
        ),
    ) {
        let line: String = words.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        check_any(line.as_bytes());
    }

    #[test]
    fn no_digit_of_a_key_is_left(key in "[0-9a-f]{64}", before in "[a-z= \"]{0,9}") {
        let mut line = format!("{before} quiet netconsole.key={key} debug").into_bytes();
        Parameters::parse(&line, &mut |_, problem| assert!(!problem.to_string().contains(&key)));
        let len = line.len();
        wipe_keys(&mut line);
        prop_assert_eq!(line.len(), len);
        prop_assert!(!String::from_utf8_lossy(&line).contains(&key));
    }
}

/// What is accepted keeps its bounds.
fn check_any(line: &[u8]) {
    let parameters = Parameters::parse(line, &mut |_, problem| assert!(!problem.to_string().is_empty()));
    assert!(parameters.settings.loglevel <= 8);
    assert!(parameters.log_buf_len.is_power_of_two());
    assert!(Parameters::LOG_BUF_LEN.contains(&parameters.log_buf_len));
    if let Some(client) = parameters.settings.ip.client {
        assert!((1..=if client.is_ipv4() { 32 } else { 128 }).contains(&parameters.settings.ip.prefix));
    }
}

/// With or without a key, nothing goes out before that is decided.
#[test]
fn there_are_no_targets_before_secrecy_is_decided() {
    let line = format!("netconsole=@/,@10.0.2.2/ netconsole.key={}", "0f".repeat(32));
    let with_key = Parameters::parse(line.as_bytes(), &mut |_, problem| panic!("{problem}"));
    let without = Parameters::parse(b"netconsole=@/,@10.0.2.2/", &mut |_, problem| panic!("{problem}"));
    let silent = Parameters::parse(b"netconsole=@/,@10.0.2.2/ netconsole.key=0f", &mut |_, _| {});
    // What is decided, and how many targets each command line has then.
    let decide = |secrecy: &Secrecy| {
        let keys = KeyStore::new();
        keys.decide(secrecy, || BootId([7; 16]));
        let count = |parameters: &Parameters| parameters.settings.targets(&keys).map(<[_]>::len).ok();
        [count(&without), count(&with_key), count(&silent)]
    };
    let keys = KeyStore::new();
    let before = [&without, &with_key, &silent].map(|parameters| parameters.settings.targets(&keys).is_ok());
    assert_eq!(before, [false; 3]);
    assert_eq!(decide(&without.settings.secrecy), [Some(1), None, None]);
    assert_eq!(decide(&with_key.settings.secrecy), [Some(1), Some(1), None]);
    assert_eq!(decide(&Secrecy::Sealed(Key([1; 32]))), [Some(1), None, None]);
    assert_eq!(decide(&silent.settings.secrecy), [None, None, Some(0)]);
}

#[test]
fn the_addresses_of_mmio_devices_are_handed_out() {
    assert_eq!(MmioDevices::of([0xfeb0_0e00, 0xd000_0000]).as_slice(), [0xfeb0_0e00, 0xd000_0000]);
    assert!(MmioDevices::NONE.as_slice().is_empty());
}

#[test]
fn what_the_firmware_drives_is_read_before_all_else() {
    for (line, wanted) in [
        ("", None),
        ("quiet netconsole.snp=1", Some(true)),
        ("netconsole.snp=1 netconsole.snp=0", Some(false)),
        ("netconsole.snp=yes", None),
        ("-- netconsole.snp=1", None),
        ("netconsole.snp=1 linux=scan", Some(false)),
        ("netconsole.snp=1 linux=again", Some(false)),
        ("elfcorehdr=0x1000 netconsole.snp=1", Some(false)),
    ] {
        assert_eq!(Parameters::read_firmware_cards(line.as_bytes()), wanted, "{line}");
    }
    let parameters = Parameters::parse(b"netconsole.snp=0", &mut |_, problem| panic!("{problem}"));
    assert_eq!(parameters.firmware_cards, Some(false));
}
