//! A NIC's cable: QEMU's `dgram` netdev sends each Ethernet frame as one datagram to a socket of ours.
//! The sockets are Unix ones: no port to collide on, and a full one makes QEMU wait, so no frame is lost.

use super::frame::Frame;
use super::pcap::PcapWriter;
use super::peer::Peer;
use super::record::{Record, Sent};
use smoltcp::wire::EthernetAddress;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

pub struct Cable {
    socket: UnixDatagram,
    own_path: PathBuf,
    qemu_path: PathBuf,
    pcap: Arc<Mutex<PcapWriter>>,
    pub pcap_path: PathBuf,
    start: Instant,
    reader: Option<JoinHandle<()>>,
}

impl Cable {
    /// Binds the socket and starts to read. `directory` is for the sockets.
    pub fn new(
        nic: usize,
        mac: EthernetAddress,
        mut peers: Vec<Peer>,
        directory: &Path,
        pcap_path: PathBuf,
        record: Arc<Record>,
    ) -> Self {
        let own_path = directory.join(format!("test{nic}"));
        let qemu_path = directory.join(format!("qemu{nic}"));
        let socket = UnixDatagram::bind(&own_path).expect("a socket for the cable");
        let reading = socket.try_clone().expect("a second handle of the socket");
        let writer = PcapWriter::create(&pcap_path).expect("a capture file");
        let pcap = Arc::new(Mutex::new(writer));
        let (start, capture, to_qemu) = (Instant::now(), Arc::clone(&pcap), qemu_path.clone());
        let reader = thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            loop {
                let length = reading.recv(&mut buffer).expect("the cable's socket reads");
                // An empty datagram is from `cut`, below.
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
                if let Ok(frame) = &frame {
                    answers.extend(peers.iter_mut().filter_map(|peer| peer.answer(frame)));
                }
                record.add(|events| events.sent.push(Sent { at, nic, frame }));
                for answer in answers {
                    // QEMU may have ended meanwhile.
                    if reading.send_to(&answer, &to_qemu).is_ok() {
                        write(&capture, start.elapsed(), &answer);
                    }
                }
            }
        });
        Self { socket, own_path, qemu_path, pcap, pcap_path, start, reader: Some(reader) }
    }

    /// QEMU's arguments for the netdev `id` at the other end.
    pub fn netdev(&self, id: &str) -> String {
        format!(
            "dgram,id={id},local.type=unix,local.path={},remote.type=unix,remote.path={}",
            self.qemu_path.display(),
            self.own_path.display()
        )
    }

    /// Sends a frame to the NIC.
    pub fn send(&self, frame: &[u8]) {
        self.socket.send_to(frame, &self.qemu_path).expect("QEMU takes a frame");
        write(&self.pcap, self.start.elapsed(), frame);
    }

    /// Sends a frame to the NIC that is not in the capture; false where QEMU has ended.
    pub fn throw(&self, frame: &[u8]) -> bool {
        self.socket.send_to(frame, &self.qemu_path).is_ok()
    }

    /// Reads what QEMU had sent until its end, and closes the capture. Idempotent.
    pub fn cut(&mut self) {
        let Some(reader) = self.reader.take() else { return };
        // It queues behind QEMU's last frame.
        let end = UnixDatagram::unbound().and_then(|socket| socket.send_to(&[], &self.own_path));
        if end.is_ok() {
            // A reader that panicked has said so already.
            let _ = reader.join();
        }
        self.pcap.lock().expect("the capture").flush().expect("the capture is written");
    }
}

fn write(pcap: &Mutex<PcapWriter>, at: std::time::Duration, frame: &[u8]) {
    pcap.lock().expect("the capture").write(at, frame).expect("the capture is written");
}
