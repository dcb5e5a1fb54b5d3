//! Records that are longer than a datagram. The command line is one: the kernel logs it.

use crate::harness::{Boot, MAX_DATAGRAM, Peer, status};

#[test]
fn a_long_record_comes_in_parts() {
    // Two bytes a character, so that cutting at any byte would show; 3.3 KiB in all.
    let filler = format!("filler={}", "äöü".repeat(550));
    let parameters =
        format!(r#"debug netconsole="+@10.0.0.1/,@10.0.0.2/;@10.0.0.1/,7777@10.0.0.2/" after=exit {filler}"#);
    let capture = Boot::new("fragments", parameters).peer(Peer::at("10.0.0.2")).start().end();
    assert_eq!(capture.status, status::GOOD);

    // Extended: the fragments' offsets were checked when they were put together; every byte is there, escaped.
    let escaped: String = "äöü".bytes().map(|byte| format!(r"\x{byte:02x}")).collect();
    let messages = capture.messages("10.0.0.2:6666");
    let long = messages.iter().find(|message| message.text.contains("filler=")).expect("the command line");
    assert!(long.text.contains(&format!("filler={}", escaped.repeat(550))), "{}", long.text);
    assert!(long.fragments > escaped.len() * 550 / MAX_DATAGRAM, "{} fragments", long.fragments);

    // Basic: consecutive datagrams, cut between characters, which give the text again.
    let datagrams = capture.payloads("10.0.0.2:7777");
    for datagram in &datagrams {
        assert!(datagram.len() <= MAX_DATAGRAM && std::str::from_utf8(datagram).is_ok());
    }
    assert!(capture.text("10.0.0.2:7777").contains(&filler));
    assert!(datagrams.len() > messages.len() + filler.len() / MAX_DATAGRAM - 1);
}
