//! Registers and bits of Realtek's gigabit controllers on PCI Express, those that the driver uses; no behaviour. They are those
//! of the RTL8111B's datasheet, and for later chips those that the drivers of Linux, FreeBSD, OpenBSD and iPXE agree on.

use crate::nic::Width;

/// The controller's registers. One that is gone reads as all ones.
pub trait Registers {
    /// Reads a register; the bits above the width are 0.
    fn read(&self, register: u16, width: Width) -> u32;
    /// Writes a register.
    fn write(&mut self, register: u16, width: Width, value: u32);
}

/// All registers that are used lie below.
pub const LENGTH: u32 = 0x100;

/// The chip's own address, six bytes, to be written in words of 32 bits (IDR0).
pub const ID: u16 = 0x00;
/// The multicast filter, 64 bits (MAR0).
pub const MULTICAST: u16 = 0x08;
/// The address of the transmit ring, 64 bits (TNPDS).
pub const TRANSMIT_RING: u16 = 0x20;
/// Reset and run, a byte (CR).
pub const COMMAND: u16 = 0x37;
/// There is something to send, a byte (TPPoll).
pub const POLL: u16 = 0x38;
/// Which interrupts there are, 16 bits (IMR).
pub const INTERRUPT_MASK: u16 = 0x3c;
/// What has happened, 16 bits (ISR).
pub const INTERRUPT_STATUS: u16 = 0x3e;
/// RTL8125: which interrupts there are, 32 bits.
pub const INTERRUPT_MASK_8125: u16 = 0x38;
/// RTL8125: what has happened, 32 bits.
pub const INTERRUPT_STATUS_8125: u16 = 0x3c;
/// RTL8125: there is something to send, 16 bits.
pub const POLL_8125: u16 = 0x90;
/// How frames are sent; also which chip it is (TCR).
pub const TRANSMIT_CONFIGURATION: u16 = 0x40;
/// What is received, and how (RCR).
pub const RECEIVE_CONFIGURATION: u16 = 0x44;
/// What of the registers can be written, a byte (9346CR).
pub const EEPROM_COMMAND: u16 = 0x50;
/// The PHY's registers (PHYAR).
pub const PHY_ACCESS: u16 = 0x60;
/// The link, 16 bits, of which older chips have 8 (PHYStatus).
pub const PHY_STATUS: u16 = 0x6c;
/// RTL8168DP, EP and FP: extended registers: what is read or written (ERIDR), and which (ERIAR).
pub const EXTENDED_DATA: u16 = 0x70;
/// Which extended register, and how.
pub const EXTENDED_ACCESS: u16 = 0x74;
/// RTL8168DP: the firmware's registers: what is read or written (OCPDR), and which (OCPAR).
pub const MANAGEMENT_DATA: u16 = 0xb0;
/// Which of the firmware's registers, and how.
pub const MANAGEMENT_ACCESS: u16 = 0xb4;
/// RTL8168DP: who may use the PHY's registers.
pub const PHY_USER: u16 = 0xd0;
/// RTL8168EP and FP: what the firmware and the driver say to each other, bytes: to the driver (IBCR0), from it (IBCR2), and what
/// became of it (IBISR0).
pub const CHANNEL_RECEIVES: u16 = 0xf8;
/// From the driver to the firmware.
pub const CHANNEL_SENDS: u16 = 0xf9;
/// What became of it.
pub const CHANNEL_STATUS: u16 = 0xfb;
/// RTL8168G and later: registers of the MAC's own bus (OCPDR).
pub const MAC_BUS: u16 = 0xb0;
/// RTL8168G and later: the PHY's registers (GPHY_OCP).
pub const PHY_BUS: u16 = 0xb8;
/// RTL8168G and later: who the chip belongs to, a byte (MCU).
pub const OWNER: u16 = 0xd3;
/// The longest frame that is received, 16 bits (RMS).
pub const RECEIVE_LIMIT: u16 = 0xda;
/// What is done to frames, 16 bits (C+CR).
pub const FRAME_CONTROL: u16 = 0xe0;
/// The address of the receive ring, 64 bits (RDSAR).
pub const RECEIVE_RING: u16 = 0xe4;
/// RTL8168G and later: the gate between PHY and MAC (MISC).
pub const GATE: u16 = 0xf0;

/// The transmitter runs, and the receiver (CR.TE, CR.RE).
pub const COMMAND_RUNS: u32 = 1 << 2 | 1 << 3;
/// Resets the chip; clears itself (CR.RST).
pub const COMMAND_RESET: u32 = 1 << 4;

/// The ring of normal priority (TPPoll.NPQ).
pub const POLL_NORMAL: u32 = 1 << 6;
/// RTL8125: the first ring.
pub const POLL_FIRST: u32 = 1 << 0;

/// The link has gone or come (ISR.LinkChg).
pub const INTERRUPT_LINK_CHANGED: u32 = 1 << 5;

/// Which chip it is: bits 30 to 20 without 25 and 24.
pub const CHIP: u32 = 0x7cf << 20;
/// Bursts of any length over the bus, the usual gap between frames (TCR.MXDMA, TCR.IFG).
pub const TRANSMIT_USUAL: u32 = 7 << 8 | 3 << 24;

/// Frames to the chip's own address, to multicast, to everybody (RCR.APM, RCR.AM, RCR.AB).
pub const ACCEPT: u32 = 1 << 1 | 1 << 2 | 1 << 3;
/// All that may be let in.
pub const ACCEPT_ANY: u32 = 0x3f;
/// Bursts of any length over the bus (RCR.MXDMA).
pub const RECEIVE_BURST: u32 = 7 << 8;
/// Before the RTL8125: a frame is stored when it is whole (RCR.RXFTH).
pub const RECEIVE_WHOLE: u32 = 7 << 13;
/// RTL8168G and H: no part of a frame is stored early.
pub const RECEIVE_NOT_EARLY: u32 = 1 << 11;
/// RTL8125: how many descriptors are fetched at once, and pauses.
pub const RECEIVE_FETCH: u32 = 0b1_1111 << 27 | 1 << 11;

/// Only the usual registers can be written.
pub const EEPROM_LOCKED: u32 = 0;
/// The chip's own address can be written, and its configuration.
pub const EEPROM_CONFIGURE: u32 = 3 << 6;

/// Of an access by [`PHY_ACCESS`], [`MAC_BUS`] or [`PHY_BUS`]: it writes. By the PHY's, what was read is there once this is set,
/// and what was written once it is clear.
pub const ACCESS_FLAG: u32 = 1 << 31;

/// Of an access to an extended register or the firmware's: all four bytes.
pub const ACCESS_WORD: u32 = 0xf << 12;
/// The lowest byte alone.
pub const ACCESS_BYTE: u32 = 1 << 12;
/// Among the extended registers: those of the firmware (ERIAR_OOB), and on the FP where they are.
pub const EXTENDED_MANAGEMENT: u32 = 2 << 16;
/// Beside [`EXTENDED_MANAGEMENT`] on the FP.
pub const EXTENDED_FP: u32 = 0x7f0 << 18;
/// Whether there is firmware that manages, in bit 0.
pub const EXTENDED_IS_THERE: u32 = 0x128;
/// Whether it has heard what it was told, in bit 0.
pub const EXTENDED_HAS_HEARD: u32 = 0x124;
/// What it is told.
pub const EXTENDED_COMMAND: u32 = 0x180;
/// The same of the RTL8168DP, where it is none of the firmware's registers.
pub const EXTENDED_COMMAND_DP: u32 = 0xe8;
/// Has the firmware look what it is told, in bit 0.
pub const MANAGEMENT_DOORBELL: u32 = 0x30;
/// The command that a driver has begun (OOB_CMD_DRIVER_START).
pub const DRIVER_BEGINS: u32 = 5;
/// In [`CHANNEL_RECEIVES`] and [`CHANNEL_SENDS`]: it is in use.
pub const CHANNEL_ON: u32 = 1 << 0;
/// In [`CHANNEL_STATUS`]: what the driver said has been taken; written as 1, it is cleared.
pub const CHANNEL_SENT: u32 = 1 << 5;
/// In [`PHY_USER`]: the firmware.
pub const PHY_USER_FIRMWARE: u32 = 1 << 17;

/// In [`PHY_STATUS`]: both ends may send at once.
pub const PHY_FULL_DUPLEX: u32 = 1 << 0;
/// There is a link.
pub const PHY_LINK: u32 = 1 << 1;
/// It has 10 Mbit/s.
pub const PHY_10: u32 = 1 << 2;
/// It has 100 Mbit/s.
pub const PHY_100: u32 = 1 << 3;
/// It has 1000 Mbit/s, full duplex.
pub const PHY_1000: u32 = 1 << 4;
/// RTL8125: it has 2500 Mbit/s, full duplex.
pub const PHY_2500: u32 = 1 << 10;

/// The PHY's control register (IEEE 802.3, section 22.2.4.1), and in it: begin to negotiate again; isolated; powered down;
/// negotiates.
pub const PHY_CONTROL: u32 = 0;
/// Begin to negotiate again.
pub const PHY_RESTART_NEGOTIATION: u32 = 1 << 9;
/// The PHY is cut off from the MAC.
pub const PHY_ISOLATE: u32 = 1 << 10;
/// The PHY sleeps.
pub const PHY_POWER_DOWN: u32 = 1 << 11;
/// The mode is negotiated with the other end.
pub const PHY_NEGOTIATE: u32 = 1 << 12;
/// Where the PHY's usual registers begin on its bus, two bytes each.
pub const PHY_BUS_BASE: u32 = 0xa400;

/// The chip belongs to its firmware, which answers while the machine sleeps (MCU.NOW_IS_OOB).
pub const OWNER_FIRMWARE: u32 = 1 << 7;
/// The list of its internal buffers is ready.
pub const OWNER_LIST_READY: u32 = 1 << 1;
/// On the MAC's bus: that list, and in it: the driver takes it over; make it new.
pub const MAC_LIST: u32 = 0xe8de;
/// The firmware's list is used.
pub const MAC_LIST_FIRMWARE: u32 = 1 << 14;
/// A new list is made.
pub const MAC_LIST_NEW: u32 = 1 << 15;
/// On the MAC's bus of the RTL8125: the format of transmit descriptors; bit 0 is another than the one used here.
pub const MAC_FORMAT: u32 = 0xeb58;
/// Another format than the one used here.
pub const MAC_FORMAT_OTHER: u32 = 1 << 0;

/// Nothing of the PHY's gets through (RXDV_GATED_EN).
pub const GATE_CLOSED: u32 = 1 << 19;

/// VLAN tags are taken out, checksums looked at (C+CR.RxVLAN, C+CR.RxChkSum).
pub const FRAME_OFFLOADS: u32 = 1 << 6 | 1 << 5;

// The first word of a descriptor.

/// It is the chip's (OWN).
pub const OWN: u32 = 1 << 31;
/// The ring begins again behind it (EOR).
pub const END_OF_RING: u32 = 1 << 30;
/// The buffer has a frame's begin and its end (FS, LS).
pub const WHOLE: u32 = 1 << 29 | 1 << 28;
/// The frame was damaged (RES).
pub const DAMAGED: u32 = 1 << 21;
/// A frame's length, and a buffer's.
pub const DESCRIPTOR_LENGTH: u32 = 0x3fff;
