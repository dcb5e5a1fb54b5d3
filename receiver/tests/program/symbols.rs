//! Addresses become functions and lines.

use std::fs;

use crate::run::{Listening, PATIENCE, PROGRAM, stdout};

/// Where the program's function `receive::run` lies, and its build id: its own ELF file serves as a kernel's.
pub fn function_and_build_id() -> (u64, String) {
    use object::{Object, ObjectSymbol};
    let bytes = fs::read(PROGRAM).expect("the program");
    let file = object::File::parse(&*bytes).expect("an ELF file");
    // As mangled: crate::receive::run.
    let is_run = |symbol: &object::Symbol| symbol.name().is_ok_and(|name| name.contains("7receive3run"));
    let function = file.symbols().find(is_run).expect("the program has this function").address();
    let build_id = file.build_id().ok().flatten().unwrap_or_default();
    (function, build_id.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[test]
fn addresses_become_functions_if_the_build_id_fits() {
    let (function, build_id) = function_and_build_id();
    let send = |id: &str| {
        let receiver = Listening::start(&["--elf", PROGRAM, "--timeout", PATIENCE]);
        let socket = receiver.socket();
        for text in [&format!("6,0,1,-;build id {id}\n"), "0,1,2,-;Kernel panic - not syncing: test\n"] {
            socket.send(text.as_bytes()).expect("loopback");
        }
        socket.send(format!("0,2,3,-; [<{:016x}>]\n", function + 1).as_bytes()).expect("loopback");
        receiver.end()
    };
    assert_eq!(build_id.len(), 40, "the test needs an ELF file with a build id");
    let fits = send(&build_id);
    let place = format!("…   {:#x} netconsole_receiver::receive::run", function + 1);
    assert!(
        stdout(&fits).lines().any(|line| line.starts_with(&place) && line.contains("receive.rs:")),
        "{fits:?}"
    );
    let foreign = send(&"0".repeat(40));
    assert!(!stdout(&foreign).contains(".rs:"));
    assert!(stdout(&foreign).contains("addresses are not translated"), "{}", stdout(&foreign));
}

/// What the crash kernel of a Linux says of that: the build id is Linux's, the addresses are those of its System.map.
fn linux_report(receiver: &Listening, build_id: &str, return_address: u64) {
    let socket = receiver.socket();
    let report = format!(
        "6,3,4,-;linux: CPU 0, which crashed: process 1, RIP 0010:0xffffffffa3401234\\x0a? {return_address:#018x}\n"
    );
    for text in [
        "6,0,1,-;netconsole 0.1.0, build id 0123456789abcdef0123456789abcdef01234567\n",
        "0,1,2,-;Kernel panic - not syncing: sysrq triggered crash\n",
        &format!("6,2,3,-;linux: build id {build_id}\n"),
        &report,
    ] {
        socket.send(text.as_bytes()).expect("loopback");
    }
}

#[test]
fn return_addresses_of_a_crashed_linux_are_named_by_its_elf_file() {
    let (function, build_id) = function_and_build_id();
    let receiver = Listening::start(&["--elf", PROGRAM, "--timeout", PATIENCE]);
    linux_report(&receiver, &build_id, function + 1);
    let output = receiver.end();
    let place = format!("…   {:#x} netconsole_receiver::receive::run", function + 1);
    assert!(stdout(&output).lines().any(|line| line.starts_with(&place)), "{output:?}");
}

#[test]
fn return_addresses_of_a_crashed_linux_are_named_by_its_system_map() {
    let path = std::env::temp_dir().join(format!("netconsole-system-map-{}", std::process::id()));
    let map = "ffffffff81000000 T _stext\nffffffff81400000 t sysrq_handle_crash\nffffffff81400040 T __handle_sysrq\n\
               ffffffff82000000 T _etext\n";
    fs::write(&path, map).expect("a temporary file");
    let receiver = Listening::start(&["--system-map", &path.display().to_string(), "--timeout", PATIENCE]);
    // It is where the next function begins: the call was the function's last instruction.
    linux_report(&receiver, &"0".repeat(40), 0xffff_ffff_8140_0040);
    let output = receiver.end();
    fs::remove_file(path).expect("it was there");
    assert!(
        stdout(&output).lines().any(|line| line == "…   0xffffffff81400040 sysrq_handle_crash+0x40"),
        "{output:?}"
    );
}
