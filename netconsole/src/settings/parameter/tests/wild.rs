//! Forms of `netconsole=` as they are found in the kernel's and distributions' documentation, wikis, forums, mailing
//! lists, boot logs, and the configuration of machines; the addresses replaced by those for documentation (RFC 5737, RFC
//! 3849, RFC 7042). Each is read as Linux reads it, or better.

use super::super::targets;

/// What is said about a target: nothing, or a part of the one line.
const QUIET: &str = "";

/// `(form, what its targets print as or are refused with, what is said of each)`.
const FORMS: &[(&str, &[(&str, &str)])] = &[
    // The kernel's own documentation, old and new.
    (
        "4444@192.0.2.1/eth1,9353@192.0.2.2/02:00:5e:00:53:bc",
        &[("4444@192.0.2.1/eth1,9353@192.0.2.2/02:00:5e:00:53:bc", QUIET)],
    ),
    ("@/,@192.0.2.2/", &[("6665@/,6666@192.0.2.2/", QUIET)]),
    ("@/,@2001:db8:2:3::1/", &[("6665@/,6666@2001:db8:2:3::1/", QUIET)]),
    (
        "@/,@192.0.2.2/;@/eth1,6892@192.0.2.3/",
        &[("6665@/,6666@192.0.2.2/", QUIET), ("6665@/eth1,6892@192.0.2.3/", QUIET)],
    ),
    (
        "4444@192.0.2.1/eth1,9353@192.0.2.2/02:00:5e:00:53:bc;4444@192.0.2.1/eth1,9353@192.0.2.3/02:00:5e:00:53:bc",
        &[
            ("4444@192.0.2.1/eth1,9353@192.0.2.2/02:00:5e:00:53:bc", QUIET),
            ("4444@192.0.2.1/eth1,9353@192.0.2.3/02:00:5e:00:53:bc", QUIET),
        ],
    ),
    (
        "+4444@192.0.2.1/eth1,9353@192.0.2.2/02:00:5e:00:53:bc",
        &[("+4444@192.0.2.1/eth1,9353@192.0.2.2/02:00:5e:00:53:bc", QUIET)],
    ),
    (
        "+r4444@192.0.2.1/eth1,9353@192.0.2.2/02:00:5e:00:53:bc",
        &[("+r4444@192.0.2.1/eth1,9353@192.0.2.2/02:00:5e:00:53:bc", QUIET)],
    ),
    (
        "4444@192.0.2.1/02:00:5e:00:53:77,9353@192.0.2.2/02:00:5e:00:53:bc",
        &[("4444@192.0.2.1/02:00:5e:00:53:77,9353@192.0.2.2/02:00:5e:00:53:bc", QUIET)],
    ),
    (
        "6665@/02:00:5e:00:53:ff,6666@192.0.2.1/02:00:5e:00:53:55",
        &[("6665@/02:00:5e:00:53:ff,6666@192.0.2.1/02:00:5e:00:53:55", QUIET)],
    ),
    ("4444@192.0.2.1/br0,9353@192.0.2.2/", &[("4444@192.0.2.1/br0,9353@192.0.2.2/", QUIET)]),
    // The same as a web page shows it that has taken e-mail addresses for what they are not.
    ("4444@,9353@", &[("refused", "source address: expected '/' behind it, found ','")]),
    // The wiki's.
    ("514@192.0.2.2/02:00:5e:00:53:bc", &[("6665@/,514@192.0.2.2/02:00:5e:00:53:bc", QUIET)]),
    (
        "6666@192.0.2.28/eth0,6666@192.0.2.19/02:00:5e:20:r9:a5",
        &[("6666@192.0.2.28/eth0,6666@192.0.2.19/", "found 'r'; it is resolved instead")],
    ),
    ("514@192.0.2.1/eth1,514@192.0.2.2/", &[("514@192.0.2.1/eth1,514@192.0.2.2/", QUIET)]),
    // Boot logs: capital letters, 2.6's and today's.
    (
        "514@192.0.2.4/eth2,514@192.0.2.5/02:00:5E:02:74:B4",
        &[("514@192.0.2.4/eth2,514@192.0.2.5/02:00:5e:02:74:b4", QUIET)],
    ),
    ("4444@192.0.2.10/eth0,7000@192.0.2.1/", &[("4444@192.0.2.10/eth0,7000@192.0.2.1/", QUIET)]),
    (
        "6666@192.0.2.10/eth0,6666@192.0.2.3/02:00:5E:30:EC:01",
        &[("6666@192.0.2.10/eth0,6666@192.0.2.3/02:00:5e:30:ec:01", QUIET)],
    ),
    (
        "@192.0.2.2/eth0,6666@192.0.2.1/ff:ff:ff:ff:ff:ff",
        &[("6665@192.0.2.2/eth0,6666@192.0.2.1/ff:ff:ff:ff:ff:ff", QUIET)],
    ),
    (
        "+6666@2001:db8:3021:01a3:face:0000:0065:0000/eth0,1514@2001:db8:eef0:a59::/02:00:5e:64:b5:86",
        &[("+6666@2001:db8:3021:1a3:face:0:65:0/eth0,1514@2001:db8:eef0:a59::/02:00:5e:64:b5:86", QUIET)],
    ),
    (
        "6665@fe80::0200:00ff:fe00:0001/eth0,6666@fe80::0200:00ff:fe00:0002/02:00:5e:00:00:02",
        &[("6665@fe80::200:ff:fe00:1/eth0,6666@fe80::200:ff:fe00:2/02:00:5e:00:00:02", QUIET)],
    ),
    // Configuration files, roles, scripts.
    ("+@/,514@192.0.2.9/", &[("+6665@/,514@192.0.2.9/", QUIET)]),
    ("@/,514@192.0.2.9/02:00:5e:00:53:01", &[("6665@/,514@192.0.2.9/02:00:5e:00:53:01", QUIET)]),
    ("@/enp0s25,@192.0.2.51/", &[("6665@/enp0s25,6666@192.0.2.51/", QUIET)]),
    ("@/enp3s0,5140@192.0.2.51/", &[("6665@/enp3s0,5140@192.0.2.51/", QUIET)]),
    ("@/wan,@192.0.2.100/", &[("6665@/wan,6666@192.0.2.100/", QUIET)]),
    ("@/br-lan,6666@192.0.2.100/", &[("6665@/br-lan,6666@192.0.2.100/", QUIET)]),
    ("@192.0.2.139/eth4,@192.0.2.136/", &[("6665@192.0.2.139/eth4,6666@192.0.2.136/", QUIET)]),
    (
        "6665@192.0.2.105/enp8s0,6666@192.0.2.101/02:00:5e:9f:73:40",
        &[("6665@192.0.2.105/enp8s0,6666@192.0.2.101/02:00:5e:9f:73:40", QUIET)],
    ),
    (
        "6666@192.0.2.165/enp23s0f0,6666@192.0.2.97/02:00:5e:57:75:ba",
        &[("6666@192.0.2.165/enp23s0f0,6666@192.0.2.97/02:00:5e:57:75:ba", QUIET)],
    ),
    (
        "9999@192.0.2.89/wlp1s0,9999@192.0.2.52/02:00:5e:08:d3:b5",
        &[("9999@192.0.2.89/wlp1s0,9999@192.0.2.52/02:00:5e:08:d3:b5", QUIET)],
    ),
    (
        "6666@192.0.2.60/wlP4p1s0,6666@192.0.2.22/02:00:5e:9f:7b:d6",
        &[("6666@192.0.2.60/wlP4p1s0,6666@192.0.2.22/02:00:5e:9f:7b:d6", QUIET)],
    ),
    ("6665@192.0.2.2/usb0,6666@192.0.2.1/", &[("6665@192.0.2.2/usb0,6666@192.0.2.1/", QUIET)]),
    ("+6666@192.0.2.66/eno2,6666@192.0.2.254/", &[("+6666@192.0.2.66/eno2,6666@192.0.2.254/", QUIET)]),
    // The Raspberry Pi's boot loader: a target without an address is everybody.
    ("6665@169.254.1.1/,6666@/", &[("6665@169.254.1.1/,6666@255.255.255.255/", QUIET)]),
    ("6665@169.254.1.1/eth0,6666@/", &[("6665@169.254.1.1/eth0,6666@255.255.255.255/", QUIET)]),
    // A program that writes a blank behind the address.
    (
        "6666@192.0.2.7/eth0,9353@192.0.2.8/02:00:5e:00:53:08 ",
        &[("6666@192.0.2.7/eth0,9353@192.0.2.8/02:00:5e:00:53:08", "whitespace is not allowed")],
    ),
    // Something behind the Ethernet address.
    (
        "@192.0.2.122/ens160,6665@192.0.2.242/02:00:5e:08:6e:89,6666",
        &[("6665@192.0.2.122/ens160,6665@192.0.2.242/02:00:5e:08:6e:89", "what follows it is ignored")],
    ),
    (
        "@192.0.2.122/eth0,@192.0.2.242/02:00:5e:08:6e:89-V100:1",
        &[("6665@192.0.2.122/eth0,6666@192.0.2.242/02:00:5e:08:6e:89", ">>>-V100:1<<<")],
    ),
    // A port in its place.
    (
        "@/,@192.0.2.100/514",
        &[("6665@/,6666@192.0.2.100/", "the port goes before '@'), found '514'; it is resolved instead")],
    ),
    // What was to be filled in.
    (
        "6666@192.0.2.10/br0,6666@192.0.2.20/xx:xx:xx:xx:xx:xx",
        &[("6666@192.0.2.10/br0,6666@192.0.2.20/", "found 'x'; it is resolved instead")],
    ),
    (
        "6666@<board-ip>/,6666@192.0.2.1/",
        &[("refused", "source address: expected an IPv4 or IPv6 address, found '<board-ip>'")],
    ),
    (
        "SRCPORT@SRCHOST/eth0,DSTPORT@DSTHOST/DSTMAC",
        &[("refused", "source port: expected a number from 1 to 65535, found 'SRCPORT'")],
    ),
    // A name, where only addresses are.
    ("@/,@loghost/", &[("refused", "(names are not looked up), found 'loghost'")]),
    // Parts left out.
    (
        "6665@dev0,6666@192.0.2.2/02:00:5e:dd:ee:ff",
        &[("refused", "source address: expected '/' behind it, found ','")],
    ),
    ("6666@192.0.2.5:6666", &[("refused", "target address: expected '/' behind it, found the end")]),
    (
        "2001:db8::1/eth0,514,2001:db8::2,514",
        &[("refused", "source address: expected '@' before it, found '2001:db8::1'")],
    ),
    ("", &[("refused", "target port: expected a port and '@', or '@' alone, found the end")]),
];

#[test]
fn forms_from_the_field_are_read() {
    assert!(FORMS.len() >= 46);
    for (form, expected) in FORMS {
        let parsed: Vec<_> = targets(form.as_bytes()).collect();
        assert_eq!(parsed.len(), expected.len(), "{form}");
        for (parsed, (target, said)) in parsed.iter().zip(*expected) {
            let warnings: Vec<_> = parsed.warnings.iter().map(|warning| warning.to_string()).collect();
            let (read, lines) = match parsed.target {
                Ok(target) => (target.to_string(), warnings),
                Err(error) => ("refused".into(), vec![error.to_string()]),
            };
            assert_eq!(read, *target, "{form}: {lines:?}");
            match *said {
                QUIET => assert_eq!(lines, [""; 0], "{form}"),
                said => assert!(lines.len() == 1 && lines[0].contains(said), "{form}: {lines:?}"),
            }
        }
    }
}
