//! A run: from sockets or a capture, through the senders, to the outputs, until something ends it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use crate::again::{self, Again};
use crate::clock::Clock;
use crate::complain::{self, complain, report};
use crate::console::{self, Console};
use crate::consoles::Consoles;
use crate::dissect::Captured;
use crate::event::{Event, Heard, Identity};
use crate::groups::Groups;
use crate::http::Token;
use crate::input::{self, Input, Inputs, Listeners};
use crate::limits;
use crate::metrics::Metrics;
use crate::names::Names;
use crate::on_crash::OnCrash;
use crate::options::Options;
use crate::output::{self, Begins, Outputs};
use crate::passed::Passed;
use crate::pcap::{self, Capture};
use crate::privileges;
use crate::protection::Protection;
use crate::question::{Question, Unsent};
use crate::report::Kind;
use crate::sealed::{self, Sealing};
use crate::selection::Selection;
use crate::senders::{Answer, Senders};
use crate::service::Service;
use crate::site::{self, Site};
use crate::socket::Taken;
use crate::state::{self, Kept, Saver};
use crate::symbols::Symbols;
#[cfg(feature = "tui")]
use crate::tui::Tui;
use crate::watch::{self, Watch};
use crate::written::{self, Lines};

/// How often the waiting gaps are looked at, and how long nothing is done when nothing waits.
const TICK: Duration = Duration::from_millis(10);
/// How long records may wait to be written, where more of them come without a pause.
const FLUSH: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_secs(60);
/// After a signal to end, what came before it is still taken: until nothing has come for the first time, at most
/// for the second.
const DRAIN_SILENCE: Duration = Duration::from_millis(50);
const DRAIN_MOST: Duration = Duration::from_millis(500);

/// How often it is looked for a signal while the outputs end, and how long they may take after one.
const LOOK: Duration = Duration::from_millis(50);
const ENDING_MOST: Duration = Duration::from_secs(2);
/// Without a signal an output that takes nothing for so long has nobody who reads it.
const ENDING_STUCK: Duration = Duration::from_secs(10);

/// Datagrams of a capture between two looks whether somebody still reads.
const CHECK: usize = 256;

/// The end of pcap's time, in 2106; pcapng could say more than a clock can hold.
const LATEST: Duration = Duration::from_secs(u32::MAX as u64);

/// Why a run failed.
#[derive(Debug)]
pub enum Error {
    /// A socket, or signals.
    Input(input::Error),
    /// The capture that is read.
    Capture(PathBuf, pcap::Error),
    /// A file that another run wrote.
    Written(PathBuf, written::Error),
    /// Of such a file the lines are shown, for which this option means nothing.
    Lines(PathBuf, &'static str),
    /// The file of what another run knew.
    State(PathBuf, state::Error),
    /// The key's file.
    Key(PathBuf, sealed::KeyError),
    /// The terminal.
    #[cfg(feature = "tui")]
    Terminal(io::Error),
    /// The user that it is to run as.
    Privileges(privileges::Error),
    /// An output.
    Output(output::Error),
    /// What is served by HTTP.
    Site(site::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Input(error) => error.fmt(f),
            Error::Capture(path, error) => write!(f, "{}: {error}", path.display()),
            Error::Lines(path, option) => write!(
                f,
                "{}: of a file of text its lines are shown as they are; {option} is for captures and what is heard",
                path.display()
            ),
            Error::Written(path, error) => write!(f, "{}: {error}", path.display()),
            Error::State(path, error) => write!(f, "{}: {error}", path.display()),
            Error::Key(path, error) => write!(f, "{}: {error}", path.display()),
            #[cfg(feature = "tui")]
            Error::Terminal(error) => write!(f, "--tui: {error}; it needs a terminal to show itself on"),
            Error::Privileges(error) => error.fmt(f),
            Error::Output(error) => error.fmt(f),
            Error::Site(error) => error.fmt(f),
        }
    }
}

impl From<input::Error> for Error {
    fn from(error: input::Error) -> Self {
        Error::Input(error)
    }
}

impl From<privileges::Error> for Error {
    fn from(error: privileges::Error) -> Self {
        Error::Privileges(error)
    }
}

impl From<output::Error> for Error {
    fn from(error: output::Error) -> Self {
        Error::Output(error)
    }
}

/// Runs as the options say.
pub fn run(options: &Options) -> Result<ExitCode, Error> {
    if let Some(path) = &options.read
        && let Some(status) = show_written(path, options)?
    {
        return Ok(status);
    }
    let clock = Clock::start();
    let live = options.read.is_none();
    // Before any thread.
    let signals = live.then(input::signals).transpose()?;
    // Before the sockets: what comes is taken at once.
    let mut files = Files::read(options)?;
    let mut begins = Begins::New;
    let listening = if let Some(signals) = signals {
        let passed = Passed::take().map_err(input::Error::Passed)?;
        if passed.is_by_run() {
            begins = Begins::GoesOn;
            files.known =
                again::known().map_err(|error| Error::State("what the run before knew".into(), error))?;
        }
        Some((signals, Listeners::open(&options.places(), passed)?))
    } else {
        None
    };
    if let Some(user) = &options.user {
        privileges::become_user(user)?;
    }
    let known = std::mem::take(&mut files.known);
    let begin = if live { clock.now() } else { Duration::ZERO };
    let mut receiver = Receiver::open(options, files, begins, begin)?;
    receiver.senders.resume(&known);
    receiver.saver = options.state.as_deref().map(Saver::start);
    let ports: Vec<String> = options.port.iter().map(u16::to_string).collect();
    let ports = format!("port {}", ports.join(" or "));
    let inputs =
        listening.map(|(signals, listeners)| Inputs::start(listeners, signals, clock)).transpose()?;
    let ended = match (&options.read, &inputs) {
        (Some(path), _) => receiver.read(path, options, &ports),
        (None, Some(inputs)) => receiver.listen(options, inputs, clock),
        (None, None) => Ok(()),
    };
    // Before a command that may take its time.
    let is_saved = receiver.save_last();
    if let Some(command) = &receiver.on_crash {
        command.finish();
    }
    if let Some((again, listeners)) = receiver.again.take()
        && !inputs.as_ref().is_some_and(Inputs::leave_signals)
    {
        let (sockets, about) = listeners.pass(&receiver.dropped);
        let known = state::bytes(&receiver.senders.keep());
        receiver.outputs.losses().iter().for_each(|loss| report(format_args!("{loss}")));
        complain::finish();
        let Err(error) = again.start(&sockets, about, &known);
        // Nothing is complained of any more.
        eprintln!("netconsole-receiver: another run can't take this one's place: {error}");
        return Ok(watch::ERROR.into());
    }
    match ended {
        // Who reads no further has seen enough.
        Err(Error::Output(output::Error::Closed)) => {}
        ended => ended?,
    }
    if options.stats {
        receiver.print_stats(true);
    }
    let stats = receiver.senders.stats();
    let unanswered = receiver.console.as_ref().map_or(0, Console::unanswered);
    let losses = receiver.outputs.losses();
    let status = match receiver.watch.status(stats.iter().map(|(_, stats)| stats), unanswered) {
        0 if !losses.is_empty() || receiver.read_failed || !is_saved => watch::ERROR,
        status => status,
    };
    losses.iter().for_each(|loss| report(format_args!("{loss}")));
    let within = receiver.watch.within(if live { clock.now() } else { Duration::ZERO });
    let refused = receiver.protection.refused().values().sum::<u64>();
    if let Some(reason) = receiver.watch.reason(status, &stats, &within) {
        report(format_args!("{reason}"));
    }
    if live && begins == Begins::New && stats.is_empty() && refused == 0 {
        report(format_args!(
            "no datagram came to {ports}{within}: is this host's address the sender's target, and does a firewall let \
             UDP in?"
        ));
    } else if stats.is_empty() && refused > 0 {
        report(format_args!("all {refused} datagrams were refused: none was sealed with this key"));
    }
    Ok(status.into())
}

/// Shows a file that this program wrote; `None` where it is another one.
fn show_written(path: &Path, options: &Options) -> Result<Option<ExitCode>, Error> {
    let failed = |error| Error::Written(path.to_owned(), error);
    let has_symbols = options.elf.is_some() || options.system_map.is_some();
    let opened = Lines::open(path, has_symbols, !options.quiet).map_err(failed)?;
    let Some(lines) = opened else { return Ok(None) };
    if let Some(option) = options.beyond_lines() {
        return Err(Error::Lines(path.to_owned(), option));
    }
    let symbols = output::open_symbols(options)?;
    let to = &mut io::BufWriter::new(io::stdout().lock());
    match lines.show(&Selection::new(options), symbols, to) {
        // Who reads no further has seen enough.
        Err(written::Error::File(error)) if error.kind() == io::ErrorKind::BrokenPipe => {}
        shown => shown.map_err(failed)?,
    }
    Ok(Some(ExitCode::SUCCESS))
}

/// What a run with the options `next` listens on, in the place of this one. Looks at what only this run can tell.
fn prepare(options: &Options, next: &Options, inputs: &Inputs) -> Result<Listeners, Error> {
    if next.http != options.http {
        next.http.map_or(Ok(()), site::try_listen).map_err(Error::Site)?;
    }
    #[cfg(feature = "tui")]
    if next.tui {
        Tui::check().map_err(Error::Terminal)?;
    }
    let listeners = inputs.for_next(&next.places())?;
    if next.sockets() != options.sockets() {
        complain(format_args!(
            "an address that is listened on keeps its sockets: another --sockets takes a restart"
        ));
    }
    Ok(listeners)
}

/// Whether a run with these options could begin. Writes nothing, and asks nobody.
pub fn check(options: &Options) -> Result<(), Error> {
    options.user.as_deref().map(privileges::check).transpose()?;
    Files::read(options)?;
    Ok(output::check(options)?)
}

/// The files that a run reads before anything else: they may be large, or for root alone.
pub struct Files {
    sealing: Option<Sealing>,
    symbols: Option<Symbols>,
    known: Vec<Kept>,
    token: Option<Token>,
}

impl Files {
    /// Reads them. Opens no socket and writes nothing.
    pub fn read(options: &Options) -> Result<Self, Error> {
        let sealing = match &options.key_file {
            Some(path) => Some(Sealing::from_file(path).map_err(|error| Error::Key(path.clone(), error))?),
            None => None,
        };
        let known = match &options.state {
            Some(path) => state::load(path).map_err(|error| Error::State(path.clone(), error))?,
            None => Vec::new(),
        };
        let token = site::token(options).map_err(Error::Site)?;
        Ok(Files { sealing, symbols: output::open_symbols(options)?, known, token })
    }
}

/// What becomes of the datagrams, wherever they come from.
pub struct Receiver {
    protection: Protection,
    console: Option<Console>,
    /// What `--http` asks for.
    token: Option<Token>,
    /// What the wall sends to machines.
    consoles: Consoles,
    senders: Senders,
    outputs: Outputs,
    watch: Watch,
    selection: Selection,
    on_crash: Option<OnCrash>,
    /// Reports that began, by kind.
    reports: BTreeMap<Kind, u64>,
    silent_after: Duration,
    /// How often each crash came.
    groups: Groups,
    heard: Vec<Heard>,
    saver: Option<Saver>,
    /// How many events were shown.
    told: u64,
    /// Datagrams that this host dropped, by socket.
    dropped: BTreeMap<usize, u32>,
    /// That a datagram's end was cut off was said.
    cut_is_said: bool,
    /// A part of the capture could not be read.
    read_failed: bool,
    service: Service,
    /// The run that takes this one's place at its end, and what it listens on.
    again: Option<(Again, Listeners)>,
}

impl Receiver {
    /// Opens the outputs, at the time `now`.
    pub fn open(options: &Options, files: Files, begins: Begins, now: Duration) -> Result<Self, Error> {
        let asks = options.read.is_none() && !options.no_ncrx;
        Ok(Receiver {
            protection: Protection::new(files.sealing),
            console: options.console.map(Console::new),
            token: files.token,
            consoles: Consoles::default(),
            senders: Senders::new(options.name.iter().cloned().collect::<Names>(), asks)
                .naming_from(options.name_from.clone()),
            outputs: Outputs::open(options, files.symbols, begins)?,
            watch: Watch::new(options, now),
            selection: Selection::new(options),
            on_crash: options.on_crash.as_deref().map(OnCrash::start),
            reports: BTreeMap::new(),
            silent_after: options.silent_after,
            groups: Groups::default(),
            heard: Vec::new(),
            saver: None,
            told: 0,
            dropped: BTreeMap::new(),
            cut_is_said: false,
            read_failed: false,
            service: Service::new(),
            again: None,
        })
    }

    fn read(&mut self, path: &Path, options: &Options, names: &str) -> Result<(), Error> {
        let failed = |error| Error::Capture(path.to_owned(), error);
        let ports = &options.port;
        let mut capture = Capture::open(path, !options.quiet).map_err(failed)?;
        let mut now = Duration::ZERO;
        let mut others: BTreeMap<u16, u64> = BTreeMap::new();
        let mut is_empty = true;
        for (number, datagram) in capture.by_ref().enumerate() {
            if number % CHECK == 0 {
                self.outputs.check()?;
            }
            if !ports.contains(&datagram.port) {
                *others.entry(datagram.port).or_default() += 1;
                continue;
            }
            is_empty = false;
            now = now.max(datagram.at.min(LATEST));
            self.tick(now);
            if self.watch.is_over(now) {
                break;
            }
            let to = SocketAddr::from((Ipv6Addr::UNSPECIFIED, datagram.port));
            let Captured { from, bytes, is_cut, .. } = &datagram;
            self.datagram(Taken { from: *from, bytes, is_cut: *is_cut }, 0, to, now);
        }
        if is_empty {
            let most = others.iter().max_by_key(|(_, count)| **count);
            let hint = most.map_or("no UDP at all".to_owned(), |(port, count)| {
                format!("most went to port {port}, {count} datagrams: --port {port} reads them")
            });
            complain(format_args!("{}: no datagram to {names}; {hint}", path.display()));
        }
        for problem in capture.problems() {
            complain(format_args!("{}: {problem}", path.display()));
            self.read_failed = true;
        }
        self.finish(now);
        Ok(())
    }

    fn listen(&mut self, options: &Options, inputs: &Inputs, clock: Clock) -> Result<(), Error> {
        self.dropped.extend(inputs.dropped_before());
        for address in inputs.addresses() {
            complain(format_args!("listening on {address}"));
        }
        if let (Some(address), Some(wall)) = (options.http, self.outputs.wall()) {
            let token = self.token.take();
            Site::start(address, options, token, inputs.asker(), wall).map_err(Error::Site)?;
        }
        let buffer = inputs.buffer_bytes();
        if buffer < limits::SOCKET_BYTES_LEAST {
            complain(format_args!(
                "the host gives the socket a buffer of {} KiB: a burst that is longer is lost; as root, this gives more: \
                 sysctl -w net.core.rmem_max={}",
                buffer >> 10,
                limits::SOCKET_BYTES
            ));
        }
        self.outputs.on_closed(inputs.waker());
        let addresses: Vec<String> = inputs.addresses().map(|address| address.to_string()).collect();
        self.service.ready(&addresses.join(", "));
        #[cfg(feature = "tui")]
        let tui = match self.outputs.wall() {
            Some(wall) if options.tui => Some(Tui::start(wall).map_err(Error::Terminal)?),
            _ => None,
        };
        let ended = self.hear_out(options, inputs, clock);
        #[cfg(feature = "tui")]
        tui.into_iter().for_each(Tui::finish);
        ended
    }

    /// Takes what comes until the run ends or fails, and gives out all that is held.
    fn hear_out(&mut self, options: &Options, inputs: &Inputs, clock: Clock) -> Result<(), Error> {
        let mut end = Duration::MAX;
        let ended = self.hear(options, inputs, clock, &mut end);
        if ended.is_err() || self.is_over(clock.now()) {
            self.again = None;
        }
        if self.again.is_none() {
            self.service.stopping();
        }
        let answers = self.senders.last_answers();
        self.answer(inputs, answers, clock.now());
        for (via, dropped) in inputs.dropped() {
            let to = inputs.local(via).unwrap_or_else(|| (Ipv6Addr::UNSPECIFIED, 0).into());
            self.tell_dropped(via, dropped, to, clock.now());
        }
        self.give_out(clock.now());
        self.await_outputs(inputs, clock, end < Duration::MAX || ended.is_err());
        ended
    }

    /// Takes what comes until the run ends: after a signal to end, at the time `end` at the latest.
    fn hear(
        &mut self,
        options: &Options,
        inputs: &Inputs,
        clock: Clock,
        end: &mut Duration,
    ) -> Result<(), Error> {
        let mut flushed = Duration::ZERO;
        let mut ticked = Duration::ZERO;
        while !self.is_over(clock.now())
            && clock.now() < *end
            && !(self.again.is_some() && inputs.is_stopped())
        {
            self.outputs.check()?;
            self.command(inputs, clock.now());
            let rest = self.rest(clock.now());
            match inputs.wait(if *end < Duration::MAX { DRAIN_SILENCE } else { rest })? {
                Input::Datagrams(batch) => {
                    let to = inputs.local(batch.via).unwrap_or_else(|| (Ipv6Addr::UNSPECIFIED, 0).into());
                    self.tell_dropped(batch.via, batch.dropped, to, batch.at);
                    for datagram in batch.datagrams() {
                        self.datagram(datagram, batch.via, to, batch.at);
                    }
                }
                Input::Line(line) => self.take_line(line, clock.now()),
                Input::Stats => self.print_stats(false),
                Input::Question(question) => self.reply(question, clock.now()),
                Input::Hangup if self.outputs.terminal_is_gone() => *end = clock.now(),
                Input::Hangup if options.config.is_some() => self.prepare_again(options, inputs),
                Input::Hangup => self.outputs.reopen(),
                Input::Again => self.prepare_again(options, inputs),
                Input::End => {
                    // Who wants it to end wants no other run in its place.
                    self.again = None;
                    *end = (*end).min(clock.now() + DRAIN_MOST);
                }
                Input::Nothing if *end < Duration::MAX => break,
                Input::Nothing => {}
            }
            let now = clock.now();
            if now >= ticked + TICK {
                ticked = now;
                self.tick(now);
                let answers = self.senders.answers(now);
                self.answer(inputs, answers, now);
            }
            // Where more has come already, several batches are written together.
            if !inputs.has_more() || now >= flushed + FLUSH {
                flushed = now;
                self.outputs.follow(clock);
                self.outputs.flush();
            }
            self.save(clock);
            self.service.live(clock.now());
        }
        Ok(())
    }

    /// Has another run take this one's place, where it can.
    fn prepare_again(&mut self, options: &Options, inputs: &Inputs) {
        if self.again.is_some() {
            return;
        }
        self.service.reloading();
        let next = Again::check().and_then(|(again, next)| {
            // What this program does not understand the next one does: it has checked it.
            let next = next.as_ref().unwrap_or(options);
            let prepared = prepare(options, next, inputs).map_err(|error| error.to_string())?;
            Ok((again, prepared))
        });
        match next {
            Ok(next) => {
                self.again = Some(next);
                inputs.stop();
            }
            Err(why) => {
                complain(format_args!("everything stays as it is: {why}"));
                self.service.goes_on();
            }
        }
    }

    /// Waits for the outputs to write what they have: a reader may take its time, as long as it takes anything, but not
    /// after a signal to end.
    fn await_outputs(&mut self, inputs: &Inputs, clock: Clock, is_signalled: bool) {
        self.outputs.end();
        let mut until = if is_signalled { clock.now() + ENDING_MOST } else { Duration::MAX };
        let (mut waiting, mut moved_at) = (self.outputs.waiting(), clock.now());
        while !self.outputs.wait(LOOK) && clock.now() < until.min(moved_at + ENDING_STUCK) {
            let now_waiting = self.outputs.waiting();
            if std::mem::replace(&mut waiting, now_waiting) != now_waiting {
                moved_at = clock.now();
            }
            // A bounded look: datagrams may come without an end.
            for _ in 0..limits::BATCH {
                match inputs.wait(Duration::ZERO) {
                    Ok(Input::End) => {
                        self.again = None;
                        until = until.min(clock.now() + ENDING_MOST);
                    }
                    Ok(Input::Hangup) if self.outputs.terminal_is_gone() => {
                        until = until.min(clock.now() + ENDING_MOST);
                    }
                    Ok(Input::Nothing) | Err(_) => break,
                    Ok(_) => {}
                }
            }
        }
    }

    /// Tells what this host has dropped since the last time, in the stream.
    fn tell_dropped(&mut self, via: usize, dropped: u32, to: SocketAddr, at: Duration) {
        let before = self.dropped.insert(via, dropped).unwrap_or_default();
        let count = u64::from(dropped.wrapping_sub(before));
        if count == 0 {
            return;
        }
        let sender = Identity { address: to, name: Identity::SELF.into(), named: false };
        self.heard.push(Heard { sender: Rc::new(sender), at, event: Event::Dropped { count } });
        self.show();
    }

    /// Has what is known of the senders saved, where it is time to and something came.
    fn save(&mut self, clock: Clock) {
        let Some(saver) = &mut self.saver else { return };
        if saver.is_waiting() {
            if self.outputs.have_written() {
                saver.save();
            }
            return;
        }
        let now = clock.now();
        if saver.due(self.told).is_some_and(|due| now >= due) {
            self.outputs.flush_and_mark();
            let kept = self.senders.keep();
            saver.gather(&kept, self.told, now, clock.now().saturating_sub(now));
        }
    }

    /// The same at the end; false where it failed.
    fn save_last(&mut self) -> bool {
        let Some(mut saver) = self.saver.take() else { return true };
        let path = saver.path().display().to_string();
        let known = self.outputs.are_over().then(|| self.senders.keep());
        if known.is_none() && self.outputs.have_written() {
            saver.save();
        }
        let saved = saver.finish(known.as_deref());
        if let Err(error) = &saved {
            report(format_args!("{path}: {error}; another run can't go on from here"));
        }
        saved.is_ok()
    }

    /// Sends the answers to the senders, sealed where there is a key.
    fn answer(&mut self, inputs: &Inputs, answers: Vec<Answer>, now: Duration) {
        for answer in answers {
            if let Some(datagram) = self.protection.seal(answer.to, answer.text.as_bytes(), now) {
                inputs.send(answer.via, answer.to, &datagram);
            }
        }
    }

    /// Goes on with the conversation with a console.
    fn command(&mut self, inputs: &Inputs, now: Duration) {
        for console in self.console.iter_mut().chain(self.consoles.each(now)) {
            let to = console.to();
            if console.gives_up(now) {
                complain(format_args!("no answer from {to}: it takes commands only with netconsole.input=1"));
            }
            let Some(line) = console.due(now) else { continue };
            let via = self.senders.via(to);
            if let Some(datagram) = self.protection.seal(to, line, now) {
                inputs.send(via, to, &datagram);
                console.sent(now);
            } else if let Some(greeting) = self.protection.greeting(now) {
                inputs.send(via, to, &greeting);
            }
        }
        // Behind the above: where a line was given up, the next one is wanted at once.
        if self.console.as_mut().is_some_and(Console::wants_line) {
            inputs.read_line();
        }
    }

    /// Takes what [`Inputs::read_line`] asked for.
    fn take_line(&mut self, line: Option<Vec<u8>>, now: Duration) {
        let Some(console) = &mut self.console else { return };
        if !console.take(line, now) {
            complain(format_args!("a line is longer than {} bytes: it was not sent", console::LINE_BYTES));
        }
    }

    /// Answers another thread. One that has gone, or waits no more, needs no answer.
    fn reply(&mut self, question: Question, now: Duration) {
        match question {
            Question::Alive(answer) => {
                let _ = answer.try_send(());
            }
            Question::Metrics(answer) => {
                let _ = answer.try_send(self.metrics(now));
            }
            Question::Line { machine, line, answer } => {
                let to = self.senders.address(&machine).ok_or(Unsent::Unknown);
                let _ = answer.try_send(to.and_then(|to| self.consoles.add(to, line)));
            }
        }
    }

    fn metrics(&self, now: Duration) -> Metrics {
        Metrics {
            senders: self.senders.metrics(now.saturating_sub(self.silent_after)),
            dropped: self.dropped.values().copied().map(u64::from).sum(),
            refused: self.protection.refused().clone(),
            reports: self.reports.clone(),
            outputs: self.outputs.metrics(),
        }
    }

    /// Whether it is time to end.
    fn is_over(&self, now: Duration) -> bool {
        let console_is_over = self.console.as_ref().is_some_and(Console::is_over);
        self.watch.is_over(now) || console_is_over && !self.watch.has_end()
    }

    /// Takes a datagram that came through socket number `via`, at the address `to`.
    pub fn datagram(&mut self, datagram: Taken<&[u8]>, via: usize, to: SocketAddr, now: Duration) {
        let Taken { from, bytes, is_cut } = datagram;
        if is_cut && !std::mem::replace(&mut self.cut_is_said, true) {
            complain(format_args!(
                "from {from}: a datagram whose end was cut off on the way; … is in its place"
            ));
        }
        self.outputs.datagram(now, to, datagram);
        let message = match self.protection.open(from, bytes) {
            Ok(message) => message,
            Err(refusal) => {
                if self.protection.refused().get(&refusal) == Some(&1) {
                    complain(format_args!("refused, from {from}: a datagram that is {refusal}"));
                }
                return;
            }
        };
        let message = match &mut self.console {
            Some(console) => console.heard(from, &message),
            None => &message,
        };
        let message = self.consoles.heard(from, message);
        if is_cut {
            self.senders.cut_datagram(from, via, message, now, &mut self.heard);
        } else {
            self.senders.datagram(from, via, message, now, &mut self.heard);
        }
        self.show();
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Duration) {
        self.senders.tick(now, &mut self.heard);
        self.show();
    }

    /// Hands everything that was heard to the outputs.
    pub fn flush(&mut self) {
        self.outputs.flush();
    }

    /// Gives out all that is held, and waits until it is written.
    pub fn finish(&mut self, now: Duration) {
        self.give_out(now);
        self.outputs.end();
        while !self.outputs.wait(IDLE) {}
    }

    fn give_out(&mut self, now: Duration) {
        self.senders.finish(now, &mut self.heard);
        self.show();
        self.outputs.flush();
    }

    /// Shows what was heard, up to the record that ends the run.
    fn show(&mut self) {
        for heard in &mut self.heard {
            if self.watch.is_matched() {
                break;
            }
            if !self.selection.has(heard) {
                continue;
            }
            if let Event::Report(report) = &mut heard.event {
                self.groups.count(report);
            }
            self.told = self.told.saturating_add(1);
            if let Event::Crash { kind } = heard.event {
                let count = self.reports.entry(kind).or_default();
                *count = count.saturating_add(1);
            }
            self.watch.event(heard);
            if self.selection.shows(heard) {
                self.outputs.event(heard);
            }
            if let Some(command) = &mut self.on_crash {
                command.event(heard);
            }
        }
        self.heard.clear();
        self.heard.shrink_to(limits::EVENTS);
    }

    /// How long to wait for datagrams.
    fn rest(&self, now: Duration) -> Duration {
        let console_waits =
            self.console.as_ref().is_some_and(Console::is_waiting) || self.consoles.is_waiting();
        let due = self.senders.due().map(|due| due.saturating_sub(now).max(TICK));
        let unsaved = self.saver.as_ref().and_then(|saver| saver.due(self.told));
        let unsaved = unsaved.map(|due| due.saturating_sub(now).max(TICK));
        let sign = self.service.due().map(|due| due.saturating_sub(now));
        let due = due.into_iter().chain(unsaved).chain(sign).min();
        let rest = due.unwrap_or(IDLE).min(if console_waits { TICK } else { IDLE });
        self.watch.remaining(now).map_or(rest, |remaining| rest.min(remaining))
    }

    /// The counts of all senders and outputs.
    fn print_stats(&self, is_end: bool) {
        let mut lines = String::new();
        for (name, stats) in self.senders.stats() {
            lines.push_str(&format!("{name}: {stats}\n"));
        }
        if lines.is_empty() {
            lines.push_str("nothing received\n");
        }
        for (refusal, count) in self.protection.refused() {
            lines.push_str(&format!("refused, {refusal}: {count} datagrams\n"));
        }
        let dropped: u64 = self.dropped.values().copied().map(u64::from).sum();
        if dropped > 0 {
            lines.push_str(&format!("this host dropped {dropped} datagrams: its socket buffer was full\n"));
        }
        self.outputs.stats().for_each(|stats| lines.push_str(&format!("{stats}\n")));
        // Who asks again and again reads it.
        let say = if is_end || complain::is_out() { report } else { complain };
        say(format_args!("{}", lines.trim_end()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Places;
    use clap::Parser;

    /// What was taken before a socket failed is written.
    #[test]
    fn a_socket_that_fails_ends_the_run_as_a_signal_does() {
        let dir = tempfile::tempdir().expect("a directory");
        let logs = dir.path().to_str().expect("text");
        let options =
            Options::try_parse_from(["netconsole-receiver", "--quiet", "--dir", logs]).expect("options");
        let clock = Clock::start();
        let mut receiver =
            Receiver::open(&options, Files::read(&options).expect("none"), Begins::New, clock.now())
                .expect("a directory");
        let places =
            Places { addresses: vec![(([127, 0, 0, 1], 0).into(), None)], sockets: 1, groups: Vec::new() };
        let signals = input::signals().expect("signals");
        let listeners = Listeners::open(&places, Passed::default()).expect("a port");
        let inputs = Inputs::start(listeners, signals, clock).expect("threads");
        let (from, to) = (SocketAddr::from(([10, 0, 0, 1], 6666)), SocketAddr::from(([127, 0, 0, 1], 6666)));
        receiver.datagram(Taken { from, bytes: b"4,7,7,-;text\n", is_cut: false }, 0, to, clock.now());
        inputs.fail();
        assert!(matches!(receiver.hear_out(&options, &inputs, clock), Err(Error::Input(_))));
        let log = std::fs::read_to_string(dir.path().join("10.0.0.1.log")).expect("a file");
        assert!(log.contains("text"), "{log}");
    }
}
