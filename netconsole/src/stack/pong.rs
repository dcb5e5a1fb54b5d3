//! An answer to an echo request of our own.

use core::net::IpAddr;

/// The last reply.
#[derive(Clone, Copy)]
pub(super) struct Pong {
    pub(super) source: IpAddr,
    pub(super) sequence: u16,
    pub(super) at: u64,
}
