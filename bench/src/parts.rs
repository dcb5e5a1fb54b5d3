//! What each part of the kernel takes: code, and memory that is zero at first.

use crate::trace::kernel_debug;
use std::collections::BTreeMap;
use std::process::Command;

/// Below this a part is one of the others, in bytes.
const SMALL: u64 = 2048;

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
    println!("\n{:40} {:>16} {:>12}", "part of the kernel, KiB", "code, constants", "memory");
    for (name, [code, memory]) in large {
        println!("{name:40} {:16.1} {:12.1}", code as f64 / 1024.0, memory as f64 / 1024.0);
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

/// The crate that a name is of; of our own the module, too.
fn part(name: &str) -> String {
    let start = name.find(|c: char| c.is_ascii_alphabetic() || c == '_').unwrap_or_default();
    let mut path =
        name[start..].split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    let first = path.find(|word| !matches!(*word, "impl" | "dyn" | "mut")).unwrap_or_default();
    match path.next() {
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
        assert_eq!(part("netconsole::console::job::Job::step"), "netconsole::console");
        assert_eq!(
            part("<netconsole::nic::virtio::net::VirtioNet as netconsole::nic::Nic>::send"),
            "netconsole::nic"
        );
        assert_eq!(part("smoltcp::iface::interface::Interface::poll"), "smoltcp");
        assert_eq!(part("<&mut T as core::fmt::Write>::write_str"), "T");
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
        assert_eq!(parts["core"], [0x30, 0]);
        assert_eq!(parts["netconsole::memory"], [0, 0x1000]);
        assert_eq!(parts.len(), 2);
    }
}
