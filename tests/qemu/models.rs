//! Every model of card that QEMU has and the kernel drives does the main job and keeps the log of a crash.

use crate::crash::distinct;
use crate::harness::{Boot, Content, Frame, Machine, Nic, Peer, Qtest, Sent, side_by_side, status};
use crate::images::{UEFI, UEFI_TIME};
use crate::protocols::bzimage;
use smoltcp::wire::EthernetAddress;
use std::net::IpAddr;
use std::time::Duration;

const TARGET: &str = "10.0.0.2:6666";
const PARAMETERS: &str = "debug netconsole=+@10.0.0.1/,@10.0.0.2/";

/// A model of card: its arguments for `-device`, the machine it is in, what the log says it is, and how fast its link is.
struct Model {
    name: &'static str,
    device: &'static str,
    machine: &'static str,
    said: &'static str,
    speed: &'static str,
}

const GIGABIT: &str = "up, 1000 Mbit/s, full duplex";

const MODELS: [Model; 13] = [
    Model {
        name: "virtio-modern",
        device: "virtio-net-pci,disable-legacy=on,speed=2500,duplex=half",
        machine: "pc",
        said: "1af4:1041",
        speed: "up, 2500 Mbit/s, half duplex",
    },
    Model {
        name: "virtio-transitional",
        device: "virtio-net-pci,disable-legacy=off,disable-modern=off",
        machine: "pc",
        said: "1af4:1000",
        speed: "up",
    },
    Model {
        name: "virtio-legacy",
        device: "virtio-net-pci,disable-legacy=off,disable-modern=on",
        machine: "pc",
        said: "1af4:1000",
        speed: "up",
    },
    Model {
        name: "virtio-legacy-q35",
        device: "virtio-net-pci,disable-legacy=off,disable-modern=on",
        machine: "q35",
        said: "1af4:1000",
        speed: "up",
    },
    // 0.9 at its barest: a header of 10 bytes.
    Model {
        name: "virtio-legacy-bare",
        device: "virtio-net-pci,disable-legacy=off,disable-modern=on,mrg_rxbuf=off,event_idx=off,\
                 indirect_desc=off,any_layout=off,status=off,ctrl_vq=off,csum=off,rx_queue_size=512",
        machine: "pc",
        said: "1af4:1000",
        speed: "up",
    },
    Model {
        name: "virtio-legacy-long-queue",
        device: "virtio-net-pci,disable-legacy=off,disable-modern=on,rx_queue_size=1024",
        machine: "pc",
        said: "1af4:1000",
        speed: "up",
    },
    Model { name: "e1000", device: "e1000", machine: "pc", said: "8086:100e", speed: GIGABIT },
    Model { name: "e1000e-q35", device: "e1000e", machine: "q35", said: "8086:10d3", speed: GIGABIT },
    Model { name: "82544gc", device: "e1000-82544gc", machine: "pc", said: "8086:100c", speed: GIGABIT },
    Model {
        name: "rtl8139",
        device: "rtl8139",
        machine: "pc",
        said: "10ec:8139",
        speed: "up, 100 Mbit/s, full duplex",
    },
    Model { name: "vmxnet3", device: "vmxnet3", machine: "q35", said: "15ad:07b0", speed: GIGABIT },
    Model { name: "82545em", device: "e1000-82545em", machine: "pc", said: "8086:100f", speed: GIGABIT },
    IGB,
];

/// Intel's 82576, which QEMU has from version 8 on.
const IGB: Model = Model { name: "igb", device: "igb", machine: "q35", said: "8086:10c9", speed: GIGABIT };

impl Model {
    fn boot(&self, job: &str, parameters: &str) -> Boot {
        // A boot's name lives as long as the tests.
        let name = format!("model-{}-{job}", self.name).leak();
        let boot = Boot::new(name, format!("{PARAMETERS} {parameters}"));
        let boot = if self.device == IGB.device { boot.in_qemu10() } else { boot };
        boot.nics([Nic::device(self.device).peer(Peer::at("10.0.0.2"))]).arguments(["-M", self.machine])
    }

    /// Whether QEMU's end may lose frames: its Intel and Realtek cards confirm what its network has not yet taken.
    fn confirms_early(&self) -> bool {
        !self.device.starts_with("virtio")
    }

    fn does_the_main_job(&self) {
        let capture = if self.confirms_early() {
            let machine = self.boot("main-job", "").start();
            machine.wait_for_text(TARGET, self.said);
            machine.wait_for_text(TARGET, "firmware: ");
            machine.stop()
        } else {
            let capture = self.boot("main-job", "after=exit").start().end();
            assert_eq!(capture.status, status::GOOD);
            capture
        };
        let messages = capture.messages(TARGET);
        // That none is missing or comes twice, `Boot` checks.
        assert_eq!(messages[0].sequence, 0);
        assert!(capture.text(TARGET).contains(self.said), "not a {}", self.said);
        if !self.confirms_early() {
            assert_eq!(capture.serial.lines().count(), messages.len());
        }
    }

    /// All of the log comes, at most `unconfirmed` records twice, and the report's end.
    fn keeps_the_log_of(&self, crash: &Crash) {
        let &Crash { kind, end, unconfirmed } = crash;
        let end = format!("---[ end Kernel panic - not syncing: {end} ]---");
        let capture = if self.confirms_early() {
            let parameters = format!("panic=0 netconsole.panic_repeat=0 crash={kind}");
            let machine = self.boot(kind, &parameters).repeats().start();
            machine.wait_for_text(TARGET, &end);
            machine.stop()
        } else {
            let capture = self.boot(kind, &format!("after=exit crash={kind}")).repeats().start().end();
            assert_eq!(capture.status, status::PANIC);
            capture
        };
        let messages = capture.messages(TARGET);
        assert_eq!(messages[0].sequence, 0);
        assert_eq!(messages.last().map(|last| &last.text), Some(&end));
        let twice = messages.len() - distinct(&messages).len();
        assert!(twice <= unconfirmed, "{twice} records came twice");
    }
}

struct Crash {
    kind: &'static str,
    /// What the report's last line names.
    end: &'static str,
    unconfirmed: usize,
}

const CRASHES: [Crash; 5] = [
    Crash { kind: "PANIC", end: "panic", unconfirmed: 1 },
    Crash { kind: "EXCEPTION", end: "page fault", unconfirmed: 1 },
    Crash { kind: "OVERWRITE_NIC", end: "panic", unconfirmed: 1 },
    Crash { kind: "HUNG_DEVICE", end: "panic", unconfirmed: 1 },
    Crash { kind: "NMI@pci", end: "non-maskable interrupt", unconfirmed: 0 },
];

#[test]
fn every_model_does_the_main_job() {
    side_by_side(&MODELS, |model| model.name.into(), Model::does_the_main_job);
}

#[test]
fn every_model_keeps_the_log_of_a_crash() {
    let cases: Vec<_> =
        MODELS.iter().flat_map(|model| CRASHES.iter().map(move |crash| (model, crash))).collect();
    let name = |(model, crash): &(&Model, &Crash)| format!("{} {}", model.name, crash.kind);
    side_by_side(&cases, name, |(model, crash)| model.keeps_the_log_of(crash));
}

/// What each card must do beside the log and its crashes, in one boot: the table that `nic/conformance.rs` has for their models.
#[test]
fn every_model_behaves() {
    side_by_side(&MODELS, |model| model.name.into(), Model::behaves);
}

const TAGGED: &str = "10.0.1.2:6666";
/// Records, of which each goes to two targets: rings of 64 wrap many times.
const FLOOD: usize = 1000;
/// More than any ring for receiving has.
const PINGS: usize = 300;

impl Model {
    fn behaves(&self) {
        let name = format!("model-{}-behaves", self.name).leak();
        let parameters = format!("{PARAMETERS} netconsole=+@10.0.1.1/eth0.100,@10.0.1.2/ flood={FLOOD}");
        let stations = [Peer::at("10.0.0.2"), Peer::at("10.0.1.2").in_vlan(100), Peer::at("fe80::2")];
        let [station, tagged, neighbour] = stations.clone();
        let nic = Nic::device(self.device).peer(station.clone()).peer(tagged).peer(neighbour.clone());
        let boot = Boot::new(name, parameters).nics([nic]).arguments(["-M", self.machine]).repeats();
        let boot = if self.device == IGB.device { boot.in_qemu10() } else { boot };
        let mut machine = boot.timeout(Duration::from_secs(120)).start();

        // Address and MTU; bursts around the ring, with a VLAN's tag and without. The 82576's link comes later.
        machine.wait_for_text(TARGET, "eth0: ethernet address 52:54:00:12:34:56, MTU 1500, link ");
        let last = format!("flood message {:08} ", FLOOD - 1);
        for target in [TARGET, TAGGED] {
            machine.wait_for_text(target, &last);
        }

        // Bursts that come in, around the ring, up to the longest frame.
        let own = IpAddr::from([10, 0, 0, 1]);
        let answers = |sent: &[Sent], own: IpAddr| {
            let is_answer = |sent: &&Sent| matches!(sent.good().map(|frame| &frame.content), Some(Content::Icmp { from, .. }) if *from == own);
            sent.iter().filter(is_answer).count()
        };
        let lengths = [0, 17, 56, 1472].map(|length| vec![0x55; length]);
        for done in (0..PINGS).step_by(lengths.len()) {
            for data in &lengths {
                machine.send(0, &station.ping(Nic::mac(0), own, data));
            }
            machine.wait_for(&format!("answers to the pings after {done}"), |events| {
                (answers(&events.sent, own) >= done + lengths.len()).then_some(())
            });
        }

        // To many: an IPv6 neighbour asks for the address that is made of the card's own (RFC 4291, section 2.7.1).
        let own: IpAddr = "fe80::5054:ff:fe12:3456".parse().expect("an address");
        let IpAddr::V6(wanted) = own else { unreachable!() };
        let many = EthernetAddress([0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
        let seen = machine.sent().len();
        machine.send(0, &neighbour.solicitation(many, wanted));
        machine.wait_for("the answer to a frame to many", |events| {
            (answers(events.sent.get(seen..)?, own) > 0).then_some(())
        });

        // A card without that feature can't tell of its link.
        if !self.device.contains("status=off") {
            self.flaps(&mut machine);
        }
        let capture = machine.stop();
        let to_tagged =
            |frame: &&Frame| frame.datagram().is_some_and(|(to, _)| to == TAGGED.parse().unwrap());
        assert!(capture.frames().filter(to_tagged).all(|frame| frame.vlan == Some(100)));
        assert_eq!(distinct(&capture.messages(TARGET)).len(), distinct(&capture.messages(TAGGED)).len());
    }

    /// The link goes and comes, with its speed and duplex.
    fn flaps(&self, machine: &mut Machine) {
        machine.monitor("set_link n0 off");
        machine.wait_for_serial("eth0: link is down");
        machine.monitor("set_link n0 on");
        for target in [TARGET, TAGGED] {
            machine.wait_for_text(target, "eth0: link is down");
            machine.wait_for_text(target, &format!("eth0: link is {}", self.speed));
        }
    }
}

/// By somebody else each time, who stops its transmitter: the driver notices, and what was not sent comes.
#[test]
fn the_82576_is_reset_ten_times() {
    /// Its slot, the BAR of its registers, and TCTL.
    const SLOT: u8 = 4;
    const BAR0: u8 = 0x10;
    const TCTL: u64 = 0x400;
    let qtest = Qtest::new("model-igb-resets");
    let nic = Nic::device("igb,addr=4").peer(Peer::at("10.0.0.2"));
    let boot = Boot::new("model-igb-resets", PARAMETERS).nics([nic]).in_qemu10().arguments(["-M", "q35"]);
    let boot = boot.arguments(qtest.arguments().iter().map(String::as_str)).repeats();
    let mut machine = boot.timeout(Duration::from_secs(180)).start();
    let mut ports = qtest.accept();
    machine.wait_for_text(TARGET, "network logging started");
    let registers = u64::from(ports.read_configuration(SLOT, BAR0) & !0xf);
    for round in 0..10 {
        ports.write_word(registers + TCTL, 0);
        machine.wait_for("the driver to notice", |events| {
            let serial = String::from_utf8_lossy(&events.serial);
            (serial.matches("eth0: restarted").count() > round).then_some(())
        });
        machine.type_in(&format!("\recho round{round} is over > /dev/kmsg\r"));
        machine.wait_for_text(TARGET, &format!("round{round} is over"));
    }
    machine.stop();
}

#[test]
fn the_82576_serves_under_uefi() {
    let bzimage = bzimage();
    let loader = UEFI.into_iter().chain(["-kernel", &bzimage, "-append", PARAMETERS]);
    let nic = Nic::device(IGB.device).peer(Peer::at("10.0.0.2"));
    let boot = Boot::new("model-igb-uefi", PARAMETERS).loader(loader).nics([nic]).in_qemu10();
    let machine = boot.arguments(["-M", IGB.machine]).timeout(UEFI_TIME).start();
    machine.wait_for_text(TARGET, IGB.said);
    machine.wait_for_text(TARGET, "firmware: UEFI 2.");
    assert_eq!(machine.stop().messages(TARGET)[0].sequence, 0);
}

/// Rings that wrap hundreds of times, and frames with a tag both ways.
#[test]
fn the_82576_ships_a_flood_into_a_vlan() {
    const RECORDS: usize = 5000;
    let parameters = format!("debug console=null netconsole=+@10.0.1.1/eth0.100,@10.0.1.2/ flood={RECORDS}");
    let nic = Nic::device(IGB.device).peer(Peer::at("10.0.1.2").in_vlan(100));
    let machine =
        Boot::new("model-igb-vlan", parameters).nics([nic]).in_qemu10().arguments(["-M", "q35"]).start();
    let last = format!("flood message {:08} ", RECORDS - 1);
    machine.wait_for_text(TAGGED, &last);
    let capture = machine.stop();
    let text = capture.text(TAGGED);
    // Its Ethernet address was asked for, and answered, in the VLAN.
    assert!(text.contains("netconsole: remote ethernet address 02:00:0a:00:01:02"));
    assert_eq!(text.matches("flood message ").count(), RECORDS);
    let to_target = |frame: &&Frame| frame.datagram().is_some_and(|(to, _)| to == TAGGED.parse().unwrap());
    assert!(capture.frames().filter(to_target).all(|frame| frame.vlan == Some(100)));
}
