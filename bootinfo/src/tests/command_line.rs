//! Long command lines, by every protocol: what is kept, and the key behind it.

use super::*;
use crate::parameters::Parameters;
use netconsole::seal::{BootId, KeyStore};
use netconsole::seal::{Key, Secrecy};

const MAGICS: [u32; 5] = [multiboot1::MAGIC, multiboot2::MAGIC, pvh::MAGIC, linux::MAGIC, uefi::MAGIC];
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const TARGET: &str = "netconsole=@/,@10.0.2.2/";

/// What is read where the loader leaves `line` at the end of memory.
fn read(magic: u32, line: &[u8]) -> BootInfo {
    if magic == multiboot2::MAGIC {
        return multiboot2_with(&[(1, line.to_vec())]).read_as(magic);
    }
    let mut memory = match magic {
        multiboot1::MAGIC => multiboot1_with(ALL_FLAGS, LINE, &[]),
        pvh::MAGIC => pvh_with(1, &[]),
        linux::MAGIC => linux_with(),
        _ => uefi_with(&[], 48),
    };
    let at = memory.bytes.len();
    memory.bytes.resize(at + line.len(), 0);
    let address = memory.put(at, line);
    match magic {
        multiboot1::MAGIC => memory.put_u32(16, address),
        linux::MAGIC => memory.put_u32(0x228, address),
        _ => _ = memory.put(if magic == pvh::MAGIC { 24 } else { 0 }, &address.to_le_bytes()),
    }
    memory.read_as(magic)
}

/// The parameters as the kernel takes them.
fn parameters(boot: &BootInfo) -> Parameters {
    let mut parameters = Parameters::parse(boot.command_line.as_bytes(), &mut |_, _| {});
    if boot.may_hide_key() {
        parameters.settings.silence();
    }
    parameters
}

/// How many targets there are.
fn targets(parameters: &Parameters) -> usize {
    let keys = KeyStore::new();
    keys.decide(&parameters.settings.secrecy, || BootId([7; 16]));
    parameters.settings.targets(&keys).expect("it was decided").len()
}

/// A target, then words up to byte `len`, then `tail`, and a zero.
fn long_line(len: usize, tail: &str) -> Vec<u8> {
    let mut line = format!("{TARGET} ");
    while line.len() < len {
        line.push_str(if line.len() + 9 < len { "filler=1 " } else { "x" });
    }
    line.push_str(tail);
    line.push('\0');
    line.into_bytes()
}

#[test]
fn a_key_is_found_however_far_behind() {
    let key = format!(" netconsole.key={KEY}");
    for magic in MAGICS {
        // Before, across and behind the end of what is kept; at its very end.
        for len in (4000..4200).chain([20_000, 65_000]) {
            let boot = read(magic, &long_line(len, &key));
            let parameters = parameters(&boot);
            let sealed = Secrecy::Sealed(Key(std::array::from_fn(|index| index as u8)));
            assert_eq!(parameters.settings.secrecy, sealed, "{magic:#x}, {len}");
            assert_eq!(targets(&parameters), 1, "{magic:#x}, {len}");
            let is_cut = problems(&boot).contains(&Problem::CommandLineTruncated);
            assert_eq!(is_cut, len + key.len() > 4096, "{magic:#x}, {len}");
            assert!(!boot.may_hide_key());
        }
    }
}

#[test]
fn a_key_that_is_damaged_behind_it_stops_everything() {
    let long = format!(" init={}netconsole.key={KEY}{}", "x".repeat(600), "y".repeat(600));
    for tail in [
        format!(" netconsole.key={}", &KEY[1..]),
        format!(" netconsole.kye={KEY}"),
        format!(" NETCONSOLE.KEY={KEY}"),
        format!(" init=\"a netconsole.key={KEY}"),
        format!(" init=\"a b netconsole.key={KEY} c\" d"),
        format!(" netconsole.key={KEY}{}", "0".repeat(600)),
        long,
    ] {
        for len in [4050, 4090, 4096, 5000] {
            for magic in MAGICS {
                let boot = read(magic, &long_line(len, &tail));
                let parameters = parameters(&boot);
                assert_eq!(parameters.settings.secrecy, Secrecy::Silent, "{magic:#x}, {len}: {tail}");
                assert!(targets(&parameters) == 0, "{magic:#x}, {len}: {tail}");
            }
        }
    }
    // Several that may be keys, more than there is room for.
    let many = format!(" root={KEY}").repeat(10) + &format!(" netconsole.key={KEY}");
    for magic in MAGICS {
        assert_eq!(parameters(&read(magic, &long_line(5000, &many))).settings.secrecy, Secrecy::Silent);
    }
}

#[test]
fn what_looks_like_a_key_is_seen_behind_it_too() {
    for magic in MAGICS {
        let boot = read(magic, &long_line(5000, &format!(" quiet roothash={KEY} debug")));
        let parameters = parameters(&boot);
        assert_eq!(targets(&parameters), 1);
        assert_eq!(
            (parameters.settings.secrecy, parameters.settings.may_hold_key),
            (Secrecy::Clear, true),
            "{magic:#x}"
        );
        // Nothing else is kept.
        assert_eq!(parameters.settings.loglevel, Parameters::DEFAULT.settings.loglevel);
    }
}

#[test]
fn a_line_without_an_end_stops_everything() {
    for magic in MAGICS {
        // Longer than anybody looks.
        let boot = read(magic, &long_line(MAX_COMMAND_LINE + 1, ""));
        assert_eq!(parameters(&boot).settings.secrecy, Secrecy::Silent, "{magic:#x}");
        assert!(problems(&boot).contains(&Problem::CommandLineUnreadable), "{magic:#x}");
        // As long as that may be.
        let boot = read(magic, &long_line(MAX_COMMAND_LINE, ""));
        assert_eq!(parameters(&boot).settings.secrecy, Secrecy::Clear, "{magic:#x}");
        if magic == multiboot2::MAGIC {
            // The tag's own end is one.
            continue;
        }
        for len in [30, 4095, 4096, 5000] {
            let mut line = long_line(len, "");
            line.pop();
            let boot = read(magic, &line);
            assert_eq!(parameters(&boot).settings.secrecy, Secrecy::Silent, "{magic:#x}, {len}");
            assert!(problems(&boot).contains(&Problem::CommandLineUnreadable), "{magic:#x}, {len}");
        }
    }
}

proptest! {
    /// Wherever the words are cut, a key among them is found, and nothing of it is lost without silence.
    #[test]
    fn no_place_hides_a_key(
        before in prop::collection::vec("[a-z=\"]{0,700}", 0..12),
        after in prop::collection::vec("[a-z=]{0,300}", 0..12),
        start in 0usize..5000,
    ) {
        let line = format!("{}{} netconsole.key={KEY} {}\0", "x ".repeat(start / 2), before.join(" "), after.join(" "));
        for magic in [multiboot1::MAGIC, multiboot2::MAGIC] {
            let boot = read(magic, line.as_bytes());
            prop_assert!(parameters(&boot).settings.secrecy != Secrecy::Clear, "{}", line);
        }
    }
}
