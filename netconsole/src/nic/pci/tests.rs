//! Reading PCI functions and sizing their BARs.

use super::fake::{Function, Machine, Noise};
use super::*;
use crate::nic::WAITS;
use proptest::prelude::*;

fn places(config: &impl ConfigurationAccess) -> Vec<(u8, u8, u8)> {
    let mut found = Vec::new();
    for_each_function(config, RootBuses::FIRST, |f| found.push((f.bus, f.device, f.function)));
    found
}

fn at(bus: u8, device: u8, function: u8) -> DeviceFunction {
    DeviceFunction { bus, device, function }
}

fn plain() -> Function {
    Function::new(0x8086, 0x1237, 0x06_00_00)
}

fn bridge(secondary: u8) -> Function {
    Function::new(0x1b36, 0x0001, 0x06_04_00).header_type(1).secondary_bus(secondary)
}

fn ranged(secondary: u8, subordinate: u8) -> Function {
    let mut bridge = bridge(secondary);
    bridge.words[6] |= u32::from(subordinate) << 16;
    bridge
}

#[test]
fn visits_functions_and_the_buses_behind_bridges() {
    let machine = Machine::default();
    machine.insert((0, 0, 0), plain());
    // Not multifunction: what answers at function 1 is function 0 again.
    machine.insert((0, 0, 1), plain());
    machine.insert((0, 1, 0), plain().header_type(0x80));
    machine.insert((0, 1, 3), plain());
    machine.insert((0, 2, 0), bridge(5));
    machine.insert((5, 31, 0), bridge(3));
    machine.insert((3, 0, 0), plain());
    // No bridge leads here.
    machine.insert((4, 0, 0), plain());
    // No function 0, no device.
    machine.insert((5, 4, 1), plain());
    assert_eq!(places(&machine), [(0, 0, 0), (0, 1, 0), (0, 1, 3), (0, 2, 0), (5, 31, 0), (3, 0, 0)]);
}

#[test]
fn bridges_in_a_circle_end() {
    let machine = Machine::default();
    machine.insert((0, 1, 0), bridge(0));
    machine.insert((0, 2, 0), bridge(1));
    machine.insert((0, 3, 0), bridge(1));
    machine.insert((1, 0, 0), bridge(1));
    machine.insert((1, 1, 0), bridge(0));
    machine.insert((1, 2, 0), bridge(255));
    machine.insert((255, 0, 0), bridge(255));
    assert_eq!(places(&machine).len(), 7);
}

#[test]
fn every_root_bus_is_visited_and_none_twice() {
    let machine = Machine::default();
    machine.insert((0, 0, 0), plain());
    machine.insert((0, 1, 0), bridge(0x40));
    machine.insert((0x40, 0, 0), plain());
    machine.insert((0x80, 3, 0), bridge(0x81));
    machine.insert((0x81, 0, 0), plain());
    machine.insert((0xff, 31, 0), plain());
    let mut roots = RootBuses::FIRST;
    [0x40, 0x80, 0xff].into_iter().for_each(|bus| roots.add(bus));
    assert_eq!((roots.to_string().as_str(), roots.count()), ("00, 40, 80, ff", 4));
    assert_eq!(RootBuses::from_words(roots.to_words()), roots);
    let mut found = Vec::new();
    for_each_function(&machine, roots, |function| found.push((function.bus, function.device)));
    assert_eq!(found, [(0, 0), (0, 1), (0x40, 0), (0x80, 3), (0x81, 0), (0xff, 31)]);
}

#[test]
fn roots_that_nothing_names_are_found() {
    let machine = Machine::default();
    machine.insert((0, 0, 0), plain());
    machine.insert((0, 1, 0), bridge(0x40));
    machine.insert((0x40, 0, 0), plain());
    machine.insert((0x80, 3, 0), bridge(0x81));
    machine.insert((0x81, 0, 0), plain());
    // The same host bridge as on bus 0, but what is beside it is not there.
    machine.insert((0xc0, 0, 0), plain());
    machine.insert((0xf0, 0, 0), plain());
    let roots = search_roots(&machine, RootBuses::FIRST, 0xef);
    assert_eq!(roots.to_string(), "00, 80, c0");
}

/// As kvmtool does it.
#[derive(Clone)]
struct NoBuses(Machine);

impl ConfigurationAccess for NoBuses {
    fn read_word(&self, function: DeviceFunction, offset: u8) -> u32 {
        self.0.read_word(DeviceFunction { bus: 0, ..function }, offset)
    }

    fn write_word(&mut self, function: DeviceFunction, offset: u8, data: u32) {
        self.0.write_word(DeviceFunction { bus: 0, ..function }, offset, data);
    }

    unsafe fn unsafe_clone(&self) -> Self {
        self.clone()
    }
}

#[test]
fn a_machine_that_ignores_the_bus_has_one() {
    let machine = Machine::default();
    machine.insert((0, 0, 0), Function::new(0x1af4, 0x1041, 0x02_00_00).bar(0, 0xc041, 0xffe0));
    machine.insert((0, 1, 0), Function::new(0x1af4, 0x1042, 0x01_00_00).bar(0, 0xc081, 0xffe0));
    assert_eq!(search_roots(&NoBuses(machine), RootBuses::FIRST, 0xff), RootBuses::FIRST);
}

/// As Firecracker answers at the ports that it does not have.
#[test]
fn zeros_and_halves_of_ones_are_no_devices() {
    for id in [0, 0xffff, 0xffff_0000] {
        let machine = Machine::default();
        let mut function = plain();
        function.words[0] = id;
        machine.insert((0, 0, 0), function);
        assert_eq!(places(&machine), []);
    }
}

#[test]
fn every_device_on_every_root_stops_reaching_memory() {
    let mut machine = Machine::default();
    let running = |mut function: Function| {
        function.words[1] = 0x0010_0407;
        function
    };
    let card = || running(Function::new(0x8086, 0x100e, 0x02_00_00));
    // A host bridge and a bridge keep it.
    machine.insert((0, 0, 0), running(plain()));
    machine.insert((0, 1, 0), running(bridge(1)));
    machine.insert((1, 0, 0), card());
    machine.insert((0, 2, 0), running(Function::new(1, 2, 0x0c_03_20)).header_type(0x80));
    machine.insert((0, 2, 7), card());
    machine.insert((0x80, 31, 0), card());
    machine.insert((0x80, 30, 0), Function::new(1, 2, 0x01_06_00));
    let mut roots = RootBuses::FIRST;
    roots.add(0x80);
    assert_eq!(stop_bus_masters(&mut machine, roots), Stopped { bus_masters: 4, messages: 0 });
    for (place, command) in [
        ((0, 0, 0), 0x407),
        ((0, 1, 0), 0x407),
        ((1, 0, 0), 0x403),
        ((0, 2, 0), 0x403),
        ((0, 2, 7), 0x403),
        ((0x80, 31, 0), 0x403),
    ] {
        assert_eq!(machine.word(place, 1) & 0xffff, command, "{place:?}");
    }
    assert_eq!(stop_bus_masters(&mut machine, roots), Stopped::default());
}

/// A card that a dead kernel had interrupt by both kinds of messages, and one that never did.
#[test]
fn messages_are_turned_off() {
    let mut machine = Machine::default();
    for (device, control) in [(1, [0x0181_5005, 0x8007_0011]), (2, [0x0180_5005, 0x0007_0011])] {
        let mut card = Function::new(0x8086, 0x10d3, 0x02_00_00);
        card.words[1] |= 1 << 20;
        card.words[0x34 / 4] = 0x40;
        (card.words[0x40 / 4], card.words[0x50 / 4]) = (control[0], control[1]);
        (card.writable[0x40 / 4], card.writable[0x50 / 4]) = (1 << 16, 1 << 31);
        machine.insert((0, device, 0), card);
    }
    assert_eq!(stop_bus_masters(&mut machine, RootBuses::FIRST).messages, 1);
    for device in [1, 2] {
        assert_eq!(machine.word((0, device, 0), 0x40 / 4), 0x0180_5005, "{device}");
        assert_eq!(machine.word((0, device, 0), 0x50 / 4), 0x0007_0011, "{device}");
    }
    assert_eq!(stop_bus_masters(&mut machine, RootBuses::FIRST), Stopped::default());
}

#[test]
fn sizes_bars_and_leaves_them_as_they_were() {
    let mut machine = Machine::default();
    let function = Function::new(0x1af4, 0x1041, 0x02_00_00)
        .bar(0, 0xc041, 0xffe0)
        .bar(1, 0xfebd_1000, 0xffff_f000)
        .bar(4, 0xfe00_000c, 0xffff_c000)
        .bar(5, 0x40, 0xffff_ffff);
    machine.insert((0, 3, 0), function);
    let mut config = machine.clone();
    PciDevice::read(&mut config, at(0, 3, 0)).expect("a device").enable(&mut config);
    let device = PciDevice::read(&mut config, at(0, 3, 0)).expect("a device");
    assert_eq!(
        device.to_string(),
        "00:03.0: 1af4:1041 ethernet controller, BAR0 I/O 0xc040+0x20, BAR1 0xfebd1000+0x1000, \
         BAR4 0x40fe000000+0x4000"
    );
    assert_eq!(device.memory_ranges().collect::<Vec<_>>(), [(0xfebd_1000, 0x1000), (0x40_fe00_0000, 0x4000)]);
    // Memory, bus master, no interrupts; and the BARs as before.
    assert_eq!(machine.word((0, 3, 0), 1), 0x0406);
    for (word, content) in [(4, 0xc041), (5, 0xfebd_1000), (6, 0), (8, 0xfe00_000c), (9, 0x40)] {
        assert_eq!(machine.word((0, 3, 0), word), content);
    }
    assert_eq!(PciDevice::read(&mut machine, at(0, 4, 0)), None);
}

#[test]
fn leaves_out_bars_that_can_not_be() {
    let mut machine = Machine::default();
    let function = Function::new(1, 2, 0x02_00_00)
        // No address; below 1 MiB; reserved type; a 64-bit one without an upper half.
        .bar(0, 0, 0xffff_f000)
        .bar(2, 0x000f_0000, 0xffff_f000)
        .bar(3, 0xfebd_0006, 0xffff_f000)
        .bar(5, 0xfebd_0004, 0xffff_f000);
    machine.insert((0, 1, 0), function);
    assert_eq!(PciDevice::read(&mut machine, at(0, 1, 0)).expect("a device").bars, [None; 6]);
}

#[test]
fn a_bar_is_aligned_and_may_end_where_memory_does() {
    assert_eq!(Bar::memory(0xfebd_1000, 0xffff_c000), None);
    assert_eq!(Bar::memory(1 << 63, 1 << 63), Some(Bar::Memory { address: 1 << 63, length: 1 << 63 }));
    assert_eq!(Bar::memory(1 << 63 | 1 << 62, 1 << 63), None);
}

#[test]
fn a_circle_of_capabilities_ends() {
    let mut machine = Machine::default();
    let mut function = Function::new(1, 2, 0x02_00_00);
    function.words[1] = 1 << 20;
    function.words[0x34 / 4] = 0x43;
    function.words[0x40 / 4] = 0x5009;
    function.words[0x50 / 4] = 0x4011;
    machine.insert((0, 1, 0), function.clone());
    let device = PciDevice::read(&mut machine, at(0, 1, 0)).expect("a device");
    let found: Vec<u8> = device.capabilities(&machine, 9).collect();
    assert_eq!(found, [0x40; MAX_CAPABILITIES / 2]);
    // Into the header: the end.
    function.words[0x50 / 4] = 0x3009;
    machine.insert((0, 1, 0), function.clone());
    assert_eq!(device.capabilities(&machine, 9).collect::<Vec<_>>(), [0x40, 0x50]);
    // No list.
    function.words[1] = 0;
    machine.insert((0, 1, 0), function);
    assert_eq!(device.capabilities(&machine, 9).count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn any_configuration_space_is_walked_in_bounded_time(seed: u64) {
        let noise = Noise { seed, count: Default::default() };
        let mut functions = 0;
        for_each_function(&noise, RootBuses::FIRST, |_| functions += 1);
        prop_assert!(functions <= 1 << 16);
        for device in 0..32 {
            if let Some(device) = PciDevice::read(&mut noise.clone(), at(0, device, 0)) {
                prop_assert!(device.capabilities(&noise, 9).count() <= MAX_CAPABILITIES);
                for (address, length) in device.memory_ranges() {
                    prop_assert!(length.is_power_of_two() && address % length == 0 && address >= 1 << 20);
                }
            }
        }
    }
}

/// A machine where an NMI comes after a number of writes.
struct Interrupted {
    machine: Machine,
    writes_left: usize,
}

impl ConfigurationAccess for Interrupted {
    fn read_word(&self, function: DeviceFunction, offset: u8) -> u32 {
        self.machine.read_word(function, offset)
    }

    fn write_word(&mut self, function: DeviceFunction, offset: u8, data: u32) {
        self.writes_left = self.writes_left.checked_sub(1).expect("no NMI");
        self.machine.write_word(function, offset, data);
    }

    unsafe fn unsafe_clone(&self) -> Self {
        Self { machine: self.machine.clone(), writes_left: self.writes_left }
    }
}

#[test]
fn an_interrupted_sizing_is_put_back_wherever_it_was() {
    let card = Function::new(0x1af4, 0x1041, 0x02_00_00)
        .bar(0, 0xc041, 0xffe0)
        .bar(1, 0xfebd_1000, 0xffff_f000)
        .bar(4, 0xfe00_000c, 0xffff_c000)
        .bar(5, 8, u32::MAX);
    for mut function in [card, bridge(3).bar(0, 0xfebe_0000, 0xffff_0000)] {
        function.words[1] = 0x0010_0407;
        for writes_left in 0..20 {
            let mut machine = Machine::default();
            machine.insert((0, 3, 0), function.clone());
            let whole = PciDevice::read(&mut machine, at(0, 3, 0)).expect("a device");
            let identified = PciDevice::identify(&machine, at(0, 3, 0)).expect("a device");
            let sizing = Sizing::new();
            let mut interrupted = Interrupted { machine: machine.clone(), writes_left };
            let read = std::panic::AssertUnwindSafe(|| sizing.size(&mut interrupted, identified));
            let is_whole = std::panic::catch_unwind(read).is_ok_and(|device| device == whole);
            sizing.put_back(&mut machine);
            for (word, content) in function.words.iter().enumerate() {
                assert_eq!(machine.word((0, 3, 0), word), *content, "{word:#x} after {writes_left} writes");
            }
            // All has been written: the command's two, and each BAR's two.
            let writes = if function.words[3] == 0 { 2 + 6 * 2 } else { 2 + 2 * 2 };
            assert_eq!(is_whole, writes_left >= writes);
        }
    }
}

#[test]
fn where_nothing_was_interrupted_nothing_is_put_back() {
    let mut machine = Machine::default();
    machine.insert((0, 3, 0), plain().bar(0, 0xfebd_1000, 0xffff_f000));
    let sizing = Sizing::new();
    let identified = PciDevice::identify(&machine, at(0, 3, 0)).expect("a device");
    sizing.size(&mut machine, identified);
    let mut never = Interrupted { machine, writes_left: 0 };
    sizing.put_back(&mut never);
    Sizing::new().put_back(&mut never);
}

/// A card with a power management capability at 0x50, asleep, of which nothing is known once it wakes.
#[derive(Clone)]
struct Sleeper(Machine);

impl ConfigurationAccess for Sleeper {
    fn read_word(&self, function: DeviceFunction, offset: u8) -> u32 {
        self.0.read_word(function, offset)
    }

    fn write_word(&mut self, function: DeviceFunction, offset: u8, data: u32) {
        let sleeps = self.0.word((0, 3, 0), 0x54 / 4) & 3 != 0;
        assert!(!sleeps || offset == 0x54, "a sleeping function is not configured");
        self.0.write_word(function, offset, data);
        if sleeps && data & 3 == 0 {
            // Section 5.4.1: as after a reset.
            self.0.write_word(function, 4, 0);
            (4..10).for_each(|word| self.0.write_word(function, word * 4, 0));
        }
    }

    unsafe fn unsafe_clone(&self) -> Self {
        self.clone()
    }
}

#[test]
fn a_card_that_sleeps_is_woken_and_has_its_registers_again() {
    for state in 1..=3 {
        let machine = Machine::default();
        let mut card =
            Function::new(0x8086, 0x10d3, 0x02_00_00).bar(0, 0xfebd_0000, 0xfffe_0000).bar(2, 0xc041, 0xffe0);
        card.words[1] = 1 << 20 | 0x0407;
        card.words[0x34 / 4] = 0x50;
        card.words[0x50 / 4] = 0x0002_0001;
        // PME status, and its enable.
        (card.words[0x54 / 4], card.writable[0x54 / 4]) = (0x8100 | state, 0x0103);
        machine.insert((0, 3, 0), card.clone());
        let mut config = Sleeper(machine.clone());
        assert!(wake(&mut config, at(0, 3, 0), WAITS));
        assert_eq!(machine.word((0, 3, 0), 0x54 / 4), 0x8100);
        for (word, content) in [(1, 1 << 20 | 0x0407), (4, 0xfebd_0000), (6, 0xc041)] {
            assert_eq!(machine.word((0, 3, 0), word), content);
        }
        assert!(!wake(&mut config, at(0, 3, 0), WAITS), "once is enough");
    }
    let mut machine = Machine::default();
    machine.insert((0, 3, 0), plain());
    assert!(!wake(&mut machine, at(0, 3, 0), WAITS) && !wake(&mut machine, at(0, 4, 0), WAITS));
}

#[test]
fn the_bridges_above_a_card_and_no_others_let_it_through() {
    let mut machine = Machine::default();
    machine.insert((0, 1, 0), ranged(1, 3));
    machine.insert((1, 0, 0), ranged(2, 3));
    machine.insert((2, 0, 0), ranged(3, 3));
    machine.insert((2, 1, 0), ranged(9, 9));
    machine.insert((0, 2, 0), ranged(4, 8));
    machine.insert((3, 0, 0), Function::new(0x8086, 0x10d3, 0x02_00_00));
    assert_eq!(open_bridges(&mut machine, RootBuses::FIRST, at(3, 0, 0)), 3);
    let open = [(0, 1, 0), (1, 0, 0), (2, 0, 0)];
    assert!(open.iter().all(|&place| machine.word(place, 1) & 7 == 7));
    let shut = [(2, 1, 0), (0, 2, 0), (3, 0, 0)];
    assert!(shut.iter().all(|&place| machine.word(place, 1) & 7 == 0));
    assert_eq!(open_bridges(&mut machine, RootBuses::FIRST, at(3, 0, 0)), 0);
    assert_eq!(open_bridges(&mut machine, RootBuses::FIRST, at(0, 9, 0)), 0);
}

#[test]
fn the_link_to_a_card_is_kept_awake_at_both_ends() {
    /// With this link control, and status bits that a written 1 clears.
    fn express(mut function: Function, control: u32) -> Function {
        (function.words[1], function.words[13]) = (1 << 20, 0x40);
        (function.words[16], function.words[20]) = (0x0002_0010, 0xc011_0000 | control);
        function.writable[20] = u32::MAX;
        function
    }
    let card = || Function::new(0x8086, 0x10d3, 0x02_00_00);
    let mut machine = Machine::default();
    machine.insert((0, 1, 0), express(ranged(1, 2), 0x43));
    machine.insert((1, 0, 0), express(ranged(2, 2), 0x42));
    machine.insert((2, 0, 0), express(card(), 0x03));
    machine.insert((0, 2, 0), express(card(), 0x01));
    // Not on PCI Express.
    machine.insert((0, 3, 0), card());
    let mut keep = |bus, device| keep_link_awake(&mut machine, RootBuses::FIRST, at(bus, device, 0));
    assert_eq!([keep(2, 0), keep(2, 0), keep(0, 2), keep(0, 3)], [true, false, true, false]);
    // What else is in the control stays, and no status is cleared; the link further up is another's.
    assert_eq!((machine.word((2, 0, 0), 20), machine.word((1, 0, 0), 20)), (0, 0x40));
    assert_eq!((machine.word((0, 1, 0), 20), machine.word((0, 2, 0), 20)), (0xc011_0043, 0));
}

#[test]
fn registers_without_an_address_get_one_that_nobody_has() {
    const WINDOW: core::ops::RangeInclusive<u64> = 0xc000_0000..=0xdfff_ffff;
    let card = || {
        Function::new(0x1af4, 0x1000, 0x02_00_00)
            .bar(0, 1, 0xffe0)
            .bar(1, 0, 0xffff_f000)
            .bar(4, 0xc, 0xffff_c000)
            .bar(5, 0, 0xffff_ffff)
    };
    let mut machine = Machine::default();
    machine.insert((0, 1, 0), card());
    // At most 64 KiB, as its address says; a bridge's window at the very end; one above 4 GiB.
    machine.insert((0, 2, 0), Function::new(1, 2, 0x01_00_00).bar(0, 0xdfed_0000, 0xffff_f000));
    let mut above = ranged(1, 1);
    above.words[8] = 0xdff0_dff0;
    machine.insert((0, 3, 0), above);
    machine.insert((0, 4, 0), Function::new(1, 2, 0x01_00_00).bar(0, 4, u32::MAX).bar(1, 1, u32::MAX));
    assert!(is_unplaced(&machine, at(0, 1, 0)) && !is_unplaced(&machine, at(0, 2, 0)));
    // A wide one at 32 GiB, whose lower half is 0.
    let wide = Function::new(0x1af4, 0x1041, 0x02_00_00).bar(4, 0b1100, 0xffff_c000).bar(5, 8, u32::MAX);
    machine.insert((0, 9, 0), wide);
    assert!(!is_unplaced(&machine, at(0, 9, 0)));
    // The memory map has something there, too.
    let taken = |range: &core::ops::RangeInclusive<u64>| range.contains(&0xdfec_f000).then_some(0xdfec_f000);
    let below = |_| Some(*WINDOW.start()..=0xdfed_ffff);
    let space = Space { roots: RootBuses::FIRST, window: &below, taken: &taken };
    assert_eq!(place(&mut machine, &space, at(0, 1, 0)), Ok(()));
    let device = PciDevice::read(&mut machine, at(0, 1, 0)).expect("a device");
    assert_eq!(device.bars[1], Some(Bar::Memory { address: 0xdfec_e000, length: 0x1000 }));
    assert_eq!(device.bars[4], Some(Bar::Memory { address: 0xdfec_8000, length: 0x4000 }));
    assert_eq!(device.bars[0], None, "ports are left");
    // Below the bridge's window.
    machine.insert((0, 1, 0), card());
    let space = Space { window: &|_| Some(WINDOW), ..space };
    assert_eq!(place(&mut machine, &space, at(0, 1, 0)), Ok(()));
    assert_eq!(machine.word((0, 1, 0), 5), 0xdfef_f000);

    // Behind it, in its window.
    machine.insert((1, 0, 0), card());
    assert_eq!(place(&mut machine, &space, at(1, 0, 0)), Ok(()));
    assert_eq!((machine.word((1, 0, 0), 5), machine.word((1, 0, 0), 8)), (0xdfff_f000, 0xdfff_800c));
    assert_eq!(machine.word((0, 3, 0), 8), 0xdff0_dff0);

    machine.insert((0, 1, 0), card());
    let free = |_: &core::ops::RangeInclusive<u64>| None;
    for (window, reason) in [(None, Unplaced::NoWindow), (Some(0xdfed_0000..=0xdfed_ffff), Unplaced::NoRoom)]
    {
        let space = Space { roots: RootBuses::FIRST, window: &|_| window.clone(), taken: &free };
        assert_eq!(place(&mut machine, &space, at(0, 1, 0)), Err(reason));
    }
}

/// A bridge as it is after a reset, which keeps bus numbers and windows.
fn reset_bridge() -> Function {
    let mut bridge = bridge(0);
    (bridge.words[7], bridge.writable[7]) = (0x0000_0101, 0xf0f0);
    (bridge.writable[6], bridge.writable[8], bridge.writable[9]) = (0x00ff_ffff, 0xfff0_fff0, 0xfff0_fff0);
    bridge
}

#[test]
fn what_lies_behind_bridges_after_a_reset_is_found_and_has_addresses() {
    const WINDOW: core::ops::RangeInclusive<u64> = 0xc000_0000..=0xdfff_ffff;
    let mut roots = RootBuses::FIRST;
    roots.add(0x80);
    let mut machine = Machine::default();
    machine.insert((0, 1, 0), ranged(1, 2));
    machine.insert((0, 2, 0), reset_bridge());
    machine.insert((0, 3, 0), reset_bridge());
    assert_eq!(number(&mut machine, roots, at(0, 2, 0), 255), Ok(3..=10));
    assert_eq!(machine.word((0, 2, 0), 6), 0x000a_0300);
    // It passes nothing: neither the ports nor the memory at 0.
    assert_eq!([7, 8, 9].map(|word| machine.word((0, 2, 0), word)), [0x01f1, 0xfff0, 0xfff0]);
    machine.insert((3, 0, 0), reset_bridge());
    assert_eq!(number(&mut machine, roots, at(3, 0, 0), 255), Ok(4..=10));
    machine.insert((4, 0, 0), reset_bridge());
    let card = Function::new(0x8086, 0x10d3, 0x02_00_00).bar(0, 0, 0xfffe_0000).bar(3, 0, 0xffff_c000);
    machine.insert((4, 1, 0), card.clone());
    assert_eq!(number(&mut machine, roots, at(0, 3, 0), 255), Ok(11..=18));

    // Both bridges above the card are opened for it, one in the other, and those beside are not.
    let space = Space { roots, window: &|root| (root == 0).then_some(WINDOW), taken: &|_| None };
    assert_eq!(place(&mut machine, &space, at(4, 1, 0)), Ok(()));
    assert_eq!((machine.word((4, 1, 0), 4), machine.word((4, 1, 0), 7)), (0xdffe_0000, 0xdffd_c000));
    let windows = [(0, 2, 0), (3, 0, 0), (4, 0, 0), (0, 3, 0)].map(|place| machine.word(place, 8));
    assert_eq!(windows, [0xdff0_dff0, 0xdff0_dff0, 0, 0xfff0]);
    // A second one has what is left there.
    machine.insert((4, 2, 0), card);
    assert_eq!(place(&mut machine, &space, at(4, 2, 0)), Ok(()));
    assert_eq!(machine.word((4, 2, 0), 4), 0xdffa_0000);
}

#[test]
fn a_bridge_gets_no_number_that_another_bus_may_have() {
    let mut roots = RootBuses::FIRST;
    roots.add(3);
    let mut machine = Machine::default();
    machine.insert((0, 1, 0), ranged(1, 2));
    machine.insert((0, 2, 0), reset_bridge());
    machine.insert((1, 0, 0), reset_bridge());
    machine.insert((1, 1, 0), reset_bridge());
    // Bus 3 is a root of its own.
    assert_eq!(number(&mut machine, roots, at(0, 2, 0), 255), Err(Unnumbered::NoneFree));
    assert_eq!(number(&mut machine, roots, at(1, 0, 0), 255), Ok(2..=2));
    assert_eq!(number(&mut machine, roots, at(1, 1, 0), 255), Err(Unnumbered::NoneFree));
    // The machine's configuration space ends here.
    assert_eq!(number(&mut machine, RootBuses::FIRST, at(0, 2, 0), 2), Err(Unnumbered::NoneFree));
    let mut stubborn = reset_bridge();
    stubborn.writable[6] = 0;
    machine.insert((3, 0, 0), stubborn);
    assert_eq!(number(&mut machine, roots, at(3, 0, 0), 255), Err(Unnumbered::Refused));
    assert!(!is_unnumbered(&machine, at(1, 0, 0)) && !is_unnumbered(&machine, at(9, 0, 0)));

    // Something answers on a bus to which no bridge leads.
    let mut machine = Machine::default();
    machine.insert((4, 7, 0), plain());
    for (first, result) in [((0, 2, 0), Ok(1..=3)), ((0, 3, 0), Err(Unnumbered::Taken(4)))] {
        machine.insert(first, reset_bridge());
        let (bus, device, function) = first;
        assert_eq!(number(&mut machine, RootBuses::FIRST, at(bus, device, function), 255), result);
    }
}

#[test]
fn what_is_only_identified_is_not_written_to() {
    let machine = Machine::default();
    machine.insert((0, 3, 0), Function::new(0x8086, 0x2021, 0x08_80_00).bar(0, 0xfebd_1000, 0xffff_f000));
    let never = Interrupted { machine, writes_left: 0 };
    let device = PciDevice::identify(&never, at(0, 3, 0)).expect("a device");
    assert_eq!(device.to_string(), "00:03.0: 8086:2021 system peripheral");
}
