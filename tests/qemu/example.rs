//! The library's example, a kernel of another kind than ours (netconsole/examples/kernel): at a higher half, with
//! physical addresses at a distance, frames that are no neighbours and two CPUs. scripts/example builds it.

use crate::harness::{Boot, Message, Nic, Peer, side_by_side, target};
use crate::secure::{KEY, open, opened};

const TARGET: &str = "10.0.0.2:6666";
const CARDS: [&str; 3] = ["virtio-net-pci", "e1000e", "rtl8139"];
/// The last of the lines that the second CPU logs as fast as it can.
const LAST_OF_BURST: u64 = 500;
/// How the report begins, which is one record.
const REPORT: &str = "Kernel panic - not syncing: panicked at";

fn boot(name: &'static str, card: &'static str, parameters: &str) -> Boot {
    let kernel = target().join("example-kernel.elf");
    assert!(kernel.is_file(), "{} is missing: run scripts/example", kernel.display());
    Boot::new(name, format!("debug netconsole=+@10.0.0.1/,@10.0.0.2/ {parameters}"))
        .kernel(kernel)
        .nics([Nic::device(card).peer(Peer::at("10.0.0.2"))])
        .arguments(["-smp", "2"])
}

/// Each record from number 0 on is there, and among them all that the second CPU has logged up to its line `last`.
fn assert_complete(messages: &[Message], last: u64) {
    let mut sequences: Vec<u64> = messages.iter().map(|message| message.sequence).collect();
    sequences.sort_unstable();
    sequences.dedup();
    assert!(sequences.iter().copied().eq(0..sequences.len() as u64), "from 0 on: {sequences:?}");
    for number in 1..=last {
        let line = format!("cpu 1: line {number}");
        assert!(messages.iter().any(|message| message.text == line), "'{line}' is missing");
    }
}

#[test]
fn the_log_of_both_cpus_comes_from_record_0_by_each_card() {
    side_by_side(
        &CARDS,
        |card| card.to_string(),
        |card| {
            let machine = boot(format!("example-{card}").leak(), card, "").start();
            // It goes on after the burst, a line a second.
            machine.wait_for_text(TARGET, &format!("cpu 1: line {}", LAST_OF_BURST + 2));
            let messages = machine.stop().messages(TARGET);
            assert!(messages[0].text.starts_with("example kernel"), "{:?}", messages[0]);
            assert_complete(&messages, LAST_OF_BURST + 2);
        },
    );
}

#[test]
fn a_crash_of_either_cpu_is_told_by_each_card() {
    let crashes = [("first", "exception 14"), ("second", "asked for by crash=second")];
    let cases: Vec<_> = CARDS.iter().flat_map(|card| crashes.map(|crash| (*card, crash))).collect();
    side_by_side(
        &cases,
        |(card, (cpu, _))| format!("{card} {cpu}"),
        |&(card, (cpu, said))| {
            let boot = boot(format!("example-{card}-{cpu}").leak(), card, &format!("crash={cpu}"));
            let machine = boot.repeats().start();
            machine.wait_for_text(TARGET, REPORT);
            let messages = machine.stop().messages(TARGET);
            assert_complete(&messages, LAST_OF_BURST);
            let report = messages.iter().rfind(|message| message.text.starts_with(REPORT)).expect("a report");
            assert!(report.text.contains(said), "{report:?}");
        },
    );
}

/// The library has no release of its own to send: what `+r` shows is what the kernel says, before a panic and in it.
#[test]
fn the_release_is_the_kernel_s_own() {
    let parameters = "netconsole=+r@10.0.0.1/,6667@10.0.0.2/ crash=first";
    let machine = boot("example-release", "virtio-net-pci", parameters).start();
    machine.wait_for_text("10.0.0.2:6667", REPORT);
    let messages = machine.stop().messages("10.0.0.2:6667");
    assert_complete(&messages, LAST_OF_BURST);
    for message in messages {
        assert_eq!(message.release.as_deref(), Some("9.8-example"), "{}", message.text);
    }
}

#[test]
fn with_a_key_log_and_report_are_sealed() {
    let parameters = format!("netconsole.key={KEY} crash=first");
    let machine = boot("example-sealed", "virtio-net-pci", &parameters).repeats().start();
    machine.wait_for("the sealed report", |events| {
        let mut payloads = events.sent.iter().filter_map(|sent| sent.datagram());
        payloads.find(|(_, payload)| is_report(&open(payload).1)).map(|_| ())
    });
    let messages = opened(&machine.stop());
    assert_complete(&messages, LAST_OF_BURST);
}

fn is_report(message: &[u8]) -> bool {
    String::from_utf8_lossy(message).contains(REPORT)
}
