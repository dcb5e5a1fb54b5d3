//! How much of its stacks the kernel uses, as QEMU sees from outside: what was never written is still zeros.

use crate::harness::{Boot, Machine, Nic, Peer, target};
use std::fs;
use std::process::Command;
use std::time::Duration;

const GUARD: usize = 4096;

/// Where a static lies, by the kernel's symbols: its address and size.
fn place(name: &str) -> (u64, usize) {
    let kernel = target().join("netconsole.debug");
    let output = Command::new("nm").args(["-C", "-S"]).arg(kernel).output().expect("nm runs");
    let symbols = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = symbols.lines().find(|line| line.ends_with(&format!(" netconsole::machine::stacks::{name}")));
    let fields: Vec<&str> = line.unwrap_or_else(|| panic!("no symbol {name}")).split(' ').collect();
    let number = |field: &str| u64::from_str_radix(field, 16).expect("a number");
    (number(fields[0]), number(fields[1]) as usize)
}

/// Checks that each of `count` stacks in the static `name` has at least a fifth that was never used, and that
/// the first one was used.
fn check(machine: &mut Machine, boot: &str, name: &str, count: usize) {
    let (address, size) = place(name);
    let file = target().join("tests").join(boot).join(name);
    machine.monitor(&format!("pmemsave {address:#x} {size:#x} \"{}\"", file.display()));
    let memory = fs::read(&file).expect("QEMU saved the memory");
    assert_eq!(memory.len(), size);
    for (number, stack) in memory.chunks(size / count).enumerate() {
        let stack = &stack[GUARD..];
        let used = stack.len() - stack.iter().take_while(|&&byte| byte == 0).count();
        println!("{name} {number}: {used} of {} bytes used", stack.len());
        assert!(used <= stack.len() * 4 / 5, "{name} {number}: {used} of {} bytes used", stack.len());
        assert!(number > 0 || used > 0, "{name} was not used");
    }
}

#[test]
fn the_stacks_are_large_enough() {
    let parameters = "debug netconsole.input=1 panic=0 netconsole.panic_repeat=1 ip=dhcp \
                      netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole=s@fd00::1/eth1,514@fd00::2/ netconsole=@/eth2,@/ \
                      netconsole=@10.0.7.1/eth0.7,@10.0.7.2/";
    let nics = [
        Nic::virtio().peer(Peer::at("10.0.0.2")),
        Nic::device("e1000").peer(Peer::at("fd00::2")),
        Nic::device("virtio-net-pci,disable-modern=on,disable-legacy=off"),
    ];
    let boot = Boot::new("stacks", parameters).nics(nics).repeats().loses();
    let mut machine = boot.start();
    machine.wait_for_text("10.0.0.2:6666", "network logging started");
    machine.type_in("\r");
    machine.wait_for_serial("netconsole# ");
    for line in [
        "netconsole=+@10.0.0.1/,7777@10.0.0.3/02:00:0a:00:00:03",
        "cd cmdline0",
        "mkdir userdata/x",
        "echo `dmesg | grep -o eth | tail -n 1` > userdata/x/value",
        "cat stats",
        "arping 10.0.0.2",
        "ping -c 1 10.0.0.2",
        "ip",
        "lspci",
    ] {
        machine.command(line);
    }
    check(&mut machine, "stacks", "MAIN", 1);
    machine.type_in("crash EXCEPTION\r");
    machine.wait_for_text("10.0.0.2:6666", "---[ end Kernel panic");
    machine.wait_until_quiet(Duration::from_secs(2));
    check(&mut machine, "stacks", "PANIC", 4);
    check(&mut machine, "stacks", "EXCEPTION", 1);
    machine.stop();
}

/// Sealing needs more, and a path that starts again has a stack for each start.
#[test]
fn the_stacks_are_large_enough_for_a_sealed_report() {
    let parameters = format!(
        "debug panic=0 netconsole.panic_repeat=1 netconsole=+@10.0.0.1/,@10.0.0.2/ netconsole.key={} crash=EXCEPTION@panic2",
        "5a".repeat(32)
    );
    let boot = Boot::new("stacks-sealed", parameters).peer(Peer::at("10.0.0.2")).repeats().loses();
    let mut machine = boot.start();
    machine.wait_for_serial("---[ end Kernel panic");
    machine.wait_until_quiet(Duration::from_secs(2));
    check(&mut machine, "stacks-sealed", "PANIC", 4);
    machine.stop();
}
