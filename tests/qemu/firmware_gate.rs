//! The gate to the firmware that goes on beside the kernel: what each side keeps of the CPU, when the firmware is called, and
//! that it has its ticks meanwhile.

use crate::firmware_cards::{PCNET, TARGET, TARGETS, TIME, boot, debugged, nic};
use crate::harness::{Nic, Peer, Qtest, Reach, Stub, symbol};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// The stub's numbers of registers.
const RAX: usize = 0;
const RCX: usize = 2;
const RDX: usize = 3;
const RDI: usize = 5;
const RSP: usize = 7;
const R13: usize = 13;
/// What the stub has of SSE: 16 registers of 16 bytes, and MXCSR; in digits.
const SSE: usize = 2 * (16 * 16 + 4);

/// UEFI specification 2.10, section 4.3: where the system table has the boot services; section 4.4: where those have RaiseTPL;
/// section 7.1: the level of a program outside of any event's handler.
const BOOT_SERVICES: u64 = 0x60;
const RAISE_TPL: u64 = 0x18;
const TPL_APPLICATION: u64 = 4;

/// IA-PC HPET specification 1.0a, section 2.3: its configuration, of which bit 0 lets it count, and its counter; and QEMU's
/// period, in ns.
const HPET_CONFIGURATION: u64 = 0xfed0_0010;
const HPET_COUNTER: u64 = 0xfed0_00f0;
const HPET_PERIOD: u64 = 10;
/// How often is looked at it.
const LOOK: Duration = Duration::from_millis(20);
/// The firmware's, in ns.
const TICK: u64 = 10_000_000;

/// The registers of SSE, all alike, and an MXCSR that has this way of rounding (SDM volume 1, section 10.2.3).
fn sse(byte: u8, rounding: u32) -> String {
    let control: String =
        (0x1f80 | rounding << 13).to_le_bytes().iter().map(|b| format!("{b:02x}")).collect();
    format!("{byte:02x}").repeat(16 * 16) + &control
}

/// Those among all registers.
fn sse_of(registers: &str) -> &str {
    &registers[registers.len() - SSE..]
}

fn set_sse(stub: &mut Stub, state: &str) {
    let mut registers = stub.registers();
    registers.replace_range(registers.len() - SSE.., state);
    stub.set_registers(&registers);
}

/// Of the first CPU, which is the one that entered: another one that came there would stop the machine elsewhere.
fn run_to(stub: &mut Stub, address: u64) {
    stub.run_to(address);
    assert_eq!(stub.instruction(), address);
}

/// Each call has the firmware's registers of SSE, and its return the kernel's; and the firmware is called from outside of its
/// own event handlers, as RaiseTPL tells there.
#[test]
fn each_call_has_the_firmwares_state_and_level_and_leaves_the_kernels() {
    const CALLS: usize = 40;
    let boot = boot("gate-state", TARGETS, [nic(PCNET)]).arguments(["-smp", "2"]);
    let (machine, mut stub) = debugged("gate-state", boot);
    run_to(&mut stub, symbol("netconsole::entry::enter_from_uefi"));
    let system_table = stub.register(RDX);
    let boot_services = stub.read_long(system_table + BOOT_SERVICES);
    let raise_tpl = stub.read_long(boot_services + RAISE_TPL);
    let [gate, calls, wakes] = ["firmware_gate", "firmware_gate_calls", "firmware_gate_wakes"].map(symbol);
    let (kernels, firmwares) = (sse(0x5a, 1), sse(0xa5, 2));
    let mut before = None;
    for number in 0..CALLS {
        run_to(&mut stub, gate);
        while stub.register(RDI) == 0 {
            run_to(&mut stub, gate);
        }
        let stack = stub.register(RSP);
        let back = stub.read_long(stack);
        set_sse(&mut stub, &kernels);

        run_to(&mut stub, calls);
        let registers = stub.registers();
        let state = sse_of(&registers);
        assert_ne!(state, kernels, "call {number}");
        assert_eq!(*before.get_or_insert(state.to_owned()), state, "call {number}");
        // Another call before the one that was to be.
        stub.set_register(R13, raise_tpl);
        stub.set_register(RCX, TPL_APPLICATION);
        run_to(&mut stub, wakes);
        assert_eq!(stub.register(RAX), TPL_APPLICATION, "call {number}");
        stub.set_registers(&registers);

        run_to(&mut stub, wakes);
        set_sse(&mut stub, &firmwares);
        before = Some(firmwares.clone());
        run_to(&mut stub, back);
        assert_eq!(sse_of(&stub.registers()), kernels, "call {number}");
    }
    stub.go_on();
    machine.wait_for_text(TARGET, "acpi: FACP ");
    machine.stop();
}

/// How long the firmware's timer has run, in its ticks of 10 ms by the HPET.
fn due(reach: &mut Reach) -> u64 {
    reach.read_long(HPET_COUNTER) / (TICK / HPET_PERIOD)
}

/// That, and how often its interrupt has come.
fn ticks(reach: &mut Reach, log: &Path) -> [u64; 2] {
    /// OVMF's, of the local APIC's timer.
    const VECTOR: &str = " v=20 ";
    let log = fs::read_to_string(log).expect("QEMU's log");
    [due(reach), log.matches(VECTOR).count().try_into().expect("a count")]
}

/// The firmware's timer ticks each 10 ms, and each of its ticks reaches it: when the kernel looks at the machine, ships a long
/// log, waits for cards of its own, which sleep here, or has nothing to do.
#[test]
fn no_tick_of_the_firmwares_timer_is_lost() {
    const SLOTS: std::ops::Range<u8> = 9..17;
    /// Of QEMU's e1000e: the capability by which it sleeps (PCI Bus Power Management Interface Specification 1.2, section 3.2).
    const POWER: u8 = 0xc8;
    const CONTROL: u8 = POWER + 4;
    const D3: u32 = 3;
    const TICKS: u64 = 500;
    let log = std::env::temp_dir().join(format!("netconsole-{}-gate-ticks.log", std::process::id()));
    let qtest = Qtest::new("gate-ticks");
    let own: Vec<String> = SLOTS.map(|slot| format!("e1000e,romfile=,addr={slot:x}")).collect();
    let firmwares = Nic::device("pcnet,addr=8").with_rom().peer(Peer::at("10.0.0.2"));
    let boot = boot("gate-ticks", &format!("{TARGETS} flood=500"), [firmwares]);
    let boot = boot.arguments(own.iter().flat_map(|device| ["-device", device]));
    let boot = boot.arguments(qtest.arguments().iter().map(String::as_str));
    // The guest's time is the count of its instructions, and passes at once while it sleeps: the host's plays no part.
    let path = log.display().to_string();
    let boot = boot.arguments(["-icount", "shift=2,sleep=off", "-d", "int", "-D", &path]).timeout(TIME * 2);
    let (machine, mut stub) = debugged("gate-ticks", boot);
    let mut reach = qtest.accept();
    run_to(&mut stub, symbol("netconsole::kernel_main"));
    for slot in SLOTS {
        assert_eq!(reach.read_configuration(slot, POWER) & 0xff, 1, "the capability's number");
        let control = reach.read_configuration(slot, CONTROL);
        reach.write_configuration(slot, CONTROL, control | D3);
    }
    reach.write_word(HPET_CONFIGURATION, 1);
    let before = ticks(&mut reach, &log);
    stub.go_on();
    machine.wait_for_text(TARGET, "timer: the firmware's own ticks");
    while due(&mut reach) < before[0] + TICKS {
        thread::sleep(LOOK);
    }
    stub.pause();
    let after = ticks(&mut reach, &log);
    let [due, came] = [0, 1].map(|at| after[at] - before[at]);
    let text = machine.stop().text(TARGET);
    let _ = fs::remove_file(&log);
    assert_eq!(text.matches(": it slept, and was woken").count(), SLOTS.len(), "{text}");
    // One may be under way, and one have been.
    assert!(due.abs_diff(came) <= 1, "{due} ticks, of which {came} came");
}
