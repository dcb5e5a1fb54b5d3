//! What a person sees.

use std::fs::File;
use std::io::Read;
use std::process::Command;

use clap::CommandFactory;
use netconsole_receiver::manual::{self, Section};
use netconsole_receiver::options::Options;
use nix::pty::openpty;

use crate::run::{Listening, PATIENCE, PROGRAM, capture, run, stdout};

#[test]
fn colour_is_for_terminals_and_by_wish() {
    let extended = capture("linux-6.12-extended.pcap");
    let always = run(&["--read", &extended, "--color", "always"]);
    assert!(stdout(&always).contains("\x1b["));
    assert!(!stdout(&run(&["--read", &extended])).contains('\x1b'));

    let on_a_terminal = |no_color: &str| {
        let terminal = openpty(None, None).expect("a terminal");
        let mut program = Command::new(PROGRAM);
        program.args(["--read", &extended]).env("NO_COLOR", no_color).stdout(terminal.slave);
        let mut child = program.spawn().expect("the program starts");
        // The last of this side's handles: the other then reads an error at the end, as terminals do.
        drop(program);
        let mut shown = Vec::new();
        let _ = File::from(terminal.master).read_to_end(&mut shown);
        assert!(child.wait().expect("the program ends").success());
        String::from_utf8(shown).expect("text")
    };
    // https://no-color.org: an empty value does not count.
    let coloured = on_a_terminal("");
    assert!(coloured.contains("\x1b[") && coloured.contains("Kernel panic"));
    let plain = on_a_terminal("1");
    assert!(!plain.contains('\x1b') && plain.contains("Kernel panic"));
}

#[test]
fn lines_begin_with_the_name_where_it_is_needed() {
    let basic = capture("linux-6.12-basic.pcap");
    let begin = |arguments: &[&str], beginning: &str| {
        let output = run(&[&["--read", &basic], arguments].concat());
        let with = stdout(&output).lines().filter(|line| line.starts_with(beginning)).count();
        (with, stdout(&output).lines().count())
    };
    let (with, all) = begin(&["--name", "10.0.2.15=vm"], "vm ");
    assert_eq!(with, all, "a given name is shown");
    assert_eq!(begin(&["--name", "10.0.2.15=vm", "--prefix", "never"], "vm ").0, 0);
    assert_eq!(begin(&[], "10.0.2.15 ").0, 0, "one sender without a name");
    assert_eq!(begin(&["--prefix", "always"], "10.0.2.15 "), (all, all));
}

#[test]
fn records_of_the_boot_before_and_cut_ones_are_marked() {
    let receiver = Listening::start(&["--timeout", PATIENCE, "--until", "last"]);
    let socket = receiver.socket();
    socket.send(b"6,0,1000000,-;old\n boot=-1\n").expect("loopback");
    socket.send(b"6,1,1000001,-;lon\n cut=1\n").expect("loopback");
    socket.send(b"6,2,1000002,-;last\n").expect("loopback");
    let output = receiver.end();
    assert_eq!(stdout(&output), "[    1.000000] (boot -1) old\n[    1.000001] lon…\n[    1.000002] last\n");
}

#[test]
fn control_sequences_do_not_reach_the_terminal() {
    let receiver = Listening::start(&["--timeout", PATIENCE, "--until", "last", "--fields"]);
    let socket = receiver.socket();
    socket.send(b"basic \x1b[2J\x07\x9b\xc2\x9b31m\r\n").expect("loopback");
    socket.send(b"6,0,1,-;text \\x1b]0;title\\x07\n KEY=\\x1b[31m\n").expect("loopback");
    socket.send(b"<6>1 - \x1b[1mhost - - - - \x1b[0mlast").expect("loopback");
    let output = receiver.end();
    assert!(stdout(&output).chars().all(|character| character == '\n' || !character.is_control()));
    assert!(stdout(&output).contains("text \\x1b]0;title\\x07"));
}

#[test]
fn the_manual_and_the_help_tell_everything() {
    let (manual, help) = (run(&["--man"]), run(&["--help"]));
    let (manual, help) = (stdout(&manual).replace("\\-", "-"), stdout(&help));
    assert!(manual.contains(".TH netconsole"));
    let command = Options::command();
    for option in command.get_arguments().filter(|option| !option.is_hide_set()) {
        let name = format!("--{}", option.get_long().expect("every option has a long name"));
        assert!(manual.contains(&name) && help.contains(&name), "{name}");
        assert!(option.get_help().is_some(), "{name}");
    }
    for Section { title, terms, .. } in &manual::SECTIONS {
        assert!(manual.contains(&title.to_uppercase()) && help.contains(title), "{title}");
        for (term, _) in *terms {
            assert!(manual.contains(term) && help.contains(term), "{term}");
        }
    }
}
