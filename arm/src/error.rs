//! Why it is not armed, in a line each, with the cure where there is one.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

/// Why it is not armed.
#[derive(Debug)]
pub enum ArmError {
    /// Nobody said where the log goes.
    NoTarget,
    /// A target of Linux's netconsole that is not understood.
    BadTarget(String),
    /// There is no way to the target.
    NoRoute(IpAddr),
    /// The way to the target is by this machine itself.
    Local(IpAddr),
    /// There is no such device.
    NoDevice(String),
    /// The device has no address of the target's kind.
    NoAddress(String),
    /// A device without an Ethernet card below it.
    NoCard(String),
    /// A wireless device.
    Wireless(String),
    /// A function that belongs to a virtual machine's host.
    VirtualFunction(String),
    /// A card without a driver in the kernel, and its ids.
    NoDriver(String, u16, u16),
    /// A VLAN on a card whose place among the cards is not known.
    VlanPlace(String),
    /// The command line has something that the kernel would ignore.
    BadLine(String),
    /// Linux was given a key, and this program none.
    KeyOfLinux,
    /// `--append` has a key.
    KeyAppended,
    /// The key file.
    Key(PathBuf, &'static str),
    /// No memory is set aside.
    NotReserved(String),
    /// Less memory is set aside than needed, in KiB.
    ReservedTooLittle(u64),
    /// Somebody has turned kexec off.
    Disabled,
    /// Only root may.
    NotRoot,
    /// The kernel is locked down.
    LockedDown(String),
    /// The kernel can't do it at all.
    NoKexec,
    /// It can, but takes no image like this one.
    NoLoader,
    /// Nothing tells where the memory is that is set aside.
    NoRegion,
    /// The image is none that can be entered where it lies.
    NoImage(PathBuf),
    /// A file that tells where a crash leaves its notes is not there.
    NoNotes(String),
    /// Memory and CPUs of more than 65,535 parts.
    TooManyParts,
    /// The kernel refused.
    Refused(io::Error),
    /// It said yes, and there is nothing.
    NotLoaded,
    /// `--status`: it is not armed.
    NotArmed,
    /// A file that is needed.
    File(PathBuf, io::Error),
    /// The program `ip`.
    NoIp(io::Error),
    /// The person said no.
    NotConfirmed,
}

/// The cards that the kernel drives, as doc/cards.md lists them.
const DRIVEN: &str = "virtio, Intel e1000, e1000e and igb, Realtek RTL8139, RTL8111, RTL8168 and RTL8125, VMware vmxnet3 (doc/cards.md)";

impl fmt::Display for ArmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTarget => f.write_str(
                "no target: neither the module's configuration nor configfs nor the command line has one; say --to ADDRESS",
            ),
            Self::BadTarget(problem) => f.write_str(problem),
            Self::NoRoute(target) => write!(f, "there is no route to {target}: is the network up?"),
            Self::Local(target) => write!(f, "{target} is this machine itself: a log that it keeps dies with it"),
            Self::NoDevice(name) => write!(f, "{name} doesn't exist"),
            Self::NoAddress(name) => write!(f, "{name} has no address from which the target could be reached"),
            Self::NoCard(name) => write!(f, "there is no network card below {name}"),
            Self::Wireless(name) => write!(f, "{name} is wireless, and the crash kernel drives cards with a cable: {DRIVEN}"),
            Self::VirtualFunction(name) => {
                write!(f, "{name} is a virtual function, which dies with its host's driver; use a card of this machine's own")
            }
            Self::NoDriver(name, vendor, device) => {
                write!(f, "{name} is a card {vendor:04x}:{device:04x}, which the crash kernel can't drive; it drives {DRIVEN}")
            }
            Self::VlanPlace(name) => write!(f, "{name} is a VLAN on a card whose place among the PCI cards is not known"),
            Self::BadLine(problem) => write!(f, "the kernel would not take its command line: {problem}"),
            Self::KeyOfLinux => f.write_str(
                "Linux's command line or the module's options have a key of netconsole's, and here is none, so that the log \
                 would go out in the clear: put the key into a file and say --key-file FILE",
            ),
            Self::KeyAppended => f.write_str(
                "--append has what may be a key, which others would see: put it into a file and say --key-file FILE",
            ),
            Self::Key(path, what) => write!(f, "{}: {what}", path.display()),
            Self::NotReserved(cure) => write!(f, "no memory is set aside for a crash kernel: {cure}"),
            Self::ReservedTooLittle(kib) => {
                write!(f, "{kib} KiB are set aside for a crash kernel, and it needs 4 MiB: crashkernel=4M")
            }
            Self::Disabled => f.write_str(
                "kexec is turned off until the next boot (kernel.kexec_load_disabled=1): arm before that is set",
            ),
            Self::NotRoot => f.write_str("only root may load a crash kernel: use sudo"),
            Self::LockedDown(mode) => write!(
                f,
                "this kernel is locked down ({mode}): it takes signed images only; sign the image with your own key \
                 (doc/linux.md), or turn Secure Boot off"
            ),
            Self::NoKexec => f.write_str(
                "this kernel can't load a crash kernel that way (CONFIG_KEXEC_FILE for -s, CONFIG_KEXEC for -c, and CONFIG_CRASH_DUMP)",
            ),
            Self::NoLoader => f.write_str("kexec_file_load takes no such image here: say -c"),
            Self::NoRegion => f.write_str("/proc/iomem has no 'Crash kernel': no memory is set aside for it"),
            Self::NoImage(path) => {
                write!(f, "{}: expected netconsole.bzimage, which runs wherever it is loaded", path.display())
            }
            Self::NoNotes(file) => write!(f, "{file}: this kernel does not say where a crash leaves its notes: say -s"),
            Self::TooManyParts => f.write_str("memory is in more parts than an ELF core header can have: say -s"),
            Self::Refused(error) => write!(f, "the kernel refused the image: {error}"),
            Self::NotLoaded => f.write_str("the kernel took the image and says that none is loaded (/sys/kernel/kexec_crash_loaded)"),
            Self::NotArmed => f.write_str("it is not armed"),
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::NoIp(error) => write!(f, "ip: {error}: install iproute2"),
            Self::NotConfirmed => f.write_str("nothing was done"),
        }
    }
}

impl std::error::Error for ArmError {}
