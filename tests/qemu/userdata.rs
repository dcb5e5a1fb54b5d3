//! Items of the targets' own and of the kernel's, changed while records are sent.

use crate::harness::{Boot, Machine, Peer, status};

const TARGET: &str = "10.0.0.2:6666";

fn boot(name: &'static str) -> Machine {
    start(Boot::new(name, "netconsole=+@10.0.0.1/,@10.0.0.2/"))
}

fn start(boot: Boot) -> Machine {
    let mut machine = boot.peer(Peer::at("10.0.0.2")).start();
    machine.wait_for_text(TARGET, "network logging started");
    machine.type_in("\r");
    machine.wait_for_serial("netconsole# ");
    machine.command("cd cmdline0/userdata");
    machine
}

/// Has something logged, and returns the text and items of that record.
fn log(machine: &mut Machine, name: &str) -> String {
    machine.command(&format!("netconsole=@/{name},@10.0.0.4/"));
    machine.wait_for_text(TARGET, &format!("{name} doesn't exist"));
    machine.command("rmdir ../../cmdline1");
    name.into()
}

#[test]
fn items_end_each_message() {
    let mut machine = boot("items");
    for line in [
        "mkdir rack",
        "echo b 7 > rack/value",
        "mkdir empty",
        "echo 1 > cpu_nr_enabled",
        "echo 1 > taskname_enabled",
        "echo 1 > release_enabled",
        "echo 1 > msgid_enabled",
    ] {
        assert_eq!(machine.command(line), "", "{line}");
    }
    log(&mut machine, "eth7");
    machine.command("echo c 8 > rack/value");
    log(&mut machine, "eth8");
    machine.command("rmdir rack");
    machine.command("echo 0 > cpu_nr_enabled");
    log(&mut machine, "eth9");

    let messages = machine.stop().messages(TARGET);
    let items = |name: &str| {
        let text = format!("netconsole: {name} doesn't exist");
        let found = messages.iter().find(|message| message.text.starts_with(&text)).expect("the record");
        let mut lines: Vec<String> = found.text.lines().skip(1).map(String::from).collect();
        let id = lines.pop().and_then(|line| line.strip_prefix(" msgid=")?.parse::<u32>().ok());
        (lines, id.expect("a message id"))
    };
    // The module that logs it.
    const MODULE: &str = " taskname=netconsole::targets::lane";
    let release = concat!(" release=", env!("CARGO_PKG_VERSION"));
    let (lines, first) = items("eth7");
    assert_eq!(lines, [" rack=b 7", " cpu=0", MODULE, release]);
    let (lines, second) = items("eth8");
    assert_eq!(lines[0], " rack=c 8");
    assert!(second > first);
    let (lines, _) = items("eth9");
    assert_eq!(lines, [MODULE, release]);
}

/// From the first record on; what can be no item is told.
#[test]
fn items_of_the_command_line_end_their_target_s_messages() {
    let parameters = r#"debug netconsole=+@10.0.0.1/,7777@10.0.0.2/ netconsole=+@10.0.0.1/,@10.0.0.2/
        netconsole.userdata=rack=a netconsole.userdata=rack=b\x207 "netconsole.userdata=a b=7" after=exit"#;
    let capture =
        Boot::new("items-given", parameters.replace('\n', " ")).peer(Peer::at("10.0.0.2")).start().end();
    assert_eq!(capture.status, status::GOOD, "{}", capture.serial);
    let messages = capture.messages(TARGET);
    assert!(messages.len() > 20 && messages.iter().all(|message| message.text.ends_with("\n rack=b 7")));
    let others = capture.messages("10.0.0.2:7777");
    assert!(others.len() > 20 && others.iter().all(|message| !message.text.contains("\n rack=")));
    let said = "netconsole.userdata: 'a b=7': expected a key of 1 to 53 printable ASCII characters";
    assert!(capture.serial.contains(said), "{}", capture.serial);
}

#[test]
fn long_items_go_in_fragments_and_can_change_meanwhile() {
    let mut machine = boot("long-items");
    for number in 0..40 {
        assert_eq!(machine.command(&format!("mkdir key{number}")), "");
        assert_eq!(machine.command(&format!("echo {} > key{number}/value", "v".repeat(40))), "");
        if number % 5 == 4 {
            log(&mut machine, &format!("eth{number}a"));
        }
    }
    // The harness refuses fragments that don't fit together.
    let messages = machine.stop().messages(TARGET);
    assert!(messages.iter().any(|message| message.fragments >= 3));
}

#[test]
fn items_end_the_last_words_too() {
    let parameters = "panic=0 netconsole.panic_repeat=0 netconsole=+@10.0.0.1/,@10.0.0.2/";
    let mut machine = start(Boot::new("items-panic", parameters).repeats());
    for line in ["mkdir rack", "echo b 7 > rack/value", "echo 1 > cpu_nr_enabled"] {
        assert_eq!(machine.command(line), "", "{line}");
    }
    machine.type_in("crash PANIC\r");
    machine.wait_for_text(TARGET, "---[ end Kernel panic");

    let messages = machine.stop().messages(TARGET);
    let mut report =
        messages.iter().skip_while(|message| !message.text.starts_with("Kernel panic")).peekable();
    assert!(report.peek().is_some(), "{messages:?}");
    assert!(report.all(|message| message.text.ends_with("\n rack=b 7\n cpu=0")), "{messages:?}");
}
