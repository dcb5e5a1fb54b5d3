//! The example program that prints datagrams.

use std::process::Command;

const RESULT: [(&str, [&str; 4]); 3] = [
    (
        "basic:",
        [
            "[    0.001000] the machine has 2 processors⏎",
            "[    0.002500] disk 0 is slow⏎[    0.002500] it needs 40 ms⏎",
            "[    1.250000] long long ",
            "long ",
        ],
    ),
    (
        "extended:",
        [
            "RELEASE,6,0,1000,-;the machine has 2 processors⏎",
            r"RELEASE,4,1,2500,-;disk 0 is slow\x0ait needs 40 ms⏎",
            "RELEASE,3,2,1250000,-,ncfrag=0/1501;long long ",
            "RELEASE,3,2,1250000,-,ncfrag=",
        ],
    ),
    (
        "syslog:",
        [
            r#"<6>1 2026-11-29T12:00:00.001000Z board7 kernel - example::boot [netconsole@32473 seq="0"] the machine has 2 processors"#,
            r#"<4>1 2026-11-29T12:00:00.002500Z board7 kernel - example::disk [netconsole@32473 seq="1"] disk 0 is slow\x0ait needs 40 ms"#,
            r#"<3>1 2026-11-29T12:00:01.250000Z board7 kernel - example::boot [netconsole@32473 seq="2" frag="0/1500"] long long "#,
            r#"<3>1 2026-11-29T12:00:01.250000Z board7 kernel - example::boot [netconsole@32473 seq="2" frag=""#,
        ],
    ),
];

/// The third record's text is 300 times this, in two datagrams.
const LONG: &str = "long ";

#[test]
fn the_example_prints_what_each_format_sends() {
    let run = ["run", "--quiet", "--package", "netconsole", "--example", "datagrams"];
    let output = Command::new(env!("CARGO")).args(run).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8_lossy(&output.stdout);
    let mut lines = printed.lines();
    for (name, datagrams) in RESULT {
        assert_eq!(lines.next(), Some(name));
        let mut long = String::new();
        for (number, expected) in datagrams.into_iter().enumerate() {
            let line = lines.next().expect("a datagram").strip_prefix("  ").expect("it is indented");
            let expected = expected.replace("RELEASE", env!("CARGO_PKG_VERSION"));
            if number < 2 {
                assert_eq!(line, expected, "{name}");
                continue;
            }
            assert!(line.starts_with(&expected), "{name} {line}");
            let sent = line.replace('⏎', "\n");
            assert!(sent.len() <= 1000, "{name} {} bytes", sent.len());
            let (_, body) =
                sent.rsplit_once(if name == "extended:" { ";" } else { "] " }).unwrap_or(("", &sent));
            long.push_str(body);
        }
        assert_eq!(long.trim_end(), LONG.repeat(300).trim_end(), "{name}");
    }
    assert_eq!(lines.next(), None);
}
