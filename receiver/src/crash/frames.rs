//! Which functions called each other in a report, and a number for it: reports of one fault have the same, on any machine.

use crate::report::Kind;

use super::kind::bare;

/// So many of the innermost make the number: what is farther out is how the fault was come to.
const TOP: usize = 5;

/// Where the instruction pointer is said.
const POINTERS: [&str; 8] =
    ["RIP: ", "EIP: ", "IP: ", "pc : ", "PC is at ", "epc : ", "NIP [", "Exception RIP: "];
/// Functions that tell of the fault, and are not where it is.
const TELLING: [&str; 44] = [
    "dump_stack",
    "dump_stack_lvl",
    "__dump_stack",
    "show_stack",
    "dump_backtrace",
    "panic",
    "vpanic",
    "nmi_panic",
    "__warn",
    "warn_slowpath_fmt",
    "__warn_printk",
    "report_bug",
    "handle_bug",
    "exc_invalid_op",
    "asm_exc_invalid_op",
    "exc_page_fault",
    "asm_exc_page_fault",
    "page_fault_oops",
    "do_user_addr_fault",
    "do_page_fault",
    "__die",
    "__die_body",
    "die",
    "die_addr",
    "oops_end",
    "no_context",
    "bad_area_nosemaphore",
    "exc_general_protection",
    "asm_exc_general_protection",
    "kasan_report",
    "__kasan_report",
    "print_report",
    "print_address_description",
    "kasan_check_range",
    "check_memory_region",
    "ubsan_epilogue",
    "__ubsan_handle_out_of_bounds",
    "__ubsan_handle_shift_out_of_bounds",
    "watchdog_timer_fn",
    "rcu_check_callbacks",
    "print_other_cpu_stall",
    "lockdep_rcu_suspicious",
    "el1_sync",
    "do_mem_abort",
];
/// Another trace follows, which is not where the fault is.
const OTHERS: [&str; 4] =
    ["Allocated by task", "Freed by task", "Last potentially related", "Second to last"];

/// The functions of a report, the innermost first.
pub fn frames(report: &str) -> Vec<String> {
    let (mut frames, mut has_pointer) = (Vec::new(), false);
    for line in report.lines() {
        let line = bare_line(line);
        if OTHERS.iter().any(|other| line.starts_with(other)) {
            break;
        }
        let pointer = POINTERS.iter().find_map(|name| line.strip_prefix(name));
        let function = match pointer {
            // It is said once more at the end.
            Some(_) if has_pointer => continue,
            Some(rest) => rest.split([' ', ':']).find_map(function),
            None => line.split(' ').next().and_then(function),
        };
        let Some(function) = function.filter(|function| !TELLING.contains(function)) else { continue };
        has_pointer |= pointer.is_some();
        // The trace begins with the function that the pointer is in, or with its caller.
        let is_said =
            has_pointer && frames.len() == 1 && frames.first().is_some_and(|first| first == function);
        if !is_said && frames.len() < TOP {
            frames.push(function.to_owned());
        }
    }
    frames
}

/// The line without its time, its caller and the address that old kernels say.
fn bare_line(line: &str) -> &str {
    let mut line = line.trim_start();
    loop {
        let rest = bare(line).trim_start();
        if rest.len() == line.len() {
            return line;
        }
        line = rest;
    }
}

/// The function of `function.part+0x3/0x29`.
fn function(word: &str) -> Option<&str> {
    let (name, place) = word.split_once("+0x")?;
    let is_place = place.split_once("/0x").is_some_and(|(offset, length)| {
        let is_hex = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex(offset) && is_hex(length)
    });
    let name = name.split('.').next().unwrap_or(name);
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (is_place && is_name && !name.is_empty()).then_some(name)
}

/// The number of what has this kind and these functions, or, without any, this title.
pub fn id(kind: Kind, frames: &[String], title: &str) -> u64 {
    let mut hash = Fnv::default();
    hash.add(kind.to_string().as_bytes());
    for frame in frames {
        hash.add(b"\n");
        hash.add(frame.as_bytes());
    }
    if frames.is_empty() {
        // Addresses and numbers differ from time to time.

        let words = title
            .split([' ', ':', ',', '(', ')'])
            .filter(|word| !word.as_bytes().iter().any(u8::is_ascii_digit));
        words.for_each(|word| {
            hash.add(b" ");
            hash.add(word.as_bytes());
        });
    }
    hash.0
}

/// FNV-1a: the number is the same in each run and in each version.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OOPS: &str = "[    1.000001] BUG: kernel NULL pointer dereference, address: 0000000000000008
[    1.000002] Oops: 0002 [#1] SMP PTI
[    1.000003] RIP: 0010:do_work.isra.0+0x3/0x29 [sample]
[    1.000004] Call Trace:
[    1.000005]  <TASK>
[    1.000006]  ? page_fault_oops+0x15a/0x2d0
[    1.000007]  asm_exc_page_fault+0x22/0x30
[    1.000008]  do_work+0x3/0x29 [sample]
[    1.000009] [ T77]  process_one_work+0x1a2/0x3b0
[    1.000010]  </TASK>
[    1.000011] RIP: 0033:0x7f0000000000
";

    #[test]
    fn functions_are_found_where_kernels_say_them() {
        assert_eq!(frames(OOPS), ["do_work", "process_one_work"]);
        let arm64 = "pc : do_work+0x8/0x30\nlr : caller+0x4/0x20\nCall trace:\n do_work+0x8/0x30 (P)\n caller+0x4/0x20\n";
        assert_eq!(frames(arm64), ["do_work", "caller"]);
        let old =
            "[   12.1]  [<ffffffff810a>] ? dump_stack+0x1/0x2\n[   12.1]  [<ffffffff810b>] sub+0x1/0x2\n";
        assert_eq!(frames(old), ["sub"]);
        let kasan = " do_work+0x3/0x29\nAllocated by task 77:\n kmalloc+0x33/0x60\n";
        assert_eq!(frames(kasan), ["do_work"]);
        let recursion = " a+0x1/0x2\n a+0x1/0x2\n";
        assert_eq!(frames(recursion), ["a", "a"]);
        assert!(frames("no trace\n x+y/z\n +0x3/0x4\n").is_empty());
    }

    #[test]
    fn one_fault_has_one_number() {
        let id_of = |kind, report: &str, title| id(kind, &frames(report), title);
        let other_build = OOPS.replace("0x3/0x29", "0x13/0x99").replace("0008", "0010");
        assert_eq!(id_of(Kind::Oops, OOPS, "a"), id_of(Kind::Oops, &other_build, "b"));
        assert_ne!(id_of(Kind::Oops, OOPS, "a"), id_of(Kind::Panic, OOPS, "a"));
        let other_place = OOPS.replace("process_one_work", "kthread");
        assert_ne!(id_of(Kind::Oops, OOPS, "a"), id_of(Kind::Oops, &other_place, "a"));
        let title = |title| id(Kind::HungTask, &[], title);
        assert_eq!(title("INFO: task sh:7 blocked for 122 s"), title("INFO: task sh:9 blocked for 245 s"));
        assert_ne!(title("INFO: task blocked"), title("INFO: stall"));
    }
}
