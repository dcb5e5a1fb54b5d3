use super::*;

const GREETING: &[u8] = b"Type 'help' and Enter for a list of commands.\r\nnetconsole# ";

/// What is written to the screen since it was asked last.
fn output(screen: &mut Screen) -> String {
    String::from_utf8(screen.take_output()).expect("text")
}

/// A terminal on which a boot was shown that the network brought.
fn booted() -> Screen {
    let mut screen = Screen::new(true);
    screen.arrived(b"[    0.000100] one\n");
    screen.serial(b"[    0.000100] one\r\n");
    screen.serial(GREETING);
    output(&mut screen);
    screen
}

#[test]
fn the_log_comes_from_the_network_alone_and_the_prompt_from_serial() {
    let mut screen = Screen::new(true);
    for piece in b"[    0.000100] one\r\n[    0.0002".chunks(3) {
        screen.serial(piece);
    }
    assert_eq!(output(&mut screen), "");
    screen.arrived(b"[    0.000100] one\n");
    assert_eq!(output(&mut screen), "[    0.000100] one\n");
    screen.serial(b"00] two\r\n");
    screen.serial(GREETING);
    assert_eq!(output(&mut screen), "Type 'help' and Enter for a list of commands.\nnetconsole# ");
    screen.arrived(b"[    0.000200] two\n");
    assert_eq!(output(&mut screen), "\r\x1b[K[    0.000200] two\nnetconsole# ", "it is drawn again below");
}

#[test]
fn what_is_typed_and_edited_is_shown() {
    let mut screen = booted();
    screen.serial(b"l");
    assert_eq!(output(&mut screen), "l");
    screen.serial(b"\r\x1b[Knetconsole# lq\x1b[1D");
    assert_eq!(output(&mut screen), "q\x1b[1D");
    screen.serial(b"\r\x1b[Knetconsole# ");
    assert_eq!(output(&mut screen), "\r\x1b[Knetconsole# ");
    // A record of which serial shows the same.
    screen.serial(b"\r\x1b[K[    1.000000] later\r\nnetconsole# ");
    assert_eq!(output(&mut screen), "");
}

#[test]
fn an_answer_is_shown_with_what_it_has_of_the_log() {
    let mut screen = booted();
    screen.serial(b"dmesg\r\n[    0.000100] one\r\n[    0.000150] hidden so far\r\n");
    assert_eq!(output(&mut screen), "dmesg\n[    0.000100] one\n");
    screen.serial(b"netconsole# ");
    assert!(screen.is_doubtful(), "the network may bring it");
    screen.settle();
    assert_eq!(output(&mut screen), "netconsole# \r\x1b[K[    0.000150] hidden so far\nnetconsole# ");
    assert!(!screen.is_doubtful());
    screen.serial(b"echo [ \r\n[ \r\nnetconsole# ");
    assert_eq!(output(&mut screen), "echo [ \n[ \nnetconsole# ");
}

#[test]
fn what_a_command_logs_comes_once() {
    let mut screen = booted();
    screen.serial(b"echo 1 > enabled\r\n[    2.000000] netconsole: local port 6665\r\n");
    screen.arrived(b"board7 \x1b[32m[    2.000000] \x1b[0mnetconsole: local port 6665\n");
    screen.arrived(b"[    2.000001] netconsole: remote port 6666\n");
    screen.serial(b"[    2.000001] netconsole: remote port 6666\r\n");
    screen.serial(b"[    2.000002] netconsole: network logging started\r\nnetconsole# ");
    screen.arrived(b"[    2.000002] netconsole: network logging started\n");
    assert!(!screen.is_doubtful());
    // Behind the prompt, in one piece with it.
    screen.serial(b"echo x > /dev/kmsg\r\nnetconsole# \r\x1b[K[    3.000000] x\r\nnetconsole# ");
    screen.arrived(b"[    3.000000] x\n");
    assert!(!screen.is_doubtful());
    let shown = output(&mut screen);
    for once in ["local port", "remote port", "logging started", "] x\n"] {
        assert_eq!(shown.matches(once).count(), 1, "{once}: {shown}");
    }
}

#[test]
fn where_nothing_arrives_serial_says_why() {
    let mut screen = Screen::new(true);
    screen.serial(b"[    0.000100] one\r\n[    0.000200] netconsole: couldn't parse config at 'x'!\r\n");
    assert!(!screen.is_settled());
    screen.nothing_arrived("serial.log");
    let remark =
        "run: nothing has arrived for 2 s; what the serial console says of it (serial.log has all):\n";
    let reason = "[    0.000200] netconsole: couldn't parse config at 'x'!\n";
    assert_eq!(output(&mut screen), format!("{remark}{reason}"));
    screen.serial(b"[    3.000000] netconsole: and more\r\n[    3.000001] eth0: not this\r\n");
    assert_eq!(output(&mut screen), "[    3.000000] netconsole: and more\n");
    screen.nothing_arrived("serial.log");
    assert_eq!(output(&mut screen), "", "once");
    screen.arrived(b"[    4.000000] it works\n");
    screen.serial(b"[    5.000000] netconsole: once\r\n");
    assert_eq!(output(&mut screen), "[    4.000000] it works\n");
    // A machine that is slow to start says it later.
    let mut slow = Screen::new(true);
    slow.nothing_arrived("serial.log");
    assert_eq!(output(&mut slow), remark);
    slow.serial(b"[    0.000200] netconsole: couldn't parse config at 'x'!\r\n");
    assert_eq!(output(&mut slow), reason);
    let mut fine = booted();
    fine.nothing_arrived("serial.log");
    assert_eq!(output(&mut fine), "");
}

#[test]
fn a_file_has_whole_lines_and_no_erasures() {
    let mut screen = Screen::new(false);
    screen.serial(b"[    0.000100] one\r\n");
    screen.serial(GREETING);
    screen.serial(b"\r\x1b[K[    0.100000] two\r\nnetconsole# uptime\r\nup 0:00:01\r\nnetconsole# ");
    screen.arrived(b"[    0.000100] one\n");
    let greeting = "Type 'help' and Enter for a list of commands.\n";
    assert_eq!(
        output(&mut screen),
        format!("{greeting}netconsole# uptime\nup 0:00:01\n[    0.000100] one\n")
    );
}

#[test]
fn records_are_known_by_their_time() {
    assert_eq!(time(b"[    1.000002] x"), Some(1_000_002));
    assert_eq!(time(b"[123456.000002] x"), Some(123_456_000_002));
    for other in
        ["", "[", "[x", "[ 1.2] x", "[    1.00000a] x", "    1.000002] x", "[boot -1] [    1.000002] x"]
    {
        assert_eq!(time(other.as_bytes()), None, "{other}");
    }
}
