//! The commands, their arguments and their way through filters and files.

use super::*;
use proptest::prelude::*;

const DMESG: &str =
    "expected dmesg [-T] [-w], dmesg -n LEVEL with a LEVEL from 0 to 8 or its name, or dmesg -h\n";

const STATION: MacAddr = MacAddr([0, 0x13, 0x32, 0x20, 0xa9, 0xa5]);

#[test]
fn the_session_of_the_seed_page_works() {
    let mut console = Console::new();
    console.host.neighbor = Some(([192, 168, 0, 17].into(), STATION));
    console.host.log("netconsole: network logging started");
    console.check(&[
        ("dmesg -n 8", ""),
        ("modprobe configfs", ""),
        ("modprobe netconsole", ""),
        ("mount none -t configfs /sys/kernel/config", ""),
        ("mkdir /sys/kernel/config/netconsole/target1", ""),
        ("cd /sys/kernel/config/netconsole/target1", ""),
        ("echo 192.168.0.111 > local_ip", ""),
        ("echo 192.168.0.17 > remote_ip", ""),
        ("arping `cat remote_ip` -f |grep -o ..:..:..:..:..:.. > remote_mac", ""),
        ("cat remote_mac", "00:13:32:20:a9:a5\n"),
        ("echo > remote_mac", ""),
        ("arping 192.168.0.17 > remote_mac", ""),
        ("cat remote_mac", "00:13:32:20:a9:a5\n"),
        ("echo 1 > enabled", ""),
        ("dmesg | tail", "netconsole: network logging started\n"),
    ]);
    assert_eq!(console.host.common.filter.limit, 8);
    assert!(console.run("dmesg -h").starts_with("Usage: dmesg"));
}

#[test]
fn the_log_goes_through_filters() {
    let mut console = Console::new();
    for number in 0..3000 {
        console.host.log(&format!("line {number}"));
    }
    let all = console.run("dmesg");
    let lines: Vec<&str> = all.lines().collect();
    assert!(lines.len() > 1000, "{}", lines.len());
    assert_eq!(lines.last(), Some(&"line 2999"));
    let last = |count: usize| lines[lines.len() - count..].join("\n") + "\n";
    assert_eq!(console.run("dmesg | tail"), last(10));
    assert_eq!(console.run("dmesg | tail -n 1000"), last(1000));
    assert_eq!(console.run("dmesg | tail -n 1000000"), all);
    assert_eq!(console.run("dmesg | tail -n 0"), "");
    assert_eq!(console.run("dmesg | head -n 1"), format!("{}\n", lines[0]));
    assert_eq!(console.run("dmesg | grep 299[7-9]"), "");
    assert_eq!(console.run("dmesg | grep 'line 299.' | tail -n 2"), "line 2998\nline 2999\n");
    assert_eq!(console.run("dmesg | tail -n 5 | head -n 2 | grep -o 299."), "2995\n2996\n");
    assert_eq!(console.run("dmesg | grep -v line"), "");
}

/// What a boot with a key logged stays in the machine, by the console too.
#[test]
fn what_is_withheld_is_counted() {
    let mut console = Console::new();
    let boot = |console: &Console, audience| console.host.ring().recover(0, audience);
    boot(&console, Audience::Holders(KeyId::new(7)));
    (0..3).for_each(|number| console.host.log(&format!("secret {number}")));
    boot(&console, Audience::Everybody);
    console.host.log("not secret");
    boot(&console, Audience::Nobody);
    console.host.log("secret 4");
    boot(&console, Audience::Everybody);
    let withheld =
        |count| format!("[{count} records withheld: they leave only sealed with the key of their boot]\n");
    assert_eq!(console.run("dmesg"), format!("{}[boot -2] not secret\n{}", withheld(3), withheld(1)));
}

/// Of four the second is lost: three seconds, where the others take one, and the last ends at once.
#[test]
fn four_are_pinged_a_second_apart_and_waited_for_three() {
    let mut console = Console::new();
    assert!(console.run("ping 10.0.0.2").ends_with("4 packets transmitted, 3 received, 1 lost\n"));
    assert!((5_000_000..5_050_000).contains(&console.host.now), "{} µs", console.host.now);
    console.host.now = 0;
    assert!(console.run("arping 10.0.0.2").ends_with("nobody answers for 10.0.0.2\n"));
    assert!((3_000_000..3_050_000).contains(&console.host.now), "{} µs", console.host.now);
}

#[test]
fn a_turn_is_32_steps_where_nothing_is_shown() {
    for (records, turns) in [(31, 1), (32, 2)] {
        let mut console = Console::new();
        (0..records).for_each(|number| console.host.log(&format!("line {number}")));
        let mut out = Text::<2000>::new();
        console.session.begin("dmesg | grep none", &mut *console.host, &mut out);
        let is_working = |_: &usize| console.session.poll(&mut *console.host, &mut out) == Progress::Working;
        assert_eq!((1..).take_while(is_working).count() + 1, turns);
    }
}

#[test]
fn a_terminal_keeps_1024_keys_while_a_command_runs() {
    let mut console = Console::new();
    let mut terminal = Box::new(Terminal::new());
    let mut taken = 0;
    while terminal.has_room() {
        terminal.key(b'x');
        taken += 1;
    }
    assert_eq!(taken, 1024);
    while terminal.poll(&mut *console.host) {}
    assert!(terminal.is_idle());
}

/// 400 bytes, and the line's end where it did not fit.
#[test]
fn a_problem_is_one_line_however_long_the_name_in_it_is() {
    let mut console = Console::new();
    for length in 0..190 {
        for command in ["", "cd ", "ls ", "cat ", "mkdir none/", "rmdir ", "modprobe ", "echo > "] {
            let answer = console.run(&format!("{command}x{}", "\x01".repeat(length)));
            assert!(answer.ends_with('\n') && answer.lines().count() == 1, "{command} {length}: {answer}");
            assert!(answer.len() <= 401, "{command} {length}: {answer}");
        }
    }
    let shown = |length: usize| Console::new().run(&format!("cd {}", "\x01".repeat(length))).len();
    let longest = 400 - "cd: : No such file or directory\n".len();
    assert_eq!(shown(longest / 5), "cd: : No such file or directory\n".len() + longest / 5 * 5);
    assert_eq!(shown(longest / 5 + 1), 401);
}

#[test]
fn a_long_record_is_shown_whole() {
    let mut console = Console::new();
    let text = "x".repeat(2000);
    console.host.log(&text);
    assert_eq!(console.run("dmesg"), format!("{text}\n"));
}

#[test]
fn records_logged_meanwhile_do_not_keep_dmesg_going() {
    let mut console = Console::new();
    console.host.log("first");
    let mut out = Text::<2000>::new();
    console.session.begin("dmesg", &mut *console.host, &mut out);
    console.host.log("second");
    while !console.session.is_idle() {
        console.session.poll(&mut *console.host, &mut out);
    }
    assert_eq!(out.as_str(), "first\n");
}

#[test]
fn neighbours_are_asked_for() {
    let mut console = Console::new();
    let nobody = "arping: nobody answers for 10.0.0.9\n";
    assert_eq!(console.run("arping 10.0.0.9"), format!("ARPING 10.0.0.9 from 10.0.0.1 eth0\n{nobody}"));
    console.check(&[("mkdir t", ""), ("arping 10.0.0.9 > t/remote_mac", nobody)]);
    console.host.neighbor = Some(([10, 0, 0, 9].into(), STATION));
    console.check(&[
        (
            "arping -I eth0 10.0.0.9",
            "ARPING 10.0.0.9 from 10.0.0.1 eth0\nUnicast reply from 10.0.0.9 [00:13:32:20:a9:a5]  1.000 ms\n",
        ),
        ("arping -I eth7 10.0.0.9", "arping: there is no such interface; 'ip' lists them\n"),
    ]);
}

#[test]
fn pings_are_counted() {
    let mut console = Console::new();
    let shown = console.run("ping -c 3 10.0.0.9");
    assert!(shown.starts_with("PING 10.0.0.9\nanswer from 10.0.0.9: icmp_seq=1 time="), "{shown}");
    assert!(shown.contains("no answer from 10.0.0.9: icmp_seq=2\n"), "{shown}");
    assert!(shown.ends_with("3 packets transmitted, 2 received, 1 lost\n"), "{shown}");
    assert!(console.host.now > 4_000_000, "one waited for, one not");
}

#[test]
fn a_wrong_line_gets_one_that_says_what_was_expected() {
    let mut console = Console::new();
    console.check(&[
        ("", ""),
        ("rm -rf /", "rm: command not found; 'help' lists all\n"),
        ("dmesg -n 9", DMESG),
        ("dmesg -x", DMESG),
        ("arping", "expected arping [-f] [-I DEVICE] ADDRESS\n"),
        ("arping 10.0.0", "expected arping [-f] [-I DEVICE] ADDRESS\n"),
        ("ping 10.0.0.1 10.0.0.2", "expected ping [-c NUMBER] ADDRESS\n"),
        ("mkdir", "expected mkdir DIRECTORY\n"),
        ("reboot now", "expected no arguments\n"),
        ("modprobe e1000", "modprobe: FATAL: Module e1000 not found: netconsole and configfs are built in\n"),
        ("dmesg | sort", "sort: expected head, tail or grep behind '|'\n"),
        ("dmesg | tail | tail", "tail: expected only once in a line\n"),
        ("mkdir t | tail", "mkdir: it shows nothing that could go through '|'\n"),
        ("echo \"1 > enabled", "expected a closing \"\n"),
        ("echo 1 >", "expected one file behind '>', at the end of the line\n"),
    ]);
    assert!(console.run("crash NOTHING").starts_with("crash: expected one of PANIC BUG"));
    assert_eq!(console.host.ending, None);
}

/// Each command takes the arguments that it has a use for, and does nothing where there are others or none.
#[test]
fn too_many_arguments_and_too_few_are_refused() {
    let mut console = Console::new();
    console.check(&[
        ("help me", "expected no arguments\n"),
        ("? me", "expected no arguments\n"),
        ("uptime now", "expected no arguments\n"),
        ("reboot now", "expected no arguments\n"),
        ("poweroff now", "expected no arguments\n"),
        ("cd / /", "expected cd DIRECTORY\n"),
        ("cat", "expected cat FILE\n"),
        ("mkdir", "expected mkdir DIRECTORY\n"),
        ("rmdir", "expected rmdir DIRECTORY\n"),
        ("mount", "expected mount none -t configfs /sys/kernel/config, which is there already\n"),
        (
            "mount /dev/sda /mnt",
            "expected mount none -t configfs /sys/kernel/config, which is there already\n",
        ),
        ("mkdir t", ""),
        ("cd t", ""),
        ("cd", ""),
        ("ls", "t/\n"),
        ("rmdir t", ""),
    ]);
    assert_eq!(console.host.ending, None);
    assert_eq!(console.run("?"), console.run("help"));
    console.run("poweroff");
    assert_eq!(console.host.ending, Some(Ending::Poweroff));
}

#[test]
fn the_rest_is_shown() {
    let mut console = Console::new();
    console.check(&[
        ("ip", "eth0: up\neth1: up\n"),
        ("lspci | tail -n 1", "00:02.0: function\n"),
        ("echo a  b", "a b\n"),
        ("echo -n a", "a"),
        ("uptime", "up 0:00:00\n"),
    ]);
    assert!(console.run("help").contains("arping"));
    console.run("crash panic");
    assert_eq!(console.host.ending, Some(Ending::Crash("PANIC")));
    console.run("reboot");
    assert_eq!(console.host.ending, Some(Ending::Reboot));
}

#[test]
fn what_backquotes_give_is_no_command() {
    let mut console = Console::new();
    console.check(&[
        ("mkdir t t/userdata/k", ""),
        ("echo 'a `uptime` b' > t/userdata/k/value", ""),
        ("cat t/userdata/k/value", "a `uptime` b\n"),
        ("echo `cat t/userdata/k/value`", "expected a word or two from the command in backquotes\n"),
        ("echo `cat t/local_port` `cat t/remote_port`", "6665 6666\n"),
        ("echo `none`", "none: command not found; 'help' lists all\n"),
    ]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_line_ends(
        line in "(#|echo|cat|ls|cd|mkdir|rmdir|modprobe|netconsole|-r|/dev/kmsg|/proc/|\\*|dmesg|arping|ping|help|grep|tail|head|`|\\||>|'|\"|t|/|\\.\\.|1|-n|enabled| ){0,12}",
        other: String,
    ) {
        let mut console = Console::new();
        console.run("mkdir t");
        console.run(&line);
        console.run(&other);
    }
}
