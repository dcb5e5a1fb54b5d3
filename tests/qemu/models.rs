//! Every model of card that QEMU has and the kernel drives, or has UEFI firmware drive, does the main job and keeps the log of a
//! crash.

use crate::crash::distinct;
use crate::harness::{
    Boot, Content, Events, Frame, Lease, Nic, Peer, Qtest, Sent, Service, side_by_side, status,
};
use crate::images::{UEFI, UEFI_TIME};
use crate::protocols::bzimage;
use smoltcp::wire::EthernetAddress;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const TARGET: &str = "10.0.0.2:6666";
const PARAMETERS: &str = "debug netconsole=+@10.0.0.1/,@10.0.0.2/";

/// A card, and what is expected of it.
struct Model {
    name: &'static str,
    /// Its arguments for `-device`.
    device: &'static str,
    /// The machine that it is in; `None` for one that UEFI firmware starts, whose driver has the card then.
    machine: Option<&'static str>,
    /// What the log says it is.
    said: &'static str,
    /// How its link is when it is back; `None` where the card can't tell of its link.
    link: Option<&'static str>,
}

const fn own(
    name: &'static str,
    device: &'static str,
    machine: &'static str,
    said: &'static str,
    link: &'static str,
) -> Model {
    Model { name, device, machine: Some(machine), said, link: Some(link) }
}

/// By its Simple Network Protocol, which tells no speed; drivers of older cards do not tell of the cable, either.
const fn firmwares(name: &'static str, device: &'static str, link: Option<&'static str>) -> Model {
    Model { name, device, machine: None, said: "eth0: card that the firmware drives at 00:0", link }
}

const GIGABIT: &str = "up, 1000 Mbit/s, full duplex";
const FAST: &str = "up, 100 Mbit/s, full duplex";

/// Intel's 82576, which QEMU has from version 8 on.
const IGB: Model = own("igb", "igb", "q35", "8086:10c9", GIGABIT);

/// Driven by the kernel's own drivers.
const MODELS: [Model; 13] = [
    own(
        "virtio-modern",
        "virtio-net-pci,disable-legacy=on,speed=2500,duplex=half",
        "pc",
        "1af4:1041",
        "up, 2500 Mbit/s, half duplex",
    ),
    own(
        "virtio-transitional",
        "virtio-net-pci,disable-legacy=off,disable-modern=off",
        "pc",
        "1af4:1000",
        "up",
    ),
    own("virtio-legacy", "virtio-net-pci,disable-legacy=off,disable-modern=on", "pc", "1af4:1000", "up"),
    own("virtio-legacy-q35", "virtio-net-pci,disable-legacy=off,disable-modern=on", "q35", "1af4:1000", "up"),
    // 0.9 at its barest: a header of 10 bytes.
    Model {
        link: None,
        ..own(
            "virtio-legacy-bare",
            "virtio-net-pci,disable-legacy=off,disable-modern=on,mrg_rxbuf=off,event_idx=off,\
             indirect_desc=off,any_layout=off,status=off,ctrl_vq=off,csum=off,rx_queue_size=512",
            "pc",
            "1af4:1000",
            "",
        )
    },
    own(
        "virtio-legacy-long-queue",
        "virtio-net-pci,disable-legacy=off,disable-modern=on,rx_queue_size=1024",
        "pc",
        "1af4:1000",
        "up",
    ),
    own("e1000", "e1000", "pc", "8086:100e", GIGABIT),
    own("e1000e-q35", "e1000e", "q35", "8086:10d3", GIGABIT),
    own("82544gc", "e1000-82544gc", "pc", "8086:100c", GIGABIT),
    own("rtl8139", "rtl8139", "pc", "10ec:8139", FAST),
    own("vmxnet3", "vmxnet3", "q35", "15ad:07b0", GIGABIT),
    own("82545em", "e1000-82545em", "pc", "8086:100f", GIGABIT),
    IGB,
];

/// Driven by UEFI firmware: iPXE's boot ROMs, which QEMU gives to its cards, and of virtio OVMF itself.
const FIRMWARES: [Model; 6] = [
    firmwares("snp-pcnet", "pcnet", None),
    firmwares("snp-ne2k", "ne2k_pci", None),
    firmwares("snp-rtl8139", "rtl8139", None),
    firmwares("snp-eepro100", "i82559er,romfile=efi-eepro100.rom", None),
    firmwares("snp-vmxnet3", "vmxnet3", Some("up")),
    firmwares("snp-virtio", "virtio-net-pci,romfile=", Some("up")),
];

impl Model {
    fn boot(&self, job: &str, parameters: &str, stations: impl IntoIterator<Item = Peer>) -> Boot {
        // A boot's name lives as long as the tests.
        let name = format!("model-{}-{job}", self.name).leak();
        let nic = stations.into_iter().fold(Nic::device(self.device), Nic::peer);
        let Some(machine) = self.machine else {
            let (bzimage, parameters) = (bzimage(), format!("{parameters} netconsole.snp=1"));
            let loader = UEFI.into_iter().chain(["-kernel", &bzimage, "-append", &parameters]);
            // The firmware takes its time, beside other tests.
            return Boot::new(name, "").loader(loader).nics([nic.with_rom()]).timeout(UEFI_TIME * 2);
        };
        let boot = Boot::new(name, parameters).nics([nic]).arguments(["-M", machine]);
        if self.device == IGB.device { boot.in_qemu10() } else { boot }
    }

    /// Whether QEMU's end may lose frames: its Intel and Realtek cards confirm what its network has not yet taken.
    fn confirms_early(&self) -> bool {
        !self.device.starts_with("virtio")
    }

    /// What needs an end of its own: every record has been confirmed when the machine ends itself.
    fn does_the_main_job(&self) {
        let parameters = format!("{PARAMETERS} after=exit");
        let capture = self.boot("main-job", &parameters, [Peer::at("10.0.0.2")]).start().end();
        assert_eq!(capture.status, status::GOOD);
        let messages = capture.messages(TARGET);
        // That none is missing or comes twice, `Boot` checks.
        assert_eq!(messages[0].sequence, 0);
        assert_eq!(capture.serial.lines().count(), messages.len());
    }

    /// All of the log comes, at most `unconfirmed` records twice, and the report's end.
    fn keeps_the_log_of(&self, crash: &Crash) {
        let &Crash { kind, end, unconfirmed } = crash;
        let end = format!("---[ end Kernel panic - not syncing: {end} ]---");
        let stays = self.confirms_early() || self.machine.is_none();
        let after = if stays { "panic=0 netconsole.panic_repeat=0" } else { "after=exit" };
        let parameters = format!("{PARAMETERS} {after} crash={kind}");
        let machine = self.boot(kind, &parameters, [Peer::at("10.0.0.2")]).repeats().start();
        let capture = if stays {
            machine.wait_for_text(TARGET, &end);
            machine.stop()
        } else {
            let capture = machine.end();
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

/// One whose driver is overwritten is in [`Model::behaves`].
const CRASHES: [Crash; 3] = [
    Crash { kind: "EXCEPTION", end: "page fault", unconfirmed: 1 },
    Crash { kind: "HUNG_DEVICE", end: "panic", unconfirmed: 1 },
    Crash { kind: "NMI@pci", end: "non-maskable interrupt", unconfirmed: 0 },
];

fn keep_the_logs(models: &[Model], crashes: &[Crash]) {
    let cases: Vec<_> =
        models.iter().flat_map(|model| crashes.iter().map(move |crash| (model, crash))).collect();
    let name = |(model, crash): &(&Model, &Crash)| format!("{} {}", model.name, crash.kind);
    side_by_side(&cases, name, |(model, crash)| model.keeps_the_log_of(crash));
}

#[test]
fn every_model_does_the_main_job() {
    let models: Vec<_> = MODELS.iter().filter(|model| !model.confirms_early()).collect();
    side_by_side(&models, |model| model.name.into(), |model| model.does_the_main_job());
}

#[test]
fn every_model_keeps_the_log_of_a_crash() {
    keep_the_logs(&MODELS, &CRASHES);
}

/// What each card must do, in one boot: the table that `nic/conformance.rs` has for their models.
#[test]
fn every_model_behaves() {
    side_by_side(&MODELS, |model| model.name.into(), Model::behaves);
}

#[test]
fn every_card_of_the_firmware_behaves() {
    side_by_side(&FIRMWARES, |model| model.name.into(), Model::behaves);
}

mod matrix {
    use super::{CRASHES, FIRMWARES, keep_the_logs};

    /// A card that hangs the firmware's driver may not notice, and the kernel looks for no registers of it.
    #[test]
    fn every_card_of_the_firmware_keeps_the_log_of_a_crash() {
        keep_the_logs(&FIRMWARES, &CRASHES[..1]);
    }
}

const TAGGED: &str = "10.0.1.2:6666";
/// Records, of which each goes to two targets: rings of 64 wrap many times.
const FLOOD: usize = 1000;
/// More than any ring for receiving has.
const PINGS: usize = 300;
/// After this time what was not answered is sent again, where it may be lost.
const ANSWER: Duration = Duration::from_secs(3);

impl Model {
    fn behaves(&self) {
        let parameters = format!(
            "debug netconsole=+@/eth0,@10.0.0.2/ netconsole=+@10.0.1.1/eth0.100,@10.0.1.2/ flood={FLOOD} \
             netconsole.input=1 netconsole.panic_repeat=0 panic=0"
        );
        let lease = Service::new(Lease { address: [10, 0, 0, 1].into(), router: None, duration: 3600 });
        let [station, neighbour] = ["10.0.0.2", "fe80::2"].map(Peer::at);
        let stations = [station.clone().serving(lease), Peer::at("10.0.1.2").in_vlan(100), neighbour.clone()];
        let boot = self.boot("behaves", &parameters, stations).repeats();
        let boot = if self.machine.is_some() { boot.timeout(Duration::from_secs(120)) } else { boot };
        let mut machine = boot.start();

        // Address and MTU; bursts around the ring, with a VLAN's tag and without. The 82576's link comes later.
        machine.wait_for_text(TARGET, self.said);
        machine.wait_for_text(TARGET, "eth0: ethernet address 52:54:00:12:34:56, MTU 1500, link ");
        machine.wait_for_text(TARGET, "eth0: IPv4 address 10.0.0.1/24 by DHCP");
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
        let pings: Vec<_> = lengths.iter().cycle().take(PINGS).collect();
        // A driver of the firmware's may have four buffers, and what comes while it has none is lost, as on any cable.
        let (at_once, tries) = if self.machine.is_some() { (lengths.len(), 1) } else { (1, 10) };
        for (done, burst) in (0..).step_by(at_once).zip(pings.chunks(at_once)) {
            let are_answered =
                |events: &Events| (answers(&events.sent, own) >= done + burst.len()).then_some(());
            for _ in 0..tries {
                for data in burst {
                    machine.send(0, &station.ping(Nic::mac(0), own, data));
                }
                if machine.look_for(ANSWER, are_answered).is_some() {
                    break;
                }
            }
            machine.wait_for(&format!("answers to the pings after {done}"), are_answered);
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

        // A receiver asks for a record again, and a command comes in.
        let kernel: SocketAddr = "10.0.0.1:6665".parse().expect("an address");
        let ask = |port: u16, line: &str| station.datagram(port, Nic::mac(0), kernel, line.as_bytes());
        let seen = machine.sent().len();
        machine.send(0, &ask(6666, &format!("ncrx{} 0", u64::MAX)));
        machine.wait_for("record 0 again", |events| {
            let mut sent = events.sent.get(seen..)?.iter().filter_map(Sent::datagram);
            let is_first = |payload: &[u8]| payload.split(|&byte| byte == b',').nth(1) == Some(b"0");
            sent.any(|(to, payload)| to.port() == 6666 && is_first(payload)).then_some(())
        });
        machine.send(0, &ask(40000, "echo a command came in > /dev/kmsg\n"));
        for target in [TARGET, TAGGED] {
            machine.wait_for_text(target, "a command came in");
        }

        if let Some(link) = self.link {
            // The link goes and comes, with its speed and duplex.
            machine.monitor("set_link n0 off");
            machine.wait_for_serial("eth0: link is down");
            machine.monitor("set_link n0 on");
            for target in [TARGET, TAGGED] {
                machine.wait_for_text(target, "eth0: link is down");
                machine.wait_for_text(target, &format!("eth0: link is {link}"));
            }
            machine.wait_for("the lease again", |events| {
                let serial = String::from_utf8_lossy(&events.serial);
                (serial.matches("eth0: IPv4 address 10.0.0.1/24 by DHCP").count() > 1).then_some(())
            });
        }

        // Last words, to both, by a driver in memory of its own.
        const END: &str = "---[ end Kernel panic - not syncing: panic ]---";
        machine.send(0, &ask(40000, "crash OVERWRITE_NIC\n"));
        for target in [TARGET, TAGGED] {
            machine.wait_for_text(target, END);
        }
        let capture = machine.stop();
        let to_tagged =
            |frame: &&Frame| frame.datagram().is_some_and(|(to, _)| to == TAGGED.parse().unwrap());
        assert!(capture.frames().filter(to_tagged).all(|frame| frame.vlan == Some(100)));
        let [messages, tagged] = [TARGET, TAGGED].map(|target| capture.messages(target));
        // That none is missing, `Boot` checks.
        assert_eq!([messages[0].sequence, tagged[0].sequence], [0, 0]);
        assert_eq!(distinct(&messages).len(), distinct(&tagged).len());
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
    let bar = machine.while_stopped(|| ports.read_configuration(SLOT, BAR0));
    let registers = u64::from(bar & !0xf);
    for round in 0..10 {
        ports.write_word(registers + TCTL, 0);
        machine.wait_for("the driver to notice", |events| {
            let serial = String::from_utf8_lossy(&events.serial);
            (serial.matches("eth0: restarted").count() > round).then_some(())
        });
        machine.type_in(&format!("\recho round{round} is over > /dev/kmsg\r"));
        machine.wait_for_text(TARGET, &format!("round{round} is over"));
        // The driver looks at its card several times in this time: one that has worked may be restarted soon.
        machine.wait_until_quiet(Duration::from_secs(1));
    }
    machine.stop();
}

#[test]
fn the_82576_serves_under_uefi() {
    let bzimage = bzimage();
    let loader = UEFI.into_iter().chain(["-kernel", &bzimage, "-append", PARAMETERS]);
    let nic = Nic::device(IGB.device).peer(Peer::at("10.0.0.2"));
    let boot = Boot::new("model-igb-uefi", PARAMETERS).loader(loader).nics([nic]).in_qemu10();
    let machine = boot.arguments(["-M", "q35"]).timeout(UEFI_TIME).start();
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
