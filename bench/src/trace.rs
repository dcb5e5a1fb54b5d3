//! Runs the kernel in QEMU and sees every instruction that it executes.
//!
//! QEMU's `exec` log with one instruction to a translation block is the list of all instructions, and its
//! trace events stand between them in order. The kernel knows nothing of it and is the one that
//! users boot. Guest time is the count of instructions (`-icount`), and the card takes its frames at a set
//! time after a notification (`tx=timer`), so that a run is the same on every machine.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What QEMU tells of, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The instruction at this address was executed.
    Instruction(u64),
    /// A queue's notification register was written: an exit from the guest. 0 receives, 1 sends.
    Notify(u32),
    /// The card took a frame to be sent.
    Frame,
    /// A port or a device's memory was read or written: an exit from the guest. Of the serial ports or not.
    Access { serial: bool },
}

/// A boot to be looked at.
pub struct Run<'r> {
    /// Names its files in `target/bench/`.
    pub name: &'r str,
    /// Further arguments for QEMU: what else the machine has.
    pub machine: &'r [&'r str],
    /// What boots.
    pub kernel: &'r Path,
    /// The kernel parameters.
    pub append: &'r str,
}

/// A frame on the wire.
#[derive(Clone, Debug)]
pub struct Frame {
    /// From Ethernet's header on.
    pub bytes: Vec<u8>,
}

impl Frame {
    /// The payload of a datagram from netconsole's port to `port`, if it is one.
    pub fn log(&self, port: u16) -> Option<&[u8]> {
        let is_udp = self.bytes.get(12..14) == Some(&[8, 0]) && self.bytes.get(23) == Some(&17);
        let ports = [6665u16.to_be_bytes(), port.to_be_bytes()];
        self.bytes.get(42..).filter(|_| is_udp && self.bytes.get(34..38) == Some(ports.as_flattened()))
    }
}

/// The kernel's image lies here (linker.ld); the firmware's instructions are not counted.
const KERNEL: &str = "0x100000..0x7fffff";

/// How long after a notification the card takes the frames, in ns, which are instructions.
const CARD_DELAY: u32 = 1;

impl Run<'_> {
    /// Boots the kernel until it ends the machine, and hands over what happens. Returns the frames of its
    /// card, sent and received.
    pub fn trace(&self, mut see: impl FnMut(Event)) -> Result<Vec<Frame>, String> {
        let mut qemu = self.qemu();
        qemu.args(one_instruction_per_block()?);
        qemu.args(["-d", "exec,nochain", "-dfilter", KERNEL]);
        for event in
            ["virtio_queue_notify", "virtqueue_pop", "memory_region_ops_read", "memory_region_ops_write"]
        {
            qemu.args(["-trace", event]);
        }
        let mut child = qemu
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("qemu-system-x86_64: {error}"))?;
        let log = child.stderr.take().ok_or("QEMU's log is piped")?;
        let mut parser = Parser::default();
        let mut other = Vec::new();
        let mut lines = BufReader::with_capacity(1 << 20, log);
        let mut line = Vec::new();
        loop {
            line.clear();
            if lines.read_until(b'\n', &mut line).map_err(|error| error.to_string())? == 0 {
                break;
            }
            if !parser.line(&line, &mut see) {
                other.extend_from_slice(&line);
            }
        }
        parser.finish(&mut see);
        let status = child.wait().map_err(|error| error.to_string())?;
        match status.code() {
            // After=exit: a good end, a panic, no target (doc/specification.md).
            Some(33 | 35 | 37) => frames(&self.pcap()),
            _ => Err(format!("{}: QEMU ended with {status}: {}", self.name, String::from_utf8_lossy(&other))),
        }
    }

    fn pcap(&self) -> PathBuf {
        output(&format!("{}.pcap", self.name))
    }

    /// The machine, in which an instruction takes a nanosecond.
    fn qemu(&self) -> Command {
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-nodefaults", "-display", "none", "-no-reboot"]).args(self.machine);
        qemu.args(["-icount", "shift=0,sleep=off", "-rtc", "base=2000-01-01,clock=vm"]);
        qemu.args([
            "-device",
            "isa-debug-exit,iobase=0xf4,iosize=4",
            "-netdev",
            "user,id=n0,restrict=on,ipv6=off",
        ]);
        qemu.arg("-device");
        qemu.arg(format!("virtio-net-pci,netdev=n0,romfile=,tx=timer,x-txtimer={CARD_DELAY}"));
        qemu.arg("-object").arg(format!("filter-dump,id=d0,netdev=n0,file={}", self.pcap().display()));
        qemu.arg("-kernel").arg(self.kernel).args(["-append", self.append]);
        qemu
    }
}

/// Makes events of the log's lines.
#[derive(Default)]
struct Parser {
    /// Held back: the next line may say that it was not executed after all.
    pending: Option<u64>,
    /// The address of the queue that sends, once it was notified.
    transmit_queue: Option<Vec<u8>>,
}

impl Parser {
    /// False for a line that is none of the log's.
    fn line(&mut self, line: &[u8], see: &mut impl FnMut(Event)) -> bool {
        if line.starts_with(b"Trace ") {
            self.finish(see);
            self.pending = program_counter(line);
            return self.pending.is_some();
        }
        if line.starts_with(b"Stopped ") {
            // The block was left before its instruction: it comes again.
            self.pending = None;
            return true;
        }
        // An instruction's events come after its own line.
        let words: Vec<&[u8]> = line.trim_ascii().split(|&byte| byte == b' ').collect();
        match words.as_slice() {
            [b"virtio_queue_notify", _, _, b"n", queue, b"vq", address] => {
                let Some(queue) = std::str::from_utf8(queue).ok().and_then(|queue| queue.parse().ok()) else {
                    return false;
                };
                if queue == 1 {
                    self.transmit_queue = Some(address.to_vec());
                }
                self.finish(see);
                see(Event::Notify(queue));
            }
            [b"virtqueue_pop", b"vq", address, ..] => {
                if self.transmit_queue.as_deref() == Some(address) {
                    self.finish(see);
                    see(Event::Frame);
                }
            }
            // The notification is told of apart, where QEMU has it as such an access.
            [b"memory_region_ops_read" | b"memory_region_ops_write", .., b"name", name] => {
                if !name.starts_with(b"'virtio-pci-notify") {
                    self.finish(see);
                    see(Event::Access { serial: *name == b"'serial'" });
                }
            }
            _ => return false,
        }
        true
    }

    fn finish(&mut self, see: &mut impl FnMut(Event)) {
        if let Some(address) = self.pending.take() {
            see(Event::Instruction(address));
        }
    }
}

/// `Trace 0: 0x7f… [cs_base/pc/flags/cflags] `: the second number in the brackets.
fn program_counter(line: &[u8]) -> Option<u64> {
    let mut fields = line.split(|&byte| byte == b'/');
    let digits = fields.nth(1)?;
    digits
        .iter()
        .try_fold(0u64, |number, &digit| Some(number << 4 | u64::from(char::from(digit).to_digit(16)?)))
}

/// QEMU 8.1 gave the option its new name, and 9 took the old one away.
fn one_instruction_per_block() -> Result<&'static [&'static str], String> {
    let output = Command::new("qemu-system-x86_64")
        .arg("--version")
        .output()
        .map_err(|error| format!("qemu-system-x86_64 is missing: run scripts/setup qemu ({error})"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().nth(3).unwrap_or_default();
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    Ok(if version >= (8, 1) {
        &["-accel", "tcg,one-insn-per-tb=on"]
    } else {
        &["-accel", "tcg", "-singlestep"]
    })
}

/// The frames of a capture file in little-endian order, which QEMU writes.
fn frames(path: &Path) -> Result<Vec<Frame>, String> {
    const FILE_HEADER: usize = 24;
    const RECORD_HEADER: usize = 16;
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut rest = bytes.get(FILE_HEADER..).unwrap_or_default();
    let mut frames = Vec::new();
    while let Some((header, after)) = rest.split_first_chunk::<RECORD_HEADER>() {
        // Behind the time.
        let [.., l0, l1, l2, l3, _, _, _, _] = *header;
        let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3]));
        let Some((frame, after)) = length.ok().and_then(|len| after.split_at_checked(len)) else { break };
        frames.push(Frame { bytes: frame.to_vec() });
        rest = after;
    }
    Ok(frames)
}

/// The repository's directory.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The kernel that boots, stripped, made by scripts/build.
pub fn kernel() -> PathBuf {
    root().join("target/netconsole.elf")
}

/// The same, packed: it unpacks itself.
pub fn kernel_packed() -> PathBuf {
    root().join("target/netconsole.bzimage")
}

/// The kernel with symbols and line tables.
pub fn kernel_debug() -> PathBuf {
    root().join("target/netconsole.debug")
}

/// Where a file of this program goes.
pub fn output(name: &str) -> PathBuf {
    let directory = root().join("target/bench");
    // Where it can't be made, writing the file will say so.
    let _ = std::fs::create_dir_all(&directory);
    directory.join(name)
}

#[cfg(test)]
mod tests {
    use super::{Event, Parser};

    #[test]
    fn the_log_becomes_events_in_order() {
        let log = [
            "Trace 0: 0x7f735c000100 [0000000000000000/00000000001020f8/000000b0/ff020201] ",
            "Trace 0: 0x7f735c000100 [0000000000000000/00000000001020f9/000000b0/ff020201] ",
            "Stopped execution of TB chain before 0x7fbc [00000000001020f9] ",
            "Trace 0: 0x7f735c000100 [0000000000000000/00000000001020f9/000000b0/ff020201] ",
            "virtio_queue_notify vdev 0x561f4e64c8f0 n 1 vq 0x7f73a204f0a8",
            "virtqueue_pop vq 0x7f73a204f010 elem 0x7f in_num 1 out_num 0",
            "virtqueue_pop vq 0x7f73a204f0a8 elem 0x7f in_num 0 out_num 1",
            "memory_region_ops_read cpu 0 mr 0x56 addr 0x71 value 0x26 size 1 name 'rtc'",
            "memory_region_ops_write cpu 0 mr 0x56 addr 0x3f8 value 0x26 size 1 name 'serial'",
            "memory_region_ops_write cpu 0 mr 0x56 addr 0xfe003000 value 0x0 size 2 name 'virtio-pci-notify-virtio-net'",
            "qemu-system-x86_64: warning: something",
        ];
        let (mut parser, mut events) = (Parser::default(), Vec::new());
        let known: Vec<bool> =
            log.iter().map(|line| parser.line(line.as_bytes(), &mut |event| events.push(event))).collect();
        assert_eq!(known, [true, true, true, true, true, true, true, true, true, true, false]);
        let expected = [
            Event::Instruction(0x1020f8),
            Event::Instruction(0x1020f9),
            Event::Notify(1),
            Event::Frame,
            Event::Access { serial: false },
            Event::Access { serial: true },
        ];
        assert_eq!(events, expected);
    }
}
