//! A card whose registers are plain memory: what is written can be read back, which is all that the
//! start of a card asks of it. The numbers are the specification's (virtio 1.2, section 4.2.2).

use super::*;
use crate::nic::Nic;
use crate::nic::WAITS;
use crate::nic::addresses::fake::{NO_PORTS, physical};
use crate::nic::exchange::started;
use crate::nic::pci::fake::Machine;
use crate::nic::{PanicCardMemory, PanicDriver};
use crate::wire::MacAddr;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

#[repr(C, align(512))]
struct Registers([AtomicU32; 128]);

impl Registers {
    /// A network card of a version, with two queues of 256, that offers the features below 32 and, as
    /// both halves read the same, the same 32 higher.
    fn new(version: u32, features: u32) -> &'static Self {
        let registers: &Self = Box::leak(Box::new(Self([const { AtomicU32::new(0) }; 128])));
        for (offset, value) in [(0, 0x7472_6976), (4, version), (8, 1), (0x10, features), (0x34, 256)] {
            registers.set(offset, value);
        }
        // The MAC address.
        registers.set(0x100, 0x0012_5452);
        registers.set(0x104, 0x5634);
        registers
    }

    fn set(&self, offset: usize, value: u32) {
        self.0[offset / 4].store(value, SeqCst);
    }

    fn get(&self, offset: usize) -> u32 {
        self.0[offset / 4].load(SeqCst)
    }

    fn wide(&self, offset: usize) -> u64 {
        u64::from(self.get(offset)) | u64::from(self.get(offset + 4)) << 32
    }

    fn address(&self) -> u64 {
        physical(&raw const *self)
    }

    fn start(&self) -> Result<PanicDriver, NicError> {
        let memory = Box::leak(Box::new(PanicCardMemory::new()));
        started(PanicDriver::open(
            Machine::default(),
            &NO_PORTS,
            WAITS,
            BusAddress::Mmio(self.address()),
            memory,
        ))
    }
}

/// VERSION_1, seen as bit 0 of the higher half; MAC.
const MODERN: u32 = 1 << 0 | 1 << 5;
/// MAC.
const LEGACY: u32 = 1 << 5;

#[test]
fn a_modern_card_starts() {
    let registers = Registers::new(2, MODERN);
    let mut nic = registers.start().expect("a card");
    assert_eq!(nic.mac(), MacAddr([0x52, 0x54, 0x12, 0, 0x34, 0x56]));
    // ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK.
    assert_eq!(registers.get(0x70), 15);
    assert_eq!(registers.get(0x44), 1);
    let (descriptors, driver, device) = (registers.wide(0x80), registers.wide(0x90), registers.wide(0xa0));
    assert!(descriptors < driver && driver < device);
    assert_eq!(nic.transmit(&mut |_| 60), Ok(()));
    registers.set(0x50, 77);
    nic.kick();
    assert_eq!(registers.get(0x50), 1);
}

/// Its rings' places follow from the page that it is told (virtio/tests.rs has them); memory of
/// this test's lies too high for that register.
#[test]
fn a_legacy_card_starts() {
    let registers = Registers::new(1, LEGACY);
    let nic = registers.start().expect("a card");
    assert_eq!(nic.mac(), MacAddr([0x52, 0x54, 0x12, 0, 0x34, 0x56]));
    // Without FEATURES_OK, with page size and alignment, and no feature of a later time.
    assert_eq!(registers.get(0x70), 7);
    assert_eq!((registers.get(0x28), registers.get(0x3c)), (4096, 4096));
    assert_eq!(registers.get(0x20), 0);
    // The receive queue was set up last.
    assert_eq!((registers.get(0x30), registers.get(0x38)), (0, 256));
}

#[test]
fn what_is_no_network_card_is_left_alone_and_what_is_unknown_is_named() {
    let place = |registers: &Registers| {
        MmioTransport::find(registers.address(), &NO_PORTS.addresses).map(|found| found.is_some())
    };
    assert_eq!(place(Registers::new(2, MODERN)), Ok(true));
    for (offset, value) in [(0, 0), (8, 0), (8, 2)] {
        let registers = Registers::new(2, MODERN);
        registers.set(offset, value);
        assert_eq!(place(registers), Ok(false), "{offset}");
        assert_eq!(registers.get(0x70), 0, "its status was not touched");
    }
    for version in [0, 3] {
        assert!(matches!(place(Registers::new(version, MODERN)), Err(NicError::MissingFeature(_))));
    }
    for address in [u64::MAX, Registers::new(2, MODERN).address() + 2] {
        assert_eq!(
            MmioTransport::find(address, &NO_PORTS.addresses).err(),
            Some(NicError::NoRegisters("virtio"))
        );
    }
    assert!(matches!(Registers::new(2, LEGACY).start().err(), Some(NicError::MissingFeature(_))));
}
