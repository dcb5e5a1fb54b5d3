//! Cards that UEFI firmware drives for the kernel, by its Simple Network Protocol: those of iPXE's boot ROMs, which QEMU gives
//! to its cards, and OVMF's own of virtio.

use crate::harness::{Boot, Machine, Nic, Peer, Sent, side_by_side, status};
use crate::images::{UEFI, UEFI_TIME};
use crate::protocols::bzimage;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

const TARGET: &str = "10.0.0.2:6666";
const TARGETS: &str = "debug netconsole=+@10.0.0.1/,@10.0.0.2/";
/// One that the kernel has no driver for.
const PCNET: &str = "pcnet";
const BY_FIRMWARE: &str = "eth0: card that the firmware drives at 00:0";
/// The firmware takes its time, beside other tests.
const TIME: Duration = UEFI_TIME.saturating_mul(2);
const SIX_MINUTES: Duration = Duration::from_secs(360);

/// The firmware starts the kernel with these parameters.
fn boot(name: &'static str, parameters: &str, nics: impl IntoIterator<Item = Nic>) -> Boot {
    let bzimage = bzimage();
    let arguments = UEFI.into_iter().chain(["-kernel", &bzimage, "-append", parameters]);
    Boot::new(name, parameters).loader(arguments).nics(nics).timeout(TIME)
}

fn nic(device: &'static str) -> Nic {
    Nic::device(device).with_rom().peer(Peer::at("10.0.0.2"))
}

/// Boots with one such card, and waits until the boot's log went out by it. QEMU's end of an old card may lose what came
/// last before the machine ends.
fn start(name: &'static str, parameters: &str, device: &'static str) -> Machine {
    let machine = boot(name, &format!("{TARGETS} {parameters}"), [nic(device)]).start();
    machine.wait_for_text(TARGET, "acpi: FACP ");
    machine
}

#[test]
fn the_whole_log_goes_out_by_the_firmware() {
    let cases = [
        ("snp-pcnet", PCNET, ""),
        ("snp-ne2000", "ne2k_pci", ""),
        ("snp-vmxnet3", "vmxnet3", "netconsole.snp=1"),
        ("snp-rtl8139", "rtl8139", "netconsole.snp=1"),
        ("snp-virtio", "virtio-net-pci", "netconsole.snp=1"),
    ];
    side_by_side(
        &cases,
        |(name, ..)| (*name).into(),
        |&(name, device, parameter)| {
            let capture = start(name, parameter, device).stop();
            let messages = capture.messages(TARGET);
            // That none is missing or comes twice, `Boot` checks.
            assert_eq!(messages[0].sequence, 0, "{name}");
            let text = capture.text(TARGET);
            for said in [
                "firmware: its boot services go on: it drives 1 network card of this machine",
                BY_FIRMWARE,
                "eth0: ethernet address 52:54:00:12:34:56, MTU 1500, link up",
                "netconsole: remote ethernet address 02:00:0a:00:00:02",
            ] {
                assert!(text.contains(said), "{name}: '{said}' is not in {text}");
            }
        },
    );
}

#[test]
fn the_last_words_go_out_by_the_firmware() {
    let cases = [
        ("snp-panic", "PANIC", "panic"),
        ("snp-page-fault", "EXCEPTION", "page fault"),
        ("snp-overwritten", "OVERWRITE_NIC", "panic"),
        ("snp-nmi", "NMI", "non-maskable interrupt"),
    ];
    side_by_side(
        &cases,
        |(name, ..)| (*name).into(),
        |&(name, kind, called)| {
            let parameters = format!("{TARGETS} netconsole.panic_repeat=0 panic=0 crash={kind}");
            let machine = boot(name, &parameters, [nic(PCNET)]).repeats().start();
            let end = format!("---[ end Kernel panic - not syncing: {called} ]---");
            machine.wait_for_text(TARGET, &end);
            let capture = machine.stop();
            let messages = capture.messages(TARGET);
            assert_eq!(messages[0].sequence, 0, "{name}");
            assert_eq!(messages.last().map(|last| last.text.as_str()), Some(end.as_str()), "{name}");
        },
    );
}

/// After the last words the machine starts again by the firmware, and what it logged is found by the next boot.
#[test]
fn after_a_panic_the_firmware_resets_the_machine() {
    let parameters = format!("{TARGETS} panic=-1 crash=PANIC");
    let machine = boot("snp-reset", &parameters, [nic(PCNET)]).repeats().start();
    machine.wait_for_text(TARGET, "---[ end Kernel panic - not syncing: panic ]---");
    machine.wait_for_text(TARGET, "crash: provoking PANIC\n boot=-1");
    machine.wait_for_text(TARGET, "previous boot ended without a goodbye");
    machine.stop();
}

#[test]
fn one_card_by_the_firmware_and_one_by_a_driver_at_once() {
    let parameters = "debug netconsole=+@10.0.0.1/eth0,@10.0.0.2/ netconsole=+@10.0.1.1/eth1,@10.0.1.2/";
    let own = Nic::virtio().with_rom().peer(Peer::at("10.0.1.2"));
    let machine = boot("snp-and-virtio", parameters, [nic(PCNET), own]).start();
    for target in [TARGET, "10.0.1.2:6666"] {
        machine.wait_for_text(target, "acpi: FACP ");
    }
    let text = machine.stop().text(TARGET);
    assert!(text.contains(BY_FIRMWARE) && text.contains("eth1: virtio network card at "), "{text}");
}

/// The firmware's boot services end then, as where every card has a driver.
#[test]
fn without_the_firmware_such_a_card_is_left_alone() {
    let parameters = format!("{TARGETS} netconsole.snp=0 after=exit");
    let capture = boot("snp-off", &parameters, [nic(PCNET)]).start().end();
    assert_eq!(capture.status, status::NO_TARGET);
    assert!(capture.serial.contains("there is no driver for this network card"), "{}", capture.serial);
    assert!(!capture.serial.contains("its boot services go on"), "{}", capture.serial);
}

#[test]
fn a_flood_goes_out_by_the_firmware() {
    const RECORDS: usize = 3000;
    let parameters = format!("console=null flood={RECORDS}");
    let machine = boot("snp-flood", &format!("{TARGETS} {parameters}"), [nic(PCNET)]).start();
    machine.wait_for_text(TARGET, &format!("flood message {:08} ", RECORDS - 1));
    assert_eq!(machine.stop().text(TARGET).matches("flood message ").count(), RECORDS);
}

/// OVMF's own driver of virtio tells how the cable is; iPXE's of older cards do not.
#[test]
fn its_cable_is_pulled_and_plugged_in() {
    let parameters = format!("{TARGETS} netconsole.snp=1 netconsole.carrier_timeout=1");
    let nic = Nic::virtio().peer(Peer::at("10.0.0.2"));
    let mut machine = boot("snp-link", &parameters, [nic]).repeats().start();
    machine.wait_for_text(TARGET, "acpi: FACP ");
    machine.monitor("set_link n0 off");
    machine.wait_for_serial("eth0: link is down");
    machine.monitor("set_link n0 on");
    machine.wait_for_text(TARGET, "eth0: link is down");
    machine.wait_for_text(TARGET, "eth0: link is up\n");
    machine.stop();
}

#[test]
fn commands_come_in_by_the_firmware() {
    let machine = start("snp-input", "netconsole.input=1", PCNET);
    let kernel: SocketAddr = "10.0.0.1:6665".parse().expect("an address");
    let ask = b"cat cmdline0/remote_ip\n";
    machine.send(0, &Peer::at("10.0.0.2").datagram(40000, Nic::mac(0), kernel, ask));
    machine.wait_for_text("10.0.0.2:40000", "10.0.0.2\nnetconsole# ");
    machine.stop();
}

#[test]
fn the_log_is_tagged_for_a_vlan_by_the_firmware_too() {
    const TAGGED: &str = "10.0.1.2:6666";
    let peer = Peer::at("10.0.1.2").in_vlan(100);
    let nic = Nic::device(PCNET).with_rom().peer(peer);
    let parameters = "debug netconsole=+@10.0.1.1/eth0.100,@10.0.1.2/";
    let machine = boot("snp-vlan", parameters, [nic]).start();
    machine.wait_for_text(TAGGED, "acpi: FACP ");
    let text = machine.stop().text(TAGGED);
    assert!(text.contains("netconsole: remote ethernet address 02:00:0a:00:01:02"), "{text}");
}

/// Where a call does not come back in a panic, the chipset's watchdog or the firmware's own resets the machine after 30 s, and
/// the next boot ships the log and names the call.
#[test]
fn a_call_that_does_not_come_back_is_named_by_the_next_boot() {
    let cases: [(&str, &[&str]); 2] =
        [("snp-hang-chipset", &["-device", "i6300esb"]), ("snp-hang-firmware", &[])];
    side_by_side(
        &cases,
        |(name, _)| (*name).into(),
        |&(name, arguments)| {
            let parameters = format!("{TARGETS} crash=LOOP@firmware");
            let boot = boot(name, &parameters, [nic(PCNET)]).arguments(arguments.iter().copied()).repeats();
            let machine = boot.timeout(TIME * 2).start();
            machine.wait_for_text(TARGET, "---[ end Kernel panic - not syncing: panic ]---\n boot=-1");
            machine.wait_for_text(TARGET, "firmware: the boot before ended inside of its Start");
            machine.stop();
        },
    );
}

/// Firmware resets a machine whose loader has not come back after five minutes; it would not see this kernel's.
#[test]
fn the_firmware_lets_it_run_for_longer_than_five_minutes() {
    let parameters = format!("{TARGETS} netconsole.input=1");
    let machine = boot("snp-six-minutes", &parameters, [nic(PCNET)]).timeout(SIX_MINUTES * 4).start();
    machine.wait_for_text(TARGET, "acpi: FACP ");
    let kernel: SocketAddr = "10.0.0.1:6665".parse().expect("an address");
    let ask = |line: &str| {
        machine.send(0, &Peer::at("10.0.0.2").datagram(40000, Nic::mac(0), kernel, line.as_bytes()));
    };
    let deadline = Instant::now() + SIX_MINUTES * 3;
    // By the guest's own clock.
    while !machine.sent().iter().filter_map(Sent::datagram).any(|(to, answer)| {
        to.port() == 40000 && seconds_up(answer).is_some_and(|seconds| seconds > SIX_MINUTES.as_secs())
    }) {
        assert!(Instant::now() < deadline, "the machine answers, and its clock goes");
        ask("uptime\n");
        thread::sleep(Duration::from_secs(5));
    }
    machine.stop();
}

/// The seconds of `up 0:06:01`.
fn seconds_up(answer: &[u8]) -> Option<u64> {
    let (_, time) = std::str::from_utf8(answer).ok()?.split_once("up ")?;
    let mut parts = time.lines().next()?.split(':').map(str::parse::<u64>);
    parts.try_fold(0, |seconds, part| Some(seconds * 60 + part.ok()?))
}
