//! Addresses become functions and lines.

use std::fs;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{Listening, PATIENCE, PROGRAM, run, stdout};

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

/// Two functions of one name, one function in another, and the lines that they are in.
const KERNEL: &str = "static __attribute__((noinline)) int twin(int x) { return x * 3; }\n\
static inline __attribute__((always_inline)) int inner(int x) {\n\
    volatile int y = x;\n\
    return y + 1;\n\
}\n\
__attribute__((noinline)) int outer(int x) {\n\
    int y = inner(x) + twin(x);\n\
    return y * y;\n\
}\n\
int main(int count, char **words) { (void)words; return outer(count); }\n";

/// A module: a file that is not linked, whose debug information waits for relocations.
const MODULE: &str = "int other(int x);\n\
__attribute__((noinline)) int permission(int x) {\n\
    return other(x + 1) * 2;\n\
}\n";

fn compile(source: &str, to: &Path, options: &[&str]) {
    let c = to.with_extension("c");
    fs::write(&c, source).expect("a file");
    let output = Command::new("gcc").args(["-g", "-O1"]).args(options).arg("-o").arg(to).arg(&c).output();
    let output = output.expect("gcc");
    assert!(output.status.success(), "{output:?}");
}

/// The address and size of a function, by binutils.
fn function(file: &Path, name: &str) -> (u64, u64) {
    let output = Command::new("nm").args(["--print-size"]).arg(file).output().expect("nm");
    let line = stdout(&output)
        .lines()
        .find(|line| line.ends_with(&format!(" {name}")))
        .expect("a symbol")
        .to_owned();
    let number = |field: usize| {
        line.split(' ').nth(field).and_then(|digits| u64::from_str_radix(digits, 16).ok()).expect("a number")
    };
    (number(0), number(1))
}

/// What binutils' addr2line says of an address: functions and lines, inlined ones first.
fn addr2line(file: &Path, address: u64) -> Vec<(String, String)> {
    let output = Command::new("addr2line")
        .args(["--functions", "--inlines", "--exe"])
        .arg(file)
        .arg(format!("{address:#x}"))
        .output()
        .expect("addr2line");
    let lines: Vec<String> =
        stdout(&output).lines().map(|line| line.split(" (").next().unwrap_or(line).to_owned()).collect();
    lines.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

fn build_id(file: &Path) -> String {
    use object::Object;
    let bytes = fs::read(file).expect("a file");
    let file = object::File::parse(&*bytes).expect("an ELF file");
    file.build_id().ok().flatten().expect("a build id").iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The files of two releases below a directory, as `/usr/lib/debug` has them.
fn library() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let (boot, modules) = (dir.path().join("boot"), dir.path().join("lib/modules/6.1.0-test/kernel/fs"));
    fs::create_dir_all(&boot).expect("a directory");
    fs::create_dir_all(&modules).expect("a directory");
    let kernel = boot.join("vmlinux-6.1.0-test");
    compile(KERNEL, &kernel, &["-no-pie", "-Wl,--build-id"]);
    compile(&KERNEL.replace("x * 3", "x * 5"), &boot.join("vmlinux-6.2.0"), &["-no-pie", "-Wl,--build-id"]);
    let module = modules.join("net-fs.ko");
    compile(MODULE, &module, &["-c", "-fno-pic"]);
    (dir, kernel, module)
}

/// What Linux logs of a crash, told by names: each is where addr2line has it, with the functions that it is inlined into;
/// return addresses are one after the call. Live, and of a file.
#[test]
fn what_linux_names_becomes_function_and_line() {
    let (dir, kernel, module) = library();
    let (outer, size) = function(&kernel, "outer");
    let (permission, module_size) = function(&module, "permission");
    // Somewhere in the function that is inlined, and returns behind calls.
    let is_inlined = |offset: &u64| addr2line(&kernel, outer + offset).len() == 2;
    let inlined = (0..size).find(is_inlined).expect("one function is in another");
    let report = [
        "CPU: 0 PID: 1 Comm: sh Not tainted 6.1.0-test #1 Debian".to_owned(),
        "Kernel panic - not syncing: test".to_owned(),
        format!("RIP: 0010:outer+{inlined:#x}/{size:#x}"),
        "Call Trace:".to_owned(),
        format!(" outer+{:#x}/{size:#x}", size - 1),
        format!(" ? permission+0x9/{module_size:#x} [net_fs]"),
        format!(" gone+0x9/{module_size:#x} [net_fs]"),
    ];
    let expected: Vec<String> = [
        (format!("outer+{inlined:#x}/{size:#x}"), addr2line(&kernel, outer + inlined)),
        (format!("outer+{:#x}/{size:#x}", size - 1), addr2line(&kernel, outer + size - 2)),
        (format!("permission+0x9/{module_size:#x} [net_fs]"), addr2line(&module, permission + 8)),
    ]
    .into_iter()
    .flat_map(|(shown, frames)| {
        assert!(frames.iter().all(|(_, line)| !line.contains('?')), "{frames:?}");
        frames.into_iter().map(move |(function, line)| format!("…   {shown} {function} at {line}"))
    })
    .collect();
    assert!(expected.iter().any(|line| line.contains(" inner at ")), "{expected:?}");
    let named = |text: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.get(line.find("…   ")?..).map(str::to_owned)).collect()
    };
    let directory = dir.path().to_str().expect("text");

    let receiver =
        Listening::start(&["--elf", directory, "--timeout", PATIENCE, "--crash-ok", "--until", "the end"]);
    let socket = receiver.socket();
    for (sequence, line) in report.iter().chain([&"the end".to_owned()]).enumerate() {
        socket.send(format!("0,{sequence},{sequence},-;{line}\n").as_bytes()).expect("loopback");
    }
    assert_eq!(named(stdout(&receiver.end())), expected);

    let lines = |begin: &str| {
        report.iter().map(|line| format!("{begin}[    1.234567][    T1] {line}\n")).collect::<String>()
    };
    for (name, begin) in [("dmesg.txt", ""), ("board7.log", "2026-11-24T21:22:23.000789Z ")] {
        let file = dir.path().join(name);
        fs::write(&file, lines(begin)).expect("a file");
        let output = run(&["--read", file.to_str().expect("text"), "--elf", directory]);
        assert_eq!(named(stdout(&output)), expected, "{name}");
        assert!(stdout(&output).starts_with(&lines(begin)[..60]), "the lines themselves are there");
    }
}

/// Found by build id in debuginfod's layout and in Debian's; addresses of a kernel that was moved; and what is not found is
/// said once.
#[test]
fn kernels_are_found_by_build_id_and_moved_back() {
    let (dir, kernel, _module) = library();
    let id = build_id(&kernel);
    let (outer, size) = function(&kernel, "outer");
    let two = [dir.path().join("cache").join(&id), dir.path().join(format!("debug/.build-id/{}", &id[..2]))];
    for (layout, name) in two.iter().zip(["debuginfo".to_owned(), format!("{}.debug", &id[2..])]) {
        fs::create_dir_all(layout).expect("a directory");
        fs::copy(&kernel, layout.join(name)).expect("a copy");
    }
    let moved = outer + 0x2b00_0000 + 4;
    let text = format!(
        "Kernel Offset: 0x2b000000 from 0xffffffff81000000\nCPU: 0 PID: 1 Comm: sh Tainted: G W 6.9.0 #1 {id}\n \
         outer+0x4/{size:#x}\nRIP: 0010:{moved:016x}\n"
    );
    let file = dir.path().join("dmesg.txt");
    fs::write(&file, text).expect("a file");
    for top in ["cache", "debug", ""] {
        let top = dir.path().join(top);
        let output = run(&["--read", file.to_str().expect("text"), "--elf", top.to_str().expect("text")]);
        let text = stdout(&output);
        assert!(text.contains(&format!("…   outer+0x4/{size:#x} ")), "{text}");
        assert!(text.contains(&format!("…   {moved:#x} ")), "{text}");
    }
    fs::write(&file, format!("Linux version 6.9.0 (x)\n outer+0x4/{size:#x}\n outer+0x4/{size:#x}\n"))
        .expect("a file");
    let output = run(&["--read", file.to_str().expect("text"), "--elf", dir.path().to_str().expect("text")]);
    assert_eq!(stdout(&output).matches("has no vmlinux of release 6.9.0").count(), 1, "{output:?}");
}

/// A file that can't tell anything is said at once.
#[test]
fn a_file_without_symbols_is_said() {
    let (dir, kernel, _module) = library();
    let stripped = dir.path().join("stripped");
    let output = Command::new("strip").arg("-o").arg(&stripped).arg(&kernel).output().expect("strip");
    assert!(output.status.success(), "{output:?}");
    let packed = dir.path().join("vmlinuz");
    let mut bytes = vec![0; 0x400];
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    fs::write(&packed, bytes).expect("a file");
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).expect("a directory");
    for (file, expected) in [
        (&stripped, "it has no symbols: a file that is not stripped is needed"),
        (&packed, "a packed kernel has no symbols: give the ELF file, vmlinux"),
        (&empty, "no vmlinux is below it"),
    ] {
        let output = run(&["--elf", file.to_str().expect("text"), "--port", "0"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains(expected), "{output:?}");
    }
}
