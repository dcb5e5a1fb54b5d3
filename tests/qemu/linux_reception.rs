//! How long the crash kernel of a Linux stays with that Linux's log, by the guest's own clock, and to whom it sends it
//! meanwhile: all of it arrives once the way is open.

use crate::harness::{
    Boot, Capture, Content, Frame, Machine, Message, Nic, Peer, kernel, messages, side_by_side,
};
use crate::linux_log::{CORE_HEADER, memory, text, with_memory};
use crate::loaders::grub_image;
use smoltcp::wire::EthernetAddress;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

const TARGET: &str = "10.0.0.2:6666";
const PARAMETERS: &str = "netconsole=+@10.0.0.1/,@10.0.0.2/";
const IMAGE: &str = "6.12";
const SECOND: u64 = 1_000_000;
const PATIENCE: Duration = Duration::from_secs(200);
/// Whom nobody is.
const GIVEN: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 0x63]);

/// Boots as that Linux's crash kernel; `play` does what the world around it does. It ends by itself, by a reboot.
fn boot(
    name: &'static str,
    parameters: &str,
    boot: impl FnOnce(Boot) -> Boot,
    play: impl FnOnce(&mut Machine),
) -> Capture {
    let memory = memory(IMAGE, name);
    let new = Boot::new(name, format!("{parameters} {CORE_HEADER}")).timeout(PATIENCE);
    let mut machine = with_memory(boot(new), &memory).start();
    play(&mut machine);
    let capture = machine.end();
    fs::remove_file(memory).expect("it was there");
    assert_eq!(capture.status, Some(0), "{name}: it reboots; serial:\n{}", capture.serial);
    capture
}

/// The records that went to `target` by frames for this station.
fn records(capture: &Capture, target: &str, mac: EthernetAddress) -> Vec<Message> {
    let target: SocketAddr = target.parse().expect("an address and port");
    let payload = |frame: &'_ Frame| match &frame.content {
        Content::Udp { to, payload, .. } if *to == target && frame.to_mac == mac => Some(payload.clone()),
        _ => None,
    };
    let payloads: Vec<Vec<u8>> = capture.frames().filter_map(payload).collect();
    messages(payloads.iter().map(Vec::as_slice)).expect("extended messages")
}

/// All of Linux's log is there, from its first record on, each after the one before; returns the kernel's own records, with
/// the time since its entry.
fn all_of_it(records: &[Message]) -> Vec<(u64, &str)> {
    let expected = text(&format!("{IMAGE}.extended.txt"));
    let heads: Vec<(u64, u64)> = expected
        .lines()
        .filter(|line| !line.starts_with(' '))
        .map(|line| {
            let mut fields = line.split(',').skip(1).map(|field| field.parse().expect("a number"));
            (fields.next().expect("a sequence"), fields.next().expect("a time"))
        })
        .collect();
    let found: Vec<(u64, u64)> = records.iter().map(|record| (record.sequence, record.micros)).collect();
    assert_eq!(found.get(..heads.len()), Some(&heads[..]), "Linux's log");
    let (last, entered) = *heads.last().expect("records");
    let own = &records[heads.len()..];
    // Records of level 7 are held back.
    assert!(own.iter().map(|record| record.sequence).is_sorted_by(|a, b| a < b), "in order, and none twice");
    assert!(own.first().is_some_and(|record| record.sequence > last), "behind Linux's");
    own.iter().map(|record| (record.micros - entered, record.text.as_str())).collect()
}

/// When it was logged, by the guest's clock, and how long after the record before.
fn said(own: &[(u64, &str)], text: &str) -> (u64, u64) {
    let at = own.iter().position(|(_, found)| found.contains(text));
    let at = at.unwrap_or_else(|| panic!("'{text}' is not in {own:?}"));
    (own[at].0, own[at].0 - own[at - 1].0)
}

const GONE_OUT: &str = "linux: the log has gone out, ";
const HEARD_BY_NOBODY: &str = "linux: nothing shows that anybody heard the log: it ends after ";

/// A cable that is plugged in late: the log waits for it, and the machine for the log.
#[test]
fn a_link_that_comes_after_5_s_gets_all_of_it() {
    let late = |machine: &mut Machine| {
        machine.monitor("set_link n0 off");
        machine.monitor("cont");
        machine.nothing_comes_to(TARGET, Duration::from_secs(5));
        // The guest's clock begins later than this test's.
        machine.wait_for_serial("timeout waiting for carrier");
        machine.nothing_comes_to(TARGET, Duration::from_secs(3));
        machine.monitor("set_link n0 on");
    };
    let capture = boot("linux-link-late", PARAMETERS, |boot| boot.peer(Peer::at("10.0.0.2")).paused(), late);
    let records = capture.messages(TARGET);
    let own = all_of_it(&records);
    assert!(said(&own, "network logging started").0 >= 5 * SECOND, "{own:?}");
    let (_, waited) = said(&own, GONE_OUT);
    assert!(waited >= 5 * SECOND, "it waits 5 s after that: {waited} µs");
}

/// A switch's port that forwards nothing for 35 s: what went out meanwhile goes again, all of it, to whom answers then.
#[test]
fn behind_a_switch_that_is_silent_for_35_s_all_of_it_arrives() {
    let cases = [
        ("linux-silent", TARGET, "10.0.0.2", PARAMETERS, "10.0.0.2 answers after "),
        (
            "linux-silent-ipv6",
            "[fd00::2]:6666",
            "fd00::2",
            "netconsole=+@fd00::1/,@fd00::2/",
            "fd00::2 answers after ",
        ),
        (
            "linux-silent-gateway",
            "10.9.9.9:6666",
            "10.0.0.254",
            "netconsole=+@10.0.0.1/,@10.9.9.9/ ip=10.0.0.1::10.0.0.254:255.255.255.0:::off",
            "10.0.0.254, the gateway to 10.9.9.9, answers after ",
        ),
    ];
    side_by_side(
        &cases,
        |case| case.0.into(),
        |&(name, target, station, parameters, answers)| {
            let peer = Peer::at(station).silent_for(Duration::from_secs(35));
            let mac = peer.mac;
            let capture = boot(name, parameters, |boot| boot.peer(peer).repeats(), |_| {});
            all_of_it(&records(&capture, target, EthernetAddress::BROADCAST));
            let heard = records(&capture, target, mac);
            let own = all_of_it(&heard);
            let (answered, _) = said(&own, answers);
            assert!(answered >= 34 * SECOND, "{name}: {answered} µs");
            let (ended, waited) = said(&own, GONE_OUT);
            assert!(waited >= 5 * SECOND && ended < 60 * SECOND, "{name}: {waited} µs, at {ended} µs");
        },
    );
}

/// Where nobody shows that he can hear it.
#[test]
fn without_any_sign_of_life_it_ends_when_its_patience_does() {
    let cases = [("linux-patience", "", 60), ("linux-patience-7", "linux.patience=7", 7)];
    side_by_side(
        &cases,
        |case| case.0.into(),
        |&(name, parameter, seconds)| {
            let capture = boot(name, &format!("{PARAMETERS} {parameter}"), |boot| boot, |_| {});
            let records = capture.messages(TARGET);
            let own = all_of_it(&records);
            let (ended, _) = said(&own, HEARD_BY_NOBODY);
            assert!(ended >= seconds * SECOND, "{name}: {ended} µs");
            assert!(seconds == 60 || ended < 60 * SECOND, "{name}: {ended} µs");
            said(&own, &format!("it ends after {seconds} s (linux.patience=)"));
        },
    );
}

/// The address that was given before the crash is used at once. Where nobody answers for it, all goes again by broadcast.
#[test]
fn what_went_to_an_address_for_which_nobody_answers_goes_again_by_broadcast() {
    let cases = [
        ("linux-given", TARGET, format!("netconsole=+@10.0.0.1/,@10.0.0.2/{GIVEN}")),
        ("linux-given-ipv6", "[fd00::2]:6666", format!("netconsole=+@fd00::1/,@fd00::2/{GIVEN}")),
    ];
    side_by_side(
        &cases,
        |case| case.0.into(),
        |(name, target, parameters)| {
            let capture = boot(name, &format!("{parameters} linux.patience=5"), Boot::repeats, |_| {});
            let first = capture.frames().find(|frame| frame.datagram().is_some()).expect("a datagram");
            assert_eq!(first.to_mac, GIVEN, "{name}: at once");
            let again = records(&capture, target, EthernetAddress::BROADCAST);
            let own = all_of_it(&again);
            let (gave_up, _) =
                said(&own, "broadcast until somebody does: sending the log again from record 0");
            let (started, _) = said(&own, "network logging started");
            // It is asked for 1.25 s, from before the record of the start on: how long before, a busy host decides.
            assert!(gave_up >= started + SECOND / 4, "{name}: {started} to {gave_up} µs");
            said(&own, HEARD_BY_NOBODY);
        },
    );
}

/// Where another one answers, which is a card that was replaced since, all goes to that.
#[test]
fn what_went_to_a_wrong_address_goes_again_to_the_right_one() {
    let cases = [
        ("linux-replaced", TARGET, "10.0.0.2", format!("netconsole=+@10.0.0.1/,@10.0.0.2/{GIVEN}")),
        (
            "linux-replaced-ipv6",
            "[fd00::2]:6666",
            "fd00::2",
            format!("netconsole=+@fd00::1/,@fd00::2/{GIVEN}"),
        ),
    ];
    side_by_side(
        &cases,
        |case| case.0.into(),
        |(name, target, station, parameters)| {
            // Long enough for the first records to go out before.
            let peer = Peer::at(station).silent_for(Duration::from_millis(500));
            let mac = peer.mac;
            let capture = boot(name, parameters, |boot| boot.peer(peer).repeats(), |_| {});
            let first = capture.frames().find(|frame| frame.datagram().is_some()).expect("a datagram");
            assert_eq!(first.to_mac, GIVEN, "{name}: at once");
            let heard = records(&capture, target, mac);
            said(&all_of_it(&heard), GONE_OUT);
        },
    );
}

/// Where the one that was given answers, nothing goes twice, which the harness looks after.
#[test]
fn what_went_to_the_right_address_goes_once() {
    let peer = Peer::at("10.0.0.2");
    let (mac, parameters) = (peer.mac, format!("netconsole=+@10.0.0.1/,@10.0.0.2/{}", peer.mac));
    let capture = boot("linux-given-right", &parameters, |boot| boot.peer(peer), |_| {});
    let records = records(&capture, TARGET, mac);
    let (_, waited) = said(&all_of_it(&records), GONE_OUT);
    assert!(waited >= 5 * SECOND, "{waited} µs");
    assert_eq!(records.len(), capture.messages(TARGET).len(), "by broadcast it goes to nobody");
}

/// Messages, or a board, may have an NMI come: it has nothing to say of this kernel.
#[test]
fn an_nmi_is_counted_and_no_panic() {
    let capture = boot(
        "linux-nmi",
        &format!("{PARAMETERS} linux.patience=10"),
        |boot| boot,
        |machine| {
            machine.wait_for_text(TARGET, "network logging started");
            machine.monitor("nmi");
        },
    );
    let records = capture.messages(TARGET);
    let own = all_of_it(&records);
    said(&own, "cpu: non-maskable interrupts: 1, counted and no more");
    assert!(!own.iter().any(|(_, text)| text.contains("Kernel panic")), "{own:?}");
}

/// Linux's driver had set the chipset's watchdog going, which would end the machine after 18 s at most.
#[test]
fn a_watchdog_that_was_left_running_is_fed() {
    let parameters = format!("{PARAMETERS} elfcorehdr=0x10000000 linux.patience=40");
    // GCS without NO_REBOOT; 15 times 0.6 s, twice; going; reloaded (datasheet 316972, section 13.9).
    let commands = format!(
        "write_dword 0xfed1f410 0\noutw 0x672 15\noutw 0x668 0\noutw 0x660 1\nmultiboot /boot/netconsole {parameters}"
    );
    let image = grub_image("linux-watchdog-image", &kernel(), &commands);
    let boot = Boot::new("linux-watchdog", parameters).image(image).timeout(PATIENCE);
    let arguments = ["-machine", "q35", "-global", "ICH9-LPC.noreboot=false", "-no-reboot"];
    let capture = boot.first_arguments(arguments).nics([Nic::device("e1000e")]).start().end();
    let text = capture.text(TARGET);
    for said in ["watchdog: TCO timer at I/O 0x660 was left running, and is fed", "boot: done, rebooting"] {
        assert!(text.contains(said), "'{said}' is not in {text}");
    }
}
