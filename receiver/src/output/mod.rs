//! Where records go: the screen, files, a capture. One that fails does not hold up the others.

mod appended;
mod buffered;
mod error;
mod files;
mod json;
mod opened;
mod permissions;
mod places;
mod text;

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::time::Duration;

use crate::event::{Event, Heard};
use crate::options::{Options, When};
use crate::socket::Taken;
use crate::symbols::{Symbols, Translation};
use crate::{event::Identity, pcap};
use appended::Appended;
use buffered::Buffered;
pub use error::Error;
use files::Files;
use json::Stamp;
use permissions::options_of_a_file;
use text::Style;

/// How an event is written.
#[derive(Clone, Copy, Debug)]
enum Form {
    Text(Style),
    Json,
}

impl Form {
    /// The same, its lines beginning with the sender's name or not.
    fn with_prefix(self, prefix: bool) -> Self {
        match self {
            Form::Text(style) => Form::Text(Style { prefix, ..style }),
            Form::Json => Form::Json,
        }
    }

    fn write(self, to: &mut Vec<u8>, stamp: &mut Stamp, heard: &Heard, translation: &Translation) {
        match self {
            Form::Text(style) => text::write(to, style, heard, translation),
            // Writing to memory does not fail.
            Form::Json => json::write(to, stamp, heard, translation).unwrap_or_default(),
        }
    }
}

/// All outputs of a run.
pub struct Outputs {
    screen: Option<(Buffered, Form)>,
    prefix: When,
    first: Option<SocketAddr>,
    several: bool,
    files: Option<(Files, Form)>,
    capture: Option<(Buffered, Appended)>,
    symbols: Option<Symbols>,
    stamp: Stamp,
    /// A record on its way to a file.
    record: Vec<u8>,
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
            let file = options_of_a_file().write(true).truncate(true).open(path).and_then(Appended::new);
            Ok((
                Buffered::new(path.display(), "datagrams"),
                file.map_err(|error| Error::File(path.clone(), error))?,
            ))
        });
        let symbols = options
            .elf
            .as_ref()
            .map(|path| Symbols::open(path).map_err(|error| Error::Elf(path.clone(), error)));
        Ok(Outputs {
            screen: (!options.quiet).then(|| (Buffered::new("standard output", "records"), screen)),
            prefix: options.prefix,
            first: None,
            several: false,
            files: files.transpose()?,
            capture: capture.transpose()?,
            symbols: symbols.transpose()?,
            stamp: Stamp::default(),
            record: Vec::new(),
        })
    }

    /// Writes an event everywhere.
    pub fn event(&mut self, heard: &Heard) -> Result<(), Error> {
        let translation = self.symbols.as_mut().map(|symbols| symbols.translate(heard)).unwrap_or_default();
        // A socket is no sender.
        let prefix = match heard.event {
            Event::Dropped { .. } => self.prefix == When::Always,
            _ => self.has_prefix(&heard.sender),
        };
        if let Some((screen, form)) = &mut self.screen {
            let form = form.with_prefix(prefix);
            form.write(screen.next_record(), &mut self.stamp, heard, &translation);
            if screen.is_full() {
                self.flush_screen()?;
            }
        }
        if let Some((files, form)) = &mut self.files {
            let (number, has_names) = files.of(&heard.sender.name);
            let form = form.with_prefix(has_names);
            self.record.clear();
            form.write(&mut self.record, &mut self.stamp, heard, &translation);
            files.append(number, &self.record);
        }
        Ok(())
    }

    /// Writes a datagram into the capture.
    pub fn datagram(&mut self, at: Duration, to: SocketAddr, datagram: Taken<&[u8]>) {
        let Some((capture, _)) = &mut self.capture else { return };
        let Taken { from, bytes, is_cut } = datagram;
        let write = if is_cut { pcap::write_cut } else { pcap::write };
        write(capture.next_record(), at, from, to, bytes);
        if capture.is_full() {
            self.flush_capture();
        }
    }

    /// Hands everything to the system: after it, an end of the process loses nothing.
    pub fn flush(&mut self) -> Result<(), Error> {
        if let Some((files, _)) = &mut self.files {
            files.flush();
        }
        self.flush_capture();
        self.flush_screen()
    }

    /// What was lost where an output failed.
    pub fn losses(&self) -> Vec<String> {
        let screen = self.screen.as_ref().and_then(|(screen, _)| screen.loss());
        let capture = self.capture.as_ref().and_then(|(capture, _)| capture.loss());
        let files = self.files.iter().flat_map(|(files, _)| files.losses());
        screen.into_iter().chain(capture).chain(files).collect()
    }

    fn flush_capture(&mut self) {
        let Some((capture, file)) = &mut self.capture else { return };
        capture.write(|packets| {
            if file.length() == 0 {
                file.write(&[&pcap::header(), packets].concat())
            } else {
                file.write(packets)
            }
        });
    }

    /// Without a reader there is no screen any more.
    fn flush_screen(&mut self) -> Result<(), Error> {
        let Some((screen, _)) = &mut self.screen else { return Ok(()) };
        let mut is_closed = false;
        screen.write(|bytes| {
            let mut stdout = io::stdout().lock();
            let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
            is_closed = written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
            if is_closed { Ok(()) } else { written }
        });
        if !is_closed {
            return Ok(());
        }
        self.screen = None;
        if self.files.is_none() && self.capture.is_none() { Err(Error::Closed) } else { Ok(()) }
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
