//! Every model of card that QEMU has and the kernel drives does the main job and keeps the log of a crash.

use crate::crash::distinct;
use crate::harness::{Boot, Frame, Nic, Peer, side_by_side, status};

const TARGET: &str = "10.0.0.2:6666";
const PARAMETERS: &str = "debug netconsole=+@10.0.0.1/,@10.0.0.2/";

/// A model of card: its arguments for `-device`, the machine it is in, what the log says it is.
struct Model {
    name: &'static str,
    device: &'static str,
    machine: &'static str,
    said: &'static str,
}

const MODELS: [Model; 13] = [
    Model {
        name: "virtio-modern",
        device: "virtio-net-pci,disable-legacy=on",
        machine: "pc",
        said: "1af4:1041",
    },
    Model {
        name: "virtio-transitional",
        device: "virtio-net-pci,disable-legacy=off,disable-modern=off",
        machine: "pc",
        said: "1af4:1000",
    },
    Model {
        name: "virtio-legacy",
        device: "virtio-net-pci,disable-legacy=off,disable-modern=on",
        machine: "pc",
        said: "1af4:1000",
    },
    Model {
        name: "virtio-legacy-q35",
        device: "virtio-net-pci,disable-legacy=off,disable-modern=on",
        machine: "q35",
        said: "1af4:1000",
    },
    // 0.9 at its barest: a header of 10 bytes.
    Model {
        name: "virtio-legacy-bare",
        device: "virtio-net-pci,disable-legacy=off,disable-modern=on,mrg_rxbuf=off,event_idx=off,\
                 indirect_desc=off,any_layout=off,status=off,ctrl_vq=off,csum=off,rx_queue_size=512",
        machine: "pc",
        said: "1af4:1000",
    },
    Model {
        name: "virtio-legacy-long-queue",
        device: "virtio-net-pci,disable-legacy=off,disable-modern=on,rx_queue_size=1024",
        machine: "pc",
        said: "1af4:1000",
    },
    Model { name: "e1000", device: "e1000", machine: "pc", said: "8086:100e" },
    Model { name: "e1000e-q35", device: "e1000e", machine: "q35", said: "8086:10d3" },
    Model { name: "82544gc", device: "e1000-82544gc", machine: "pc", said: "8086:100c" },
    Model { name: "rtl8139", device: "rtl8139", machine: "pc", said: "10ec:8139" },
    Model { name: "vmxnet3", device: "vmxnet3", machine: "q35", said: "15ad:07b0" },
    Model { name: "82545em", device: "e1000-82545em", machine: "pc", said: "8086:100f" },
    IGB,
];

/// Intel's 82576, which QEMU has from version 8 on.
const IGB: Model = Model { name: "igb", device: "igb", machine: "q35", said: "8086:10c9" };

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

/// Rings that wrap hundreds of times, and frames with a tag both ways.
#[test]
fn the_82576_ships_a_flood_into_a_vlan() {
    const RECORDS: usize = 5000;
    const TAGGED: &str = "10.0.1.2:6666";
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
