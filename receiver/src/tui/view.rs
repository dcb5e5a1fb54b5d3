//! What the terminal shows: the machines at the left, the log of one at the right, keys below.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, List, ListItem, ListState, Paragraph};

use super::Screen;
use super::log;
use crate::wall::{Glance, State};

/// Columns of the list of machines.
const LIST: u16 = 34;
const KEYS: &str = "↑↓ machine  PgUp PgDn scroll  Space stop/follow  / find  l level  c crash  b boot  q end";

/// Draws all of it. Returns how many rows the log has.
pub fn draw(frame: &mut Frame<'_>, screen: &Screen) -> usize {
    let [above, below] = Layout::vertical([Constraint::Min(3), Constraint::Length(1)]).areas(frame.area());
    // On a narrow terminal the log has two thirds.
    let list = LIST.min(above.width / 3);
    let [left, right] = Layout::horizontal([Constraint::Length(list), Constraint::Min(1)]).areas(above);
    machines(frame, left, screen);
    let rows = log(frame, right, screen);
    let words = match (&screen.typed, &screen.said) {
        (Some(typed), _) => format!("find: {typed}_"),
        (None, Some(said)) => said.clone(),
        (None, None) => KEYS.to_owned(),
    };
    frame.render_widget(Paragraph::new(words).style(Style::new().add_modifier(Modifier::REVERSED)), below);
    rows
}

fn machines(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    let title = format!(" {} machines ", screen.machines.len());
    let items = screen.machines.iter().map(|machine| ListItem::new(tile(machine, area.width)));
    let list = List::new(items.collect::<Vec<_>>())
        .block(Block::new().borders(Borders::RIGHT | Borders::TOP).title(title))
        .highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = ListState::default().with_selected(screen.selected());
    frame.render_stateful_widget(list, area, &mut state);
}

fn tile(machine: &Glance, width: u16) -> Line<'static> {
    let (word, color) = match machine.state {
        State::Booting => ("booting", Color::Cyan),
        State::Rebooted => ("rebooted", Color::Cyan),
        State::Up => ("up", Color::Green),
        State::Silent => ("silent", Color::DarkGray),
        State::Crashed => ("CRASHED", Color::Red),
    };
    let behind = if machine.gaps > 0 { format!(" {} gaps", machine.gaps) } else { String::new() };
    let room = usize::from(width).saturating_sub(word.len() + behind.len() + 3);
    let name: String = machine.name.chars().take(room).collect();
    Line::from(vec![
        Span::styled(format!("{word} "), Style::new().fg(color)),
        Span::raw(format!("{name:room$}")),
        Span::styled(behind, Style::new().fg(Color::Yellow)),
    ])
}

fn log(frame: &mut Frame<'_>, area: Rect, screen: &Screen) -> usize {
    let rows = usize::from(area.height.saturating_sub(1));
    let log = &screen.log;
    let mut title = format!(" {} ", log.machine);
    if log.level() < 7 {
        title.push_str(&format!("≤ level {} ", log.level()));
    }
    if !log.words().is_empty() {
        title.push_str(&format!("with “{}” ", log.words()));
    }
    if !log.is_followed() {
        title.push_str("stopped ");
    }
    let lines: Vec<Line<'_>> = log.shown(rows).into_iter().map(styled).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::new().borders(Borders::TOP).title(title)), area);
    rows
}

fn styled(line: &log::Line) -> Line<'_> {
    let style = match line.level {
        _ if line.is_crash => Style::new().fg(Color::White).bg(Color::Red),
        None => Style::new().fg(Color::Magenta),
        Some(0..=3) => Style::new().fg(Color::Red),
        Some(4) => Style::new().fg(Color::Yellow),
        Some(5) => Style::new().add_modifier(Modifier::BOLD),
        Some(6) => Style::new(),
        Some(_) => Style::new().add_modifier(Modifier::DIM),
    };
    Line::styled(line.text.as_str(), style)
}
