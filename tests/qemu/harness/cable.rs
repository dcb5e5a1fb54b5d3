//! A NIC's cable: what the NIC sends is captured and answered.

use super::frame::Frame;
use super::pcap::PcapWriter;
use super::peer::Peer;
use super::record::{Record, Sent};
use super::switch::Switch;
use super::vhost_user::Lie;
use super::wire::{Carrier, Wire};
use smoltcp::wire::EthernetAddress;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

pub struct Cable {
    wire: Arc<Wire>,
    pcap: Arc<Mutex<PcapWriter>>,
    pub pcap_path: PathBuf,
    start: Instant,
    is_blocked: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Cable {
    /// Binds the sockets, which go into `directory`, and starts to read. What the NIC sends goes to all others that
    /// are on its `switch`, too.
    #[expect(clippy::too_many_arguments, reason = "a NIC's parts and a boot's, put together once")]
    pub fn new(
        carrier: Carrier,
        nic: usize,
        mac: EthernetAddress,
        mut peers: Vec<Peer>,
        directory: &Path,
        pcap_path: PathBuf,
        record: Arc<Record>,
        switch: Option<Arc<Switch>>,
    ) -> Self {
        let wire = Arc::new(Wire::bind(carrier, nic, directory).expect("a socket for the cable"));
        let reading = Arc::clone(&wire);
        let writer = PcapWriter::create(&pcap_path).expect("a capture file");
        let pcap = Arc::new(Mutex::new(writer));
        let (start, capture) = (Instant::now(), Arc::clone(&pcap));
        let is_blocked = Arc::new(AtomicBool::new(false));
        let blocked = Arc::clone(&is_blocked);
        if let Some(switch) = &switch {
            switch.join(nic, Arc::clone(&wire));
        }
        let reader = thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            loop {
                let length = reading.receive(&mut buffer).expect("the cable's socket reads");
                // After `cut`, below.
                if length == 0 {
                    return;
                }
                let (at, bytes) = (Instant::now(), &buffer[..length]);
                write(&capture, at.duration_since(start), bytes);
                // On a hub, other stations' frames come along.
                if bytes.get(6..12) != Some(mac.as_bytes()) {
                    continue;
                }
                let frame = Frame::parse(bytes);
                let mut answers = Vec::new();
                if let Ok(frame) = &frame
                    && !blocked.load(Ordering::Relaxed)
                {
                    answers.extend(
                        peers.iter_mut().filter_map(|peer| Some((peer.answer(frame)?, peer.delay()))),
                    );
                }
                record.add(|events| events.sent.push(Sent { at, nic, frame }));
                if let Some(switch) = &switch {
                    switch.forward(nic, bytes);
                }
                for (answer, delay) in answers {
                    let (wire, capture) = (Arc::clone(&reading), Arc::clone(&capture));
                    let send = move || {
                        // QEMU may have ended meanwhile.
                        if wire.send(&answer).is_ok() {
                            write(&capture, start.elapsed(), &answer);
                        }
                    };
                    if delay.is_zero() {
                        send();
                    } else {
                        thread::spawn(move || {
                            thread::sleep(delay);
                            send();
                        });
                    }
                }
            }
        });
        Self { wire, pcap, pcap_path, start, is_blocked, reader: Some(reader) }
    }

    /// QEMU's arguments for the netdev `id` at the other end.
    pub fn netdev(&self, id: &str) -> Vec<String> {
        self.wire.netdev(id)
    }

    /// Sends a frame to the NIC.
    pub fn send(&self, frame: &[u8]) {
        self.wire.send(frame).expect("QEMU takes a frame");
        write(&self.pcap, self.start.elapsed(), frame);
    }

    /// Has the stations hear nothing, as behind a switch's port that does not forward, or hear again.
    pub fn block(&self, is_blocked: bool) {
        self.is_blocked.store(is_blocked, Ordering::Relaxed);
    }

    /// Sends a frame to the NIC that is not in the capture; false where QEMU has ended.
    pub fn throw(&self, frame: &[u8]) -> bool {
        self.wire.send(frame).is_ok()
    }

    /// Has a card of our own lie about its queue of this number.
    pub fn tell(&self, lie: Lie, queue: usize) {
        let Wire::VhostUser(card) = &*self.wire else { panic!("it is QEMU's card") };
        card.tell(lie, queue);
    }

    /// Reads what QEMU had sent until its end, and closes the capture. Idempotent.
    pub fn cut(&mut self) {
        let Some(reader) = self.reader.take() else { return };
        if self.wire.end().is_ok() {
            // A reader that panicked has said so already.
            let _ = reader.join();
        }
        self.pcap.lock().expect("the capture").flush().expect("the capture is written");
    }
}

fn write(pcap: &Mutex<PcapWriter>, at: std::time::Duration, frame: &[u8]) {
    pcap.lock().expect("the capture").write(at, frame).expect("the capture is written");
}
