//! The kinds of Linux, machine, card and crash that the tests beside this do not have: `scripts/test --all` alone runs them,
//! as each boots a Linux under emulation.

use super::guest::{self, By, Guest, Kernel};
use super::warm_reset::arrives_once_after_a_reset;
use super::{BASIC, LIVE_CARD, LIVE_MACHINE, check};
use crate::harness::{Ends, Way};
use crate::images::UEFI;
use crate::receiver::Receiver;

#[test]
fn the_newest_linux() {
    check(&Guest::new("matrix-sid").kernel(Kernel::Sid).linux("panic=5").crash(), By::Sysrq, 0);
}

/// The last of four CPUs crashes, which is said first; the others are named too.
#[test]
fn the_last_of_four_cpus() {
    let guest = Guest::new("matrix-four-cpus").kernel(Kernel::Trixie).linux("cpu=3");
    let capture = guest.arguments(&["-m", "512", "-smp", "4"]).crash();
    check(&capture, By::Sysrq, 3);
    let text = capture.text(BASIC);
    let named = text.lines().filter_map(|line| line.split_once("linux: CPU ")?.1.split_once(": process "));
    let named: Vec<&str> = named.map(|(named, _)| named).collect();
    assert_eq!(named.first(), Some(&"3, which crashed"), "{text}");
    let mut others: Vec<&str> = named.iter().skip(1).flat_map(|named| named.split(", ")).collect();
    others.sort_unstable();
    assert_eq!(others, ["0", "1", "2"], "{text}");
}

#[test]
fn an_nmi() {
    check(&Guest::new("matrix-nmi").by(By::Nmi).crash(), By::Nmi, 0);
}

#[test]
fn an_oops() {
    check(&Guest::new("matrix-oops").kernel(Kernel::Trixie).by(By::Oops).crash(), By::Oops, 0);
}

/// Each card but the two that the tests beside this have; Linux drives it until then, where its kernel can.
#[test]
fn cards() {
    check(&Guest::new("matrix-e1000e").nic("e1000e").crash(), By::Sysrq, 0);
}

#[test]
fn igb() {
    check(&Guest::new("matrix-igb").nic("igb").in_qemu10().crash(), By::Sysrq, 0);
}

/// Linux drives the card through Intel's IOMMU until then.
#[test]
fn intel_s_iommu_with_virtio() {
    let guest = Guest::new("matrix-vtd-virtio").linux("intel_iommu=on modules=virtio_net").nic(LIVE_CARD);
    check(&guest.first_arguments(&LIVE_MACHINE).crash(), By::Sysrq, 0);
}

#[test]
fn intel_s_iommu_with_e1000e() {
    let guest = Guest::new("matrix-vtd-e1000e").kernel(Kernel::TrixieGeneric);
    let guest = guest.linux("intel_iommu=on modules=e1000e").nic("e1000e");
    check(&guest.first_arguments(&LIVE_MACHINE).crash(), By::Sysrq, 0);
}

#[test]
fn amd_s_iommu() {
    let guest = Guest::new("matrix-amd").kernel(Kernel::TrixieGeneric).linux("modules=e1000e").nic("e1000e");
    check(&guest.first_arguments(&["-M", "q35", "-device", "amd-iommu"]).in_qemu10().crash(), By::Sysrq, 0);
}

#[test]
fn without_five_levels_of_page_tables() {
    let guest = Guest::new("matrix-no-la57").arguments(&["-m", "512", "-cpu", "max,-la57"]);
    check(&guest.by(By::Serial).crash(), By::Serial, 0);
}

#[test]
fn with_five_levels_of_page_tables() {
    let guest = Guest::new("matrix-la57").kernel(Kernel::Sid).arguments(&["-m", "512", "-cpu", "max"]);
    check(&guest.crash(), By::Sysrq, 0);
}

/// The firmware is still there, and the memory that it keeps.
#[test]
fn started_by_uefi() {
    check(&Guest::new("matrix-uefi").kernel(Kernel::Trixie).arguments(&UEFI).crash(), By::Sysrq, 0);
}

/// A fifth of the datagrams is lost, and got back.
#[test]
fn what_is_lost_is_sent_again() {
    let mut receiver = Receiver::start(Ends::IPV4, Way::LOSSY, &["--complete", "--stats"]);
    let machine = Guest::new("matrix-lossy").loses().start("debug netconsole=+@10.0.0.1/,@10.0.0.2/", &[]);
    assert!(receiver.relay(&machine, guest::TIME, |receiver| receiver.has("boot: done, rebooting")));
    assert_eq!(machine.end().status, Some(0), "it reboots");
    let (status, stats) = receiver.end();
    assert_eq!(status, Some(0), "{stats}");
    let sequences = receiver.sequences();
    // It asks for none from before it first heard something.
    let first = sequences.first().copied().expect("it has heard something");
    assert!(first < 20 && sequences.iter().copied().eq(first..first + sequences.len() as u64), "{stats}");
    assert!(receiver.has("sysrq: Trigger a crash") && !stats.contains(" 0 recovered"), "{stats}");
}

/// With 2 GiB: of 1 GiB Linux has its note where OVMF puts its own before the stick boots (doc/crashes.md).
#[test]
fn after_a_reset_through_uefi_the_stick_sends_the_log_once() {
    arrives_once_after_a_reset("matrix-warm-uefi", Kernel::Trixie, &[UEFI[0], UEFI[1], "-m", "2G"]);
}
