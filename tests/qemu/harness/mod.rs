//! Boots the kernel in QEMU, sees every frame it sends, plays its neighbours, and checks what every boot
//! must keep to: frames that smoltcp and Wireshark find correct, extended messages in order and complete.

mod boot;
mod cable;
mod capture;
mod frame;
mod gdb;
mod machine;
mod message;
mod ncrx_receiver;
mod pcap;
mod peer;
mod port;
mod qemu;
mod qtest;
mod record;
mod rsyslog;
mod server;
mod side_by_side;
mod switch;
mod tshark;
mod vhost_user;
mod way;
mod wire;

pub use boot::{Boot, Nic, kernel, target};
pub use capture::Capture;
pub use frame::{Content, Frame};
pub use gdb::{Gdb, Stub, instructions, symbol};
pub use machine::Machine;
pub use message::{MAX_DATAGRAM, Message, messages};
pub use ncrx_receiver::NcrxReceiver;
pub use pcap::read_pcap;
pub use peer::Peer;
pub use port::{free_port, wait_for_listener};
pub use qtest::{Qtest, Reach};
pub use record::{Events, Sent};
pub use rsyslog::Rsyslog;
pub use server::{HOST_NAME, Lease, Service};
pub use side_by_side::side_by_side;
pub use vhost_user::{CardKind, Lie, RECEIVE, TRANSMIT};
pub use way::{Ends, Relay, Way};

/// QEMU's exit statuses for `after=exit` (doc/specification.md, other kernel parameters).
pub mod status {
    pub const GOOD: Option<i32> = Some(33);
    pub const PANIC: Option<i32> = Some(35);
    pub const NO_TARGET: Option<i32> = Some(37);
}
