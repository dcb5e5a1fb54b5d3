//! Machines of other sizes and kinds.

use crate::harness::{Boot, Peer, status};

#[test]
fn every_machine_ships_its_log() {
    for (name, arguments) in [
        ("memory-8M", &["-m", "8"][..]),
        ("memory-6G", &["-m", "6G"]),
        ("q35", &["-M", "q35"]),
        ("q35-6G", &["-M", "q35", "-m", "6G"]),
        ("newest-cpu", &["-cpu", "max"]),
    ] {
        let boot = Boot::new(name, "debug netconsole=+@10.0.0.1/,@10.0.0.2/ after=exit");
        let capture = boot.peer(Peer::at("10.0.0.2")).arguments(arguments.iter().copied()).start().end();
        assert_eq!(capture.status, status::GOOD, "{name}; serial:\n{}", capture.serial);
        assert!(capture.text("10.0.0.2:6666").contains("network logging started"), "{name}");
    }
}

#[test]
fn a_nic_behind_bridges_is_found() {
    let bridges =
        ["-device", "pci-bridge,id=b1,chassis_nr=1", "-device", "pci-bridge,id=b2,chassis_nr=2,bus=b1"];
    let nic = crate::harness::Nic::device("virtio-net-pci,bus=b2,addr=3").peer(Peer::at("10.0.0.2"));
    let boot = Boot::new("bridges", "debug netconsole=+@10.0.0.1/,@10.0.0.2/ after=exit");
    let capture = boot.nics([nic]).first_arguments(bridges).start().end();
    assert_eq!(capture.status, status::GOOD, "serial:\n{}", capture.serial);
}
