//! The machine as the log tells it, its serial ports, and how it ends.

use crate::harness::{Boot, Nic, Peer, status, target};
use std::fs;

const TARGET: &str = "10.0.0.2:6666";
const PARAMETERS: &str = "debug netconsole=@10.0.0.1/,@10.0.0.2/ after=exit";

#[test]
fn the_log_says_what_the_machine_is() {
    let arguments = [
        "-M",
        "q35",
        "-smp",
        "3",
        "-m",
        "3G",
        "-cpu",
        "qemu64,model-id=ACME Processor 9000",
        "-smbios",
        "type=0,vendor=ACME Firmware,version=1.23,date=11/24/2026",
        "-smbios",
        "type=1,manufacturer=ACME,product=Test Board,serial=SN-77",
        "-smbios",
        "type=2,manufacturer=ACME,product=Mainboard,serial=MB-78",
    ];
    let boot = Boot::new("machine-info", PARAMETERS).peer(Peer::at("10.0.0.2")).arguments(arguments);
    let capture = boot.start().end();
    assert_eq!(capture.status, status::GOOD);
    let text = capture.text(TARGET);
    for expected in [
        "firmware: ACME Firmware 1.23, 11/24/2026",
        "machine: ACME Test Board, serial number SN-77",
        "board: ACME Mainboard, serial number MB-78",
        "cpu: ACME Processor 9000, family",
        "cpu: 3 processors, says ACPI",
        "cpu: runs under QEMU",
        "acpi: FACP ",
        "acpi: MCFG ",
        "boot: 3145215 KiB of usable memory",
        "clock: ",
        "ethernet controller",
        "eth0: ethernet address 52:54:00:12:34:56, MTU 1500, link up",
    ] {
        assert!(text.contains(expected), "'{expected}' is missing:\n{text}");
    }
    // Nothing of it makes the first frame wait.
    let place = |what: &str| text.find(what).expect("it is there");
    assert!(place("network logging started") < place("firmware: ACME"));
}

#[test]
fn the_words_fit_what_there_is() {
    let boot = Boot::new("machine-words", PARAMETERS).peer(Peer::at("10.0.0.2"));
    let text = boot.arguments(["-m", "128"]).start().end().text(TARGET);
    for line in ["firmware: BIOS\n", "cpu: 1 processor, says ACPI\n"] {
        assert!(text.contains(line), "{line:?} is missing:\n{text}");
    }
    // What is mapped is addresses, of which 128 MiB are memory.
    assert!(text.contains("else 4 GiB of addresses for memory and devices"), "{text}");
}

#[test]
fn every_machine_ends_as_acpi_says() {
    for (name, arguments, device) in [
        ("end-q35", &["-M", "q35"][..], "virtio-net-pci"),
        ("end-microvm", &["-M", "microvm"], "virtio-net-device"),
    ] {
        for after in ["poweroff", "reboot"] {
            let parameters = format!("netconsole=@10.0.0.1/,@10.0.0.2/ after={after}");
            let boot = Boot::new(name, parameters).nics([Nic::device(device).peer(Peer::at("10.0.0.2"))]);
            // With -no-reboot a reset ends QEMU.
            let capture =
                boot.first_arguments(arguments.iter().copied()).arguments(["-no-reboot"]).start().end();
            assert_eq!(capture.status, Some(0), "{name} {after}; serial:\n{}", capture.serial);
        }
    }
}

#[test]
fn serial_is_where_and_as_fast_as_told() {
    let file = target().join("tests/second-serial.log");
    let second = format!("file:{}", file.display());
    let parameters = format!("{PARAMETERS} console=ttyS1,38400n8");
    let boot = Boot::new("second-serial", parameters).peer(Peer::at("10.0.0.2"));
    let capture = boot.arguments(["-serial", &second]).start().end();
    assert_eq!(capture.status, status::GOOD);
    assert_eq!(capture.serial, "");
    let shown = fs::read_to_string(&file).expect("what the second port got").replace("\r\n", "\n");
    assert_eq!(shown, capture.text(TARGET));
}

#[test]
fn nothing_waits_for_a_serial_port_that_is_not_there() {
    // The PC of the test has one port.
    let parameters = format!("{PARAMETERS} console=ttyS2");
    let capture = Boot::new("no-serial", parameters).peer(Peer::at("10.0.0.2")).start().end();
    assert_eq!(capture.status, status::GOOD);
    assert_eq!(capture.serial, "");
    assert!(capture.text(TARGET).contains("network logging started"));
}
