//! Where records go: the screen, files, a capture. Each has a queue and a thread of its own: one that is slow, full or gone
//! delays no other, and loses nothing of it.

mod appended;
mod buffered;
mod capture;
mod compressed;
mod counts;
mod error;
mod files;
mod form;
mod json;
mod lane;
mod notice;
mod opened;
mod page;
mod permissions;
mod places;
mod screen;
mod sink;
mod text;
mod times;

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use crate::clock::{Clock, Wall};
use crate::event::{Event, Heard};
use crate::metrics;
use crate::options::{Options, Time, When};
use crate::socket::Taken;
use crate::symbols::Symbols;
use crate::wall::Wall as Board;
use crate::{event::Identity, pcap};
pub use error::Error;
use files::{Files, Keeping};
use form::{Form, Stamp};
use lane::{Lane, TOO_SLOW};
use places::{Layout, Place, Places};
use sink::Sink;
use text::Style;

/// All outputs of a run.
pub struct Outputs {
    screen: Option<(Lane, Form, Stamp)>,
    prefix: When,
    first: Option<SocketAddr>,
    several: bool,
    files: Option<(Lane, Form, Stamp, Places)>,
    capture: Option<Lane>,
    sinks: Vec<Sink>,
    page: Option<(Lane, Stamp, Arc<Board>)>,
    symbols: Option<Symbols>,
    wall: Wall,
    /// Nothing was to be shown.
    is_quiet: bool,
    /// Standard output was a terminal at the start.
    has_terminal: bool,
}

/// What a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begins {
    /// One of its own.
    New,
    /// Another one's, which goes on.
    GoesOn,
}

impl Outputs {
    /// Opens what the options name.
    pub fn open(options: &Options, symbols: Option<Symbols>, begins: Begins) -> Result<Self, Error> {
        let has_terminal = io::stdout().is_terminal();
        let is_quiet = options.quiet || options.has_tui();
        let color = match options.color {
            When::Always => true,
            When::Never => false,
            When::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                has_terminal && !refused
            }
        };
        // What is read from a file can wait for a slow output.
        let waits = options.read.is_some();
        let form = |style| if options.json { Form::Json } else { Form::Text(style) };
        let time = options.time.unwrap_or(Time::Rfc3339);
        let plain = Style { color: false, time, prefix: false, fields: options.fields };
        let files = options.dir.as_ref().map(|dir| {
            let layout = Layout {
                ending: if options.json { "jsonl" } else { "log" },
                has_directories: options.dir_per_sender,
            };
            let form = form(plain);
            let files = Files::open(Keeping {
                dir: dir.clone(),
                layout,
                size: options.rotate,
                age: options.rotate_every,
                keep: options.keep,
                compress: options.compress,
                sync: options.sync,
                form,
            })?;
            let places = Places::new(dir, layout);
            let name = dir.display().to_string();
            let lane = Lane::start(name, "records", waits, |queue, counts| files.write(queue, counts))?;
            Ok((lane, form, Stamp::of(form), places))
        });
        let capture = options.pcap.as_ref().map(|path| {
            let file =
                capture::File::create(path, begins).map_err(|error| Error::File(path.clone(), error))?;
            let name = path.display().to_string();
            Lane::start(name, "datagrams", waits, |queue, counts| file.write(queue, counts))
        });
        let page = (options.http.is_some() || options.has_tui()).then(|| {
            let board = Arc::new(Board::new(options.silent_after));
            let filled = Arc::clone(&board);
            let work = move |queue: &_, counts: &_| page::fill(&filled, queue, counts);
            let lane = Lane::start(page::NAME.to_owned(), "records", false, work)?;
            Ok((lane, Stamp::of(Form::Json), board))
        });
        let form = form(Style { color, time: options.time.unwrap_or(Time::None), ..plain });
        let screen = || {
            let lane = Lane::start(screen::NAME.to_owned(), "records", waits, screen::write)?;
            Ok((lane, form, Stamp::of(form)))
        };
        Ok(Outputs {
            files: files.transpose()?,
            capture: capture.transpose()?,
            symbols,
            page: page.transpose()?,
            // Last, as nothing that fails here leaves a thread behind.
            sinks: Sink::open(options)?,
            screen: (!is_quiet).then(screen).transpose()?,
            prefix: options.prefix,
            first: None,
            several: false,
            wall: Wall::default(),
            is_quiet,
            has_terminal,
        })
    }

    /// Writes an event everywhere.
    pub fn event(&mut self, heard: &Heard) {
        let translation = self.symbols.as_mut().map(|symbols| symbols.translate(heard)).unwrap_or_default();
        // A socket is no sender.
        let prefix = match heard.event {
            Event::Dropped { .. } => self.prefix == When::Always,
            _ => self.has_prefix(&heard.sender),
        };
        let at = self.wall.shown(heard.at);
        if let Some((lane, form, stamp)) = &mut self.screen {
            lane.batch.records = lane.batch.records.saturating_add(1);
            form.with_prefix(prefix).write(&mut lane.batch.bytes, stamp, at, heard, &translation);
            lane.batch.at = at;
            if lane.is_full() {
                self.flush_screen();
            }
        }
        if let Some((lane, form, stamp, places)) = &mut self.files {
            let name = &heard.sender.name;
            let place = places.of(name);
            lane.batch.put(name, place, |bytes| {
                form.with_prefix(place.has_names()).write(bytes, stamp, at, heard, &translation);
            });
            lane.batch.records = lane.batch.records.saturating_add(1);
            (lane.batch.at, lane.batch.first) = (at, stamp.first());
            if lane.is_full() {
                self.flush_files();
            }
        }
        if let Some((lane, stamp, _)) = &mut self.page {
            lane.batch.at = at;
            lane.batch.put(&heard.sender.name, Place::Flat, |bytes| {
                Form::Json.write(bytes, stamp, at, heard, &translation);
            });
            lane.batch.records = lane.batch.records.saturating_add(1);
            if lane.is_full() {
                self.flush_page();
            }
        }
        self.sinks.iter_mut().for_each(|sink| sink.event(at, heard, &translation));
    }

    /// What the wall shows, where there is one.
    pub fn wall(&self) -> Option<&Arc<Board>> {
        self.page.as_ref().map(|(.., board)| board)
    }

    /// Writes a datagram into the capture, and what the wall keeps of it.
    pub fn datagram(&mut self, at: Duration, to: SocketAddr, datagram: Taken<&[u8]>) {
        if self.capture.is_none() && self.page.is_none() {
            return;
        }
        let Taken { from, bytes, is_cut } = datagram;
        let write = if is_cut { pcap::write_cut } else { pcap::write };
        if let Some((lane, ..)) = &mut self.page {
            let shown = self.wall.shown(at);
            lane.batch.put(&page::DATAGRAMS, Place::Flat, |packet| write(packet, shown, from, to, bytes));
            // Of a datagram whose records are shown nowhere, no event flushes.
            if lane.is_full() {
                self.flush_page();
            }
        }
        let Some(lane) = &mut self.capture else { return };
        lane.batch.records = lane.batch.records.saturating_add(1);
        write(&mut lane.batch.bytes, self.wall.shown(at), from, to, bytes);
        if lane.is_full() {
            self.flush_capture();
        }
    }

    /// Follows the system's clock.
    pub fn follow(&mut self, clock: Clock) {
        self.wall.follow(clock);
    }

    /// Hands everything to the outputs.
    pub fn flush(&mut self) {
        self.flush_files();
        self.flush_capture();
        self.flush_page();
        self.flush_screen();
        self.sinks.iter_mut().for_each(Sink::flush);
    }

    /// The same, and marks all that was shown so far: not in the sinks, which may be without the other side for hours.
    pub fn flush_and_mark(&mut self) {
        self.flush();
        let screen = self.screen.as_mut().map(|(lane, ..)| lane);
        let files = self.files.as_mut().map(|(lane, ..)| lane);
        screen.into_iter().chain(&mut self.capture).chain(files).for_each(Lane::mark);
    }

    /// Whether each output has written, or lost, what was marked.
    pub fn have_written(&self) -> bool {
        self.lanes().all(Lane::has_written)
    }

    /// Whether each has ended.
    pub fn are_over(&self) -> bool {
        self.lanes().all(Lane::is_gone)
    }

    /// What a reader of standard output who has gone means: without another output, there is nothing more to do.
    pub fn check(&mut self) -> Result<(), Error> {
        self.screen.take_if(|(lane, ..)| lane.is_gone());
        let is_of_use =
            self.screen.is_some() || self.files.is_some() || self.capture.is_some() || self.page.is_some();
        if is_of_use || !self.sinks.is_empty() || self.is_quiet { Ok(()) } else { Err(Error::Closed) }
    }

    /// Calls this when standard output's reader has gone.
    pub fn on_closed(&self, call: impl Fn() + Send + Sync + 'static) {
        if let Some((lane, ..)) = &self.screen {
            lane.on_gone(call);
        }
    }

    /// Opens the files and the capture again.
    pub fn reopen(&self) {
        self.lanes().for_each(Lane::reopen);
    }

    /// Whether the terminal that standard output was is no more.
    pub fn terminal_is_gone(&self) -> bool {
        self.has_terminal && !io::stdout().is_terminal()
    }

    /// Nothing more comes.
    pub fn end(&self) {
        self.lanes().for_each(Lane::end);
    }

    /// Waits at most so long until each output has written all or failed; whether all have.
    pub fn wait(&self, most: Duration) -> bool {
        self.lanes().all(|lane| lane.wait(most))
    }

    /// Bytes that wait for all of them.
    pub fn waiting(&self) -> usize {
        self.lanes().map(Lane::waiting).fold(0, usize::saturating_add)
    }

    /// What was lost where an output failed.
    pub fn losses(&mut self) -> Vec<String> {
        let screen = self.screen.as_mut().map(|(lane, ..)| lane);
        let files = self.files.as_mut().map(|(lane, ..)| lane);
        let sinks = self.sinks.iter_mut().map(Sink::lane_mut);
        let page = self.page.as_mut().map(|(lane, ..)| lane);
        let lanes = screen.into_iter().chain(self.capture.as_mut()).chain(files).chain(page).chain(sinks);
        lanes.flat_map(Lane::losses).collect()
    }

    /// What became of each output's records, a line each.
    pub fn stats(&self) -> impl Iterator<Item = String> {
        self.lanes().map(Lane::stats)
    }

    /// The same, as figures.
    pub fn metrics(&self) -> Vec<metrics::Output> {
        self.lanes().map(Lane::metrics).collect()
    }

    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        let screen = self.screen.as_ref().map(|(lane, ..)| lane);
        let files = self.files.as_ref().map(|(lane, ..)| lane);
        let page = self.page.as_ref().map(|(lane, ..)| lane);
        let sinks = self.sinks.iter().map(Sink::lane);
        screen.into_iter().chain(&self.capture).chain(files).chain(page).chain(sinks)
    }

    fn flush_screen(&mut self) {
        let Some((lane, form, stamp)) = &mut self.screen else { return };
        lane.flush(|batch, _, count| form.write_lost(&mut batch.bytes, stamp, batch.at, count, TOO_SLOW));
    }

    fn flush_files(&mut self) {
        let Some((lane, form, stamp, _)) = &mut self.files else { return };
        lane.flush(|batch, whose, count| {
            let Some((name, place)) = whose else { return };
            let at = batch.at;
            batch.put(name, *place, |bytes| form.write_lost(bytes, stamp, at, count, TOO_SLOW));
        });
    }

    /// A capture has no place for words.
    fn flush_capture(&mut self) {
        if let Some(lane) = &mut self.capture {
            lane.flush(|_, _, _| {});
        }
    }

    fn flush_page(&mut self) {
        let Some((lane, stamp, _)) = &mut self.page else { return };
        lane.flush(|batch, whose, count| {
            let Some((name, place)) = whose else { return };
            if *name != page::DATAGRAMS {
                let at = batch.at;
                batch.put(name, *place, |bytes| Form::Json.write_lost(bytes, stamp, at, count, TOO_SLOW));
            }
        });
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

/// Whether what the options name could be opened, as far as that shows without writing, and without asking anybody.
pub fn check(options: &Options) -> Result<(), Error> {
    if let Some(dir) = &options.dir {
        // What is missing of it is made.
        let there = dir.ancestors().find(|dir| dir.as_os_str().is_empty() || dir.exists());
        check_directory(there.unwrap_or(dir)).map_err(|error| Error::File(dir.clone(), error))?;
    }
    if let Some(path) = &options.pcap {
        let is_fit = match path.symlink_metadata() {
            Ok(_) if path.is_dir() => Err(Errno::EISDIR.into()),
            Ok(_) => access(path, AccessFlags::W_OK).map_err(io::Error::from),
            Err(_) => check_directory(path.parent().unwrap_or(path)),
        };
        is_fit.map_err(|error| Error::File(path.clone(), error))?;
    }
    Sink::open(options).map(drop)
}

/// Whether a file could be made in this directory.
fn check_directory(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    access(dir, AccessFlags::W_OK | AccessFlags::X_OK)?;
    if dir.is_dir() { Ok(()) } else { Err(Errno::ENOTDIR.into()) }
}

/// Reads the files that names of functions are looked up in.
pub fn open_symbols(options: &Options) -> Result<Option<Symbols>, Error> {
    let (path, symbols) = match (&options.elf, &options.system_map) {
        (Some(path), _) => (path, Symbols::open(path)),
        (None, Some(path)) => (path, Symbols::open_map(path)),
        (None, None) => return Ok(None),
    };
    symbols.map(Some).map_err(|error| Error::Symbols(path.clone(), error))
}
