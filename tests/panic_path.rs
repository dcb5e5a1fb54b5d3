//! No way leads from the panic path's entries to `core::panicking`: shown in the release kernel's own
//! machine code, call by call.
//!
//! The graph is that of `objdump`: a function leads to every function that it calls or jumps to, and to
//! every one whose address it can get hold of: as an operand, or from a table (a vtable, a table of
//! function pointers) whose address is an operand. An indirect call can reach no other one. A table ends
//! where the next address begins that anything refers to; a plain load takes no more than a register.
//!
//! Two functions are not followed, each for a reason:
//! - `report::write_message` formats the message of a `panic!`, foreign `Display` code. If that panics, the
//!   path starts again, with a shorter report (`crash=KIND@message` in tests/qemu/crash.rs).
//! - `trap::spring` is the crash that `crash=KIND@panic` asks for.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the CPU or Rust enters.
const ENTRIES: [&str; 6] = [
    "exception_common",
    "panic_common",
    "firmware_exception",
    "rust_begin_unwind",
    "::last_words",
    "ignore_nmi",
];
const NOT_FOLLOWED: [&str; 2] = ["panic::report::write_message", "trap::spring"];

struct Image {
    bytes: Vec<u8>,
    /// File offset, address, length of each part with content.
    parts: Vec<(usize, u64, usize)>,
}

impl Image {
    fn read(path: &Path) -> Self {
        let bytes =
            fs::read(path).unwrap_or_else(|error| panic!("{}: {error}: run scripts/build", path.display()));
        let word = |at: usize, size: usize| {
            bytes[at..at + size].iter().rev().fold(0u64, |word, &byte| word << 8 | u64::from(byte))
        };
        // ELF-64: e_phoff, e_phentsize, e_phnum; p_offset, p_vaddr, p_filesz.
        let (table, size, count) = (word(32, 8) as usize, word(54, 2) as usize, word(56, 2) as usize);
        let parts = (0..count).map(|number| table + number * size);
        let parts = parts.map(|at| (word(at + 8, 8) as usize, word(at + 16, 8), word(at + 32, 8) as usize));
        let parts = parts.collect();
        Self { bytes, parts }
    }

    fn holds(&self, address: u64) -> bool {
        self.parts.iter().any(|&(_, start, length)| (start..start + length as u64).contains(&address))
    }

    /// The 64-bit words from `start` to `end`, as far as the image has them.
    fn words(&self, start: u64, end: u64) -> impl Iterator<Item = u64> {
        let part =
            self.parts.iter().find(|(_, from, length)| (*from..from + *length as u64).contains(&start));
        let bytes = part.map_or(&[][..], |&(offset, from, length)| {
            let first = (start - from) as usize;
            let last = length.min((end - from) as usize);
            &self.bytes[offset + first..offset + last]
        });
        bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("8 bytes")))
    }
}

#[derive(Default)]
struct Function {
    name: String,
    /// Addresses among its operands, each with how many bytes the instruction takes from there at most.
    operands: BTreeMap<u64, u64>,
}

/// All functions by their addresses.
fn disassemble(image: &Image, path: &Path, code_end: u64) -> BTreeMap<u64, Function> {
    let output = Command::new("objdump").args(["-d", "-C", "--no-show-raw-insn"]).arg(path).output();
    let output = output.expect("objdump is missing: install binutils");
    assert!(output.status.success(), "objdump: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let begin = |line: &str| {
        let (address, name) = line.strip_suffix(">:")?.split_once(" <")?;
        Some((u64::from_str_radix(address, 16).ok()?, name.to_string()))
    };
    let starts: BTreeSet<u64> = text.lines().filter_map(begin).map(|(address, _)| address).collect();
    let mut functions = BTreeMap::<u64, Function>::new();
    for line in text.lines() {
        if let Some((address, name)) = begin(line) {
            functions.insert(address, Function { name, ..Function::default() });
        } else if let Some((_, instruction)) = line.split_once(":\t")
            && let Some(mut function) = functions.last_entry()
        {
            // A name's offset, `<name+0x10abcd>`, is no address.
            let instruction = instruction.split_once(" <").map_or(instruction, |(operands, _)| operands);
            // `call 10abcd <name>`, `lea 0x12(%rip),%rax # 10abcd <name>`, `mov $0x10abcd,%edi`; a distance
            // from RIP is no address.
            let operands = match instruction.split_once("(%rip)") {
                Some((before, after)) => {
                    let distance = before.rfind([' ', ',', '*']).map_or(0, |at| at + 1);
                    format!("{}{after}", &before[..distance])
                }
                None => instruction.to_string(),
            };
            let is_between = |c: char| !c.is_ascii_alphanumeric() && c != '$';
            let words = operands.split_inclusive(is_between).skip(1);
            // In code that runs anywhere, what is added to a register, `0x10abcd(%rax)`, is a distance.
            let words =
                words.filter(|word| !word.ends_with('(')).map(|word| word.trim_end_matches(is_between));
            let numbers = words.filter_map(|word| {
                let digits = word.strip_prefix("$0x").or(word.strip_prefix("0x")).unwrap_or(word);
                // A constant that lies within a function is no address; one that is its start may be.
                let number = u64::from_str_radix(digits, 16).ok()?;
                let is_address = !word.starts_with('$') || number >= code_end || starts.contains(&number);
                is_address.then_some(number)
            });
            let reach = match instruction.split_ascii_whitespace().next() {
                _ if !instruction.contains("(%rip)") => u64::MAX,
                Some("lea") => u64::MAX,
                Some("call" | "jmp") => 8,
                // The widest register that the kernel uses, SSE's.
                _ => 16,
            };
            for number in numbers.filter(|&number| image.holds(number)) {
                let longest = function.get_mut().operands.entry(number).or_default();
                *longest = reach.max(*longest);
            }
        }
    }
    functions
}

/// The address of the function that holds `address`.
fn owner(functions: &BTreeMap<u64, Function>, address: u64, code_end: u64) -> Option<u64> {
    functions.range(..=address).next_back().map(|(&start, _)| start).filter(|_| address < code_end)
}

#[test]
fn the_panic_path_cannot_panic() {
    let path = std::env::var_os("NETCONSOLE_DEBUG")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/netconsole.debug"), PathBuf::from);
    let image = Image::read(&path);
    let (_, start, length) = image.parts[0];
    let code_end = start + length as u64;
    let functions = disassemble(&image, &path, code_end);
    // Where anything may begin: what is referred to, from code or from data.
    let mut begins: BTreeSet<u64> =
        functions.values().flat_map(|function| function.operands.keys()).copied().collect();
    for &(_, start, length) in &image.parts[1..] {
        begins.extend(image.words(start, start + length as u64).filter(|&word| image.holds(word)));
    }

    let mut came_from = BTreeMap::new();
    let mut waiting = VecDeque::new();
    for entry in ENTRIES {
        let found = functions.iter().find(|(_, function)| function.name.ends_with(entry));
        let (&address, _) = found.unwrap_or_else(|| panic!("the kernel has no {entry}"));
        came_from.insert(address, None);
        waiting.push_back(address);
    }
    let panic_handler = functions.iter().find(|(_, function)| function.name.ends_with("rust_begin_unwind"));
    let panic_handler = panic_handler.map(|(&address, _)| address);
    let (mut faults, mut not_followed) = (Vec::new(), BTreeSet::new());
    while let Some(address) = waiting.pop_front() {
        let function = &functions[&address];
        if let Some(name) = NOT_FOLLOWED.iter().find(|name| function.name.ends_with(*name)) {
            not_followed.insert(*name);
            continue;
        }
        let mut next = BTreeSet::new();
        for (&operand, &reach) in &function.operands {
            if operand < code_end {
                next.extend(owner(&functions, operand, code_end));
            } else {
                let end = begins.range(operand + 1..).next().copied().unwrap_or(u64::MAX);
                let end = end.min(operand.saturating_add(reach));
                next.extend(image.words(operand, end).filter(|word| functions.contains_key(word)));
            }
        }
        for callee in next {
            if callee == address {
                continue;
            }
            let name = &functions[&callee].name;
            if name.contains("core::panicking") || Some(callee) == panic_handler {
                let mut way = vec![name.as_str(), function.name.as_str()];
                let mut at = address;
                while let Some(&Some(before)) = came_from.get(&at) {
                    way.push(&functions[&before].name);
                    at = before;
                }
                way.reverse();
                faults.push(way.join(" -> "));
            } else if let Entry::Vacant(new) = came_from.entry(callee) {
                new.insert(Some(address));
                waiting.push_back(callee);
            }
        }
    }
    assert!(faults.is_empty(), "ways to a panic:\n{}", faults.join("\n"));
    // A look at too little would find nothing either.
    assert_eq!(
        not_followed.len(),
        NOT_FOLLOWED.len(),
        "only {not_followed:?} were met: the walk stops short"
    );
    assert!(
        came_from.len() > 30,
        "the panic path has only {} functions: the walk stops short",
        came_from.len()
    );
}
