//! The rules of the tree, line by line.

use super::*;

const ENABLED: &str = "netconsole: target (t) is enabled, disable to update parameters\n";

const NOT_PERMITTED: &str = "Operation not permitted: directories are targets in \
    /sys/kernel/config/netconsole and items in their userdata\n";

#[test]
fn a_new_target_has_linux_defaults() {
    let mut console = Console::new();
    console.check(&[
        ("ls", ""),
        ("ls /sys/kernel/config", "netconsole/\n"),
        ("mkdir /sys/kernel/config/netconsole/target1", ""),
        ("ls", "target1/\n"),
        ("cd /sys/kernel/config/netconsole/target1", ""),
        (
            "ls",
            "dev_name\nenabled\nextended\nlocal_ip\nlocal_mac\nlocal_port\nloglevel\nrelease\nremote_ip\n\
             remote_mac\nremote_port\nstats\nsyslog\ntransmit_errors\nuserdata/\n",
        ),
        ("ls userdata", "cpu_nr_enabled\nmsgid_enabled\nrelease_enabled\ntaskname_enabled\n"),
        ("cat enabled extended release syslog", "0\n0\n0\n0\n"),
        ("cat dev_name local_port remote_port", "*\n6665\n6666\n"),
        ("cat local_ip local_mac remote_mac", "0.0.0.0\nff:ff:ff:ff:ff:ff\nff:ff:ff:ff:ff:ff\n"),
        ("cat transmit_errors loglevel", "0\ndefault\n"),
        ("cat userdata/msgid_enabled", "0\n"),
    ]);
    assert_eq!(console.session.directory(), "target1");
}

#[test]
fn what_holds_for_all_targets_is_with_the_modules() {
    let mut console = Console::new();
    console.check(&[
        ("ls /", "dev/\nproc/\nsys/\n"),
        ("ls /sys", "kernel/\nmodule/\n"),
        ("ls /sys/module", "netconsole/\nprintk/\n"),
        ("ls /sys/module/printk", "parameters/\n"),
        ("ls /sys/module/netconsole/parameters", "oops_only\n"),
        ("ls /sys/module/netconsole/parameters/oops_only", "oops_only\n"),
        ("cd /sys/module/printk/parameters", ""),
        ("ls", "ignore_loglevel\ntime\n"),
        ("cat ignore_loglevel time", "N\nN\n"),
        ("echo Y > ignore_loglevel", ""),
        ("echo on > time", ""),
        ("echo 1 > /sys/module/netconsole/parameters/oops_only", ""),
        ("cat ignore_loglevel time ../../netconsole/parameters/oops_only", "Y\nY\nY\n"),
        ("echo 2 > time", "netconsole: time: expected 0 or 1, found '2'\n"),
        ("cat time", "Y\n"),
        ("cd time", "cd: time: Not a directory\n"),
        ("cat /sys/module/printk", "cat: /sys/module/printk: Is a directory\n"),
        (
            "cat /sys/kernel/config/netconsoles",
            "cat: /sys/kernel/config/netconsoles: No such file or directory\n",
        ),
        ("rmdir /sys/module/printk", &format!("rmdir: /sys/module/printk: {NOT_PERMITTED}")),
        ("mkdir /sys/module/printk/x", &format!("mkdir: /sys/module/printk/x: {NOT_PERMITTED}")),
    ]);
}

#[test]
fn attributes_take_what_they_should() {
    let mut console = Console::new();
    console.check(&[("mkdir t", ""), ("cd t", "")]);
    for (file, value, shown) in [
        ("extended", "1", "1"),
        ("extended", "y", "1"),
        ("extended", "0", "0"),
        ("release", "1", "1"),
        ("syslog", "1", "1"),
        ("extended", "1", "1"),
        ("dev_name", "eth1", "eth1"),
        ("dev_name", "", "*"),
        ("dev_name", "*", "*"),
        ("dev_name", "22:33:44:55:66:77", "22:33:44:55:66:77"),
        ("local_port", "1", "1"),
        ("remote_port", "65535", "65535"),
        ("local_ip", "192.168.0.111", "192.168.0.111"),
        ("local_ip", "0.0.0.0", "0.0.0.0"),
        ("local_ip", "", "0.0.0.0"),
        ("remote_ip", "192.168.0.17", "192.168.0.17"),
        ("remote_ip", "fd00:1:2:3::1", "fd00:1:2:3::1"),
        ("remote_mac", "00:13:32:20:a9:a5", "00:13:32:20:a9:a5"),
        ("remote_mac", "", "ff:ff:ff:ff:ff:ff"),
        ("loglevel", "8", "8"),
        ("loglevel", "default", "default"),
        ("userdata/cpu_nr_enabled", "1", "1"),
        ("userdata/taskname_enabled", "1", "1"),
        ("userdata/release_enabled", "1", "1"),
        ("userdata/msgid_enabled", "1", "1"),
        ("userdata/msgid_enabled", "0", "0"),
    ] {
        assert_eq!(console.run(&format!("echo {value} > {file}")), "", "{file} {value}");
        assert_eq!(console.run(&format!("cat {file}")), format!("{shown}\n"), "{file} {value}");
    }
}

#[test]
fn what_is_no_value_is_named_with_what_was_expected() {
    let mut console = Console::new();
    console.check(&[("mkdir t", ""), ("cd t", "")]);
    for (file, value, expected) in [
        ("enabled", "2", "0 or 1, found '2'"),
        ("enabled", "", "0 or 1, found nothing"),
        ("extended", "perhaps", "0 or 1, found 'perhaps'"),
        ("release", "x", "0 or 1, found 'x'"),
        ("syslog", "x", "0 or 1, found 'x'"),
        (
            "dev_name",
            "a-name-of-16-char",
            "an interface's name (at most 15 characters) or ethernet address, found 'a-name-of-16-char'",
        ),
        ("local_port", "0", "a number from 1 to 65535, found '0'"),
        ("remote_port", "65536", "a number from 1 to 65535, found '65536'"),
        ("remote_port", "+1", "a number from 1 to 65535, found '+1'"),
        ("local_ip", "10.0.0.256", "an IPv4 or IPv6 address, found '10.0.0.256'"),
        ("local_ip", "224.0.0.1", "the address of one of this machine's interfaces, found '224.0.0.1'"),
        ("remote_ip", "", "an IPv4 or IPv6 address, found nothing"),
        ("remote_ip", "::", "an address that can be sent to, found '::'"),
        (
            "remote_mac",
            "00:13:32:20:r9:a5",
            "an ethernet address as in 00:13:32:20:a9:a5, or nothing to have it resolved, found '00:13:32:20:r9:a5'",
        ),
        ("loglevel", "9", "a number from 0 to 8, or 'default', found '9'"),
        ("userdata/msgid_enabled", "7", "0 or 1, found '7'"),
    ] {
        let name = file.rsplit('/').next().expect("a name");
        assert_eq!(
            console.run(&format!("echo {value} > {file}")),
            format!("netconsole: {name}: expected {expected}\n"),
            "{file} {value}"
        );
    }
}

#[test]
fn an_enabled_target_can_not_be_changed() {
    let mut console = Console::new();
    console.check(&[
        ("mkdir t", ""),
        ("cd t", ""),
        ("echo 0 > enabled", "netconsole: network logging has already stopped\n"),
        ("echo 1 > enabled", ""),
        ("cat enabled", "1\n"),
        ("echo 1 > enabled", "netconsole: network logging has already started\n"),
        ("echo 1 > extended", ENABLED),
        ("echo 1 > release", ENABLED),
        ("echo 1 > syslog", ENABLED),
        ("echo eth1 > dev_name", ENABLED),
        ("echo 1 > local_port", ENABLED),
        ("echo 1 > remote_port", ENABLED),
        ("echo 10.0.0.1 > local_ip", ENABLED),
        ("echo 10.0.0.1 > remote_ip", ENABLED),
        ("echo 00:13:32:20:a9:a5 > remote_mac", ENABLED),
        // These can.
        ("echo 4 > loglevel", ""),
        ("echo 1 > userdata/msgid_enabled", ""),
        ("mkdir userdata/k", ""),
        ("echo v > userdata/k/value", ""),
        ("echo 0 > enabled", ""),
        ("echo 1 > extended", ""),
    ]);
}

#[test]
fn some_files_can_only_be_read() {
    let mut console = Console::new();
    console.check(&[("mkdir t", ""), ("cd t", "")]);
    for file in ["local_mac", "transmit_errors", "stats"] {
        assert_eq!(
            console.run(&format!("echo 1 > {file}")),
            format!("netconsole: {file}: Permission denied: it can only be read\n")
        );
    }
}

#[test]
fn the_release_needs_the_extended_format() {
    let mut console = Console::new();
    console.check(&[
        ("mkdir t", ""),
        ("cd t", ""),
        ("echo 1 > release", ""),
        (
            "echo 1 > enabled",
            "netconsole: Not enabling netconsole for t. Release feature requires extended log message\n",
        ),
        ("cat enabled release", "0\n1\n"),
        ("echo 1 > extended", ""),
        ("cat release", "1\n"),
        ("echo 1 > enabled", ""),
        ("echo 0 > enabled", ""),
        ("echo 0 > extended", ""),
        ("cat release", "1\n"),
    ]);
}

#[test]
fn both_addresses_are_of_one_family() {
    let mut console = Console::new();
    console.check(&[("mkdir t", ""), ("cd t", ""), ("echo fd00::1 > local_ip", "")]);
    assert_eq!(
        console.run("echo 1 > enabled"),
        "netconsole: Not enabling netconsole for t. local_ip and remote_ip must both be IPv4 or both IPv6\n"
    );
}

#[test]
fn directories_are_made_and_removed_where_linux_has_them() {
    let mut console = Console::new();
    console.check(&[
        ("mkdir t", ""),
        ("mkdir t", "mkdir: t: File exists\n"),
        ("mkdir t/x", &format!("mkdir: t/x: {NOT_PERMITTED}")),
        ("mkdir t/enabled/x", "mkdir: t/enabled/x: Not a directory\n"),
        ("mkdir none/x", "mkdir: none/x: No such file or directory\n"),
        ("mkdir /x", &format!("mkdir: /x: {NOT_PERMITTED}")),
        ("rmdir t/userdata", &format!("rmdir: t/userdata: {NOT_PERMITTED}")),
        ("rmdir t/enabled", "rmdir: t/enabled: Not a directory\n"),
        ("rmdir none", "rmdir: none: No such file or directory\n"),
        ("rmdir .", &format!("rmdir: .: {NOT_PERMITTED}")),
        ("mkdir t/userdata/k", ""),
        ("mkdir t/userdata/k", "mkdir: t/userdata/k: File exists\n"),
        ("mkdir t/userdata/msgid_enabled", "mkdir: t/userdata/msgid_enabled: File exists\n"),
        ("rmdir t", "rmdir: t: Directory not empty: remove the items in its userdata first\n"),
        ("rmdir t/userdata/k", ""),
        ("rmdir t", ""),
        ("ls", ""),
        ("cd none", "cd: none: No such file or directory\n"),
        ("mkdir t", ""),
        ("cd t/enabled", "cd: t/enabled: Not a directory\n"),
        ("cat t", "cat: t: Is a directory\n"),
        ("cat t/none", "cat: t/none: No such file or directory\n"),
        ("echo 1 > t", "t: Is a directory\n"),
        ("echo 1 > t/none", "none: No such file or directory\n"),
        (
            "mkdir \"a b\"",
            "mkdir: a b: expected a name of 1 to 31 printable ASCII characters without blanks and '/'\n",
        ),
    ]);
}

#[test]
fn there_can_be_sixteen_targets() {
    let mut console = Console::new();
    for number in 0..16 {
        assert_eq!(console.run(&format!("mkdir t{number}")), "");
    }
    assert_eq!(console.run("mkdir t16"), "mkdir: t16: No space left: there can be 16 targets\n");
    assert_eq!(console.run("rmdir t3"), "");
    assert_eq!(console.run("mkdir t16"), "");
}

#[test]
fn items_are_set_changed_and_removed() {
    let mut console = Console::new();
    console.check(&[("mkdir t", ""), ("cd t/userdata", "")]);
    for number in 0..256 {
        assert_eq!(console.run(&format!("mkdir key{number}")), "");
    }
    console.check(&[
        ("mkdir one-more", "mkdir: one-more: No space left: a target has at most 256 items\n"),
        ("echo some value > key0/value", ""),
        ("cat key0/value", "some value\n"),
        ("ls key0", "value\n"),
        ("rmdir key1", ""),
        ("mkdir one-more", ""),
        (
            &format!("mkdir {}", "k".repeat(54)),
            &format!(
                "mkdir: {}: expected a key of 1 to 53 printable ASCII characters without blanks, '/' and '='\n",
                "k".repeat(54)
            ),
        ),
        (
            &format!("echo {} > key0/value", "v".repeat(201)),
            "value: expected a value of at most 200 bytes without control characters\n",
        ),
        (&format!("echo {} > key0/value", "v".repeat(200)), ""),
    ]);
    let number = console.host.targets.find("t").expect("it is there");
    assert_eq!(console.host.targets.user_data().lines(number).len(), " key0=\n".len() + 200);
}

#[test]
fn targets_of_the_parameter_are_named_and_can_be_changed() {
    let mut console = Console::new();
    console.check(&[
        (
            "netconsole=6666@192.168.1.28/eth0,6666@192.168.1.19/00:13:32:20:a9:a5",
            "cmdline0: 6666@192.168.1.28/eth0,6666@192.168.1.19/00:13:32:20:a9:a5\n",
        ),
        ("netconsole=\"@/,@10.0.0.2/;+@/eth1,6892@10.0.0.3/\"", "cmdline1: 6665@/,6666@10.0.0.2/\ncmdline2: +6665@/eth1,6892@10.0.0.3/\n"),
        ("cat cmdline2/remote_port cmdline2/extended cmdline2/enabled", "6892\n1\n1\n"),
        ("rmdir cmdline1", ""),
        ("modprobe netconsole netconsole=@/,@10.0.0.4/", "cmdline1: 6665@/,6666@10.0.0.4/\n"),
        (
            "netconsole=@/,@10.0.0.256/",
            "netconsole: couldn't parse config at '10.0.0.256/'! target address: expected a number from 0 to 255, \
             found '256': @/,@10.0.0.>>>256<<</\n",
        ),
    ]);
}
