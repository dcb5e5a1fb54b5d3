//! What people type because they know it from Linux.

use super::*;

#[test]
fn dmesg_lists_the_levels_and_takes_their_names() {
    let mut console = Console::new();
    let help = console.run("dmesg -h");
    let levels = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
    for (number, name) in levels.into_iter().enumerate() {
        let line = help.lines().find(|line| line.split_whitespace().next() == Some(name));
        assert_eq!(
            line.and_then(|line| line.split_whitespace().nth(1)),
            Some(&*number.to_string()),
            "{help}"
        );
        for form in ["-n ", "-n", "--console-level ", "--console-level="] {
            assert_eq!(console.run("dmesg -n 0"), "");
            assert_eq!(console.run(&format!("dmesg {form}{name}")), "", "{form}{name}");
            assert_eq!(
                usize::from(console.host.common.filter.limit),
                number + 1,
                "as util-linux: the level is shown too"
            );
        }
    }
    console.check(&[("dmesg -n 5", "")]);
    assert_eq!(console.host.common.filter.limit, 5);
    for wrong in ["-n", "-n verbose", "-n 9", "-n 3 -w", "-w -h", "-n 3 -n 4", "-T x", "-Tww", "w"] {
        let shown = console.run(&format!("dmesg {wrong}"));
        assert!(shown.starts_with("expected dmesg [-T] [-w], dmesg -n LEVEL"), "{wrong}: {shown}");
    }
    assert_eq!(console.host.common.filter.limit, 5);
}

#[test]
fn dmesg_shows_dates_where_the_wall_clock_is_known() {
    let mut console = Console::new();
    console.host.log("one\ntwo");
    let unknown = console.run("dmesg -T");
    assert!(unknown.starts_with("dmesg: the time of day is not known"), "{unknown}");
    assert!(unknown.ends_with("[    0.000000] one\n[    0.000000] two\n"), "{unknown}");
    // `date -u -d @1709251199`
    console.host.common.style.epoch = Some(1_709_251_199_999_999);
    let date = "[Thu Feb 29 23:59:59 2024]";
    console.check(&[("dmesg -T", &format!("{date} one\n{date} two\n")), ("dmesg", "one\ntwo\n")]);
    // One digit, as ctime has it.
    console.host.common.style.epoch = Some(0);
    console.check(&[("dmesg --ctime | tail -n 1", "[Thu Jan  1 00:00:00 1970] two\n")]);
}

#[test]
fn a_followed_log_goes_on_until_the_command_ends() {
    let mut console = Console::new();
    console.host.log("first");
    let mut out = Text::<2000>::new();
    console.session.begin("dmesg -w | grep -v not", &mut *console.host, &mut out);
    let turns = |console: &mut Console, out: &mut Text<2000>| {
        for _ in 0..10 {
            console.session.poll(&mut *console.host, out);
        }
        let shown = out.as_str().to_owned();
        out.clear();
        shown
    };
    assert_eq!(turns(&mut console, &mut out), "first\n");
    assert_eq!(console.session.followed(), Some(1));
    console.host.log("second");
    console.host.log("not this one");
    assert_eq!(turns(&mut console, &mut out), "second\n");
    assert_eq!(turns(&mut console, &mut out), "");
    assert_eq!(console.session.followed(), Some(3));
    console.session.cancel();
    assert!(console.session.is_idle());
    let endless = "dmesg: -w does not end, so expected neither tail nor '>' nor backquotes\n";
    console.check(&[
        ("dmesg -w | head -n 1", "first\n"),
        ("dmesg -w | tail", endless),
        ("dmesg -w > /dev/kmsg", endless),
        ("echo `dmesg -w`", endless),
    ]);
}

/// What a terminal has shown; `shown` counts the log's records that it has shown already.
fn screen(terminal: &mut Terminal, console: &mut Console, shown: &mut u64) -> String {
    let mut text = Vec::new();
    for _ in 0..200 {
        while terminal.poll(&mut *console.host) {}
        let mut buffer = [0; 256];
        let waits = Some(*shown).filter(|&shown| shown < console.host.ring().end());
        match terminal.next(waits) {
            Show::Output => {
                let length = terminal.take_output(&mut buffer);
                text.extend_from_slice(&buffer[..length]);
            }
            Show::Log => {
                text.extend_from_slice(format!("LOG {shown}\n").as_bytes());
                *shown += 1;
            }
            Show::Skip => *shown += 1,
            Show::Nothing => {}
        }
    }
    String::from_utf8(text).expect("text")
}

#[test]
fn the_prompt_shows_itself_once_the_log_is_shown() {
    let (mut console, mut terminal, mut shown) = (Console::new(), Box::new(Terminal::new()), 0);
    console.host.log("boot");
    assert_eq!(screen(&mut terminal, &mut console, &mut shown), "LOG 0\n");
    terminal.greet();
    console.host.log("done");
    let hint = "Type 'help' and Enter for a list of commands.\n";
    assert_eq!(screen(&mut terminal, &mut console, &mut shown), format!("LOG 1\n{hint}netconsole# "));
    console.host.log("later");
    assert_eq!(screen(&mut terminal, &mut console, &mut shown), "\r\x1b[KLOG 2\nnetconsole# ");
}

#[test]
fn the_terminal_shows_a_followed_log_once_and_ends_it_with_a_line() {
    let (mut console, mut terminal, mut shown) = (Console::new(), Box::new(Terminal::new()), 1);
    console.host.log("first");
    terminal.greet();
    // The line feed belongs to the carriage return: it ends nothing.
    "dmesg -w\r\n".bytes().for_each(|key| terminal.key(key));
    assert!(screen(&mut terminal, &mut console, &mut shown).ends_with("netconsole# dmesg -w\nfirst\n"));
    console.host.log("second");
    assert_eq!(screen(&mut terminal, &mut console, &mut shown), "second\n");
    assert_eq!(shown, 2, "the log's own way to the screen leaves it out");
    "echo n".bytes().for_each(|key| terminal.key(key));
    console.host.log("third");
    assert_eq!(screen(&mut terminal, &mut console, &mut shown), "third\n");
    "ext\r".bytes().for_each(|key| terminal.key(key));
    assert_eq!(screen(&mut terminal, &mut console, &mut shown), "netconsole# echo next\nnext\nnetconsole# ");
    "dmesg -w | grep none\r".bytes().for_each(|key| terminal.key(key));
    screen(&mut terminal, &mut console, &mut shown);
    terminal.key(3);
    assert_eq!(screen(&mut terminal, &mut console, &mut shown), "^C\nnetconsole# ");
    console.host.log("fourth");
    assert_eq!(screen(&mut terminal, &mut console, &mut shown), "\r\x1b[KLOG 3\nnetconsole# ");
}

#[test]
fn comments_are_ignored() {
    let mut console = Console::new();
    console.check(&[
        ("# a comment, with `backquotes` | and > more", ""),
        ("   # and another", ""),
        ("echo a # b", "a\n"),
        ("echo a#b '# c'", "a#b # c\n"),
        ("#", ""),
    ]);
}

#[test]
fn what_is_written_to_kmsg_is_logged() {
    let mut console = Console::new();
    console.check(&[
        ("echo hello there > /dev/kmsg", ""),
        ("echo '<3>disk on fire' > /dev/kmsg", ""),
        ("echo -n \"<15>user's\" > /dev/kmsg", ""),
        ("dmesg", "hello there\ndisk on fire\nuser's\n"),
        (
            "cat /dev/kmsg",
            "cat: /dev/kmsg: Permission denied: it can only be written to; 'dmesg -w' shows the log\n",
        ),
        ("ls /dev", "kmsg\n"),
    ]);
    let level = |sequence| match console.host.ring().read(sequence) {
        crate::ring::Read::Record(record) => record.level(),
        other => panic!("{other:?}"),
    };
    assert_eq!([0, 1, 2].map(level), [Level::Warning, Level::Error, Level::Debug]);
    let longest = "x".repeat(512 - "echo  > /dev/kmsg".len());
    console.check(&[
        (&format!("echo {longest} > /dev/kmsg"), ""),
        ("dmesg | tail -n 1", &format!("{longest}\n")),
    ]);
}

#[test]
fn printk_shows_four_numbers_and_takes_the_first() {
    let mut console = Console::new();
    let invalid =
        "printk: Invalid argument: expected a number from 0 to 8, records of lower levels being shown\n";
    console.check(&[
        ("cat /proc/sys/kernel/printk", "7\t4\t1\t7\n"),
        ("echo 8 > /proc/sys/kernel/printk", ""),
        ("cat /proc/sys/kernel/printk", "8\t4\t1\t7\n"),
        ("echo 3 4 1 7 > /proc/sys/kernel/printk", ""),
        ("echo 9 > /proc/sys/kernel/printk", invalid),
        ("echo 8 8 8 8 > /proc/sys/kernel/printk", invalid),
        ("cat /proc/sys/kernel/printk", "3\t4\t1\t7\n"),
    ]);
    assert_eq!(console.host.common.filter.limit, 3);
}

#[test]
fn the_command_line_can_be_read_however_long_it_is() {
    let mut console = Console::new();
    console.check(&[
        ("cat /proc/cmdline", "debug netconsole=@/\n"),
        ("echo x > /proc/cmdline", "cmdline: Permission denied: it can only be read\n"),
        ("ls /proc /proc/sys/kernel", "/proc:\ncmdline\nsys/\n/proc/sys/kernel:\nprintk\n"),
    ]);
    for length in [998, 999, 1000, 1001, 4096] {
        console.host.command_line = "\u{e4}".repeat(length / 2) + &"x".repeat(length % 2);
        let line = format!("{}\n", console.host.command_line);
        assert!(console.run("cat /proc/cmdline") == line, "{length}");
    }
}

#[test]
fn modprobe_adds_and_removes_targets() {
    let mut console = Console::new();
    let builtin = "modprobe: FATAL: Module configfs is builtin: only netconsole can be removed\n";
    console.check(&[
        ("modprobe netconsole netconsole=@/,@10.0.0.2/", "cmdline0: 6665@/,6666@10.0.0.2/\n"),
        ("modprobe netconsole netconsole=@/,@10.0.0.3/ oops_only=1", "cmdline1: 6665@/,6666@10.0.0.3/\n"),
        ("cat /sys/module/netconsole/parameters/oops_only", "Y\n"),
        ("mkdir t t/userdata/k", ""),
        ("ls", "cmdline0/\ncmdline1/\nt/\n"),
        ("modprobe -r configfs", builtin),
        ("modprobe -r", "expected modprobe -r netconsole, or rmmod netconsole\n"),
        ("modprobe -x", "expected modprobe netconsole [netconsole=PARAMETER], or modprobe -r netconsole\n"),
        ("modprobe -r netconsole", ""),
        ("ls", ""),
        ("modprobe -r netconsole", ""),
        ("modprobe netconsole", ""),
        ("modprobe netconsole netconsole=@/,@10.0.0.4/", "cmdline0: 6665@/,6666@10.0.0.4/\n"),
        ("rmmod netconsole", ""),
        ("ls", ""),
    ]);
}

#[test]
fn a_star_stands_for_names() {
    let mut console = Console::new();
    console.check(&[
        ("cat *", "cat: *: No such file or directory\n"),
        ("mkdir t1 t2", ""),
        ("echo * t*", "* t*\n"),
        ("ls t1/*_ip t2/r*_mac", "t1/local_ip\nt1/remote_ip\nt2/remote_mac\n"),
        ("cat 't*'", "cat: t*: No such file or directory\n"),
        ("cat */local_port", "6665\n6665\n"),
        ("cat /sys/kernel/config/netconsole/t*/remote_port", "6666\n6666\n"),
        ("cat t1/*_port", "6665\n6666\n"),
        ("cd t1", ""),
    ]);
    let files = console.run("ls");
    let values: String = files.lines().map(|file| console.run(&format!("cat {file}"))).collect();
    assert_eq!(console.run("cat *"), values.replace("userdata/", "userdata"));
    console.check(&[("cd ..", ""), ("rmdir *", ""), ("ls", "")]);
}

#[test]
fn what_goes_wrong_with_one_path_does_not_keep_the_others() {
    let mut console = Console::new();
    console.check(&[
        ("mkdir t", ""),
        ("cat t/none t/local_port", "cat: t/none: No such file or directory\n6665\n"),
        ("cat t/local_port t/none > t/remote_port", "cat: t/none: No such file or directory\n"),
        ("cat t/remote_port", "6666\n"),
        ("rmdir none t", "rmdir: none: No such file or directory\n"),
        ("ls", ""),
    ]);
}

#[test]
fn uname_says_what_this_is() {
    let mut console = Console::new();
    let release = "6.12.1-mine";
    console.check(&[
        ("uname", "netconsole\n"),
        ("uname -a", &format!("netconsole (none) {release} b01d x86_64\n")),
        ("uname -mr", &format!("{release} x86_64\n")),
        ("uname -r | grep x", ""),
        ("uname -x", "expected uname [-asnrvm]\n"),
        ("uname a", "expected uname [-asnrvm]\n"),
    ]);
    console.host.common.style.host_name = crate::host_name::HostName::new(b"board7");
    console.check(&[
        ("uname --all", &format!("netconsole board7 {release} b01d x86_64\n")),
        ("uname -n", "board7\n"),
    ]);
}
