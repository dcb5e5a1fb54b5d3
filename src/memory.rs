//! The library's static memory: the cards' queues and buffers, the key, and what the panic path knows. The log ring lies
//! in log.rs. There is no heap.

use netconsole::memory::Memory;

/// The library's memory.
pub static MEMORY: Memory = Memory::new();
