//! The rights of memory, as the kernel finds them from inside and as QEMU sees them from outside.

use crate::harness::{Boot, Machine, Peer};

const TARGET: &str = "10.0.0.2:6666";

fn boot(name: &'static str, cpu: &str) -> Machine {
    let boot = Boot::new(name, "debug netconsole=+@10.0.0.1/,@10.0.0.2/").peer(Peer::at("10.0.0.2"));
    let machine = boot.arguments(["-cpu", cpu]).start();
    machine.wait_for_text(TARGET, "paging: checked");
    machine
}

/// A line of QEMU's `info tlb`: `VIRTUAL: PHYSICAL XGPDACTUW`, a dash for a flag that is not set.
struct Page {
    address: u64,
    physical: u64,
    no_execute: bool,
    large: bool,
    user: bool,
    writable: bool,
}

impl Page {
    fn parse(line: &str) -> Option<Self> {
        let (address, rest) = line.trim().split_once(": ")?;
        let (physical, flags) = rest.split_once(' ')?;
        let [x, _, p, _, _, _, _, u, w] = flags.as_bytes() else { return None };
        Some(Self {
            address: u64::from_str_radix(address, 16).ok()?,
            physical: u64::from_str_radix(physical, 16).ok()?,
            no_execute: *x == b'X',
            large: *p == b'P',
            user: *u == b'U',
            writable: *w == b'W',
        })
    }
}

#[test]
fn no_page_is_writable_and_executable_or_there_twice() {
    let mut machine = boot("protections", "qemu64");
    let pages: Vec<Page> = machine.monitor("info tlb").lines().filter_map(Page::parse).collect();
    let capture = machine.stop();

    assert!(pages.len() > 3000, "4 GiB are mapped: {} pages", pages.len());
    let code: Vec<&Page> = pages.iter().filter(|page| !page.no_execute).collect();
    assert!(!code.is_empty());
    for page in &code {
        assert!(!page.writable && !page.large, "{:#x} is code", page.address);
    }
    // Code is one piece from 1 MiB on.
    assert_eq!(code[0].address, 1 << 20);
    assert!(code.windows(2).all(|pair| pair[1].address == pair[0].address + 4096));
    assert!(pages.iter().all(|page| page.address == page.physical), "an alias");
    assert!(pages.iter().all(|page| !page.user), "a page of ring 3");
    assert!(pages.iter().all(|page| page.address != 0), "page 0");

    // The kernel counted the same from inside.
    let messages = capture.messages(TARGET);
    let texts = || messages.iter().map(|message| message.text.as_str());
    let checked = texts().find_map(|text| text.strip_prefix("paging: checked ")).expect("the check's line");
    let expected = format!("{} pages: {} KiB code, ", pages.len(), code.len() * 4);
    assert!(checked.starts_with(&expected), "{checked}, where QEMU sees {expected}");
    let guards = checked.split_once("page 0 and ").and_then(|(_, rest)| rest.split_once(" guards absent"));
    let guards: usize = guards.expect("the guards").0.parse().expect("their number");
    // Below the first large page only page 0 and the guards are missing.
    let first_large = pages.iter().filter(|page| page.large).map(|page| page.address).min().expect("one");
    let small = pages.iter().filter(|page| page.address < first_large).count();
    assert_eq!(first_large as usize / 4096 - small, guards + 1);
    assert!(!texts().any(|text| text == "cpu: SMEP is on"), "qemu64 has it not");
}

#[test]
fn smep_smap_and_umip_are_on_where_the_cpu_has_them() {
    let mut machine = boot("protections-cpu", "max");
    let registers = machine.monitor("info registers");
    let messages = machine.stop().messages(TARGET);
    for name in ["SMEP", "SMAP", "UMIP"] {
        assert!(messages.iter().any(|message| message.text == format!("cpu: {name} is on")), "{name}");
    }
    let cr4 = registers.split_once("CR4=").expect("CR4").1.split_whitespace().next().expect("its value");
    let cr4 = u64::from_str_radix(cr4, 16).expect("hexadecimal digits");
    // SDM volume 3, section 2.5: UMIP, SMEP, SMAP.
    for bit in [11, 20, 21] {
        assert_ne!(cr4 & 1 << bit, 0, "CR4 {cr4:#x}, bit {bit}");
    }
}
