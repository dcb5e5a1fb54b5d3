//! A kernel that dies before its log has begun, or before it knows what to do with it, says so on the serial port.

use crate::harness::{Boot, Capture, Gdb, Peer, side_by_side, status, symbol};

/// UD2.
const INVALID: &[u8] = &[0x0f, 0x0b];
const END: &str = "---[ end Kernel panic - not syncing: invalid opcode ]---";

/// Boots, and has the kernel die at each of these functions; it dies first at the first one.
fn dies_at(name: &'static str, parameters: &str, functions: &[&str]) -> Capture {
    let gdb = Gdb::new(name);
    let boot = Boot::new(name, format!("debug netconsole=+@10.0.0.1/,@10.0.0.2/ {parameters}"));
    // Where the report fails, nothing else goes out.
    let boot = boot.peer(Peer::at("10.0.0.2")).paused().loses();
    let machine = boot.arguments(gdb.arguments().iter().map(String::as_str)).start();
    let mut stub = gdb.accept();
    stub.run_to(symbol(functions[0]));
    functions.iter().for_each(|function| stub.write(symbol(function), INVALID));
    stub.go_on();
    if parameters.contains("after=exit") {
        return machine.end();
    }
    machine.wait_for_serial(END);
    machine.stop()
}

const BOOT_INFO: &str = "netconsole::start::read_boot_info";
const LINUX: &str = "netconsole::linux::open";
const CLOCK: &str = "netconsole::machine::clock::Clock::new";
const REPORT: &str = "netconsole::panic::report::write";

#[test]
fn a_panic_before_the_log_has_begun_is_on_serial() {
    // Before the command line was read; once it was; once the log has begun, but no port is open.
    let cases = [
        ("early-boot-info", "", BOOT_INFO),
        ("early-linux", "after=exit console=ttyS0,9600n8", LINUX),
        ("early-clock", "after=exit", CLOCK),
    ];
    side_by_side(
        &cases,
        |case| case.0.into(),
        |&(name, parameters, function)| {
            let capture = dies_at(name, parameters, &[function]);
            for said in ["BUG: invalid opcode (vector 6", "RIP: 0008:", "RSP: 0020:", "Call Trace:", END] {
                assert!(capture.serial.contains(said), "{name}: '{said}' is not in {}", capture.serial);
            }
            // What it is told to do then it does.
            let expected = if parameters.is_empty() { capture.status } else { status::PANIC };
            assert_eq!(capture.status, expected, "{name}");
        },
    );
}

const BUSES: &str = "netconsole::buses::prepare";
const LOG: &str = "netconsole::start::begin_log";
const KERNEL: &str = "netconsole::kernel::Kernel::new";
const INTRODUCTION: &str = "netconsole::start::introduce";
const TARGETS: &str = "netconsole::kernel::Kernel::add_targets";
const CARDS: &str = "netconsole::kernel::Kernel::find_cards";

/// From the command line on the panic path finds the cards by itself. Before the log has begun one line goes out; the table in
/// doc/crashes.md.
#[test]
fn from_the_command_line_on_a_panic_is_on_the_network_too() {
    let cases = [
        ("early-net-boot-info", BOOT_INFO, ""),
        ("early-net-buses", BUSES, "before the log has begun"),
        ("early-net-linux", LINUX, "before the log has begun"),
        ("early-net-log", LOG, "before the log has begun"),
        ("early-net-clock", CLOCK, "the log"),
        ("early-net-kernel", KERNEL, "the log"),
        ("early-net-introduction", INTRODUCTION, "the log"),
        ("early-net-targets", TARGETS, "the log"),
        ("early-net-cards", CARDS, "the log"),
    ];
    side_by_side(
        &cases,
        |case| case.0.into(),
        |&(name, function, arrives)| {
            // Before the command line was read the machine stays, whatever that says.
            let capture = dies_at(name, if arrives.is_empty() { "" } else { "after=exit" }, &[function]);
            let messages = capture.messages("10.0.0.2:6666");
            match arrives {
                "" => assert!(messages.is_empty(), "{name}: nobody is known yet: {messages:?}"),
                "the log" => {
                    assert_eq!(messages.first().map(|first| first.sequence), Some(0), "{name}");
                    let last = messages.last().map(|last| last.text.as_str());
                    assert_eq!(last, Some(END), "{name}: {messages:?}");
                }
                when => {
                    let [only] = &messages[..] else { panic!("{name}: not one frame: {messages:?}") };
                    let said = format!("Kernel panic - not syncing: {when}: invalid opcode at 0x");
                    assert!(only.text.starts_with(&said), "{name}: {}", only.text);
                }
            }
            assert!(capture.serial.contains(END), "{name}: {}", capture.serial);
        },
    );
}

/// Where the report itself fails, time and again, one line is left.
#[test]
fn a_panic_in_an_early_panic_ends_on_serial_too() {
    for (name, function) in [("early-report", LINUX), ("early-report-clock", CLOCK)] {
        let capture = dies_at(name, "after=exit", &[function, REPORT]);
        let said = "Kernel panic - not syncing: panic in panic: invalid opcode at 0x";
        assert!(capture.serial.contains(said), "{name}: {}", capture.serial);
        assert_eq!(capture.status, status::PANIC, "{name}");
    }
}

/// So does it on the network, as the one fixed frame, once the targets are known, though no card is yet.
#[test]
fn a_panic_in_panic_before_the_cards_are_known_sends_the_fixed_frame() {
    let capture = dies_at("early-fixed-frame", "after=exit crash=PANIC@early", &[REPORT]);
    assert_eq!(capture.status, status::PANIC);
    let said = "Kernel panic - not syncing: panic in panic: invalid opcode at 0x";
    let messages = capture.messages("10.0.0.2:6666");
    let [only] = &messages[..] else { panic!("not one frame: {messages:?}") };
    assert!(only.text.starts_with(said), "{}", only.text);
    assert!(capture.serial.contains(&only.text), "{}", capture.serial);
}

#[test]
fn where_no_port_is_to_be_used_none_is() {
    let capture = dies_at("early-no-console", "after=exit console=null", &[LINUX]);
    assert_eq!(capture.status, status::PANIC);
    assert!(!capture.serial.contains("panic"), "{}", capture.serial);
}
