//! Mistakes in the parameters: one clear line each, and the rest works.

use crate::harness::{Boot, Peer, status};

struct Mistake {
    name: &'static str,
    parameters: &'static str,
    /// What the one error line says.
    said: &'static [&'static str],
}

const MISTAKES: [Mistake; 5] = [
    Mistake {
        name: "bad-port",
        parameters: "netconsole=@10.0.0.1/,0@10.0.0.9/",
        said: &["couldn't parse config at '0@10.0.0.9/'!"],
    },
    Mistake {
        name: "bad-address",
        parameters: "netconsole=@10.0.0.1/,@10.0.0.256/",
        said: &["couldn't parse config at '10.0.0.256/'!"],
    },
    Mistake {
        name: "bad-mac",
        parameters: "netconsole=514@10.0.0.1/eth0,514@10.0.0.255/00:13:32:20:r9:a5",
        said: &["00:13:32:20:r9:a5", "'r'"],
    },
    Mistake {
        name: "bad-device",
        parameters: "netconsole=@10.0.0.1/eth7,@10.0.0.9/",
        said: &["eth7 doesn't exist, aborting"],
    },
    Mistake {
        name: "bad-release",
        parameters: "netconsole=r@10.0.0.1/,@10.0.0.9/",
        said: &["Release feature requires extended log message"],
    },
];

#[test]
fn a_mistake_is_named_and_the_other_target_runs() {
    for Mistake { name, parameters, said } in MISTAKES {
        let parameters = format!("debug {parameters} netconsole=+@10.0.0.1/,@10.0.0.2/ after=exit");
        let capture = Boot::new(name, parameters).peer(Peer::at("10.0.0.2")).start().end();
        assert_eq!(capture.status, status::GOOD, "{name}");
        let messages = capture.messages("10.0.0.2:6666");
        let errors: Vec<_> = messages.iter().filter(|message| message.level == 3).collect();
        let [error] = errors.as_slice() else { panic!("{name}: one error is due: {errors:?}") };
        for part in said {
            assert!(error.text.contains(part), "'{part}' is not in '{}'", error.text);
        }
    }
}

#[test]
fn a_target_with_a_bad_mac_runs_all_the_same() {
    let parameters = "netconsole=514@10.0.0.1/eth0,514@10.0.0.2/00:13:32:20:r9:a5 after=exit";
    let capture = Boot::new("bad-mac-runs", parameters).peer(Peer::at("10.0.0.2")).start().end();
    assert_eq!(capture.status, status::GOOD);
    assert!(capture.text("10.0.0.2:514").contains("network logging started"));
}

#[test]
fn all_refused_goes_on_without_a_target() {
    let capture = Boot::new("all-refused", "netconsole=@10.0.0.1/,@10.0.0.256/ after=exit").start().end();
    assert_eq!(capture.status, status::NO_TARGET);
    assert!(capture.serial.contains("couldn't parse config at"), "{}", capture.serial);
}
