//! A switch that joins NICs of one machine.

use super::wire::Wire;
use std::sync::{Arc, Mutex};

#[derive(Default)]
pub struct Switch {
    ports: Mutex<Vec<(usize, Arc<Wire>)>>,
}

impl Switch {
    /// Adds the port of the NIC number `nic`.
    pub fn join(&self, nic: usize, wire: Arc<Wire>) {
        self.ports.lock().expect("the ports").push((nic, wire));
    }

    /// Brings a frame of the NIC number `nic` to all others. The captures have it where it was sent.
    pub fn forward(&self, nic: usize, frame: &[u8]) {
        let ports = self.ports.lock().expect("the ports");
        for (_, wire) in ports.iter().filter(|(other, _)| *other != nic) {
            // QEMU may have ended meanwhile.
            let _ = wire.send(frame);
        }
    }
}
