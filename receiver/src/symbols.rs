//! Addresses in crash reports become function, file and line, from the kernel's ELF file, if its build id is the
//! one that the kernel logged; or functions alone from a Linux's System.map.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::LazyLock;

use addr2line::Loader;
use object::{Object, ObjectSection, SectionKind};
use regex::Regex;
use serde::Serialize;

use crate::event::{Event, Heard};
use crate::limits;
use crate::system_map::SystemMap;

/// Addresses translated of one record, inlined functions included.
const SYMBOLS: usize = 64;

static BUILD_ID: LazyLock<Regex> = LazyLock::new(|| regex(r"(?i)\bbuild[ -]id:? ([0-9a-f]{40})\b"));
/// ` [<0000000000101234>]`, or `? 0xffffffff81001234` of a crashed Linux: a return address, which is one after the call;
/// other addresses stand for themselves.
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?:\[<(?:0x)?|\? 0x)([0-9a-fA-F]{8,16})\b(?:>\])?|\b0x([0-9a-fA-F]{5,16})\b|\b([0-9a-fA-F]{16})\b",
    )
});

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern, compiled in the tests")
}

/// Why an ELF file can't be used.
#[derive(Debug)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Symbol {
    /// As logged, `0x…`.
    pub address: String,
    /// The function, demangled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The source file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.address, self.function.as_deref().unwrap_or("?"))?;
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, " at {file}:{line}"),
            (Some(file), None) => write!(f, " at {file}"),
            _ => Ok(()),
        }
    }
}

/// What the ELF file says about a record.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Translation {
    /// The addresses' places, inlined functions first.
    pub symbols: Vec<Symbol>,
    /// Said once per sender, where the ELF file does not fit or may not fit.
    pub warning: Option<String>,
}

/// Where the names are from.
enum Source {
    /// An ELF file, and where its code lies.
    Elf(Box<Loader>, Vec<std::ops::Range<u64>>),
    Map(SystemMap),
}

/// The kernel's symbols.
pub struct Symbols {
    source: Source,
    build_id: Option<String>,
    /// The build ids that senders logged, and whether they were warned about.
    senders: HashMap<SocketAddr, (Option<String>, bool)>,
}

impl Symbols {
    /// Reads an ELF file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(|error| Error(error.to_string()))?;
        let file = object::File::parse(&*bytes).map_err(|error| Error(error.to_string()))?;
        let build_id = file.build_id().ok().flatten();
        let build_id = build_id.map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect());
        let code = file.sections().filter(|section| section.kind() == SectionKind::Text);
        let code =
            code.map(|section| section.address()..section.address().saturating_add(section.size())).collect();
        let loader = Loader::new(path).map_err(|error| Error(error.to_string()))?;
        Ok(Symbols { source: Source::Elf(Box::new(loader), code), build_id, senders: HashMap::new() })
    }

    /// Reads a Linux's System.map, which does not tell of what build it is.
    pub fn open_map(path: &Path) -> Result<Self, Error> {
        let map = SystemMap::open(path).map_err(Error)?;
        Ok(Symbols { source: Source::Map(map), build_id: None, senders: HashMap::new() })
    }

    /// Notes a build id that the record tells; translates the addresses of a crash report.
    pub fn translate(&mut self, heard: &Heard) -> Translation {
        let Event::Record { record, crash, .. } = &heard.event else { return Translation::default() };
        if let Some(id) = BUILD_ID.captures(&record.text).and_then(|captures| captures.get(1))
            && self.senders.len() < limits::FILES
        {
            self.senders.insert(heard.sender.address, (Some(id.as_str().to_lowercase()), false));
        }
        if !crash {
            return Translation::default();
        }
        let addresses = self.addresses(&record.text);
        if addresses.is_empty() {
            return Translation::default();
        }
        let (known, warned) = self.senders.get(&heard.sender.address).cloned().unwrap_or_default();
        let is_map = matches!(self.source, Source::Map(_));
        let fits = is_map || known.is_none() || known == self.build_id;
        let warning = if warned || is_map { None } else { self.warning(known.as_deref()) };
        if warning.is_some() && self.senders.len() < limits::FILES {
            self.senders.insert(heard.sender.address, (known, true));
        }
        let addresses = if fits { addresses } else { Vec::new() };
        let symbols = addresses.iter().flat_map(|&address| self.frames(address)).take(SYMBOLS).collect();
        Translation { symbols, warning }
    }

    /// Why the addresses of a sender with this build id are not translated, or perhaps wrongly.
    fn warning(&self, known: Option<&str>) -> Option<String> {
        let own = self.build_id.as_deref();
        match known {
            None => Some("the sender's build id was not heard: the ELF file may not be its own".to_owned()),
            Some(id) if Some(id) == own => None,
            Some(id) => Some(format!(
                "addresses are not translated: the sender's build id is {id}, the ELF file's {}",
                own.unwrap_or("missing")
            )),
        }
    }

    /// Each address of code in the text once, with the one to look up.
    fn addresses(&self, text: &str) -> Vec<(u64, u64)> {
        let mut addresses = Vec::new();
        for captures in ADDRESS.captures_iter(text) {
            let is_return = captures.get(1).is_some();
            let digits = captures.iter().skip(1).flatten().next().map_or("", |digits| digits.as_str());
            let Ok(address) = u64::from_str_radix(digits, 16) else { continue };
            let probe = address.saturating_sub(u64::from(is_return));
            let is_code = match &self.source {
                Source::Elf(_, code) => code.iter().any(|code| code.contains(&probe)),
                Source::Map(map) => map.has(probe),
            };
            if is_code && !addresses.contains(&(address, probe)) {
                addresses.push((address, probe));
            }
        }
        addresses
    }

    fn frames(&self, (address, probe): (u64, u64)) -> Vec<Symbol> {
        let shown = format!("{address:#x}");
        let loader = match &self.source {
            Source::Elf(loader, _) => loader,
            Source::Map(map) => {
                let function = map.function(probe).map(|(name, offset)| {
                    // As Linux writes it, of the address itself.
                    format!("{name}+{:#x}", offset.saturating_add(address.saturating_sub(probe)))
                });
                return vec![Symbol { address: shown, function, file: None, line: None }];
            }
        };
        let address = shown;
        let mut symbols = Vec::new();
        if let Ok(mut frames) = loader.find_frames(probe) {
            while let Ok(Some(frame)) = frames.next() {
                let function = frame
                    .function
                    .and_then(|function| function.demangle().ok().map(|name| name.into_owned()));
                let place = frame.location;
                symbols.push(Symbol {
                    address: address.clone(),
                    function,
                    file: place.as_ref().and_then(|place| place.file).map(str::to_owned),
                    line: place.as_ref().and_then(|place| place.line),
                });
            }
        }
        if symbols.iter().all(|symbol| symbol.function.is_none()) {
            // No debug information of this code: the symbol table still has the function.
            let function = loader.find_symbol(probe);
            let function = function.map(|name| addr2line::demangle_auto(name.into(), None).into_owned());
            let line = symbols.pop();
            symbols.push(Symbol {
                address,
                function,
                file: line.as_ref().and_then(|line| line.file.clone()),
                line: line.and_then(|line| line.line),
            });
        }
        symbols
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
