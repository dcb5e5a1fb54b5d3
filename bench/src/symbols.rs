//! Where the kernel's functions lie, and which source files its instructions come from.

use crate::trace::kernel_debug;
use std::collections::HashMap;
use std::io::Write;
use std::ops::Range;
use std::process::{Command, Stdio};

/// The kernel's symbols.
pub struct Symbols {
    /// By address.
    functions: Vec<(u64, String)>,
    /// What linker.ld defines, among others.
    others: HashMap<String, u64>,
}

impl Symbols {
    /// Reads them with binutils' nm.
    pub fn read() -> Result<Self, String> {
        let path = kernel_debug();
        let output = Command::new("nm").args(["-n", "-C"]).arg(&path).output();
        let output = output.map_err(|error| format!("nm (binutils): {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (mut functions, mut others) = (Vec::new(), HashMap::new());
        for line in text.lines() {
            let words: Vec<&str> = line.splitn(3, ' ').collect();
            let [address, kind, name] = words[..] else { continue };
            let Ok(address) = u64::from_str_radix(address, 16) else { continue };
            match kind {
                "t" | "T" => functions.push((address, name.to_owned())),
                _ => _ = others.insert(name.to_owned(), address),
            }
        }
        if functions.is_empty() {
            return Err(format!("{} has no symbols: run scripts/build", path.display()));
        }
        Ok(Self { functions, others })
    }

    /// How much memory the kernel takes while it runs, in bytes: from its first byte to the log ring's last, as
    /// the boot log says. No program header tells of the ring, which no loader may clear.
    pub fn memory(&self) -> Result<u64, String> {
        let address = |name: &str| {
            let function = || self.function(name).map(|range| range.start).ok();
            let address = self.others.get(name).copied().or_else(function);
            address.ok_or_else(|| format!("the kernel has no symbol {name}"))
        };
        Ok(address("persistent_end")? - address("image_start")?)
    }

    /// Where the function lies whose demangled name is `name`.
    pub fn function(&self, name: &str) -> Result<Range<u64>, String> {
        let place = self.functions.iter().position(|(_, symbol)| symbol == name);
        let place = place.ok_or_else(|| format!("the kernel has no function {name}"))?;
        let start = self.functions[place].0;
        let end =
            self.functions[place..].iter().map(|&(address, _)| address).find(|&address| address > start);
        Ok(start..end.unwrap_or(u64::MAX))
    }

    /// The name of the function at an address.
    pub fn name(&self, address: u64) -> &str {
        let after = self.functions.partition_point(|&(start, _)| start <= address);
        after.checked_sub(1).map_or("?", |place| &self.functions[place].1)
    }
}

/// For each address the source lines that it comes from, `path:line`, the innermost inlined function's
/// first, by binutils' addr2line.
pub fn lines(addresses: &[u64]) -> Result<HashMap<u64, Vec<String>>, String> {
    let mut child = Command::new("addr2line")
        .args(["-a", "-i", "-e"])
        .arg(kernel_debug())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("addr2line (binutils): {error}"))?;
    let mut stdin = child.stdin.take().ok_or("addr2line's input is piped")?;
    let input: String = addresses.iter().map(|address| format!("{address:#x}\n")).collect();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    writer.join().map_err(|_| "addr2line's input")?.map_err(|error| error.to_string())?;
    let mut lines = HashMap::<u64, Vec<String>>::new();
    let mut current = 0;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        match line.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok()) {
            Some(address) => current = address,
            None => lines.entry(current).or_default().push(line.to_owned()),
        }
    }
    Ok(lines)
}
