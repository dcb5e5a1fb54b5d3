//! A network card for a guest of QEMU's, outside QEMU: the back end of its vhost-user, which serves the queues in the
//! guest's memory. The tests have it lie to the kernel; the bench counts with it what a kernel sends, as it costs the
//! guest and QEMU nothing.
//!
//! It trusts QEMU and the guest: what breaks the protocol ends in a panic.

#![forbid(unsafe_code)]

mod connection;
mod memory;
mod queue;

pub use connection::{Connection, RECEIVE, TRANSMIT};
pub use memory::Memory;
pub use queue::{HEADER, Queue};

/// QEMU's arguments for a machine with `mib` MiB of memory, shared with a card that waits at `socket`, and the
/// netdev `id` for it.
pub fn arguments(id: &str, mib: u32, socket: &std::path::Path) -> [String; 8] {
    [
        "-object".into(),
        format!("memory-backend-memfd,id=memory,size={mib}M,share=on"),
        "-machine".into(),
        "memory-backend=memory".into(),
        "-chardev".into(),
        format!("socket,id=card,path={}", socket.display()),
        "-netdev".into(),
        format!("vhost-user,id={id},chardev=card"),
    ]
}
