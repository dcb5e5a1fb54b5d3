//! QEMU's gdbstub: the machine stops before one of its kernel's instructions (GDB's manual, appendix E).

use super::boot::target;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::Range;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// How long the machine may take to come to an instruction.
const PATIENCE: Duration = Duration::from_secs(600);

/// A socket for QEMU to come to.
pub struct Gdb {
    listener: UnixListener,
    path: PathBuf,
}

impl Gdb {
    /// The socket of the boot `name`.
    pub fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("netconsole-{}-{name}.gdb", std::process::id()));
        let _ = fs::remove_file(&path);
        Self { listener: UnixListener::bind(&path).expect("a socket for gdb"), path }
    }

    /// QEMU's arguments for it.
    pub fn arguments(&self) -> [String; 2] {
        ["-gdb".into(), format!("unix:{},server=off", self.path.display())]
    }

    /// Waits for QEMU.
    pub fn accept(self) -> Stub {
        let (stream, _) = self.listener.accept().expect("QEMU comes to the socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let _ = fs::remove_file(&self.path);
        Stub(BufReader::new(stream))
    }
}

/// The machine, paused.
pub struct Stub(BufReader<UnixStream>);

impl Stub {
    /// Lets the machine run until it comes to `address`, where it pauses again.
    pub fn run_to(&mut self, address: u64) {
        self.run_to_any(&[address]);
    }

    /// Lets the machine run until it comes to any of these addresses, where it pauses again. The one where it pauses already
    /// does not count.
    pub fn run_to_any(&mut self, addresses: &[u64]) {
        if addresses.contains(&self.instruction()) {
            let stepped = self.ask("s");
            assert!(stepped.starts_with("T05"), "{stepped}");
        }
        for address in addresses {
            assert_eq!(self.ask(&format!("Z1,{address:x},1")), "OK");
        }
        let stopped = self.ask("c");
        assert!(stopped.starts_with("T05"), "{stopped}");
        for address in addresses {
            assert_eq!(self.ask(&format!("z1,{address:x},1")), "OK");
        }
    }

    /// Overwrites memory, code too.
    pub fn write(&mut self, address: u64, bytes: &[u8]) {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(self.ask(&format!("M{address:x},{:x}:{digits}", bytes.len())), "OK");
    }

    /// Lets the machine run.
    pub fn go_on(&mut self) {
        self.send("c");
    }

    /// Pauses it, wherever it is.
    pub fn pause(&mut self) {
        self.0.get_mut().write_all(&[3]).expect("QEMU listens");
        let stopped = self.answer();
        assert!(stopped.starts_with("T02"), "{stopped}");
    }

    /// Where the first CPU goes on, in 64-bit mode.
    pub fn instruction(&mut self) -> u64 {
        self.register(16)
    }

    /// A register of the first CPU by its number: RAX, RBX, RCX and RDX are the first.
    pub fn register(&mut self, number: usize) -> u64 {
        number_of(self.registers().get(place(number)).expect("a register's number"))
    }

    /// All registers of the first CPU, in digits: those of [`register`](Self::register) first, those of SSE last.
    pub fn registers(&mut self) -> String {
        self.ask("g")
    }

    /// Gives the first CPU these registers.
    pub fn set_registers(&mut self, registers: &str) {
        assert_eq!(self.ask(&format!("G{registers}")), "OK");
    }

    /// Gives the first CPU a register by its number.
    pub fn set_register(&mut self, number: usize, value: u64) {
        let mut registers = self.registers();
        registers.replace_range(place(number), &format!("{:016x}", value.swap_bytes()));
        self.set_registers(&registers);
    }

    /// Memory, 64 bits, by the page tables in force.
    pub fn read_long(&mut self, address: u64) -> u64 {
        number_of(&self.ask(&format!("m{address:x},8")))
    }

    fn send(&mut self, packet: &str) {
        let sum = packet.bytes().fold(0, u8::wrapping_add);
        write!(self.0.get_mut(), "${packet}#{sum:02x}").expect("QEMU listens");
    }

    fn ask(&mut self, packet: &str) -> String {
        self.send(packet);
        self.answer()
    }

    fn answer(&mut self) -> String {
        let (mut acknowledged, mut answer, mut sum) = (Vec::new(), Vec::new(), [0; 2]);
        self.0.read_until(b'$', &mut acknowledged).expect("QEMU answers");
        self.0.read_until(b'#', &mut answer).expect("QEMU answers");
        self.0.read_exact(&mut sum).expect("QEMU answers");
        self.0.get_mut().write_all(b"+").expect("QEMU listens");
        answer.pop();
        String::from_utf8(answer).expect("ASCII")
    }
}

/// Where a register of 64 bits is among all of them, in digits.
fn place(number: usize) -> Range<usize> {
    16 * number..16 * (number + 1)
}

/// What eight bytes in the CPU's order of them say.
fn number_of(digits: &str) -> u64 {
    u64::from_str_radix(digits, 16).expect("digits").swap_bytes()
}

/// Where the kernel that is linked to 1 MiB has this symbol, or the function or variable of this path.
pub fn symbol(name: &str) -> u64 {
    let symbols =
        Command::new("nm").arg("-C").arg(target().join("netconsole.debug")).output().expect("nm runs");
    let symbols = String::from_utf8_lossy(&symbols.stdout).into_owned();
    let address = symbols.lines().find_map(|line| {
        [" T ", " t ", " d ", " b "].into_iter().find_map(|kind| line.strip_suffix(name)?.strip_suffix(kind))
    });
    u64::from_str_radix(address.unwrap_or_else(|| panic!("the kernel has no {name}")), 16)
        .expect("an address")
}

/// Where the kernel that is linked to 1 MiB has an instruction that has no operands.
pub fn instructions(name: &str) -> Vec<u64> {
    let mut objdump = Command::new("objdump");
    objdump.args(["-d", "--no-show-raw-insn"]).arg(target().join("netconsole.debug"));
    let code = objdump.output().expect("objdump runs");
    let code = String::from_utf8_lossy(&code.stdout).into_owned();
    let all = code.lines().filter_map(|line| line.split_once(":\t"));
    let found = all.filter(|(_, instruction)| instruction.trim() == name);
    let found: Vec<_> =
        found.map(|(at, _)| u64::from_str_radix(at.trim(), 16).expect("an address")).collect();
    assert!(!found.is_empty(), "the kernel has no {name}");
    found
}
