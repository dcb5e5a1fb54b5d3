//! What each feature of the kernel takes: code, and memory that is zero at first.

use crate::trace::kernel_debug;
use std::collections::BTreeMap;
use std::process::Command;

/// Below this a part is one of the others, in bytes.
const SMALL: u64 = 2048;

/// Features, and what their code is named by: modules, and crates that nothing else uses. The first that fits counts.
const FEATURES: [(&str, &[&str]); 24] = [
    ("virtio cards", &["netconsole::nic::virtio", "virtio_drivers"]),
    ("Intel cards", &["netconsole::nic::intel"]),
    ("RTL8139", &["netconsole::nic::rtl8139"]),
    ("Realtek gigabit cards", &["netconsole::nic::rtl8168"]),
    ("vmxnet3", &["netconsole::nic::vmxnet3"]),
    (
        "UEFI: its entry, cards by its driver",
        &["netconsole::nic::firmware", "netconsole::machine::firmware", "netconsole::machine::efi"],
    ),
    (
        "PCI, IOMMUs, what all cards share",
        &["netconsole::nic", "netconsole::buses", "netconsole::find_cards", "netconsole::machine::pci"],
    ),
    ("serial console", &["netconsole::serial_console", "netconsole::machine::uart"]),
    ("console and its commands", &["netconsole::console", "netconsole::runtime::consoles"]),
    ("ncrx: resending", &["netconsole::ncrx"]),
    ("sealing with a key", &["netconsole::seal"]),
    ("DHCP, ARP, NDP, IPv6, ping", &["netconsole::stack", "smoltcp", "netconsole::runtime::vlan"]),
    ("log of a crashed Linux", &["linuxlog", "netconsole::linux", "netconsole::machine::old_memory"]),
    ("panic: report and last words", &["netconsole::panic", "netconsole::last_words", "netconsole::crash"]),
    ("the log's ring", &["netconsole::ring", "netconsole::log", "netconsole::last_log"]),
    (
        "targets, formats, shipping",
        &[
            "netconsole::targets",
            "netconsole::format",
            "netconsole::wire",
            "netconsole::runtime",
            "netconsole::plan",
        ],
    ),
    (
        "parameters",
        &[
            "netconsole::settings",
            "netconsole::cmdline",
            "bootinfo::parameters",
            "netconsole_bootinfo::parameters",
        ],
    ),
    ("loaders, ACPI, SMBIOS", &["bootinfo", "netconsole_bootinfo", "netconsole::describe"]),
    ("page tables, stacks", &["netconsole::machine::paging", "netconsole::machine::stacks"]),
    ("the rest of the machine", &["netconsole::machine"]),
    (
        "the boot, and serving after it",
        &[
            "netconsole::kernel_main",
            "netconsole::entry",
            "netconsole::start",
            "netconsole::kernel",
            "netconsole::after",
        ],
    ),
    ("what parts share: the library's memory, texts", &["netconsole::memory", "netconsole::text"]),
    // T: what a generic type of Rust's has for one of ours.
    ("Rust's own, locks", &["core", "spin", "T"]),
    // What the compiler calls them.
    ("constants without a name", &["Lanon"]),
];

/// Prints the parts, the largest first.
pub fn print() -> Result<(), String> {
    let path = kernel_debug();
    let output = Command::new("nm").args(["-S", "-C", "--defined-only"]).arg(&path).output();
    let output = output.map_err(|error| format!("nm (binutils): {error}"))?;
    let parts = parts(&String::from_utf8_lossy(&output.stdout));
    if parts.is_empty() {
        return Err(format!("{} has no symbols: run scripts/build", path.display()));
    }
    let (mut large, mut others) = (Vec::new(), [0, 0]);
    for (name, sizes) in parts {
        if sizes.iter().sum::<u64>() >= SMALL {
            large.push((name, sizes));
        } else {
            others = [others[0] + sizes[0], others[1] + sizes[1]];
        }
    }
    large.sort_by_key(|(_, sizes)| std::cmp::Reverse(sizes.iter().sum::<u64>()));
    large.push(("others".into(), others));
    println!("\n{:46} {:>16} {:>12}", "feature of the kernel, KiB", "code, constants", "memory");
    for (name, [code, memory]) in large {
        println!("{name:46} {:16.1} {:12.1}", code as f64 / 1024.0, memory as f64 / 1024.0);
    }
    Ok(())
}

/// The bytes of code and constants, and of memory, of each part, by what nm prints: address, size, kind, name.
fn parts(symbols: &str) -> BTreeMap<String, [u64; 2]> {
    let mut parts = BTreeMap::<String, [u64; 2]>::new();
    for line in symbols.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let [_, size, kind, name] = words[..] else { continue };
        // Three words and a name that has a blank: without a size.
        let Ok(size) = u64::from_str_radix(size, 16) else { continue };
        let is_memory = kind.eq_ignore_ascii_case("b");
        parts.entry(part(name)).or_default()[usize::from(is_memory)] += size;
    }
    parts
}

/// The feature that a name is of; else the crate, and of our own the module, too.
fn part(name: &str) -> String {
    let start = name.find(|c: char| c.is_ascii_alphabetic() || c == '_').unwrap_or_default();
    let mut path =
        name[start..].split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    let first = path.find(|word| !matches!(*word, "impl" | "dyn" | "mut")).unwrap_or_default();
    let second = path.next();
    let whole = [Some(first), second, path.next()].into_iter().flatten().collect::<Vec<_>>().join("::");
    let is_in = |module: &str| {
        whole.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    if let Some((feature, _)) =
        FEATURES.iter().find(|(_, modules)| modules.iter().any(|module| is_in(module)))
    {
        return (*feature).into();
    }
    match second {
        Some(second) if matches!(first, "netconsole" | "bootinfo" | "netconsole_bootinfo" | "linuxlog") => {
            format!("{first}::{second}")
        }
        _ => first.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{part, parts};

    #[test]
    fn names_are_of_parts() {
        assert_eq!(part("netconsole::console::job::Job::step"), "console and its commands");
        assert_eq!(
            part("<netconsole::nic::virtio::net::VirtioNet as netconsole::nic::Nic>::send"),
            "virtio cards"
        );
        assert_eq!(part("netconsole::nic::pci::Walk::next"), "PCI, IOMMUs, what all cards share");
        assert_eq!(part("netconsole::kernel::Kernel::poll"), "the boot, and serving after it");
        assert_eq!(part("netconsole::kernel_main"), "the boot, and serving after it");
        assert_eq!(part("netconsole::ringing::BELL"), "netconsole::ringing");
        assert_eq!(part("smoltcp::iface::interface::Interface::poll"), "DHCP, ARP, NDP, IPv6, ping");
        assert_eq!(part("<&mut T as core::fmt::Write>::write_str"), "Rust's own, locks");
        assert_eq!(part("memcpy"), "memcpy");
    }

    #[test]
    fn sizes_are_added() {
        let parts = parts(
            "0000000000100000 0000000000000010 t core::fmt::write\n\
             0000000000100010 0000000000000020 T core::str::find\n\
             0000000000200000 0000000000001000 b netconsole::memory::MEMORY\n\
             0000000000300000 T image_end\n",
        );
        assert_eq!(parts["Rust's own, locks"], [0x30, 0]);
        assert_eq!(parts["what parts share: the library's memory, texts"], [0, 0x1000]);
        assert_eq!(parts.len(), 2);
    }
}
