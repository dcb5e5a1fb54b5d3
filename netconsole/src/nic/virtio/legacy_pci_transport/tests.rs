//! The driver against a model of the I/O registers. Its numbers are the specification's (virtio 1.2,
//! section 4.1.4.10), spelled out. It moves no frames: memory of this test's lies too high for the
//! register that says where a queue is (tests/qemu/models.rs has the rest).

use super::*;
use crate::nic::WAITS;
use crate::nic::addresses::fake::access;
use crate::nic::exchange::started;
use crate::nic::pci::DeviceFunction;
use crate::nic::pci::fake::{Function, Machine};
use crate::nic::virtio::{self, VirtioMemory};
use crate::nic::{BusAddress, Nic, PanicCardMemory, PanicDriver, TransmitError};
use crate::wire::MacAddr;
use std::sync::{Mutex, MutexGuard};

const FIRST_PORT: u16 = 0xc040;
const FUNCTION: DeviceFunction = DeviceFunction { bus: 0, device: 3, function: 0 };

/// VIRTIO_NET_F_CSUM, MTU, MAC, MRG_RXBUF, STATUS, VIRTIO_F_EVENT_IDX.
const FEATURES: u32 = 1 << 0 | 1 << 3 | 1 << 5 | 1 << 15 | 1 << 16 | 1 << 29;

/// What the card has been told, and what it says of itself.
struct Registers {
    features: u32,
    taken: u32,
    sizes: [u16; 2],
    /// How often each queue was given a place.
    placed: [usize; 2],
    selected: u16,
    notifications: Vec<u16>,
    status: u8,
    never_resets: bool,
    config_at: u16,
    /// struct virtio_net_config: MAC, status, max_virtqueue_pairs, MTU.
    config: [u8; 12],
}

struct Card(Mutex<Registers>);

impl Card {
    fn new() -> &'static Self {
        Box::leak(Box::new(Self(Mutex::new(Registers {
            features: FEATURES,
            taken: 0,
            sizes: [256; 2],
            placed: [0; 2],
            selected: 0,
            notifications: Vec::new(),
            status: 0,
            never_resets: false,
            config_at: 0x14,
            config: [0x52, 0x54, 0, 0x12, 0x34, 0x56, 1, 0, 1, 0, 0xdc, 0x05],
        }))))
    }

    fn registers(&self) -> MutexGuard<'_, Registers> {
        self.0.lock().expect("no panic while it was locked")
    }

    fn start(&'static self, machine: Machine) -> Result<PanicDriver, NicError> {
        let memory = Box::leak(Box::new(PanicCardMemory::new()));
        started(PanicDriver::open(machine, &access(self), WAITS, BusAddress::Pci(FUNCTION), memory))
    }
}

impl Ports for Card {
    fn read(&self, port: u16, width: Width) -> u32 {
        let card = self.registers();
        let queue = usize::from(card.selected);
        match (port - FIRST_PORT, width) {
            (0x00, Width::Word) => card.features,
            (0x0c, Width::Half) => card.sizes.get(queue).copied().unwrap_or(0).into(),
            (0x12, Width::Byte) => card.status.into(),
            (offset, Width::Byte) if offset >= card.config_at => {
                card.config[usize::from(offset - card.config_at)].into()
            }
            access => panic!("read {access:x?}"),
        }
    }

    fn write(&self, port: u16, width: Width, value: u32) {
        let mut card = self.registers();
        let queue = usize::from(card.selected);
        match (port - FIRST_PORT, width) {
            (0x04, Width::Word) => {
                assert_eq!(card.status, 3, "features are chosen by a driver that is not ready yet");
                card.taken = value;
            }
            (0x08, Width::Word) => {
                assert_eq!(card.status, 3, "queues are set up before DRIVER_OK");
                card.placed[queue] += 1;
            }
            (0x0e, Width::Half) => card.selected = value.try_into().expect("16 bits"),
            (0x10, Width::Half) => {
                assert_ne!(card.status & 4, 0, "no notification before DRIVER_OK");
                card.notifications.push(value.try_into().expect("16 bits"));
            }
            (0x12, Width::Byte) if value == 0 && card.never_resets => {}
            (0x12, Width::Byte) => card.status = value.try_into().expect("8 bits"),
            access => panic!("wrote {access:x?}"),
        }
    }
}

/// A transitional function that has only its I/O BAR.
fn function() -> Function {
    Function::new(0x1af4, 0x1000, 0x02_00_00).bar(0, u32::from(FIRST_PORT) | 1, 0xffff_ffe0)
}

fn machine(function: Function) -> Machine {
    let machine = Machine::default();
    machine.insert((0, 3, 0), function);
    machine
}

#[test]
fn a_card_starts_and_is_notified() {
    let card = Card::new();
    let mut config = machine(function());
    let device = PciDevice::read(&mut config, FUNCTION).expect("a device");
    let memory = Box::leak(Box::new(VirtioMemory::new()));
    let mut nic = virtio::probe(&mut config, &access(card), WAITS, &device, memory).expect("a card");
    // Bus master, I/O, no interrupts.
    assert_eq!(config.word((0, 3, 0), 1) & 0xffff, 0x0405);
    assert_eq!((nic.mac(), nic.mtu()), (MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]), 1500));
    {
        let card = card.registers();
        assert_eq!(card.taken, 1 << 3 | 1 << 5 | 1 << 16 | 1 << 29);
        // ACKNOWLEDGE, DRIVER, DRIVER_OK; it does not know FEATURES_OK.
        assert_eq!((card.status, card.placed), (7, [1, 1]));
    }
    assert!(nic.link_is_up());
    card.registers().config[6] = 0;
    assert!(!nic.link_is_up());

    card.registers().notifications.clear();
    assert_eq!(nic.transmit(&mut |_| 60), Ok(()));
    nic.kick();
    assert_eq!(card.registers().notifications, [1]);
}

#[test]
fn the_panic_card_starts_from_the_place_alone() {
    let card = Card::new();
    // Whatever the driver before has left.
    card.registers().status = 0x47;
    let mut nic = card.start(machine(function())).expect("a card");
    let (status, taken) = {
        let registers = card.registers();
        (registers.status, registers.taken)
    };
    assert_eq!((status, taken), (7, 1 << 5 | 1 << 16));
    // What the memory holds behind the rings of a queue of the card's size.
    for _ in 0..14 {
        assert_eq!(nic.transmit(&mut |_| 60), Ok(()));
    }
    assert_eq!(nic.transmit(&mut |_| 60), Err(TransmitError::Full));
}

#[test]
fn the_configuration_moves_where_msi_x_is_on() {
    for (control, at) in [(0x0001, 0x14), (0x8001, 0x18)] {
        let card = Card::new();
        card.registers().config_at = at;
        let mut function = function().bar(0, u32::from(FIRST_PORT) | 1, 0xffff_ffc0);
        function.words[1] = 1 << 20;
        function.words[0x34 / 4] = 0x40;
        function.words[0x40 / 4] = control << 16 | 0x11;
        let nic = card.start(machine(function));
        assert_eq!(nic.expect("a card").mac(), MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]), "{control:#x}");
    }
}

#[test]
fn what_cannot_be_used_is_named() {
    type Change = fn(&mut Registers);
    let changes: [(Change, NicError); 4] = [
        (|card| card.never_resets = true, NicError::ResetTimeout),
        (|card| card.sizes[1] = 0, NicError::NoQueue(1)),
        (|card| card.sizes[0] = 100, NicError::NoQueue(0)),
        (|card| card.sizes[0] = 2048, NicError::NoQueue(0)),
    ];
    for (change, error) in changes {
        let card = Card::new();
        card.registers().status = 7;
        change(&mut card.registers());
        assert_eq!(card.start(machine(function())).err(), Some(error));
        // Given up, or left alone where it does not come out of reset.
        let given_up = error != NicError::ResetTimeout;
        assert_eq!(card.registers().status & 0x80 != 0, given_up, "{error}");
    }
    // No BAR, one in memory, one that is too short, one beyond the ports that there are.
    for (content, writable) in
        [(0, 0), (0xfebf_0000, 0xffff_f000), (0xc041, 0xffff_fff0), (0x1_c041, 0xffff_ffe0)]
    {
        let function = Function::new(0x1af4, 0x1000, 0x02_00_00).bar(0, content, writable);
        assert_eq!(
            Card::new().start(machine(function)).err(),
            Some(NicError::NoRegisters("I/O")),
            "{content:#x}"
        );
    }
    // What lies behind the configuration.
    let device = PciDevice::read(&mut machine(function()), FUNCTION).expect("a device");
    let transport =
        LegacyPciTransport::new(&mut machine(function()), Card::new(), &device).expect("registers");
    assert_eq!(transport.read_config_space::<u16>(10), Ok(1500));
    for offset in [11, 12, usize::MAX] {
        assert_eq!(transport.read_config_space::<u16>(offset), Err(Error::ConfigSpaceTooSmall));
    }
}
