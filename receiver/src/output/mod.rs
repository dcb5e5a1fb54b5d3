//! Where records go: the screen, files, a capture.

mod files;
mod json;
mod text;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::event::Heard;
use crate::options::{Options, When};
use crate::symbols::{self, Symbols, Translation};
use crate::{event::Identity, pcap};
use files::Files;
use text::Style;

/// Why an output failed.
#[derive(Debug)]
pub enum Error {
    /// Standard output was closed by its reader: an end, no failure.
    Closed,
    /// Standard output.
    Screen(io::Error),
    /// A file or directory.
    File(PathBuf, io::Error),
    /// The capture.
    Capture(PathBuf, pcap::Error),
    /// The ELF file.
    Elf(PathBuf, symbols::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Closed => write!(f, "standard output was closed"),
            Error::Screen(error) => write!(f, "can't write to standard output: {error}"),
            Error::File(path, error) => write!(f, "{}: {error}", path.display()),
            Error::Capture(path, error) => write!(f, "{}: {error}", path.display()),
            Error::Elf(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

/// How an event is written.
#[derive(Clone, Copy, Debug)]
enum Form {
    Text(Style),
    Json,
}

impl Form {
    fn write(self, to: &mut impl Write, heard: &Heard, translation: &Translation) -> io::Result<()> {
        match self {
            Form::Text(style) => text::write(to, style, heard, translation),
            Form::Json => json::write(to, heard, translation),
        }
    }
}

/// All outputs of a run.
pub struct Outputs {
    screen: Option<(io::BufWriter<io::Stdout>, Form)>,
    prefix: When,
    first: Option<SocketAddr>,
    several: bool,
    files: Option<(Files, Form)>,
    capture: Option<(PathBuf, pcap::Writer)>,
    symbols: Option<Symbols>,
}

impl Outputs {
    /// Opens what the options name.
    pub fn open(options: &Options) -> Result<Self, Error> {
        let color = match options.color {
            When::Always => true,
            When::Never => false,
            When::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                io::stdout().is_terminal() && !refused
            }
        };
        let form = |style| if options.json { Form::Json } else { Form::Text(style) };
        let plain = Style { color: false, prefix: false, fields: options.fields };
        let screen = form(Style { color, ..plain });
        let files = options.dir.as_ref().map(|dir| {
            let ending = if options.json { "jsonl" } else { "log" };
            let files = Files::open(dir, ending, options.rotate, options.keep)?;
            Ok((files, form(plain)))
        });
        let capture = options.pcap.as_ref().map(|path| {
            let writer = pcap::Writer::create(path).map_err(|error| Error::Capture(path.clone(), error))?;
            Ok((path.clone(), writer))
        });
        let symbols = options
            .elf
            .as_ref()
            .map(|path| Symbols::open(path).map_err(|error| Error::Elf(path.clone(), error)));
        Ok(Outputs {
            screen: (!options.quiet).then(|| (io::BufWriter::new(io::stdout()), screen)),
            prefix: options.prefix,
            first: None,
            several: false,
            files: files.transpose()?,
            capture: capture.transpose()?,
            symbols: symbols.transpose()?,
        })
    }

    /// Writes an event everywhere.
    pub fn event(&mut self, heard: &Heard) -> Result<(), Error> {
        let translation = self.symbols.as_mut().map(|symbols| symbols.translate(heard)).unwrap_or_default();
        let prefix = self.has_prefix(&heard.sender);
        if let Some((screen, form)) = &mut self.screen {
            let form = match *form {
                Form::Text(style) => Form::Text(Style { prefix, ..style }),
                Form::Json => Form::Json,
            };
            form.write(screen, heard, &translation).map_err(screen_error)?;
        }
        if let Some((files, form)) = &mut self.files {
            let mut bytes = Vec::new();
            let path = files.path(&heard.sender.name);
            form.write(&mut bytes, heard, &translation).map_err(|error| Error::File(path, error))?;
            files.append(&heard.sender.name, &bytes)?;
        }
        Ok(())
    }

    /// Writes a datagram into the capture.
    pub fn datagram(
        &mut self,
        at: Duration,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let Some((path, capture)) = &mut self.capture else { return Ok(()) };
        capture.write(at, from, to, bytes).map_err(|error| Error::Capture(path.clone(), error))
    }

    /// Hands everything to the system: after it, an end of the process loses nothing.
    pub fn flush(&mut self) -> Result<(), Error> {
        if let Some((files, _)) = &mut self.files {
            files.flush()?;
        }
        if let Some((path, capture)) = &mut self.capture {
            capture.flush().map_err(|error| Error::Capture(path.clone(), error))?;
        }
        match &mut self.screen {
            Some((screen, _)) => screen.flush().map_err(screen_error),
            None => Ok(()),
        }
    }

    fn has_prefix(&mut self, sender: &Identity) -> bool {
        self.several |= *self.first.get_or_insert(sender.address) != sender.address;
        match self.prefix {
            When::Always => true,
            When::Never => false,
            When::Auto => sender.named || self.several,
        }
    }
}

fn screen_error(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Error::Closed,
        _ => Error::Screen(error),
    }
}
