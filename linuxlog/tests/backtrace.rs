//! What lies on a CPU's stack, with the names that the dead kernel has for it.

mod image;

use image::Image;
use image::kallsyms::{Layout, symbols};
use linuxlog::{Crash, Memory};
use proptest::prelude::*;

const LAYOUTS: [(&str, Layout); 5] = [
    ("6.1", Layout::PerCpu),
    ("6.1", Layout::Numbered),
    ("6.12", Layout::PerCpu),
    ("6.12", Layout::Based),
    ("7.2", Layout::Own),
];

fn stext(name: &str) -> u64 {
    let image = Image::load(name);
    let crash = Crash::open(&image, Image::core_header(name)).expect("it is whole");
    crash.info().stext.expect("it is exported")
}

fn calls<M: Memory>(memory: &M, name: &str) -> Vec<String> {
    let crash = Crash::open(memory, Image::core_header(name)).expect("it is whole");
    let cpu = crash.cpus().next().expect("it has a CPU");
    crash.backtrace(&cpu).map(|call| call.to_string()).collect()
}

#[test]
fn return_addresses_are_functions_by_kallsyms_in_each_of_its_layouts() {
    for (name, layout) in LAYOUTS {
        let (at, stext) = (Image::core_header(name), stext(name));
        let stack = [
            3,
            stext + 7 * 64 + 3,
            stext - 1,
            // Data.
            stext + 900 * 64 + 4096 + 8,
            // Beyond the last function.
            stext + 900 * 64 + 5,
            stext + 1,
            // The call was the function's last instruction.
            stext + 600 * 64,
            stext + 5 * 64 + 63,
            stext + (1 << 30),
            u64::MAX,
        ];
        let image = Image::load(name).with_stack(at, &stack);
        let image = image.with_symbols(at, layout, &symbols(stext, layout));
        let long = format!("sys_5{}", "_of_many_words".repeat(12));
        let expected =
            ["sys_7+0x3/0x40", "_text+0x1/0x40", "sys_599+0x40/0x40", &format!("{}+0x3f/0x40", &long[..79])];
        assert_eq!(calls(&image, name), expected, "{name}, {layout:?}");
    }
}

#[test]
fn without_kallsyms_they_are_addresses_as_in_system_map() {
    for name in ["5.4-log_buf_len-4M", "6.12"] {
        let (at, stext) = (Image::core_header(name), stext(name));
        let image = Image::load(name).with_stack(at, &[1, stext - 1, stext + 0x123, stext + (1 << 30)]);
        assert_eq!(calls(&image, name), ["0xffffffff81000123"], "{name}");
    }
}

#[test]
fn a_stack_that_is_not_there_or_is_a_process_own_has_none() {
    let image = Image::load("6.12");
    assert_eq!(calls(&image, "6.12"), [""; 0]);
    let crash = Crash::open(&image, Image::core_header("6.12")).expect("it is whole");
    let mut cpu = crash.cpus().next().expect("it has a CPU");
    cpu.registers.cs |= 3;
    for rsp in [0, 7, u64::MAX, crash.info().stext.expect("it is exported")] {
        cpu.registers.rsp = rsp;
        assert_eq!(crash.backtrace(&cpu).count(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Each function is found from any place in it, also where names are of many lengths and blocks.
    #[test]
    fn each_place_of_a_function_is_named(
        kind in prop::sample::select(&LAYOUTS[..]),
        functions in prop::collection::vec((1..0x4000_u64, "[a-z_]{1,79}"), 1..1200),
        places in prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index)>(), 60),
    ) {
        let (name, layout) = kind;
        let (at, stext) = (Image::core_header(name), stext(name));
        let mut start = stext;
        let mut symbols = Vec::new();
        for (size, name) in &functions {
            symbols.push((start, format!("t{name}")));
            start += size;
        }
        symbols.push((start, "T_etext".into()));
        let (mut stack, mut expected) = (Vec::new(), Vec::new());
        for (function, offset) in places {
            let number = function.index(functions.len());
            let (size, name) = &functions[number];
            let offset = offset.index(*size as usize) as u64 + 1;
            stack.push(symbols[number].0 + offset);
            expected.push(format!("{name}+{offset:#x}/{size:#x}"));
        }
        let image = Image::load(name).with_stack(at, &stack).with_symbols(at, layout, &symbols);
        prop_assert_eq!(calls(&image, name), expected);
    }
}
