//! The packed kernel anywhere in memory: it runs where the loader has put it, and writes to no other memory.

use crate::harness::{Boot, Nic, Peer, side_by_side, target};
use crate::images::run;
use crate::protocols::bzimage;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const PAGE: u64 = 4096;
const PARAMETERS: &str = "debug netconsole=+@10.0.0.1/,@10.0.0.2/ after=halt";
const TARGET: &str = "10.0.0.2:6666";
/// The disks' controller is as SeaBIOS has left it.
const STOPPED: &str = " could reach memory, and can't any more";

/// The machine's memory: this much from 0 on, and as much again from 4 GiB on.
const HALF: u64 = 64 * MIB;
/// What the kernel is given: a region like that for a crash kernel.
const REGION: u64 = 4 * MIB;
/// Where the loader lies, and behind it what it gives.
const LOADER: u64 = 40 * MIB;
const TABLES: u64 = 41 * MIB;
const GIVEN: u64 = 42 * MIB;

/// How the kernel is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// The 32-bit protocol.
    Protected,
    /// The 64-bit protocol with page tables of this many levels.
    Long(usize),
    /// The same with four levels, on the second processor; the first one waits for ever.
    Application,
}

/// A place in the region that begins at an address.
#[derive(Clone, Copy, Debug)]
enum At {
    Begin,
    /// This many bytes after the begin.
    Offset(u64),
    /// As far up as there is room.
    End,
}

type Case = (&'static str, u64, At, Entry);
const CASES: [Case; 13] = [
    ("begin", 16 * MIB, At::Begin, Entry::Long(4)),
    ("end", 16 * MIB, At::End, Entry::Long(4)),
    ("odd-page", 16 * MIB, At::Offset(PAGE), Entry::Long(4)),
    ("middle", 16 * MIB, At::Offset(MIB), Entry::Long(5)),
    ("odd-region", 18 * MIB - PAGE, At::Begin, Entry::Long(4)),
    ("where-it-is-linked", MIB, At::Begin, Entry::Long(4)),
    ("just-above", MIB + PAGE, At::Begin, Entry::Protected),
    ("protected", 24 * MIB, At::Offset(7 * PAGE), Entry::Protected),
    ("4-gib", 4 * GIB, At::Begin, Entry::Long(4)),
    ("above-4-gib-odd", 4 * GIB + 16 * MIB - PAGE, At::Begin, Entry::Long(5)),
    ("above-4-gib-end", 4 * GIB + HALF - REGION, At::End, Entry::Long(4)),
    ("above-4-gib-odd-page", 4 * GIB + 2 * MIB, At::Offset(PAGE), Entry::Long(4)),
    ("application-processor", 16 * MIB, At::Offset(3 * PAGE), Entry::Application),
];

fn directory(name: &str) -> PathBuf {
    let directory = target().join("tests/places").join(name);
    fs::create_dir_all(&directory).expect("target/tests is writable");
    directory
}

fn path(file: &Path) -> String {
    file.display().to_string()
}

/// The loader, assembled, with its parameters behind it.
fn loader(directory: &Path, parameters: [u64; 5]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/qemu/places/loader.s");
    let (object, linked, flat) =
        (directory.join("loader.o"), directory.join("loader.elf"), directory.join("loader"));
    run(Command::new("as").arg("--64").arg("-o").arg(&object).arg(source));
    let text = format!("-Ttext={LOADER:#x}");
    run(Command::new("ld").args(["-no-pie", "-e", "entry", &text, "-o"]).arg(&linked).arg(&object));
    run(Command::new("objcopy").args(["-O", "binary", "-j", ".text"]).arg(&linked).arg(&flat));
    let mut bytes = fs::read(&flat).expect("the loader");
    let at = bytes.len() - size_of_val(&parameters);
    bytes.truncate(at);
    bytes.extend(parameters.iter().flat_map(|parameter| parameter.to_le_bytes()));
    fs::write(&flat, bytes).expect("target/tests is writable");
    flat
}

/// Page tables of `levels` levels that map the machine's RAM, and nothing else. All entries are marked as used, so that the
/// CPU does not write to them.
fn page_tables(levels: usize) -> Vec<u8> {
    const TABLE: u64 = 0x63;
    const LARGE: u64 = 0xe3;
    let mut tables = vec![[0u64; 512]; 5];
    let table = |number: u64| (TABLES + number * PAGE) | TABLE;
    // Five levels: the first one leads to the second.
    tables[0][0] = table(1);
    tables[1][0] = table(2);
    for (number, gib) in [(3, 0), (4, 4)] {
        tables[2][gib as usize] = table(number);
        for page in 0..HALF / (2 * MIB) {
            tables[number as usize][page as usize] = (gib * GIB + page * 2 * MIB) | LARGE;
        }
    }
    assert!(levels == 4 || levels == 5);
    tables.iter().flatten().flat_map(|entry| entry.to_le_bytes()).collect()
}

/// `boot_params` and behind it the command line, to lie at `address`, with these regions of usable memory.
fn boot_params(
    kernel: &[u8],
    address: u64,
    place: u64,
    regions: &[(u64, u64)],
    command_line: &str,
) -> Vec<u8> {
    let mut page = vec![0; PAGE as usize];
    let end = 0x202 + usize::from(kernel[0x201]);
    page[0x1f1..end].copy_from_slice(&kernel[0x1f1..end]);
    let mut set = |at: usize, bytes: &[u8]| page[at..at + bytes.len()].copy_from_slice(bytes);
    let line = address + PAGE;
    set(0x210, &[0xd0]);
    set(0x214, &(place as u32).to_le_bytes());
    set(0x228, &(line as u32).to_le_bytes());
    set(0x0c8, &((line >> 32) as u32).to_le_bytes());
    set(0x1e8, &[regions.len() as u8]);
    for (number, (start, length)) in regions.iter().enumerate() {
        let at = 0x2d0 + number * 20;
        set(at, &start.to_le_bytes());
        set(at + 8, &length.to_le_bytes());
        set(at + 16, &1u32.to_le_bytes());
    }
    [page, command_line.bytes().chain([0]).collect()].concat()
}

/// The offset in the memory's file.
fn offset(address: u64) -> usize {
    let offset = if address >= 4 * GIB { address - 4 * GIB + HALF } else { address };
    usize::try_from(offset).expect("an address of the machine's RAM")
}

/// Where a case puts the kernel.
fn place(kernel: &[u8], region: u64, at: At) -> (u64, u64) {
    let size = u32::from_le_bytes(kernel[0x260..0x264].try_into().expect("4 bytes")).into();
    let place = match at {
        At::Begin => region,
        At::Offset(offset) => region + offset,
        At::End => (region + REGION - size) & !(PAGE - 1),
    };
    (place, size)
}

/// Boots a case until the log says `end`; gives what the target heard.
fn boot(case: &Case, parameters: &str, end: &str) -> String {
    let &(name, region, at, entry) = case;
    let kernel = fs::read(bzimage()).expect("the kernel");
    let (place, size) = place(&kernel, region, at);
    let directory = directory(name);
    // Beside the region, so that they are not mapped where the loader's tables do not map them.
    let given = if region >= 4 * GIB { 4 * GIB + HALF / 2 } else { GIVEN };
    let (tables, long, control_4) = match entry {
        Entry::Protected => (0, 0, 0),
        Entry::Long(5) => (TABLES, 0x200, 1 << 12 | 1 << 5),
        Entry::Long(_) | Entry::Application => (TABLES + PAGE, 0x200, 1 << 5),
    };
    let is_second = entry == Entry::Application;
    let loader = loader(&directory, [is_second.into(), tables, control_4, place + long, given]);
    let setup = (usize::from(kernel[0x1f1]) + 1) * 512;
    let levels = if let Entry::Long(levels) = entry { levels } else { 4 };
    let mut arguments = vec!["-kernel".into(), path(&loader)];
    for (file, address, content) in [
        ("tables", TABLES, page_tables(levels)),
        ("given", given, boot_params(&kernel, given, place, &[(region, REGION)], parameters)),
        ("kernel", place, kernel[setup..].to_vec()),
    ] {
        let file = directory.join(file);
        fs::write(&file, content).expect("target/tests is writable");
        arguments.push("-device".into());
        arguments.push(format!("loader,file={},addr={address:#x},force-raw=on", path(&file)));
    }
    let memory = directory.join("memory");
    let _ = fs::remove_file(&memory);
    let total = format!("{}M", 2 * HALF / MIB);
    let backend = format!("memory-backend-file,id=ram,size={total},mem-path={},share=on", path(&memory));
    let machine = format!("q35,memory-backend=ram,max-ram-below-4g={HALF}");
    // Each has memory of its own, which is not the image's.
    let cards = (2..6).map(|peer| Nic::device("virtio-net-pci").peer(Peer::at(&format!("10.0.0.{peer}"))));
    let boot = Boot::new(format!("places-{name}").leak(), parameters)
        .loader(arguments.iter().map(String::as_str))
        .nics(cards)
        .first_arguments(["-object", &backend, "-machine", &machine, "-m", &total, "-cpu", "max"])
        .arguments(["-smp", if is_second { "2" } else { "1" }]);
    let mut machine = boot.repeats().start();
    machine.wait_for_serial("ready");
    let before = fs::read(&memory).expect("the machine's memory");
    machine.type_in("\r");
    machine.wait_for_text(TARGET, end);
    machine.monitor("stop");
    if is_second {
        // The first one has never left the loader.
        let registers = machine.monitor("info registers -a");
        let first =
            registers.split("EIP=").nth(1).and_then(|rest| u64::from_str_radix(rest.get(..8)?, 16).ok());
        assert!(first.is_some_and(|first| (LOADER..LOADER + PAGE).contains(&first)), "{registers}");
    }
    let after = fs::read(&memory).expect("the machine's memory");
    let text = machine.stop().text(TARGET);

    let (own, scratch) = (offset(place), offset(given) + 0x1e4);
    let own = own..own + usize::try_from(size).expect("a size");
    let region = offset(region)..offset(region) + usize::try_from(REGION).expect("a size");
    assert!(before[own.clone()] != after[own], "{case:x?}: the file is not the machine's memory");
    let scratch_size = if entry == Entry::Protected { 4 } else { 0 };
    let mut may_change = [region, scratch..scratch + scratch_size];
    may_change.sort_by_key(|range| range.start);
    let ends = may_change.iter().map(|range| range.start).chain([before.len()]);
    let starts = [0].into_iter().chain(may_change.iter().map(|range| range.end));
    for (start, end) in starts.zip(ends) {
        if before[start..end] != after[start..end] {
            let at = (start..end).find(|&at| before[at] != after[at]);
            panic!("{case:x?}: memory changed at {at:x?} in its file");
        }
    }
    let _ = fs::remove_file(&memory);
    text
}

#[test]
fn it_runs_at_any_page_and_writes_to_no_other_memory() {
    side_by_side(
        &CASES,
        |case| case.0.into(),
        |case| {
            let text = boot(case, PARAMETERS, "boot: done");
            assert!(text.contains("boot: by kexec-tools, Linux"), "{case:x?}: {text}");
            let kernel = fs::read(bzimage()).expect("the kernel");
            let (place, _) = place(&kernel, case.1, case.2);
            let said = format!("boot: the kernel lies at {place:#x}");
            assert_eq!(text.contains(&said), place != MIB, "{case:x?}: {text}");
            assert!(text.contains("paging: checked") && !text.contains("damaged"), "{case:x?}: {text}");
            let cards = text.matches(": virtio network card at ").count();
            assert!(text.contains("of which there is room for 4") && cards == 4, "{case:x?}: {text}");
            let has_two = text.contains("cpu: 2 processors, says ACPI");
            assert_eq!(has_two, case.3 == Entry::Application, "{case:x?}: {text}");
            // Only where the memory may be a device's that was left running: a BIOS's loader gives none below 4 GiB.
            assert_eq!(text.contains(STOPPED), case.1 >= 4 * GIB, "{case:x?}: {text}");
        },
    );
}

/// The report has the addresses of the ELF file, so that it is read with that.
#[test]
fn a_report_from_elsewhere_has_the_elf_files_addresses() {
    let parameters = PARAMETERS.replace("after=halt", "crash=EXCEPTION netconsole.panic_repeat=0");
    let text =
        boot(&("report", 4 * GIB + MIB, At::Begin, Entry::Long(4)), &parameters, "---[ end Kernel panic");
    assert!(text.contains("Kernel Offset: 0x0000000100000000, already subtracted"), "{text}");
    let addresses = text.lines().filter_map(|line| line.split_once("[<")?.1.split_once(">]"));
    let addresses: Vec<_> = addresses
        .map(|(address, rest)| (u64::from_str_radix(address, 16).expect("an address"), rest))
        .collect();
    assert!(addresses.len() > 1, "{text}");
    for (address, rest) in addresses {
        assert!((MIB..2 * MIB).contains(&address) && rest.is_empty(), "{address:#x}: {text}");
    }
}

/// The machine of the test below, and its memory's file: each boot by the loader at [`LOADER`] enters what [`enter`] says.
fn machine(name: &str) -> (Boot, PathBuf) {
    let directory = directory(name);
    let tables = directory.join("tables");
    fs::write(&tables, page_tables(4)).expect("target/tests is writable");
    let loader = path(&loader(&directory, [0, TABLES + PAGE, 1 << 5, 0, GIVEN]));
    let tables = format!("loader,file={},addr={TABLES:#x},force-raw=on", path(&tables));
    let memory = directory.join("memory");
    let _ = fs::remove_file(&memory);
    let total = format!("{}M", 2 * HALF / MIB);
    let backend = format!("memory-backend-file,id=ram,size={total},mem-path={},share=on", path(&memory));
    let machine = format!("q35,memory-backend=ram,max-ram-below-4g={HALF}");
    let boot = Boot::new(format!("places-{name}").leak(), PARAMETERS)
        .loader(["-kernel", &loader, "-device", &tables])
        .first_arguments(["-object", &backend, "-machine", &machine, "-m", &total, "-cpu", "max"]);
    (boot, memory)
}

/// Has the loader, which waits, enter the kernel at `place`, with these parameters.
fn enter(memory: &Path, place: u64, regions: &[(u64, u64)], parameters: &str) {
    let kernel = fs::read(bzimage()).expect("the kernel");
    let setup = (usize::from(kernel[0x1f1]) + 1) * 512;
    let file = fs::OpenOptions::new().write(true).open(memory).expect("the machine's memory");
    let write = |address: u64, bytes: &[u8]| {
        file.write_all_at(bytes, offset(address) as u64).expect("the machine's memory");
    };
    write(place, &kernel[setup..]);
    write(GIVEN, &boot_params(&kernel, GIVEN, place, regions, parameters));
    let loader = fs::metadata(memory.with_file_name("loader")).expect("the loader").len();
    write(LOADER + loader - 16, &(place + 0x200).to_le_bytes());
}

/// Three boots, each elsewhere: the log of the first one, which crashed, is found by the second, and that of the second by
/// the third, in one stream of sequence numbers.
#[test]
fn the_log_of_the_boot_before_is_found_wherever_it_lay() {
    const PLACES: [u64; 3] = [16 * MIB + PAGE, 4 * GIB + 17 * MIB, 28 * MIB];
    let (boot, memory) = machine("last-log");
    let mut machine = boot.peer(Peer::at("10.0.0.2")).repeats().start();
    for (number, place) in PLACES.into_iter().enumerate() {
        machine.wait_for("the loader", |events| {
            let serial = String::from_utf8_lossy(&events.serial);
            (serial.matches("ready").count() > number).then_some(())
        });
        let crash = if number == 0 { "crash=TRIPLE_FAULT" } else { "after=reboot" };
        let end = if number == 2 { "after=halt" } else { crash };
        enter(
            &memory,
            place,
            &[(0x1000, 0x9_e000), (MIB, 39 * MIB), (4 * GIB, HALF)],
            &PARAMETERS.replace("after=halt", end),
        );
        machine.type_in("\r");
    }
    machine.wait_for_text(TARGET, &format!("boot: the kernel lies at {:#x}", PLACES[2]));
    machine.wait_for_text(TARGET, "boot: done, halt");
    let text = machine.stop().text(TARGET);
    let after = |at: &str| text.split(at).nth(1).unwrap_or_default().to_string();
    let second = after(&format!("boot: the kernel lies at {:#x}", PLACES[1]));
    assert!(text.contains("crash: provoking TRIPLE_FAULT\n boot=-1"), "{text}");
    assert!(text.contains("previous boot ended without a goodbye: "), "{text}");
    assert!(text.contains("previous boot ended in order: "), "{text}");
    assert!(text.contains("crash: provoking TRIPLE_FAULT\n boot=-2"), "{second}");
    // Before the log goes on outside of the image.
    let third = after(&format!("boot: the kernel lies at {:#x}", PLACES[2]));
    assert!(third.contains(STOPPED), "{third}");
}

/// The map that the loader gives has the kernel's own memory alone, and not all of it: there is no memory for a card, and that is
/// said.
#[test]
fn no_room_for_a_card_is_said() {
    let (boot, memory) = machine("no-room");
    let mut machine = boot.peer(Peer::at("10.0.0.2")).loses().start();
    machine.wait_for_serial("ready");
    enter(&memory, 16 * MIB, &[(16 * MIB, MIB)], PARAMETERS);
    machine.type_in("\r");
    machine.wait_for_serial("the loader's map of memory has no ");
    machine.wait_for_serial("there is no memory for one more network card, not used");
    machine.wait_for_serial("netconsole: no network card found");
    machine.stop();
}

/// A card that reaches 4 GiB only: the kernel, which lies above, takes memory for it from below, where it was given any.
#[test]
fn a_card_of_32_bits_is_served_from_above_4_gib() {
    const HIGH: (u64, u64) = (4 * GIB, HALF);
    for (name, regions, text) in [
        ("low-memory", &[(16 * MIB, 4 * MIB), HIGH][..], "boot: done"),
        ("no-low-memory", &[HIGH], "it can't reach memory above 4 GiB"),
    ] {
        let (boot, memory) = machine(name);
        let boot = boot.nics([Nic::device("rtl8139").peer(Peer::at("10.0.0.2"))]);
        let mut machine = boot.repeats().start();
        machine.wait_for_serial("ready");
        enter(&memory, 4 * GIB + PAGE, regions, PARAMETERS);
        machine.type_in("\r");
        machine.wait_for_serial(text);
        if name == "low-memory" {
            machine.wait_for_text(TARGET, text);
        }
        machine.stop();
    }
}
