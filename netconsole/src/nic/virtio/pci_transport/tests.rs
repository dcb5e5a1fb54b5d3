//! A card whose registers are plain memory: what is written can be read back, which is all that the
//! start of a card asks of it.

use super::*;
use crate::nic::WAITS;
use crate::nic::addresses::fake::{NO_PORTS, physical};
use crate::nic::exchange::started;
use crate::nic::pci::fake::{Function, Machine, Noise};
use crate::nic::pci::{self, DeviceFunction};
use crate::nic::virtio::{self, VirtioMemory, drives};
use crate::nic::{BusAddress, Nic, PanicCardMemory, PanicDriver, TransmitError};
use crate::wire::MacAddr;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

const PLACE: (u8, u8, u8) = (0, 3, 0);
const FUNCTION: DeviceFunction = DeviceFunction { bus: 0, device: 3, function: 0 };

/// A memory BAR, with the common registers at 0, the card's at 0x2000 and notifications at 0x3000.
#[repr(C, align(0x4000))]
struct Registers([AtomicU8; 0x4000]);

impl Registers {
    fn set(&self, offset: usize, bytes: &[u8]) {
        for (register, byte) in self.0[offset..].iter().zip(bytes) {
            register.store(*byte, SeqCst);
        }
    }

    fn half(&self, offset: usize) -> u16 {
        u16::from_le_bytes([self.0[offset].load(SeqCst), self.0[offset + 1].load(SeqCst)])
    }
}

/// Registers that offer VERSION_1 (and, as both halves read the same, bit 0), two queues of 256, and
/// the notification offset 3.
fn registers() -> &'static Registers {
    let registers: &Registers = Box::leak(Box::new(Registers([const { AtomicU8::new(0) }; 0x4000])));
    registers.set(0x04, &[1, 0, 0, 0]);
    registers.set(0x18, &[0, 1]);
    registers.set(0x1e, &[3, 0]);
    registers
}

/// A function with these capabilities: structure, BAR, offset, length, and what follows.
fn machine(registers: &'static Registers, capabilities: &[(u8, u8, u32, u32, u32)]) -> Machine {
    let address = physical(&raw const *registers);
    let mut function = Function::new(0x1af4, 0x1041, 0x02_00_00)
        .bar(1, 0xc001, 0xffe0)
        .bar(4, address as u32 | 0xc, 0xffff_c000)
        .bar(5, (address >> 32) as u32, u32::MAX);
    function.words[1] = 1 << 20;
    function.words[0x34 / 4] = 0x40;
    for (number, &(structure, bar, offset, length, more)) in capabilities.iter().enumerate() {
        let at = 0x40 + 0x14 * number;
        let next = if number + 1 < capabilities.len() { at + 0x14 } else { 0 };
        function.words[at / 4..][..5].copy_from_slice(&[
            u32::from(structure) << 24 | 0x14_0009 | (next as u32) << 8,
            bar.into(),
            offset,
            length,
            more,
        ]);
    }
    let machine = Machine::default();
    machine.insert(PLACE, function);
    machine
}

/// The common registers, notifications with a multiplier of 4, the card's own registers.
const CAPABILITIES: [(u8, u8, u32, u32, u32); 3] =
    [(1, 4, 0, 0x38, 0), (2, 4, 0x3000, 0x1000, 4), (4, 4, 0x2000, 0x40, 0)];

fn memory() -> &'static mut PanicCardMemory {
    Box::leak(Box::new(PanicCardMemory::new()))
}

#[test]
fn finds_the_registers_and_notifies_with_one_write() {
    let registers = registers();
    let mut config = machine(registers, &CAPABILITIES);
    let device = PciDevice::read(&mut config, FUNCTION).expect("a device");
    assert!(drives((device.vendor_id, device.device_id)));
    let mut nic =
        virtio::probe(&mut config, &NO_PORTS, WAITS, &device, Box::leak(Box::new(VirtioMemory::new())))
            .expect("a card");
    // Bus master, memory, no interrupts.
    assert_eq!(config.word(PLACE, 1) & 0xffff, 0x0406);
    assert_eq!(nic.mac(), MacAddr([0x02, b'n', b'c', 0, 3, 0]));
    // The last queue set up is the one to receive: number, size, enabled; DRIVER_OK.
    assert_eq!((registers.half(0x16), registers.half(0x18), registers.half(0x1c)), (0, 256, 1));
    assert_eq!(registers.0[0x14].load(SeqCst), 1 | 2 | 4 | 8);

    registers.set(0x300c, &[0xff, 0xff]);
    registers.set(0x16, &[0xee, 0xee]);
    assert_eq!(nic.transmit(&mut |_| 60), Ok(()));
    nic.kick();
    assert_eq!(registers.half(0x300c), 1);
    assert_eq!(registers.half(0x16), 0xeeee, "nothing but the notification");
}

#[test]
fn the_panic_card_starts_from_the_place_alone() {
    let registers = registers();
    let config = machine(registers, &CAPABILITIES);
    assert!(drives(pci::ids(&config, FUNCTION)));
    // Whatever the driver before has left.
    registers.set(0x14, &[1 | 2 | 8 | 64]);
    let mut nic = started(PanicDriver::open(config, &NO_PORTS, WAITS, BusAddress::Pci(FUNCTION), memory()))
        .expect("a card");
    for _ in 0..16 {
        assert_eq!(nic.transmit(&mut |_| 60), Ok(()));
    }
    assert_eq!(nic.transmit(&mut |_| 60), Err(TransmitError::Full));
    assert!(!nic.is_drained());
    assert_eq!(registers.half(0x18), 256);
}

#[test]
fn says_what_is_missing() {
    let start = |capabilities: &[_]| {
        let config = machine(registers(), capabilities);
        started(PanicDriver::open(config, &NO_PORTS, WAITS, BusAddress::Pci(FUNCTION), memory())).err()
    };
    let [common, notify, specific] = CAPABILITIES;
    let no_common = Some(NicError::NoRegisters("common configuration"));
    assert_eq!(start(&[]), Some(NicError::NoRegisters("I/O")));
    assert_eq!(start(&[notify, specific]), Some(NicError::NoRegisters("I/O")));
    assert_eq!(start(&[common, specific]), Some(NicError::NoRegisters("notification")));
    // Without registers of its own the card has no MTU, MAC or status field, none of which it offers.
    assert_eq!(start(&[common, notify]), None);
    for unusable in [
        (1, 5, 0, 0x38, 0),
        (1, 1, 0, 0x38, 0),
        (1, 9, 0, 0x38, 0),
        (1, 4, 0x3fcc, 0x38, 0),
        (1, 4, u32::MAX, u32::MAX, 0),
        (1, 4, 2, 0x38, 0),
        (1, 4, 0, 0x37, 0),
    ] {
        assert_eq!(start(&[unusable, notify, specific]), no_common, "{unusable:?}");
        assert_eq!(start(&[unusable, common, notify, specific]), None, "the next one is usable");
    }
    let elsewhere = DeviceFunction { bus: 1, ..FUNCTION };
    let config = machine(registers(), &CAPABILITIES);
    assert_eq!(
        started(PanicDriver::open(config, &NO_PORTS, WAITS, BusAddress::Pci(elsewhere), memory())).err(),
        Some(NicError::Configuration)
    );
}

#[test]
fn a_notification_beyond_the_registers_is_not_made() {
    let registers = registers();
    let config = machine(registers, &[CAPABILITIES[0], (2, 4, 0x3000, 0x1000, u32::MAX)]);
    let mut nic = started(PanicDriver::open(config, &NO_PORTS, WAITS, BusAddress::Pci(FUNCTION), memory()))
        .expect("a card");
    assert_eq!(nic.transmit(&mut |_| 60), Ok(()));
    nic.kick();
    assert!(registers.0[0x3000..].iter().all(|register| register.load(SeqCst) == 0));
}

proptest! {
    /// Without touching what it finds: `new` only reads configuration space.
    #[test]
    fn any_capabilities_are_read(seed: u64) {
        let mut noise = Noise { seed, count: Default::default() };
        if let Some(device) = PciDevice::read(&mut noise, FUNCTION) {
            let _ = PciTransport::new(&mut noise, &NO_PORTS.addresses, &device);
        }
    }
}
