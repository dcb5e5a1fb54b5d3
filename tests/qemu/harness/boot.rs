//! A machine to boot, put together part by part.

use super::cable::Cable;
use super::capture::Delivery;
use super::machine::Machine;
use super::peer::Peer;
use super::qemu;
use super::record::Record;
use super::switch::Switch;
use super::vhost_user::CardKind;
use super::wire::Carrier;
use smoltcp::wire::EthernetAddress;
use std::env;
use std::fs::{self, File};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A NIC and what is at the other end of its cable.
pub struct Nic {
    device: &'static str,
    carrier: Carrier,
    peers: Vec<Peer>,
    user_network: bool,
    has_rom: bool,
}

impl Nic {
    /// A virtio NIC as QEMU makes it (transitional).
    pub fn virtio() -> Self {
        Self::device("virtio-net-pci")
    }

    /// A NIC by its arguments for QEMU's `-device`.
    pub fn device(device: &'static str) -> Self {
        Self { device, carrier: Carrier::Datagrams, peers: Vec::new(), user_network: false, has_rom: false }
    }

    /// Has a cable that brings frames as fast as the NIC takes them. The first that the kernel sends may be lost, if
    /// QEMU finds no time before to connect it.
    pub fn on_stream(self) -> Self {
        Self { carrier: Carrier::Stream, ..self }
    }

    /// Is served by a card of our own, which can be told to lie; one in a boot.
    pub fn on_vhost_user(self) -> Self {
        self.on_card(CardKind::Usual)
    }

    /// Is served by a card of our own of this kind; one in a boot.
    pub fn on_card(self, kind: CardKind) -> Self {
        Self { carrier: Carrier::VhostUser(kind), ..self }
    }

    /// Has the boot ROM that QEMU gives it, with the driver by which UEFI firmware drives it.
    pub fn with_rom(self) -> Self {
        Self { has_rom: true, ..self }
    }

    /// Adds a station to the cable.
    pub fn peer(mut self, peer: Peer) -> Self {
        self.peers.push(peer);
        self
    }

    /// Adds QEMU's user network (DHCP, a way to this machine's loopback as 10.0.2.2) to the cable.
    pub fn user_network(mut self) -> Self {
        self.user_network = true;
        self
    }

    /// The MAC address of the `index`th NIC of a boot.
    pub fn mac(index: usize) -> EthernetAddress {
        EthernetAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56 + index as u8])
    }
}

/// A boot in the making. Each ends within its timeout, and the kernel with it.
pub struct Boot {
    name: &'static str,
    append: String,
    nics: Vec<Nic>,
    first_arguments: Vec<String>,
    arguments: Vec<String>,
    qemu: PathBuf,
    kernel: Option<PathBuf>,
    loader: Option<Vec<String>>,
    paused: bool,
    is_switched: bool,
    delivery: Delivery,
    timeout: Duration,
}

impl Boot {
    /// A boot whose files go to `target/tests/NAME/`, with these kernel parameters and one virtio NIC that
    /// nobody answers. Each extended stream must be complete but for what it says to be held back by its level.
    pub fn new(name: &'static str, append: impl Into<String>) -> Self {
        Self {
            name,
            append: append.into(),
            nics: vec![Nic::virtio()],
            first_arguments: Vec::new(),
            arguments: Vec::new(),
            qemu: qemu::own(),
            kernel: None,
            loader: None,
            paused: false,
            is_switched: false,
            delivery: Delivery { complete: true, repeats: false, other_sends: false },
            timeout: Duration::from_secs(60),
        }
    }

    /// Adds a station to the first NIC's cable.
    pub fn peer(mut self, peer: Peer) -> Self {
        self.nics[0].peers.push(peer);
        self
    }

    /// Has these NICs in place of the one.
    pub fn nics(self, nics: impl IntoIterator<Item = Nic>) -> Self {
        Self { nics: nics.into_iter().collect(), ..self }
    }

    /// Joins all NICs by a switch.
    pub fn on_one_switch(self) -> Self {
        Self { is_switched: true, ..self }
    }

    /// Adds arguments for QEMU.
    pub fn arguments<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.arguments.extend(arguments.into_iter().map(String::from));
        self
    }

    /// Adds arguments for QEMU that must stand before the NICs'.
    pub fn first_arguments<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.first_arguments.extend(arguments.into_iter().map(String::from));
        self
    }

    /// Runs in QEMU 10, whatever the machine's own is: for what that may not have.
    pub fn in_qemu10(self) -> Self {
        Self { qemu: qemu::ten(), ..self }
    }

    /// Boots another kernel than ours.
    pub fn kernel(self, kernel: PathBuf) -> Self {
        Self { kernel: Some(kernel), ..self }
    }

    /// Boots from a CD image, not by QEMU's `-kernel`.
    pub fn image(self, image: PathBuf) -> Self {
        self.loader(["-cdrom", &image.display().to_string()])
    }

    /// Boots by these arguments for QEMU, not by its `-kernel` with the kernel and its parameters.
    pub fn loader<'a>(self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        Self { loader: Some(arguments.into_iter().map(String::from).collect()), ..self }
    }

    /// Has this long to run, in place of a minute.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Holds the CPU until [`Machine::monitor`] is told `cont`.
    pub fn paused(self) -> Self {
        Self { paused: true, ..self }
    }

    /// Records may be missing on the wire.
    pub fn loses(mut self) -> Self {
        self.delivery.complete = false;
        self
    }

    /// Records may come twice: the kernel crashes, or the link goes.
    pub fn repeats(mut self) -> Self {
        self.delivery.repeats = true;
        self
    }

    /// Another system sends by the same card before the kernel does.
    pub fn after_another(mut self) -> Self {
        self.delivery.other_sends = true;
        self
    }

    /// Starts QEMU.
    pub fn start(self) -> Machine {
        let kernel = self.kernel.unwrap_or_else(kernel);
        let files = target().join("tests").join(self.name);
        let _ = fs::remove_dir_all(&files);
        fs::create_dir_all(&files).expect("target/tests is writable");
        // Socket paths may not be long, and a checkout's may be.
        let sockets = env::temp_dir().join(format!("netconsole-{}-{}", std::process::id(), self.name));
        fs::create_dir_all(&sockets).expect("a directory for sockets");

        let record = Arc::new(Record::default());
        let mut qemu = Command::new(&self.qemu);
        let accelerator = env::var("ACCEL").unwrap_or_else(|_| "tcg".into());
        qemu.args(["-nodefaults", "-display", "none", "-accel", &accelerator]);
        qemu.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-serial", "stdio"]);
        let monitor_path = sockets.join("monitor");
        let listener = UnixListener::bind(&monitor_path).expect("a socket for the monitor");
        qemu.arg("-monitor").arg(format!("unix:{},server=off", monitor_path.display()));
        match &self.loader {
            Some(arguments) => qemu.args(arguments),
            None => qemu.arg("-kernel").arg(&kernel).args(["-append", &self.append]),
        };
        if self.paused {
            qemu.arg("-S");
        }
        qemu.args(&self.first_arguments);
        let mut cables = Vec::new();
        let switch = self.is_switched.then(Arc::<Switch>::default);
        for (index, nic) in self.nics.into_iter().enumerate() {
            let (mac, pcap) = (Nic::mac(index), files.join(format!("nic{index}.pcap")));
            let (record, switch) = (Arc::clone(&record), switch.clone());
            let cable = Cable::new(nic.carrier, index, mac, nic.peers, &sockets, pcap, record, switch);
            if nic.user_network {
                // A hub between the two, so that the test sees every frame.
                qemu.args(cable.netdev("wire")).args(["-netdev", "user,id=user"]);
                // The hub serves its newest port first: the capture has a question before its answer.
                qemu.args(["-netdev", "hubport,id=port0,hubid=0,netdev=user"]);
                qemu.args(["-netdev", "hubport,id=port1,hubid=0,netdev=wire"]);
                qemu.args(["-netdev", &format!("hubport,id=n{index},hubid=0")]);
            } else {
                qemu.args(cable.netdev(&format!("n{index}")));
            }
            // Without its boot ROM a PCI NIC costs the firmware no time.
            let is_on_pci = !nic.device.starts_with("virtio-net-device");
            let rom = if is_on_pci && !nic.has_rom { ",romfile=" } else { "" };
            qemu.args(["-device", &format!("{},netdev=n{index},mac={mac}{rom}", nic.device)]);
            cables.push(cable);
        }
        qemu.args(&self.arguments);
        let errors = File::create(files.join("qemu.log")).expect("a file for QEMU's messages");
        let child = qemu
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("qemu-system-x86_64 is missing: run scripts/setup qemu");
        let deadline = Instant::now() + self.timeout;
        Machine::new(child, listener, cables, record, files, sockets, self.delivery, deadline)
    }
}

/// Where builds and tests leave their files.
pub fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target")
}

/// The kernel that scripts/build made, or the one that NETCONSOLE_ELF names.
pub fn kernel() -> PathBuf {
    let path = env::var_os("NETCONSOLE_ELF").map_or_else(|| target().join("netconsole.elf"), PathBuf::from);
    assert!(path.is_file(), "{} is missing: run scripts/build", path.display());
    path
}
