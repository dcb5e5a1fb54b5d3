//! Many records at once.

use crate::harness::{Boot, Message, Peer, status};

const TARGET: &str = "10.0.0.2:6666";

/// The numbers of the flood's records, in the order of their arrival.
fn flood(messages: &[Message]) -> Vec<u32> {
    let number = |message: &Message| {
        let number = message
            .text
            .strip_prefix("flood message ")?
            .strip_suffix(" abcdefghijklmnopqrstuvwxyz0123456789")?;
        number.parse().ok()
    };
    messages.iter().filter_map(number).collect()
}

#[test]
fn none_is_missing_and_all_are_in_order() {
    let parameters = "debug console=null flood=20000 netconsole=+@10.0.0.1/,@10.0.0.2/ after=exit";
    let capture = Boot::new("flood", parameters).peer(Peer::at("10.0.0.2")).start().end();
    assert_eq!(capture.status, status::GOOD);
    assert_eq!(flood(&capture.messages(TARGET)), (0..20000).collect::<Vec<u32>>());
}

#[test]
fn what_a_late_target_lost_is_counted() {
    let parameters = "debug flood=20000 netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole.carrier_timeout=0";
    let boot = Boot::new("flood-late", parameters).peer(Peer::at("10.0.0.2")).paused().loses();
    let mut machine = boot.start();
    machine.monitor("set_link n0 off");
    machine.monitor("cont");
    machine.wait_for_serial("flood message 00019999");
    machine.monitor("set_link n0 on");
    machine.wait_for_text(TARGET, "records were overwritten before they could be sent");

    let messages = machine.stop().messages(TARGET);
    let lost = messages[0].sequence;
    assert!(lost > 10_000, "a ring of 256 KiB can't hold {} records", 20_000 - lost);
    let contiguous = messages.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1);
    assert!(contiguous, "what was in the ring came without a gap");
    let warnings: Vec<_> = messages.iter().filter(|message| message.level == 4).collect();
    assert!(
        warnings.iter().any(|warning| warning.text.contains(&lost.to_string())),
        "{lost} lost: {warnings:?}"
    );
    let arrived = flood(&messages);
    assert_eq!(arrived.last(), Some(&19_999));
}
