//! The kernel's command line and the grammar of `netconsole=`.

use bootinfo::parameters::Parameters;
use netconsole::cmdline;
use netconsole::seal::{BootId, KeyStore};
use netconsole::settings::parameter;
use netconsole::settings::wipe_keys;

const KEY: &[u8] = b"netconsole.key=";

/// What is accepted prints, and parses back to the same; a key is gone once it is wiped; each problem is one
/// line.
pub fn check(line: &[u8]) {
    let parameters = Parameters::parse(line, &mut |_, problem| {
        let text = problem.to_string();
        assert!(!text.is_empty() && !text.contains('\n'), "{text:?}");
    });
    let keys = KeyStore::new();
    keys.decide(&parameters.settings.secrecy, || BootId([7; 16]));
    for target in parameters.settings.targets(&keys).expect("it was decided") {
        let printed = target.to_string();
        let mut again = parameter::targets(printed.as_bytes());
        let parsed = again.next().expect("a target");
        assert_eq!(parsed.target.as_ref(), Ok(target), "{printed}");
        assert!(parsed.warnings.iter().next().is_none() && again.next().is_none(), "{printed}");
    }
    // A value without quotes around it can be given as a parameter again.
    for given in cmdline::parameters(line) {
        assert!(given.name.len() <= line.len());
    }

    let mut wiped = line.to_vec();
    wipe_keys(&mut wiped);
    assert_eq!(wiped.len(), line.len());
    for (at, _) in wiped.windows(KEY.len()).enumerate().filter(|(_, window)| *window == KEY) {
        let value = &wiped[at + KEY.len()..];
        let secret = value.iter().take_while(|byte| !byte.is_ascii_whitespace());
        assert!(
            secret.into_iter().all(|byte| b"*\"".contains(byte)),
            "{:?}",
            wiped.escape_ascii().to_string()
        );
    }
}
