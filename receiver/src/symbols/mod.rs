//! What crash reports name becomes function, file and line, from the kernel's and its modules' ELF files: addresses, and
//! Linux's `function+0x3/0x29 [module]`. The file is the sender's own where the build id is the one that it logged; or
//! functions alone come from a Linux's System.map.

pub mod error;
pub mod image;
pub mod library;
pub mod symbol;
pub mod system_map;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::sync::LazyLock;

use regex::Regex;

use crate::event::{Event, Heard};
use crate::limits;

pub use error::Error;
use image::Image;
use library::Library;
pub use symbol::Symbol;
use system_map::SystemMap;

/// The longest release that is believed: Linux's has 64 bytes.
const RELEASE_BYTES: usize = 128;
/// Addresses translated of one record, inlined functions included.
const SYMBOLS: usize = 64;

/// A build id that is called so, and the one that Linux adds to the line about the CPU (CONFIG_STACKTRACE_BUILD_ID).
static BUILD_ID: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)\bbuild[ -]id:? ([0-9a-f]{40})\b|^CPU: .* ([0-9a-f]{40})$"));
/// The release, in Linux's first line and in the one about the CPU.
static RELEASE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^Linux version (\S+) |^CPU: .*ainted:?(?: [A-Z ]+)? (\d\S*) #"));
/// How far the kernel was moved from where it was linked to, which ends a panic's report.
static OFFSET: LazyLock<Regex> = LazyLock::new(|| regex(r"^Kernel Offset: 0x([0-9a-f]+) from 0x"));
/// ` [<0000000000101234>]`, or `? 0xffffffff81001234` of a crashed Linux: a return address, which is one after the call;
/// other addresses stand for themselves.
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?:\[<(?:0x)?|\? 0x)([0-9a-fA-F]{8,16})\b(?:>\])?|\b0x([0-9a-fA-F]{5,16})\b|\b([0-9a-fA-F]{16})\b",
    )
});
/// `nfs_permission+0x10/0x2b0 [nfs]`, also with the module's build id.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"([A-Za-z_][\w.$]*)\+0x([0-9a-f]+)/0x([0-9a-f]+)(?: \[([\w-]+)(?: ([0-9a-f]{40}))?\])?")
});
/// Lines about where a CPU is, not about where it returns to.
static IS_PLACE: LazyLock<Regex> = LazyLock::new(|| regex(r"\b(?:[RE]?IP|PC|pc|NIP|epc)\b"));

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern, compiled in the tests")
}

/// What the files say about a record.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Translation {
    /// The addresses' places, inlined functions first.
    pub symbols: Vec<Symbol>,
    /// Said once per sender, where a file does not fit or may not fit.
    pub warning: Option<String>,
}

/// Where the names are from.
enum Source {
    Files(Library),
    Map(SystemMap),
}

/// What a sender said of its kernel.
#[derive(Clone, Debug, Default)]
struct Kernel {
    build_id: Option<String>,
    release: Option<String>,
    /// How far it was moved.
    offset: u64,
    /// The sender was warned about.
    is_warned: bool,
    /// When it last told something of its kernel, in the order of all.
    number: u64,
}

/// Where there are too many kernels, so much of them is forgotten.
const FORGOTTEN: usize = 8;

/// The kernel's symbols.
pub struct Symbols {
    source: Source,
    kernels: HashMap<SocketAddr, Kernel>,
    told: u64,
}

impl Symbols {
    /// Reads an ELF file, or finds those of a directory.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Symbols { source: Source::Files(Library::open(path)?), kernels: HashMap::new(), told: 0 })
    }

    /// Reads a Linux's System.map, which does not tell of what build it is.
    pub fn open_map(path: &Path) -> Result<Self, Error> {
        let map = SystemMap::open(path).map_err(Error::Map)?;
        Ok(Symbols { source: Source::Map(map), kernels: HashMap::new(), told: 0 })
    }

    /// Notes what the record tells of the kernel; translates what a crash report names.
    pub fn translate(&mut self, heard: &Heard) -> Translation {
        let Event::Record { record, crash, .. } = &heard.event else { return Translation::default() };
        let address = heard.sender.address;
        self.note(address, &record.text, record.release.as_deref());
        if *crash { self.places(address, &record.text) } else { Translation::default() }
    }

    /// The same of a line of a file, whoever sent it.
    pub fn translate_line(&mut self, text: &str) -> Translation {
        let nobody = (Ipv4Addr::UNSPECIFIED, 0).into();
        self.note(nobody, text, None);
        self.places(nobody, text)
    }

    fn note(&mut self, sender: SocketAddr, text: &str, release: Option<&str>) {
        let build_id = BUILD_ID.captures(text).and_then(|captures| first(&captures));
        let offset = OFFSET
            .captures(text)
            .and_then(|captures| u64::from_str_radix(captures.get(1)?.as_str(), 16).ok());
        let said = RELEASE.captures(text).and_then(|captures| first(&captures));
        let release = release.map(str::to_owned).or(said).filter(|release| release.len() <= RELEASE_BYTES);
        if build_id.is_none() && offset.is_none() && release.is_none() {
            return;
        }
        let kernel = self.kernel(sender);
        if let Some(build_id) = build_id {
            kernel.is_warned &= kernel.build_id.as_deref() == Some(&build_id);
            kernel.build_id = Some(build_id.to_lowercase());
        }
        kernel.offset = offset.unwrap_or(kernel.offset);
        if release.is_some() {
            kernel.release = release;
        }
    }

    /// A sender's kernel. Where there are too many, those go of which nothing was told for longest.
    fn kernel(&mut self, sender: SocketAddr) -> &mut Kernel {
        if self.kernels.len() >= limits::FILES && !self.kernels.contains_key(&sender) {
            let mut oldest: Vec<_> =
                self.kernels.iter().map(|(sender, kernel)| (kernel.number, *sender)).collect();
            oldest.sort_unstable();
            for (_, sender) in oldest.iter().take(oldest.len().div_ceil(FORGOTTEN)) {
                self.kernels.remove(sender);
            }
        }
        self.told = self.told.saturating_add(1);
        let kernel = self.kernels.entry(sender).or_default();
        kernel.number = self.told;
        kernel
    }

    fn places(&mut self, sender: SocketAddr, text: &str) -> Translation {
        let kernel = self.kernels.get(&sender).cloned().unwrap_or_default();
        let (build_id, release) = (kernel.build_id.as_deref(), kernel.release.as_deref());
        let library = match &mut self.source {
            Source::Map(map) => return Translation { symbols: of_map(map, &kernel, text), warning: None },
            Source::Files(library) => library,
        };
        let image = library.kernel(build_id, release);
        let mut symbols = Vec::new();
        for place in NAME.captures_iter(text) {
            let part = |index| place.get(index).map(|part: regex::Match<'_>| part.as_str());
            let number = |index| part(index).and_then(|digits| u64::from_str_radix(digits, 16).ok());
            let (Some(name), Some(offset), Some(size)) = (part(1), number(2), number(3)) else { continue };
            let image = match part(4) {
                Some(module) => library.module(module, part(5), release),
                None => image.as_ref().ok().cloned(),
            };
            let Some(image) = image else { continue };
            let Some(function) = image.function(name, size) else { continue };
            // A return address is one after the call.
            let back = u64::from(offset > 0 && !IS_PLACE.is_match(text));
            let address = function.saturating_add(offset).saturating_sub(back);
            symbols.extend(image.frames(place.get(0).map_or("", |place| place.as_str()), address));
        }
        let mut has_addresses = false;
        for (address, probe) in addresses(text) {
            // Of a file that does not fit at least where it has code.
            let has = |image: &Rc<Image>| placed(image, probe, kernel.offset).is_some();
            has_addresses |= library.single().map_or(address > u64::from(u32::MAX), has);
            if let Ok(image) = &image
                && let Some(probe) = placed(image, probe, kernel.offset)
            {
                symbols.extend(image.frames(&format!("{address:#x}"), probe));
            }
        }
        symbols.truncate(SYMBOLS);
        let names_something = has_addresses || NAME.is_match(text);
        let warning = match image {
            _ if kernel.is_warned || !names_something => None,
            Err(why) => Some(why),
            Ok(_) if symbols.is_empty() => None,
            Ok(_) if build_id.is_none() => {
                Some("the sender's build id was not heard: the ELF file may not be its own".to_owned())
            }
            Ok(_) => None,
        };
        if warning.is_some() {
            self.kernel(sender).is_warned = true;
        }
        Translation { symbols, warning }
    }
}

/// The first group that is there.
fn first(captures: &regex::Captures<'_>) -> Option<String> {
    captures.iter().skip(1).flatten().next().map(|group| group.as_str().to_owned())
}

/// Where an address lies in a file, as the kernel runs or as it was linked.
fn placed(image: &Rc<Image>, address: u64, offset: u64) -> Option<u64> {
    [address, address.wrapping_sub(offset)].into_iter().find(|&address| image.has(address))
}

/// Each address in the text once, with the one to look up.
fn addresses(text: &str) -> Vec<(u64, u64)> {
    let mut addresses = Vec::new();
    for captures in ADDRESS.captures_iter(text) {
        let is_return = captures.get(1).is_some();
        let digits = first(&captures).unwrap_or_default();
        let Ok(address) = u64::from_str_radix(&digits, 16) else { continue };
        let probe = address.saturating_sub(u64::from(is_return));
        if !addresses.contains(&(address, probe)) {
            addresses.push((address, probe));
        }
    }
    addresses
}

/// The functions of a System.map that the addresses lie in.
fn of_map(map: &SystemMap, kernel: &Kernel, text: &str) -> Vec<Symbol> {
    let symbol = |(address, probe): (u64, u64)| {
        let tries = [probe, probe.wrapping_sub(kernel.offset)];
        let (name, offset) = tries.into_iter().find_map(|probe| map.function(probe))?;
        // As Linux writes it, of the address itself.
        let function = format!("{name}+{:#x}", offset.saturating_add(address.saturating_sub(probe)));
        Some(Symbol { address: format!("{address:#x}"), function: Some(function), file: None, line: None })
    };
    addresses(text).into_iter().filter_map(symbol).take(SYMBOLS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that is new has names for its addresses, however many there were before.
    #[test]
    fn of_very_many_kernels_the_newest_are_known() {
        let dir = tempfile::tempdir().expect("a directory");
        let map = dir.path().join("System.map");
        std::fs::write(&map, "ffffffff81000000 T _text\nffffffff82000000 T _etext\n").expect("a file");
        let mut symbols = Symbols::open_map(&map).expect("a map");
        let sender = |number: usize| SocketAddr::from(([10, 0, (number >> 8) as u8, number as u8], 6665));
        for number in 0..limits::FILES + 1 {
            symbols.note(sender(number), "Kernel Offset: 0x1000000 from 0xffffffff81000000", None);
            symbols.note(sender(1), "Kernel Offset: 0x2000000 from 0xffffffff81000000", None);
        }
        let offset = |number| symbols.kernels.get(&sender(number)).map(|kernel| kernel.offset);
        assert_eq!([0, 1, limits::FILES].map(offset), [None, Some(0x200_0000), Some(0x100_0000)]);
        assert!(symbols.kernels.len() <= limits::FILES);
    }

    #[test]
    fn the_patterns_find_what_kernels_log() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        assert!(BUILD_ID.is_match(&format!("netconsole 0.1.0, build id {id}")));
        let find = |text: &str| {
            let captures = ADDRESS.captures(text)?;
            captures.iter().skip(1).position(|group| group.is_some())
        };
        assert_eq!(find(" [<0000000000101234>]"), Some(0));
        assert_eq!(find("fault at 0x101234, rip"), Some(1));
        assert_eq!(find("? 0xffffffff81001234"), Some(0));
        assert_eq!(find("RIP: 0008:0000000000101234"), Some(2));
        assert_eq!(find("port 0x3f8"), None);
    }
}
