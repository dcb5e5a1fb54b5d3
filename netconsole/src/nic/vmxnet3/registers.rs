//! Registers and bits of VMware's vmxnet3, those that the driver uses; no behaviour. They are those of VMware's own header,
//! vmxnet3_defs.h, which Linux, FreeBSD and QEMU have; its names are in brackets.

/// The card's registers, each 32 bits wide.
pub trait Registers {
    /// Reads a register. A device that is gone reads as all ones.
    fn read(&self, register: Register) -> u32;
    /// Writes a register.
    fn write(&mut self, register: Register, value: u32);
}

/// A register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// No interrupts (VMXNET3_REG_IMR).
    InterruptMask,
    /// The descriptor behind the last one that is to be sent (VMXNET3_REG_TXPROD).
    TransmitTail,
    /// The descriptor behind the last one that is to receive (VMXNET3_REG_RXPROD).
    ReceiveTail,
    /// The interface's revisions that the card knows, and the chosen one (VMXNET3_REG_VRRS).
    Revision,
    /// The same of the rings (VMXNET3_REG_UVRS).
    RingRevision,
    /// Where the memory is that both share (VMXNET3_REG_DSAL).
    SharedLow,
    /// Its upper half; writing it makes both count (VMXNET3_REG_DSAH).
    SharedHigh,
    /// A command; read, its answer (VMXNET3_REG_CMD).
    Command,
    /// The first four octets of the address that the card lets in (VMXNET3_REG_MACL).
    MacLow,
    /// The last two; writing them makes both count (VMXNET3_REG_MACH).
    MacHigh,
    /// Events that are noted as seen (VMXNET3_REG_ECR).
    Events,
}

/// Which of a function's base address registers has a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// BAR 0: what a frame's way needs.
    Rings,
    /// BAR 1: the rest.
    Device,
}

/// The size of either part in bytes.
pub const PART_LENGTH: u32 = 0x1000;

impl Register {
    /// Where the register is: the part, and the offset there in bytes.
    pub const fn place(self) -> (Part, usize) {
        match self {
            Self::InterruptMask => (Part::Rings, 0x000),
            Self::TransmitTail => (Part::Rings, 0x600),
            Self::ReceiveTail => (Part::Rings, 0x800),
            Self::Revision => (Part::Device, 0x00),
            Self::RingRevision => (Part::Device, 0x08),
            Self::SharedLow => (Part::Device, 0x10),
            Self::SharedHigh => (Part::Device, 0x18),
            Self::Command => (Part::Device, 0x20),
            Self::MacLow => (Part::Device, 0x28),
            Self::MacHigh => (Part::Device, 0x30),
            Self::Events => (Part::Device, 0x40),
        }
    }
}

/// The first revision, of both.
pub const FIRST_REVISION: u32 = 1 << 0;

/// Takes the shared memory and starts; the answer is 0 where that was good (VMXNET3_CMD_ACTIVATE_DEV).
pub const ACTIVATE: u32 = 0xcafe_0000;
/// Stops and forgets all memory (VMXNET3_CMD_RESET_DEV).
pub const RESET: u32 = 0xcafe_0002;
/// Looks at [`super::memory::Shared::receive_mode`] (VMXNET3_CMD_UPDATE_RX_MODE).
pub const UPDATE_RECEIVE_MODE: u32 = 0xcafe_0003;
/// Looks at the VLANs that are let in (VMXNET3_CMD_UPDATE_VLAN_FILTERS).
pub const UPDATE_VLANS: u32 = 0xcafe_0005;
/// Writes each queue's state into memory (VMXNET3_CMD_GET_QUEUE_STATUS).
pub const GET_QUEUE_STATUS: u32 = 0xf00d_0000;
/// The answer is the link: up, and its Mbit/s from bit 16 on (VMXNET3_CMD_GET_LINK).
pub const GET_LINK: u32 = 0xf00d_0002;
/// The answer is the first four octets of the card's own address (VMXNET3_CMD_GET_PERM_MAC_LO).
pub const GET_MAC_LOW: u32 = 0xf00d_0003;
/// The last two (VMXNET3_CMD_GET_PERM_MAC_HI).
pub const GET_MAC_HIGH: u32 = 0xf00d_0004;

/// In the answer to [`GET_LINK`].
pub const LINK_UP: u32 = 1 << 0;
/// In the answer to [`GET_LINK`]: the speed's place.
pub const LINK_SPEED_SHIFT: u32 = 16;

/// A queue for receiving or sending has stopped by an error (VMXNET3_ECR_RQERR, VMXNET3_ECR_TQERR).
pub const EVENT_QUEUE_ERROR: u32 = 1 << 0 | 1 << 1;
/// The link has gone or come (VMXNET3_ECR_LINK).
pub const EVENT_LINK: u32 = 1 << 2;

/// In a queue's state: it has stopped (Vmxnet3_QueueStatus.stopped).
pub const QUEUE_STOPPED: u32 = 1 << 0;

// The second half of a descriptor, its two words as one.

/// Of a frame to be sent, bit 14: whose turn the descriptor belongs to (TxDesc.gen).
pub const TRANSMIT_TURN_SHIFT: u32 = 14;
/// It is the frame's last one, and its end is to be told (TxDesc.eop, TxDesc.cq).
pub const TRANSMIT_WHOLE: u64 = (1 << 12 | 1 << 13) << 32;
/// Of a buffer, bit 31 (RxDesc.gen); the buffer may begin a frame, for RxDesc.btype is 0.
pub const RECEIVE_TURN_SHIFT: u32 = 31;
/// Of an answer, bit 63 (TxCompDesc.gen, RxCompDesc.gen).
pub const DONE_TURN_SHIFT: u32 = 63;
/// Of a received frame: its length (RxCompDesc.len).
pub const DONE_LENGTH: u64 = 0x3fff;
/// Of a received frame: it is damaged (RxCompDesc.err).
pub const DONE_ERROR: u64 = 1 << 14;

// The first half of an answer.

/// Which descriptor it is about (TxCompDesc.txdIdx, RxCompDesc.rxdIdx).
pub const DONE_INDEX: u64 = 0xfff;
/// The buffer has the frame's begin and its end (RxCompDesc.sop, RxCompDesc.eop).
pub const DONE_WHOLE: u64 = 1 << 14 | 1 << 15;
