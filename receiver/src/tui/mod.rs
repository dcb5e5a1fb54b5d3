//! The wall in a terminal (`--tui`): the machines, and the log of one. It knows nothing of output, receive, senders.

mod aside;
mod log;
mod view;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::wall::{Glance, Wall};
use aside::Aside;
use log::{Log, Mark};

/// How often it is drawn at most, and looked for keys.
const FRAME: Duration = Duration::from_millis(100);

/// The terminal's thread.
#[derive(Debug)]
pub struct Tui {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Option<Aside>>,
}

/// What is shown.
#[derive(Debug, Default)]
struct Screen {
    /// Those that changed last are the first.
    machines: Vec<Glance>,
    /// The log of the one that is selected.
    log: Log,
    /// Words to find, while they are typed.
    typed: Option<String>,
    /// What was said last on standard error.
    said: Option<String>,
    /// Rows of the log.
    rows: usize,
}

impl Tui {
    /// Whether there is a terminal to take.
    pub fn check() -> io::Result<()> {
        if io::stdout().is_terminal() { Ok(()) } else { Err(io::Error::other("standard output is none")) }
    }

    /// Takes the terminal.
    pub fn start(wall: &Arc<Wall>) -> io::Result<Self> {
        Self::check()?;
        let mut aside = Aside::take()?;
        let mut terminal = ratatui::try_init()?;
        let is_over = Arc::new(AtomicBool::new(false));
        let (wall, ends) = (Arc::clone(wall), Arc::clone(&is_over));
        let run = move || {
            let mut screen = Screen::default();
            while !ends.load(Ordering::Relaxed) {
                screen.look(&wall);
                screen.said = aside.as_mut().and_then(Aside::look);
                let drawn = terminal.draw(|frame| screen.rows = view::draw(frame, &screen));
                if drawn.is_err() || screen.keys().is_err() {
                    end();
                    break;
                }
            }
            aside
        };
        let thread = thread::Builder::new().spawn(run).inspect_err(|_| ratatui::restore())?;
        Ok(Tui { is_over, thread })
    }

    /// Gives the terminal back, and standard error with what was said there meanwhile.
    pub fn finish(self) {
        self.is_over.store(true, Ordering::Relaxed);
        let aside = self.thread.join();
        ratatui::restore();
        drop(aside);
    }
}

/// Ends the run as a signal would.
fn end() {
    let _ = kill(Pid::this(), Signal::SIGTERM);
}

impl Screen {
    fn look(&mut self, wall: &Wall) {
        self.machines = wall.glances();
        if self.log.machine.is_empty()
            && let Some(first) = self.machines.first()
        {
            self.log = Log::of(&first.name, &self.log);
        }
        if let Some((first, lines)) = wall.lines_from(&self.log.machine, self.log.next()) {
            self.log.take(first, lines);
        }
    }

    fn selected(&self) -> Option<usize> {
        self.machines.iter().position(|machine| machine.name == self.log.machine)
    }

    /// Takes what keys come within a frame.
    fn keys(&mut self) -> io::Result<()> {
        if !event::poll(FRAME)? {
            return Ok(());
        }
        while event::poll(Duration::ZERO)? {
            if let Event::Key(key) = event::read()?
                && key.kind != KeyEventKind::Release
            {
                self.key(key);
            }
        }
        Ok(())
    }

    fn key(&mut self, key: KeyEvent) {
        let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        if is_interrupt {
            return end();
        }
        if self.typed.is_some() {
            return self.type_words(key.code);
        }
        let page = isize::try_from(self.rows.saturating_sub(1)).unwrap_or(1);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => end(),
            KeyCode::Up | KeyCode::Char('k') => self.select(-1),
            KeyCode::Down | KeyCode::Char('j') => self.select(1),
            KeyCode::PageUp => self.log.scroll(page),
            KeyCode::PageDown => self.log.scroll(-page),
            KeyCode::Home => self.log.scroll(isize::MAX),
            KeyCode::End => self.log.follow(),
            KeyCode::Char(' ') if self.log.is_followed() => self.log.stop(),
            KeyCode::Char(' ') => self.log.follow(),
            KeyCode::Char('l') => self.log.limit(),
            KeyCode::Char('/') => self.typed = Some(self.log.words().to_owned()),
            KeyCode::Char('c') => drop(self.log.jump(Mark::Crash, self.rows)),
            KeyCode::Char('b') => drop(self.log.jump(Mark::Boot, self.rows)),
            _ => {}
        }
    }

    fn type_words(&mut self, key: KeyCode) {
        let Some(typed) = &mut self.typed else { return };
        match key {
            KeyCode::Char(character) => typed.push(character),
            KeyCode::Backspace => drop(typed.pop()),
            KeyCode::Enter => {
                let typed = self.typed.take().unwrap_or_default();
                self.log.find(&typed);
            }
            KeyCode::Esc => self.typed = None,
            _ => {}
        }
    }

    /// The machine so many below the one that is selected.
    fn select(&mut self, by: isize) {
        let last = self.machines.len().saturating_sub(1);
        let to = self.selected().map_or(0, |selected| selected.saturating_add_signed(by).min(last));
        if let Some(machine) = self.machines.get(to) {
            self.log = Log::of(&machine.name, &self.log);
        }
    }
}
