//! A real Linux in QEMU that loads the kernel as its crash kernel, and crashes.

use crate::harness::{Boot, Capture, Gdb, Lease, Machine, Nic, Peer, Service, target};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

/// What the kernel is given as the crash kernel.
pub const TARGETS: &str = "netconsole=+r@10.0.0.1/,@10.0.0.2/ netconsole=@10.0.0.1/,8888@10.0.0.2/";
/// Every record is shown, and on a busy host Linux would find its timer too slow.
const LINUX: &str = "console=ttyS0,115200 ignore_loglevel printk.devkmsg=on no_timer_check crashkernel=4M";
/// Under emulation, on a busy host.
pub const TIME: Duration = Duration::from_secs(900);
/// What the guest says where it is to be crashed from outside: the whole line, as a crash in it would share the line.
const READY: &str = "ready to crash\r\n";

/// Who has no address of its own is given this one.
const LEASE: Lease = Lease { address: Ipv4Addr::new(10, 0, 0, 1), router: None, duration: 3600 };

/// Debian's kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// The cloud kernel of the Debian that runs here.
    Own,
    /// Debian 13's, 6.12.
    Trixie,
    /// Debian 13's for real machines, which has every card's driver and IOMMU's.
    TrixieGeneric,
    /// The newest.
    Sid,
}

impl Kernel {
    /// Its directory, and the arguments of scripts/debian-linux.
    fn source(self) -> (&'static str, [&'static str; 2]) {
        match self {
            Self::Own => ("own", ["linux-image-cloud-amd64", ""]),
            Self::Trixie => ("trixie", ["linux-image-cloud-amd64", "trixie"]),
            Self::TrixieGeneric => ("trixie-generic", ["linux-image-amd64", "trixie"]),
            Self::Sid => ("sid", ["linux-image-cloud-amd64", "sid"]),
        }
    }

    /// Has scripts/kexec-linux make it: `vmlinuz` and `initrd-WAY` in the directory that is returned.
    pub fn make(self, way: &str) -> PathBuf {
        // One at a time, also where several tests want it at the same time.
        static MADE: Mutex<()> = Mutex::new(());
        let (name, source) = self.source();
        let directory = target().join("linux-crash").join(name);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/kexec-linux");
        let guard = MADE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let made = Command::new(script).arg(&directory).args(["", way]).args(source).output();
        drop(guard);
        let made = made.expect("scripts/kexec-linux runs");
        assert!(made.status.success(), "kexec-linux: {}", String::from_utf8_lossy(&made.stderr));
        directory
    }
}

/// From here on the addresses are Linux's own, below are its programs'.
const LINUX_S_HALF: u64 = 1 << 63;

/// What crashes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Its init writes to /proc/sysrq-trigger.
    Sysrq,
    /// The same by the serial console: the panic is in an interrupt.
    Serial,
    /// An interrupt that can't be masked, and that nothing accounts for.
    Nmi,
    /// An instruction of its idle loop becomes one that does not exist.
    Oops,
}

impl By {
    /// What Linux says of it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Sysrq | Self::Serial => "Kernel panic - not syncing: sysrq triggered crash",
            Self::Nmi => "Kernel panic - not syncing: NMI: Not continuing",
            // The crash kernel is entered before there is a panic.
            Self::Oops => "invalid opcode: 0000 [#1] ",
        }
    }

    /// The function whose callers are on the stack that the crash kernel finds, where it is not the first in Linux's trace.
    pub fn function(self) -> &'static str {
        match self {
            Self::Sysrq | Self::Serial => "sysrq_handle_crash+",
            Self::Nmi => "nmi_panic",
            Self::Oops => "",
        }
    }

    fn parameters(self) -> &'static str {
        match self {
            Self::Sysrq => "",
            Self::Serial => "crash=wait sysrq_always_enabled",
            Self::Nmi => "crash=wait unknown_nmi_panic",
            Self::Oops => "crash=wait oops=panic",
        }
    }
}

/// One in the making.
pub struct Guest {
    name: &'static str,
    kernel: Kernel,
    way: &'static str,
    linux: &'static str,
    nic: Nic,
    first_arguments: &'static [&'static str],
    arguments: &'static [&'static str],
    by: By,
    in_qemu10: bool,
    is_lossy: bool,
}

impl Guest {
    /// Debian's own kernel with a virtio card that crashes by sysrq.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            kernel: Kernel::Own,
            way: "crash",
            linux: "",
            nic: Nic::virtio(),
            first_arguments: &[],
            arguments: &["-m", "512"],
            by: By::Sysrq,
            in_qemu10: false,
            is_lossy: false,
        }
    }

    pub fn kernel(self, kernel: Kernel) -> Self {
        Self { kernel, ..self }
    }

    /// Another way of scripts/kexec-linux than `crash`.
    pub fn way(self, way: &'static str) -> Self {
        Self { way, ..self }
    }

    /// These parameters for Linux more, and for the guest's init (scripts/kexec-linux).
    pub fn linux(self, linux: &'static str) -> Self {
        Self { linux, ..self }
    }

    pub fn nic(self, device: &'static str) -> Self {
        Self { nic: Nic::device(device), ..self }
    }

    /// Arguments for QEMU, in place of `-m 512`.
    pub fn arguments(self, arguments: &'static [&'static str]) -> Self {
        Self { arguments, ..self }
    }

    /// Arguments for QEMU that must stand before the card's.
    pub fn first_arguments(self, first_arguments: &'static [&'static str]) -> Self {
        Self { first_arguments, ..self }
    }

    pub fn by(self, by: By) -> Self {
        Self { by, ..self }
    }

    pub fn in_qemu10(self) -> Self {
        Self { in_qemu10: true, ..self }
    }

    /// Records are missing on the wire, or come twice, and Linux itself sends too.
    pub fn loses(self) -> Self {
        Self { is_lossy: true, ..self }
    }

    /// Starts it with these parameters for the crash kernel, and arguments for QEMU.
    pub fn start(self, targets: &str, more: &[String]) -> Machine {
        let directory = self.kernel.make(self.way);
        let files = [directory.join("vmlinuz"), directory.join(format!("initrd-{}", self.way))];
        let [kernel, initrd] = files.map(|file| file.display().to_string());
        let append = format!("{LINUX} {} {} -- {targets}", self.linux, self.by.parameters());
        let loader = ["-kernel", &kernel, "-initrd", &initrd, "-append", &append, "-no-reboot"];
        let boot = Boot::new(self.name, "")
            .loader(loader)
            .nics([self.nic.peer(Peer::at("10.0.0.2").serving(Service::new(LEASE)))])
            .first_arguments(self.first_arguments.iter().copied())
            .arguments(self.arguments.iter().copied())
            .arguments(more.iter().map(String::as_str));
        // Else gdb's first word would pause it.
        let boot = if self.by == By::Oops { boot.paused() } else { boot };
        let boot = if self.in_qemu10 { boot.in_qemu10() } else { boot };
        let boot = if self.is_lossy { boot.loses().repeats().after_another() } else { boot };
        boot.timeout(TIME).start()
    }

    /// Crashes it, and waits until the crash kernel has rebooted it.
    pub fn crash(self) -> Capture {
        let by = self.by;
        let gdb = (by == By::Oops).then(|| Gdb::new(self.name));
        let more = gdb.as_ref().map(|gdb| gdb.arguments().to_vec()).unwrap_or_default();
        let mut machine = self.start(TARGETS, &more);
        let mut stub = gdb.map(Gdb::accept);
        if let Some(stub) = &mut stub {
            stub.go_on();
        }
        if by != By::Sysrq {
            machine.wait_for_serial(READY);
        }
        match by {
            By::Sysrq => {}
            By::Serial => {
                machine.monitor("chardev-send-break serial0");
                machine.type_in("c");
            }
            By::Nmi => drop(machine.monitor("nmi")),
            By::Oops => {
                let stub = stub.as_mut().expect("made above");
                stub.pause();
                let mut instruction = 0;
                // Init waits in a loop of its own: what it executes itself would only end a program, and what the kernel
                // does for it may keep the console. At the same place twice it is idle.
                while instruction < LINUX_S_HALF || stub.instruction() != instruction {
                    instruction = stub.instruction();
                    stub.go_on();
                    stub.pause();
                }
                // ud2
                stub.write(instruction, &[0x0f, 0x0b]);
                stub.go_on();
            }
        }
        machine.end()
    }
}
