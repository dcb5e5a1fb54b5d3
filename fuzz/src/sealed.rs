//! Datagrams to a machine and to a receiver that have a key, from somebody who has not.

use netconsole::seal::Key;
use netconsole::seal::{BootId, Inputs, MAX_INPUT, Sealer};
use netconsole_receiver::sealed::Sealing;

const KEY: [u8; 32] = [0x5a; 32];

/// Nothing is opened.
pub fn check(datagram: &[u8]) {
    let opened =
        Sealer::new(Key(KEY), BootId([7; 16])).open(datagram, &mut Inputs::new(), &mut [0; MAX_INPUT]);
    assert!(opened.is_err());
    let from = "10.0.0.5:6665".parse().expect("an address");
    assert!(Sealing::new(&KEY, [9; 16]).open(from, datagram).is_err());
}
