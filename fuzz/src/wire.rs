//! Received frames through the parsers that the kernel wrote itself.

use netconsole::wire::{Envelope, MacAddr, arp, ndp, udp};

const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

/// What is understood is written, and read back, as the same.
pub fn check(frame: &[u8]) {
    let mut buffer = [0; 2048];
    if let Some(packet) = arp::parse(frame) {
        let length = packet.write(None, &mut buffer).expect("there is room");
        assert_eq!(arp::parse(&buffer[..length]), Some(packet));
        if let Some(answer) = packet.answer(MAC) {
            assert_eq!((answer.sender_ip, answer.target_ip), (packet.target_ip, packet.sender_ip));
        }
    }
    if let Some(ndp::Message::Solicitation(question)) = ndp::parse(frame)
        && let Some(length) = question.answer(MAC, None, &mut buffer)
    {
        let Some(ndp::Message::Advertisement(answer)) = ndp::parse(&buffer[..length]) else {
            panic!("the answer to {question:?} is none");
        };
        assert_eq!((answer.target, answer.mac), (question.target, Some(MAC)));
    }
    if let Some(received) = udp::parse(frame) {
        assert!(received.payload.len() < frame.len());
        let envelope = Envelope::new(received.source, received.destination, received.vlan);
        let envelope = envelope.expect("both addresses are of one family");
        let length = envelope.write(&mut buffer, 7, |to| {
            to.get_mut(..received.payload.len())?.copy_from_slice(received.payload);
            Some(received.payload.len())
        });
        let length = length.expect("there is room");
        assert_eq!(udp::parse(&buffer[..length]), Some(received));
    }
}
