//! One ELF file: a vmlinux, a module, or what holds their debug information.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use addr2line::Loader;
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

use super::symbol::Symbol;

/// Why a file can't be used.
#[derive(Debug)]
pub enum Error {
    /// It can't be read, or holds something else.
    File(String),
    /// It is a kernel as a boot loader takes it.
    Packed,
    /// It tells nothing of its functions.
    Stripped,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::File(error) => f.write_str(error),
            Error::Packed => f.write_str("a packed kernel has no symbols: give the ELF file, vmlinux"),
            Error::Stripped => f.write_str(
                "it has no symbols: a file that is not stripped is needed, or the distribution's debug package of it",
            ),
        }
    }
}

/// Where a function of a name lies, how long its symbol says that it is, and how far the next one is: Linux counts the
/// latter.
#[derive(Clone, Copy, Debug)]
struct Function {
    address: u64,
    size: u64,
    distance: u64,
}

/// An ELF file with symbols.
pub struct Image {
    path: PathBuf,
    loader: Loader,
    /// Where its code lies.
    code: Vec<Range<u64>>,
    build_id: Option<String>,
    /// By their names, once one is asked for.
    functions: OnceCell<HashMap<String, Vec<Function>>>,
}

impl Image {
    /// Reads a file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(|error| Error::File(error.to_string()))?;
        // The boot protocol's magic, at its place in the first sector.
        if bytes.get(0x202..0x206) == Some(b"HdrS") {
            return Err(Error::Packed);
        }
        let file = object::File::parse(&*bytes).map_err(|error| Error::File(error.to_string()))?;
        let has_functions = file.symbols().any(|symbol| symbol.kind() == SymbolKind::Text);
        if !has_functions && file.section_by_name(".debug_info").is_none() {
            return Err(Error::Stripped);
        }
        let code = file.sections().filter(|section| section.kind() == SectionKind::Text);
        let code =
            code.map(|section| section.address()..section.address().saturating_add(section.size())).collect();
        let build_id = build_id(&file);
        let loader = Loader::new(path).map_err(|error| Error::File(error.to_string()))?;
        Ok(Image { path: path.to_owned(), loader, code, build_id, functions: OnceCell::new() })
    }

    /// What identifies the build, in hexadecimal digits.
    pub fn build_id(&self) -> Option<&str> {
        self.build_id.as_deref()
    }

    /// Whether there is code at this address.
    pub fn has(&self, address: u64) -> bool {
        self.code.iter().any(|code| code.contains(&address))
    }

    /// Where the function of this name and size lies. Of several, that of the size.
    pub fn function(&self, name: &str, size: u64) -> Option<u64> {
        let functions = self.functions.get_or_init(|| functions(&self.path).unwrap_or_default());
        let all = functions.get(name)?;
        let is_it = |function: &&Function| function.distance == size || function.size == size;
        let function = all.iter().find(is_it).or(if all.len() == 1 { all.first() } else { None })?;
        Some(function.address)
    }

    /// The functions at an address, inlined ones first; `shown` is how it was logged.
    pub fn frames(&self, shown: &str, address: u64) -> Vec<Symbol> {
        let mut symbols = Vec::new();
        if let Ok(mut frames) = self.loader.find_frames(address) {
            while let Ok(Some(frame)) = frames.next() {
                let function = frame
                    .function
                    .and_then(|function| function.demangle().ok().map(|name| name.into_owned()));
                let place = frame.location;
                symbols.push(Symbol {
                    address: shown.to_owned(),
                    function,
                    file: place.as_ref().and_then(|place| place.file).map(str::to_owned),
                    line: place.as_ref().and_then(|place| place.line),
                });
            }
        }
        if symbols.iter().all(|symbol| symbol.function.is_none()) {
            // No debug information of this code: the symbol table still has the function.
            let function = self.loader.find_symbol(address);
            let function = function.map(|name| addr2line::demangle_auto(name.into(), None).into_owned());
            let line = symbols.pop();
            symbols.push(Symbol {
                address: shown.to_owned(),
                function,
                file: line.as_ref().and_then(|line| line.file.clone()),
                line: line.and_then(|line| line.line),
            });
        }
        symbols
    }
}

/// The build id of a file, in hexadecimal digits.
pub fn build_id(file: &object::File<'_>) -> Option<String> {
    let id = file.build_id().ok().flatten()?;
    Some(id.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn functions(path: &Path) -> Option<HashMap<String, Vec<Function>>> {
    let bytes = fs::read(path).ok()?;
    let file = object::File::parse(&*bytes).ok()?;
    // Assembly's have no type, as the beginning of an interrupt's entry.
    let is_function = |symbol: &object::Symbol| {
        matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Unknown | SymbolKind::Label)
            && symbol.section_index().is_some()
    };
    let mut all: Vec<_> = file.symbols().filter(is_function).collect();
    all.sort_by_key(|symbol| (symbol.section_index().map(|section| section.0), symbol.address()));
    let mut by_name: HashMap<String, Vec<Function>> = HashMap::new();
    for (index, symbol) in all.iter().enumerate() {
        let Ok(name) = symbol.name() else { continue };
        let (address, section) = (symbol.address(), symbol.section_index());
        let later = all.iter().skip(index).find(|next| next.address() > address);
        let next = later.filter(|next| next.section_index() == section).map(|next| next.address());
        let end = || {
            let section = file.section_by_index(section?).ok()?;
            section.address().checked_add(section.size())
        };
        let distance = next.or_else(end).map_or(0, |next| next.saturating_sub(address));
        let function = Function { address, size: symbol.size(), distance };
        by_name.entry(name.to_owned()).or_default().push(function);
    }
    Some(by_name)
}
