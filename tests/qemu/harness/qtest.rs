//! QEMU's test protocol: the machine's ports and memory from outside, while its kernel runs.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

/// Where PCI's configuration space is reached (PCI 3.0, section 3.2.2.3.2).
const ADDRESS_PORT: u16 = 0xcf8;
const DATA_PORT: u16 = 0xcfc;

/// A socket for QEMU to come to.
pub struct Qtest {
    listener: UnixListener,
    path: PathBuf,
}

impl Qtest {
    /// The socket of the boot `name`.
    pub fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("netconsole-{}-{name}.qtest", std::process::id()));
        let _ = fs::remove_file(&path);
        Self { listener: UnixListener::bind(&path).expect("a socket for qtest"), path }
    }

    /// QEMU's arguments for it.
    pub fn arguments(&self) -> [String; 4] {
        let chardev = format!("unix:{},server=off", self.path.display());
        ["-qtest".into(), chardev, "-qtest-log".into(), "none".into()]
    }

    /// Waits for QEMU.
    pub fn accept(self) -> Reach {
        let (stream, _) = self.listener.accept().expect("QEMU comes to the socket");
        let _ = fs::remove_file(&self.path);
        Reach(BufReader::new(stream))
    }
}

/// The machine's ports and memory.
pub struct Reach(BufReader<UnixStream>);

impl Reach {
    fn ask(&mut self, command: &str) -> String {
        writeln!(self.0.get_mut(), "{command}").expect("QEMU listens");
        let mut answer = String::new();
        self.0.read_line(&mut answer).expect("QEMU answers");
        answer.trim().strip_prefix("OK").unwrap_or_else(|| panic!("{command}: {answer}")).trim().into()
    }

    /// Asks for a number. QEMU tells each with 64 bits.
    fn ask_number<N: TryFrom<u64>>(&mut self, command: &str) -> N {
        let answer = self.ask(command);
        let number = u64::from_str_radix(answer.trim_start_matches("0x"), 16).expect("a number");
        N::try_from(number).unwrap_or_else(|_| panic!("{command}: {answer}"))
    }

    /// Has the data port be a register of a device on the first bus; then the address is the one before again, as the kernel
    /// may be amid its own two steps.
    fn at<T>(&mut self, device: u8, register: u8, access: impl FnOnce(&mut Self) -> T) -> T {
        let address = 1 << 31 | u32::from(device) << 11 | u32::from(register);
        let before: u32 = self.ask_number(&format!("inl {ADDRESS_PORT:#x}"));
        self.ask(&format!("outl {ADDRESS_PORT:#x} {address:#x}"));
        let done = access(self);
        self.ask(&format!("outl {ADDRESS_PORT:#x} {before:#x}"));
        done
    }

    /// A register of a device on the first bus, of a machine that stands still where its kernel may read or write one itself.
    pub fn read_configuration(&mut self, device: u8, register: u8) -> u32 {
        self.at(device, register, |reach| reach.ask_number(&format!("inl {DATA_PORT:#x}")))
    }

    /// Writes a register of a device on the first bus, of a machine that stands still.
    pub fn write_configuration(&mut self, device: u8, register: u8, value: u32) {
        self.at(device, register, |reach| reach.ask(&format!("outl {DATA_PORT:#x} {value:#x}")));
    }

    /// A port of 16 bits.
    pub fn read_port(&mut self, port: u16) -> u16 {
        self.ask_number(&format!("inw {port:#x}"))
    }

    /// Asserts a line of an interrupt controller.
    pub fn raise(&mut self, controller: &str, line: u8) {
        self.ask(&format!("set_irq_in {controller} unnamed-gpio-in {line} 1"));
    }

    fn select_io_apic_entry(&mut self, line: u8) {
        self.ask(&format!("writel 0xfec00000 {:#x}", 0x10 + 2 * u32::from(line)));
    }

    /// The lower half of the entry of a line of the I/O APIC (Intel 82093AA datasheet, section 3.2.4).
    pub fn io_apic_entry(&mut self, line: u8) -> u32 {
        self.select_io_apic_entry(line);
        self.ask_number("readl 0xfec00010")
    }

    /// Writes it.
    pub fn open_io_apic_line(&mut self, line: u8, entry: u32) {
        self.select_io_apic_entry(line);
        self.ask(&format!("writel 0xfec00010 {entry:#x}"));
    }

    /// Writes a register or memory, 32 bits.
    pub fn write_word(&mut self, address: u64, value: u32) {
        self.ask(&format!("writel {address:#x} {value:#x}"));
    }

    /// Writes a register or memory, 64 bits.
    pub fn write_long(&mut self, address: u64, value: u64) {
        self.ask(&format!("writeq {address:#x} {value:#x}"));
    }

    /// Reads a register or memory, 32 bits.
    pub fn read_word(&mut self, address: u64) -> u32 {
        self.ask_number(&format!("readl {address:#x}"))
    }

    /// Reads a register or memory, 64 bits.
    pub fn read_long(&mut self, address: u64) -> u64 {
        self.ask_number(&format!("readq {address:#x}"))
    }

    /// Sends the first CPU an interrupt as a device does by a message (Intel SDM volume 3, section 11.11).
    pub fn message_interrupt(&mut self, vector: u8) {
        self.ask(&format!("writel 0xfee00000 {vector:#x}"));
    }
}
