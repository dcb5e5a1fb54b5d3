//! Files that this program wrote, read again: text with times, or JSON, also compressed. Their lines are shown as they
//! are, where they are wanted.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use ruzstd::decoding::StreamingDecoder;
use serde::Deserialize;

use crate::escape::harmless;
use crate::progress::Progress;
use crate::selection::Selection;
use crate::symbols::{Symbols, Translation};

/// The first bytes of what is compressed with zstd (RFC 8878, section 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How each object begins.
const OBJECT: &[u8] = b"{\"event\":\"";
/// So much of a file is looked at for what it is.
const LOOK: u64 = 4096;
/// A line that is longer is taken for several.
const LINE_MOST: u64 = 16 << 20;

/// Why a file can't be read.
#[derive(Debug)]
pub enum Error {
    /// The file.
    File(io::Error),
    /// It is compressed, and damaged.
    Compressed(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::File(error) => error.fmt(f),
            Error::Compressed(error) => write!(f, "it is compressed, and damaged: {error}"),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::File(error)
    }
}

/// A file of lines.
pub struct Lines {
    lines: Box<dyn BufRead>,
    name: String,
}

/// What of an object is looked at.
#[derive(Deserialize)]
struct Object {
    received: String,
    sender: String,
    address: Option<IpAddr>,
    #[serde(default)]
    port: u16,
    text: Option<String>,
}

impl Lines {
    /// Opens it; `None` where it is no file of this program's, and not `any` text will do.
    pub fn open(path: &Path, any: bool, is_shown: bool) -> Result<Option<Self>, Error> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut file = BufReader::new(Progress::new(file, size, is_shown));
        let mut lines: Box<dyn BufRead> = if file.fill_buf()?.starts_with(&ZSTD) {
            let decoder =
                StreamingDecoder::new(file).map_err(|error| Error::Compressed(error.to_string()))?;
            Box::new(BufReader::new(decoder))
        } else {
            Box::new(file)
        };
        let mut first = Vec::new();
        lines.by_ref().take(LOOK).read_to_end(&mut first)?;
        let word = first.split(|byte| *byte == b' ').next().unwrap_or_default();
        let has_time = str::from_utf8(word).is_ok_and(|word| time(word).is_some());
        let is_ours = has_time || first.starts_with(OBJECT) || any && is_text(&first);
        let lines = Box::new(Cursor::new(first).chain(lines));
        Ok(is_ours.then(|| Lines { lines, name: machine(path) }))
    }

    /// Writes those that are wanted; below a line what it names of the kernel.
    pub fn show(
        mut self,
        selection: &Selection,
        mut symbols: Option<Symbols>,
        to: &mut impl Write,
    ) -> Result<(), Error> {
        let address = self.name.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, 0));
        let mut line = Vec::new();
        let mut is_wanted = true;
        while self.lines.by_ref().take(LINE_MOST).read_until(b'\n', &mut line)? > 0 {
            let mut translation = Translation::default();
            if let Ok(object) = serde_json::from_slice::<Object>(&line) {
                is_wanted = wants(selection, &object);
            } else if let Some((at, text)) = received(&line) {
                is_wanted = selection.has_time(at)
                    && (selection.has_host(&self.name, address) || has_named(selection, text))
                    && selection.has_text(text);
            }
            if let (Some(symbols), Ok(text)) = (&mut symbols, str::from_utf8(&line)) {
                // What begins so is no kernel's word, but what was said of one.
                let text = Some(message(text)).filter(|text| !text.starts_with('…'));
                translation = text.map(|text| symbols.translate_line(text)).unwrap_or_default();
            }
            // What has no time belongs to the line before.
            if is_wanted {
                to.write_all(&line)?;
                to.write_all(&below(&translation))?;
            }
            line.clear();
        }
        Ok(to.flush()?)
    }
}

/// Whether these are the first bytes of a text: of the last character a part may be missing.
fn is_text(bytes: &[u8]) -> bool {
    !bytes.contains(&0) && str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
}

fn wants(selection: &Selection, object: &Object) -> bool {
    let Some(at) = time(&object.received) else { return false };
    let address = object.address.map(|ip| SocketAddr::new(ip, object.port));
    selection.has_time(at)
        && selection.has_host(&object.sender, address)
        && selection.has_text(object.text.as_deref().unwrap_or_default())
}

/// The time that a line of text begins with, and the rest.
fn received(line: &[u8]) -> Option<(Duration, &str)> {
    let (at, text) = str::from_utf8(line).ok()?.split_once(' ')?;
    Some((time(at)?, text.trim_end()))
}

fn time(text: &str) -> Option<Duration> {
    Duration::try_from(text.parse::<Timestamp>().ok()?.as_duration()).ok()
}

/// What is said of a line, as the run that receives it says it.
fn below(Translation { symbols, warning }: &Translation) -> Vec<u8> {
    let warning = warning.iter().map(|warning| format!("… {warning}"));
    let symbols = symbols.iter().map(|symbol| format!("…   {symbol}"));
    let mut lines = Vec::new();
    for line in warning.chain(symbols) {
        harmless(&mut lines, &line);
        lines.push(b'\n');
    }
    lines
}

/// What a line says behind the times that it begins with.
fn message(line: &str) -> &str {
    let line = received(line.as_bytes()).map_or(line, |(_, text)| text).trim_end();
    // A kernel's own: [    1.234567], [ T1].
    let mut rest = line.trim_start();
    while let Some((_, behind)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        rest = behind.trim_start();
    }
    rest
}

/// Where several machines are in one file, each line begins with the name.
fn has_named(selection: &Selection, text: &str) -> bool {
    let name = text.split(' ').next().unwrap_or_default();
    selection.has_host(name, name.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, 0)))
}

/// The machine whose file it is: `board7.log.1.zst`, `board7/netconsole.log`.
fn machine(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let end = [".log", ".jsonl"].iter().filter_map(|ending| name.rfind(ending)).max();
    let name = name.get(..end.unwrap_or(name.len())).unwrap_or_default();
    let dir = path.parent().and_then(Path::file_name);
    match dir {
        Some(dir) if name == "netconsole" => dir.to_string_lossy().into_owned(),
        _ => name.to_owned(),
    }
}
