//! All machines, within the memory that there is for them.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ahash::RandomState;
use compact_str::CompactString;
use memchr::memmem;

use super::machine::Machine;
use crate::limits;
use crate::pcap;

/// When there is too much, so much of it is given up.
const GIVEN_UP: usize = 8;

/// The last datagrams of one address.
#[derive(Debug, Default)]
struct Packets {
    packets: VecDeque<Box<[u8]>>,
    bytes: usize,
    /// When the last came, in the order of all.
    number: u64,
}

/// All machines.
#[derive(Debug, Default)]
pub struct Board {
    /// By name.
    pub machines: HashMap<CompactString, Machine, RandomState>,
    /// How many changes there were.
    pub changes: u64,
    /// Records that are in the other outputs only.
    pub lost: u64,
    /// Who sent the line that came last, as that line has it.
    last: Vec<u8>,
    bytes: usize,
    packets: HashMap<SocketAddr, Packets, RandomState>,
    packet_bytes: usize,
    packets_taken: u64,
}

impl Board {
    /// Takes a line of a machine.
    pub fn line(&mut self, name: &str, line: &[u8], now: Duration) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if line.starts_with(b"{\"event\":\"lost\"") {
            let count =
                serde_json::from_slice::<super::machine::Line<'_>>(line).ok().and_then(|line| line.count);
            self.lost = self.lost.saturating_add(count.unwrap_or_default());
        }
        self.changes = self.changes.saturating_add(1);
        if !self.machines.contains_key(name) {
            self.make_room();
            self.machines.insert(name.into(), Machine::new(now));
        }
        let Some(machine) = self.machines.get_mut(name) else { return };
        let speaker = speaker(line);
        if self.last != speaker || machine.addresses.is_empty() {
            machine.speaks_from(line);
            self.last.clear();
            self.last.extend_from_slice(speaker);
        }
        let before = machine.bytes;
        machine.line(line, now);
        machine.changed = self.changes;
        self.bytes = self.bytes.saturating_sub(before).saturating_add(machine.bytes);
    }

    /// Takes a datagram as it is in a capture: a header of 16 bytes, then IP.
    pub fn datagram(&mut self, packet: &[u8]) {
        let Some(from) = source(packet) else { return };
        self.packets_taken = self.packets_taken.saturating_add(1);
        let packets = self.packets.entry(from).or_default();
        packets.number = self.packets_taken;
        packets.packets.push_back(packet.into());
        let before = packets.bytes;
        packets.bytes = packets.bytes.saturating_add(packet.len());
        while packets.bytes > limits::WALL_DATAGRAM_BYTES {
            let Some(oldest) = packets.packets.pop_front() else { break };
            packets.bytes = packets.bytes.saturating_sub(oldest.len());
        }
        self.packet_bytes = self.packet_bytes.saturating_sub(before).saturating_add(packets.bytes);
        if self.packet_bytes > limits::WALL_DATAGRAMS_BYTES || self.packets.len() > limits::WALL_MACHINES {
            let mut oldest: Vec<_> =
                self.packets.iter().map(|(from, packets)| (packets.number, *from)).collect();
            oldest.sort_unstable();
            for (_, from) in oldest.iter().take(oldest.len().div_ceil(GIVEN_UP)) {
                let gone = self.packets.remove(from).map_or(0, |packets| packets.bytes);
                self.packet_bytes = self.packet_bytes.saturating_sub(gone);
            }
        }
    }

    /// Keeps within the memory: who has been silent for longest loses his lines first.
    pub fn shrink(&mut self) {
        if self.bytes <= limits::WALL_BYTES {
            return;
        }
        let heard = |(name, machine): (&CompactString, &Machine)| (machine.heard, name.clone());
        let mut oldest: Vec<_> = self.machines.iter().map(heard).collect();
        oldest.sort_unstable();
        // Lines first, then reports.
        for forget in [Machine::forget_lines, Machine::forget_reports] {
            for (_, name) in &oldest {
                if self.bytes <= limits::WALL_BYTES - limits::WALL_BYTES / GIVEN_UP {
                    return;
                }
                let Some(machine) = self.machines.get_mut(name) else { continue };
                let before = machine.bytes;
                forget(machine);
                self.bytes = self.bytes.saturating_sub(before).saturating_add(machine.bytes);
            }
        }
    }

    /// Who has been silent for longest goes.
    fn make_room(&mut self) {
        if self.machines.len() < limits::WALL_MACHINES {
            return;
        }
        let heard = |(name, machine): (&CompactString, &Machine)| (machine.heard, name.clone());
        let mut oldest: Vec<_> = self.machines.iter().map(heard).collect();
        oldest.sort_unstable();
        for (_, name) in oldest.iter().take(oldest.len().div_ceil(GIVEN_UP)) {
            let gone = self.machines.remove(name).map_or(0, |machine| machine.bytes);
            self.bytes = self.bytes.saturating_sub(gone);
        }
    }

    /// What time alone changes.
    pub fn tick(&mut self, now: Duration, silent_after: Duration) {
        for machine in self.machines.values_mut() {
            if machine.tick(now, silent_after) {
                self.changes = self.changes.saturating_add(1);
                machine.changed = self.changes;
            }
        }
    }

    /// The lines of a machine that are kept.
    pub fn json(&self, machine: &str) -> Option<Vec<u8>> {
        let machine = self.machines.get(machine)?;
        let mut lines = Vec::with_capacity(machine.bytes);
        for line in machine.lines(0) {
            lines.extend_from_slice(line);
            lines.push(b'\n');
        }
        Some(lines)
    }

    /// The datagrams of a machine that are kept.
    pub fn capture(&self, machine: &str) -> Option<Vec<u8>> {
        let machine = self.machines.get(machine)?;
        let mut capture = pcap::header().to_vec();
        let packets = machine.addresses.iter().filter_map(|address| self.packets.get(address));
        packets.flat_map(|packets| &packets.packets).for_each(|packet| capture.extend_from_slice(packet));
        Some(capture)
    }
}

/// The name, the address and the port in a line, which follow each other.
fn speaker(line: &[u8]) -> &[u8] {
    // Within a text a quotation mark has a backslash before it.
    let behind = |text: &[u8], from: usize| {
        memmem::find(line.get(from..).unwrap_or_default(), text).map(|at| from + at + text.len())
    };
    let Some(start) = behind(b",\"sender\":\"", 0) else { return &[] };
    let Some(port) = behind(b",\"port\":", start) else { return &[] };
    let digits = line.iter().skip(port).take_while(|byte| byte.is_ascii_digit()).count();
    line.get(start..port.saturating_add(digits)).unwrap_or_default()
}

/// Who sent a packet.
fn source(packet: &[u8]) -> Option<SocketAddr> {
    const HEADER: usize = 16;
    let ip = packet.get(HEADER..)?;
    let (from, udp): (IpAddr, usize) = match ip.first()? >> 4 {
        4 => {
            let from: [u8; 4] = ip.get(12..16)?.try_into().ok()?;
            (Ipv4Addr::from(from).into(), usize::from(ip.first()? & 15) * 4)
        }
        _ => {
            let from: [u8; 16] = ip.get(8..24)?.try_into().ok()?;
            (Ipv6Addr::from(from).into(), 40)
        }
    };
    let port = ip.get(udp..udp.checked_add(2)?)?.try_into().ok()?;
    Some((from, u16::from_be_bytes(port)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also where no other machine speaks in between.
    #[test]
    fn a_machine_is_followed_to_each_of_its_addresses() {
        let mut board = Board::default();
        for (address, port) in [("10.0.0.1", 7), ("10.0.0.1", 8), ("10.0.0.2", 8), ("10.0.0.2", 8)] {
            let line = format!(
                "{{\"event\":\"record\",\"received\":\"2026-11-30T00:00:00.000000Z\",\"sender\":\"a\\\",\\\"port\\\":1\",\
                 \"address\":\"{address}\",\"port\":{port},\"format\":\"extended\",\"text\":\"x\"}}\n"
            );
            board.line("a", line.as_bytes(), Duration::ZERO);
        }
        let addresses: Vec<String> =
            board.machines["a"].addresses.iter().map(SocketAddr::to_string).collect();
        assert_eq!(addresses, ["10.0.0.1:7", "10.0.0.1:8", "10.0.0.2:8"]);
    }
}
