//! Writes captures that Wireshark reads (the classic pcap format, Ethernet link type), and reads QEMU's.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

pub struct PcapWriter(BufWriter<File>);

impl PcapWriter {
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        const MAGIC: u32 = 0xa1b2_c3d4;
        const SNAP_LENGTH: u32 = 65535;
        const LINK_ETHERNET: u32 = 1;
        // Magic, version 2.4, time zone, accuracy, snap length, link type.
        for word in [MAGIC, 0x0004_0002, 0, 0, SNAP_LENGTH, LINK_ETHERNET] {
            file.write_all(&word.to_le_bytes())?;
        }
        Ok(Self(file))
    }

    /// Adds a frame that came `at` after the capture's start.
    pub fn write(&mut self, at: Duration, frame: &[u8]) -> io::Result<()> {
        let length = frame.len() as u32;
        for word in [at.as_secs() as u32, at.subsec_micros(), length, length] {
            self.0.write_all(&word.to_le_bytes())?;
        }
        self.0.write_all(frame)
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The frames of a capture that QEMU wrote, each with its time; one that is cut off is left out.
pub fn read_pcap(path: &Path) -> Vec<(Duration, Vec<u8>)> {
    let file = fs::read(path).expect("QEMU wrote the capture");
    let mut rest = file.get(24..).unwrap_or_default();
    let mut frames = Vec::new();
    while let Some((header, behind)) = rest.split_first_chunk::<16>() {
        let word =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let Some((frame, next)) = behind.split_at_checked(word(8) as usize) else { break };
        let at = Duration::from_secs(word(0).into()) + Duration::from_micros(word(4).into());
        frames.push((at, frame.to_vec()));
        rest = next;
    }
    frames
}
