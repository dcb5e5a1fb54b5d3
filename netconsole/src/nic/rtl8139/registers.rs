//! Registers and bits of the RTL8139, those that the driver uses; no behaviour. The names of the datasheet of the
//! RTL8139C and D are in brackets.

/// Offsets in the I/O space of BAR 0.
pub mod register {
    /// The chip's own address, six bytes, to be written in words of 32 bits (IDR0).
    pub const ID: u16 = 0x00;
    /// The multicast filter, 64 bits (MAR0).
    pub const MULTICAST: u16 = 0x08;
    /// Transmit status of descriptor 0 (TSD0); three more follow, 4 bytes each.
    pub const TRANSMIT_STATUS: u16 = 0x10;
    /// Transmit start address of descriptor 0 (TSAD0), likewise.
    pub const TRANSMIT_ADDRESS: u16 = 0x20;
    /// The receive ring's address (RBSTART).
    pub const RECEIVE_RING: u16 = 0x30;
    /// Reset, run, and whether the ring is empty (CR).
    pub const COMMAND: u16 = 0x37;
    /// 16 below where in the ring the driver goes on (CAPR).
    pub const READ_PLACE: u16 = 0x38;
    /// What has happened (ISR).
    pub const INTERRUPT_STATUS: u16 = 0x3e;
    /// How frames are sent (TCR).
    pub const TRANSMIT_CONFIGURATION: u16 = 0x40;
    /// What is received, and how (RCR).
    pub const RECEIVE_CONFIGURATION: u16 = 0x44;
    /// What of the registers can be written (9346CR).
    pub const EEPROM_COMMAND: u16 = 0x50;
    /// The link (MSR).
    pub const MEDIA_STATUS: u16 = 0x58;
    /// The negotiation with the other end (BMCR).
    pub const MODE_CONTROL: u16 = 0x62;
    /// What is advertised to the other end (ANAR).
    pub const ADVERTISED: u16 = 0x66;
    /// What the other end can do (ANLPAR).
    pub const PARTNER: u16 = 0x68;
    /// All registers.
    pub const LENGTH: u32 = 0x100;
}

/// The ring is empty (CR.BUFE).
pub const COMMAND_BUFFER_EMPTY: u32 = 1 << 0;
/// The transmitter runs (CR.TE).
pub const COMMAND_TRANSMIT: u32 = 1 << 2;
/// The receiver runs (CR.RE).
pub const COMMAND_RECEIVE: u32 = 1 << 3;
/// Both.
pub const COMMAND_RUNS: u32 = COMMAND_TRANSMIT | COMMAND_RECEIVE;
/// Resets the chip; clears itself (CR.RST).
pub const COMMAND_RESET: u32 = 1 << 4;

/// The frame is in the chip; cleared, the buffer is the chip's (TSD.OWN).
pub const TRANSMIT_OWN: u32 = 1 << 13;
/// It was sent although the chip had run out of its bytes meanwhile (TSD.TUN).
pub const TRANSMIT_UNDERRUN: u32 = 1 << 14;
/// It was sent (TSD.TOK).
pub const TRANSMIT_OK: u32 = 1 << 15;
/// Given up after too many collisions: the chip stands still (TSD.TABT).
pub const TRANSMIT_ABORTED: u32 = 1 << 30;

/// The link has gone or come (ISR.LinkChg).
pub const INTERRUPT_LINK_CHANGED: u32 = 1 << 5;
/// The ring, or the chip's own memory, was full (ISR.RXOVW, ISR.FOVW).
pub const INTERRUPT_OVERFLOW: u32 = 1 << 4 | 1 << 6;

/// Only the usual registers can be written.
pub const EEPROM_LOCKED: u32 = 0;
/// The chip's own address can be written.
pub const EEPROM_CONFIGURE: u32 = 3 << 6;

/// There is no link (MSR.LINKB).
pub const MEDIA_NO_LINK: u32 = 1 << 2;
/// The link has 10 Mbit/s, not 100 (MSR.SPEED_10).
pub const MEDIA_10: u32 = 1 << 3;
/// Full duplex, where nothing is negotiated (BMCR).
pub const MODE_FULL_DUPLEX: u32 = 1 << 8;
/// The mode is negotiated with the other end (BMCR).
pub const MODE_NEGOTIATE: u32 = 1 << 12;
/// 10 Mbit/s in full duplex (ANAR, ANLPAR).
pub const ABILITY_10_FULL_DUPLEX: u32 = 1 << 6;
/// 100 Mbit/s in full duplex.
pub const ABILITY_100_FULL_DUPLEX: u32 = 1 << 8;

/// In a received frame's header, which has the status below and the length above, the check sequence included: it
/// came whole (ROK).
pub const RECEIVED_OK: u32 = 1 << 0;
/// Alignment, check sequence, too long, too short, symbol (FAE, CRC, LONG, RUNT, ISE).
pub const RECEIVED_DAMAGED: u32 = 0b1_1111 << 1;
/// In place of a length while the frame is still being stored.
pub const RECEIVED_UNFINISHED: usize = 0xfff0;
