//! Many records at once.

use crate::harness::{Boot, Frame, Message, Peer, status};

const TARGET: &str = "10.0.0.2:6666";

/// The numbers of the flood's records, in the order of their arrival.
fn flood(messages: &[Message]) -> Vec<u32> {
    messages.iter().filter_map(|message| number(&message.text)).collect()
}

/// The number of a record of the flood.
fn number(text: &str) -> Option<u32> {
    let number =
        text.strip_prefix("flood message ")?.strip_suffix(" abcdefghijklmnopqrstuvwxyz0123456789")?;
    number.parse().ok()
}

#[test]
fn none_is_missing_and_all_are_in_order() {
    let parameters = "debug console=null flood=20000 netconsole=+@10.0.0.1/,@10.0.0.2/ after=exit";
    let capture = Boot::new("flood", parameters).peer(Peer::at("10.0.0.2")).start().end();
    assert_eq!(capture.status, status::GOOD);
    assert_eq!(flood(&capture.messages(TARGET)), (0..20000).collect::<Vec<u32>>());
}

/// As many targets as there can be get their shares of the card in turn, so none is far ahead of another.
#[test]
fn sixteen_targets_get_all_and_side_by_side() {
    const RECORDS: u32 = 3000;
    /// How many are logged at once; of the first burst some targets have the boot's log before it.
    const BURST: u32 = 64;
    const SHARE: u32 = 16;
    let ports = 6666..6682;
    let targets: Vec<String> = ports.clone().map(|port| format!("@10.0.0.1/,{port}@10.0.0.2/")).collect();
    let parameters = format!("console=null flood={RECORDS} netconsole={} after=exit", targets.join(";"));
    let capture = Boot::new("flood-16", parameters).peer(Peer::at("10.0.0.2")).start().end();
    assert_eq!(capture.status, status::GOOD);

    let mut arrived = vec![0; ports.len()];
    for (to, payload) in capture.frames().filter_map(Frame::datagram) {
        let Some(place) = ports.clone().position(|port| port == to.port()) else { continue };
        let line = std::str::from_utf8(payload).expect("it is ASCII");
        let Some((_, text)) = line.trim_end().split_once("] ") else { continue };
        if let Some(number) = number(text) {
            assert_eq!(number, arrived[place], "to port {}", to.port());
            arrived[place] += 1;
            let slowest = arrived.iter().min().expect("there are targets");
            let is_ahead = number >= BURST && arrived[place] - slowest > 2 * SHARE;
            assert!(!is_ahead, "port {}: {arrived:?}", to.port());
        }
    }
    assert_eq!(arrived, vec![RECORDS; ports.len()]);
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
