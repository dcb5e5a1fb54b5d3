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
