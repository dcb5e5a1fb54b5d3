//! The sessions that doc/ shows, typed again: each command's answer is the one that is shown there, but for times, sizes
//! and counts.

use crate::harness::{Boot, Machine, Nic, free_port};
use std::fs;
use std::path::Path;

/// A command of a session, with the prompt before it and the lines below it.
struct Command {
    prompt: String,
    line: String,
    shown: Vec<String>,
}

/// The sessions of a page: the code blocks whose lines begin with a prompt.
fn sessions(page: &str) -> Vec<Vec<Command>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("doc").join(page);
    let text = fs::read_to_string(path).expect("the page is there");
    let blocks = text.split("\n```").skip(1).step_by(2);
    let session = |block: &str| {
        let mut commands: Vec<Command> = Vec::new();
        for line in block.lines().skip(1) {
            match line.split_once("# ") {
                Some((prompt, typed)) if prompt.chars().all(|char| char.is_ascii_alphanumeric()) => {
                    let (prompt, line) = (prompt.to_owned(), typed.to_owned());
                    commands.push(Command { prompt, line, shown: Vec::new() });
                }
                _ => commands.last_mut()?.shown.push(line.to_owned()),
            }
        }
        (!commands.is_empty()).then_some(commands)
    };
    blocks.filter_map(session).collect()
}

/// A line without what differs from run to run: the time before it, and the counts in statistics.
fn lasting(line: &str) -> String {
    let line = match line.split_once("] ") {
        Some((time, text)) if is_logged(line) && time.len() < 20 => format!("[time] {text}"),
        _ => line.to_owned(),
    };
    if !line.starts_with("records ") {
        return line;
    }
    let is_digit = |char: char| char.is_ascii_digit();
    line.split_inclusive(|char| !is_digit(char)).map(|part| part.trim_start_matches(is_digit)).collect()
}

/// Whether the log shows it by itself, at any time.
fn is_logged(line: &str) -> bool {
    line.starts_with('[')
}

fn run(machine: &mut Machine, command: &Command) {
    let Command { prompt, line, shown } = command;
    let before = machine.serial().len();
    let answer = machine.command(line);
    assert!(
        machine.serial().contains(&format!("{prompt}# {line}\r\n")),
        "the prompt of '{line}' is {prompt}#"
    );
    let reads_log = line.starts_with("dmesg");
    let counts = |text: &&str| reads_log || !is_logged(text);
    let answered: Vec<String> = answer.lines().filter(counts).map(lasting).collect();
    let expected: Vec<String> = shown.iter().map(String::as_str).filter(counts).map(lasting).collect();
    assert_eq!(answered, expected, "what '{line}' shows");
    let mut logged: Vec<String> =
        shown.iter().filter(|text| is_logged(text)).map(|text| lasting(text)).collect();
    if reads_log {
        logged.clear();
    }
    machine.wait_for(&format!("what the log says of '{line}': {logged:#?}"), |events| {
        let serial = String::from_utf8_lossy(&events.serial[before..]).replace("\r\x1b[K", "\n");
        let mut lines = serial.lines().map(|line| lasting(line.trim_end()));
        logged.iter().all(|wanted| lines.any(|line| line == *wanted)).then_some(())
    });
}

#[test]
fn the_session_on_the_console_s_page_works_as_it_stands() {
    let sessions = sessions("console.md");
    assert!(!sessions.is_empty(), "the page shows a session");
    for session in &sessions {
        let append = format!("debug netconsole=@/,{}@10.0.2.2/", free_port());
        let mut machine = Boot::new("documents-console", append).nics([Nic::virtio().user_network()]).start();
        machine.wait_for_serial("network logging started");
        session.iter().for_each(|command| run(&mut machine, command));
        machine.stop();
    }
}
