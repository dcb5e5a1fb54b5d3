//! Registers and bits of Intel's gigabit controllers, those that the driver uses; no behaviour.
//!
//! Section numbers are those of the PCI/PCI-X Family of Gigabit Ethernet Controllers Software
//! Developer's Manual (317453, revision 4.0; "8254x SDM"). The later families keep these registers at
//! these offsets: 82574 datasheet (revision 3.4) chapter 10, I217 and I219 datasheets chapter 9, and,
//! for queue 0, whose old offsets stay as aliases, 82575, 82576, 82580, I350 and I210 datasheets chapter
//! 8. What a family adds is marked with it.

/// The controller's registers, each 32 bits wide, by their offset.
pub trait Registers {
    /// Reads a register. A device that is gone reads as all ones.
    fn read(&self, register: usize) -> u32;
    /// Writes a register.
    fn write(&mut self, register: usize, value: u32);
    /// The word about the descriptor rings (0xe4) of the card's PCI configuration space.
    fn ring_status(&self) -> u32;
}

/// I219: in configuration space, what is in the descriptor rings. No datasheet has it; Linux, FreeBSD and OpenBSD do.
pub const RING_STATUS: u8 = 0xe4;
/// They must be emptied before a reset.
pub const RINGS_MUST_BE_EMPTIED: u32 = 1 << 8;

/// Device control, section 13.4.1.
pub const CTRL: usize = 0x0000;
/// PCI Express families: start no more accesses to memory (82574: CTRL.GIO Master Disable).
pub const CTRL_MASTER_DISABLE: u32 = 1 << 2;
/// 8254x: resets the link of fiber cards; 0 in operation.
pub const CTRL_LINK_RESET: u32 = 1 << 3;
/// 8254x: the speed is found out from the PHY by the MAC itself.
pub const CTRL_AUTO_SPEED: u32 = 1 << 5;
/// The MAC may use the link that the PHY reports.
pub const CTRL_SET_LINK_UP: u32 = 1 << 6;
/// 8254x: inverts the PHY's signal of a lost link; 0 in operation.
pub const CTRL_INVERT_LOSS: u32 = 1 << 7;
/// The speed that is forced, 0 for 10 Mbit/s.
pub const CTRL_SPEED: u32 = 0b11 << 8;
/// Forces a speed.
pub const CTRL_FORCE_SPEED: u32 = 1 << 11;
/// Forces a duplex mode.
pub const CTRL_FORCE_DUPLEX: u32 = 1 << 12;
/// Chipsets: the software, and not the chipset, says whether the PHY has power; and what it says.
pub const CTRL_POWER_OVERRIDE: u32 = 1 << 16;
pub const CTRL_POWER_VALUE: u32 = 1 << 17;
/// 82573, 82574: 0 in operation.
pub const CTRL_82574_RESERVED: u32 = 1 << 29;
/// Everything but the PHY and PCI configuration space is reset; clears itself.
pub const CTRL_RESET: u32 = 1 << 26;
/// Obeys the other side's flow control.
pub const CTRL_RECEIVE_FLOW_CONTROL: u32 = 1 << 27;
/// Sends flow control.
pub const CTRL_TRANSMIT_FLOW_CONTROL: u32 = 1 << 28;
/// Takes VLAN tags out of frames.
pub const CTRL_VLAN_MODE: u32 = 1 << 30;
/// Holds the PHY in reset.
pub const CTRL_PHY_RESET: u32 = 1 << 31;

/// Device status, section 13.4.2.
pub const STATUS: usize = 0x0008;
/// Both ends may send at once.
pub const STATUS_FULL_DUPLEX: u32 = 1 << 0;
/// The link is up.
pub const STATUS_LINK_UP: u32 = 1 << 1;
/// Of a chip with two ports: this is the second one.
pub const STATUS_SECOND_PORT: u32 = 1 << 2;
/// The speed: 10, 100 or, with the upper bit set, 1000 Mbit/s.
pub const STATUS_SPEED_SHIFT: u32 = 6;
/// I225, I226: what would be 1000 Mbit/s is 2500.
pub const STATUS_2500: u32 = 1 << 22;
/// PCI Express families: accesses to memory are under way (82574: STATUS.GIO Master Enable Status).
pub const STATUS_MASTER_ENABLED: u32 = 1 << 19;

/// SunrisePoint: in bit 31, whether the clock between MAC and PHY may stop; [`PCIEANACFG`] says the same for its own part.
pub const FEXTNVM6: usize = 0x0010;
pub const K1_OFF: u32 = 1 << 31;

/// Extended device control (82574 datasheet, section 10.2.2.3).
pub const CTRL_EXT: usize = 0x0018;
/// Chipsets: the PHY's power cycle is over.
pub const CTRL_EXT_POWER_CYCLE_DONE: u32 = 1 << 2;
/// Chipsets: the PHY is reached by the SMBus.
pub const CTRL_EXT_FORCE_SMBUS: u32 = 1 << 11;
/// The speed that is forced counts at once.
pub const CTRL_EXT_SPEED_BYPASS: u32 = 1 << 15;
/// PCI Express: reserved bits, of which one must be 1 and one 0.
pub const CTRL_EXT_MUST_BE_SET: u32 = 1 << 22;
pub const CTRL_EXT_MUST_BE_CLEAR: u32 = 1 << 23;
/// A driver has the card, so that the firmware leaves it alone.
pub const CTRL_EXT_DRIVER_LOADED: u32 = 1 << 28;

/// Access to the link between a chipset's MAC and its PHY (I217 datasheet, Kumeran): the data, the register, and reading.
pub const KMRNCTRLSTA: usize = 0x0034;
pub const KUMERAN_K1: u32 = 7 << 16;
pub const KUMERAN_READ: u32 = 1 << 21;
/// In that register: power is saved between frames.
pub const KUMERAN_K1_ENABLE: u32 = 1 << 1;

/// Chipsets: how long the PHY's configuration may take, 50 ms.
pub const FEXTNVM3: usize = 0x003c;
pub const FEXTNVM3_TIME: u32 = 0b11 << 26;
pub const FEXTNVM3_50_MS: u32 = 0b10 << 26;

/// I218, I219: ultra low power.
pub const FEXTNVM7: usize = 0x00e4;
pub const FEXTNVM7_NO_SMBUS_RELEASE: u32 = 1 << 5;

/// Who uses the PHY (82574 datasheet, section 10.2.2.17; I217 datasheet): the software's flag, which it gets when it reads back.
pub const EXTCNF_CTRL: usize = 0x0f00;
pub const EXTCNF_SOFTWARE_FLAG: u32 = 1 << 5;
/// SunrisePoint: PCI Express's analogue part.
pub const PCIEANACFG: usize = 0x0f18;
/// SunrisePoint: accesses to memory; a bit against damaged frames.
pub const IOSFPC: usize = 0x0f28;
pub const IOSFPC_FIX: u32 = 1 << 16;
/// Packet buffer: KiB for receiving, and KiB in all. An ICH8 forgets them.
pub const PBA: usize = 0x1000;
pub const PBS: usize = 0x1008;
/// I210 and later: the packet buffers' sizes, which only power resets, and what they are then.
pub const RXPBS: usize = 0x2404;
pub const RXPBS_USUAL: u32 = 0xa2;
pub const TXPBS: usize = 0x3404;
pub const TXPBS_USUAL: u32 = 0x0400_0014;
/// Chipsets: analogue settings of the link to the PHY.
pub const KABGTXD: usize = 0x3004;
pub const KABGTXD_BIAS: u32 = 0b101 << 16;
/// How transmit queues get their turns; bits that errata name.
pub const TARC0: usize = 0x3840;
/// PCI Express control, bits that the 82574's errata name.
pub const GCR: usize = 0x5b00;
pub const GCR2: usize = 0x5b64;
/// Chipsets: to the management engine. 82573: who uses it.
pub const H2ME: usize = 0x5b50;
pub const H2ME_ULTRA_LOW_POWER: u32 = 1 << 11;
pub const H2ME_ENFORCE: u32 = 1 << 12;
pub const SWSM_DRIVER_LOADED: u32 = 1 << 3;
/// Chipsets: from the management engine.
pub const FWSM: usize = 0x5b54;
pub const FWSM_ULTRA_LOW_POWER: u32 = 1 << 10;
pub const FWSM_VALID: u32 = 1 << 15;
/// I219: several reads at once, without which rings can be emptied.
pub const FEXTNVM11: usize = 0x5bbc;
pub const FEXTNVM11_NO_MULTIPLE_READS: u32 = 1 << 13;
/// MeteorPoint: how deep the PHY sleeps in K1.
pub const FEXTNVM12: usize = 0x5bc0;
pub const FEXTNVM12_SLEEP: u32 = 0b11 << 22;
pub const FEXTNVM12_P1: u32 = 0b10 << 22;
/// IbexPeak: noise on the wire is an error of the check sequence.
pub const CRC_OFFSET: usize = 0x5f50;
pub const CRC_OFFSET_FIX: u32 = 0x6565_6565;

/// EEPROM read, section 13.4.4. Reads a word of 16 bits into the upper half.
pub const EERD: usize = 0x0014;
/// Starts reading.
pub const EERD_START: u32 = 1 << 0;

/// MDI control: access to the PHY, section 13.4.7. Data in the lower half, register number from bit 16.
pub const MDIC: usize = 0x0020;
/// Where the PHY's address begins.
pub const MDIC_ADDRESS_SHIFT: u32 = 21;
pub const MDIC_WRITE: u32 = 1 << 26;
pub const MDIC_READ: u32 = 2 << 26;
/// The access is finished.
pub const MDIC_READY: u32 = 1 << 28;
/// The PHY did not answer.
pub const MDIC_ERROR: u32 = 1 << 30;

/// The PHY's control register (IEEE 802.3, section 22.2.4.1).
pub const PHY_CONTROL: u32 = 0;
pub const PHY_RESTART_NEGOTIATION: u16 = 1 << 9;
pub const PHY_ISOLATE: u16 = 1 << 10;
pub const PHY_POWER_DOWN: u16 = 1 << 11;
pub const PHY_NEGOTIATE: u16 = 1 << 12;
pub const PHY_LOOPBACK: u16 = 1 << 14;
pub const PHY_RESET: u16 = 1 << 15;
/// The PHY's status register (IEEE 802.3, section 22.2.4.2).
pub const PHY_STATUS: u32 = 1;
/// Both ends have agreed on a speed.
pub const PHY_NEGOTIATED: u16 = 1 << 5;

/// The PHY of chipsets: which page registers from 16 on are of, from bit 5 on.
pub const PHY_PAGE: u32 = 31;
/// Page 769: the PHY is reached by the SMBus.
pub const PHY_SMBUS: (u32, u32) = (769, 23);
pub const PHY_FORCE_SMBUS: u16 = 1 << 0;
/// Page 779: what brings it to ultra low power, and the bit that has the settings count.
pub const PHY_ULTRA_LOW_POWER: (u32, u32) = (779, 16);
pub const PHY_ULTRA_LOW_POWER_START: u16 = 1 << 0;
pub const PHY_ULTRA_LOW_POWER_CAUSES: u16 = 0x1d74;

/// Interrupt cause, cleared by reading, section 13.4.17.
pub const ICR: usize = 0x00c0;
/// The link went up or down.
pub const ICR_LINK_CHANGED: u32 = 1 << 2;
/// Interrupt mask clear, section 13.4.21.
pub const IMC: usize = 0x00d8;

/// Receive control, section 13.4.22. The buffers' size of 2048 bytes is 0 in bits 16, 17 and 25.
pub const RCTL: usize = 0x0100;
pub const RCTL_ENABLE: u32 = 1 << 1;
/// Every multicast frame.
pub const RCTL_MULTICAST_PROMISCUOUS: u32 = 1 << 4;
pub const RCTL_BROADCAST: u32 = 1 << 15;
/// The check sequence is not stored.
pub const RCTL_STRIP_CRC: u32 = 1 << 26;

/// Transmit control, section 13.4.33.
pub const TCTL: usize = 0x0400;
pub const TCTL_ENABLE: u32 = 1 << 1;
/// Frames are padded to their shortest length.
pub const TCTL_PAD_SHORT: u32 = 1 << 3;
/// Collision threshold and collision distance.
pub const TCTL_COLLISIONS: u32 = 0xff << 4 | 0x3ff << 12;
/// 15 attempts, and 64 bytes for full duplex.
pub const TCTL_USUAL_COLLISIONS: u32 = 15 << 4 | 64 << 12;

/// Transmit inter packet gap, section 13.4.34.
pub const TIPG: usize = 0x0410;
/// For copper: 10, 8 and 6 (table 13-77).
pub const TIPG_COPPER: u32 = 10 | 8 << 10 | 6 << 20;

/// Receive descriptor base address, low half, section 13.4.25.
pub const RDBAL: usize = 0x2800;
/// Its high half, section 13.4.26.
pub const RDBAH: usize = 0x2804;
/// The ring's length in bytes, a multiple of 128, section 13.4.27.
pub const RDLEN: usize = 0x2808;
/// 82575 and later: split and replication receive control of queue 0 (I210 datasheet, chapter 8). The
/// buffers' size in KiB is in bits 0 to 6; bits 25 to 27 choose the descriptors.
pub const SRRCTL: usize = 0x280c;
pub const SRRCTL_2_KIB: u32 = 2;
/// Advanced descriptors with one buffer each.
pub const SRRCTL_ADVANCED: u32 = 1 << 25;
/// Receive descriptor head, section 13.4.28.
pub const RDH: usize = 0x2810;
/// Receive descriptor tail, section 13.4.29.
pub const RDT: usize = 0x2818;
/// Receive descriptor control.
pub const RXDCTL: usize = 0x2828;
/// I219: what is fetched ahead of time: 31 descriptors (not cache lines), where one is there.
pub const RXDCTL_THRESHOLDS: u32 = 0x3fff;
pub const RXDCTL_FLUSH: u32 = 1 << 24 | 1 << 8 | 31;

/// Transmit descriptor base address, low half, section 13.4.36.
pub const TDBAL: usize = 0x3800;
/// Its high half, section 13.4.37.
pub const TDBAH: usize = 0x3804;
/// The ring's length in bytes, a multiple of 128, section 13.4.38.
pub const TDLEN: usize = 0x3808;
/// Transmit descriptor head, section 13.4.39.
pub const TDH: usize = 0x3810;
/// Transmit descriptor tail, section 13.4.40.
pub const TDT: usize = 0x3818;
/// Transmit descriptor control.
pub const TXDCTL: usize = 0x3828;
/// PCI Express but for the 82575 and later: descriptors are counted that are not done yet (82574 datasheet, section 10.2.6.7).
pub const TXDCTL_COUNT_DESCRIPTORS: u32 = 1 << 22;
/// 82575 and later, in RXDCTL and TXDCTL: the queue runs.
pub const DCTL_QUEUE_ENABLE: u32 = 1 << 25;

/// Receive filter control (82574 datasheet, chapter 10). Bit 15 chooses extended receive descriptors, which are not those
/// that the driver reads; whether a reset clears it depends on the chip.
pub const RFCTL: usize = 0x5008;
/// Chipsets: no filters for NFS, which damage descriptors.
pub const RFCTL_NO_NFS: u32 = 0b11 << 6;

/// Receive address 0, its first four octets, section 13.5.2.
pub const RAL0: usize = 0x5400;
/// Its last two octets, section 13.5.3.
pub const RAH0: usize = 0x5404;
/// The address counts. After a reset the chip sets it when it has read the address from the EEPROM.
pub const RAH_VALID: u32 = 1 << 31;

/// What the device writes to the second word of a receive descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveFormat {
    /// The descriptor is the driver's again.
    pub done: u64,
    /// The frame ends in this buffer.
    pub end: u64,
    /// What makes the frame unusable.
    pub errors: u64,
    /// Where the length's 16 bits begin.
    pub length_shift: u32,
}

/// The legacy descriptor, section 3.2.3. Errors: CRC or alignment, symbol, sequence, carrier extension and data error; the
/// two between the last ones tell of checksums in the packet.
pub const LEGACY_RECEIVE: ReceiveFormat =
    ReceiveFormat { done: 1 << 32, end: 1 << 33, errors: 0b1001_0111 << 40, length_shift: 0 };

/// The advanced descriptor of the 82575 and later (I210 datasheet, section 7.1.4.2), which overwrites the first word as
/// well. Error: RXE, any at the receiver; the others tell of checksums in the packet.
pub const ADVANCED_RECEIVE: ReceiveFormat =
    ReceiveFormat { done: 1 << 0, end: 1 << 1, errors: 1 << 31, length_shift: 32 };

/// What a descriptor of a frame to be sent has in its second word beside the length in bits 0 to 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransmitFormat {
    /// What is to be done, and which format it is.
    pub flags: u64,
    /// Whether the length is told again, as that of the payload, from bit 46 on.
    pub tells_payload: bool,
}

/// The legacy descriptor, section 3.3.3.
pub const LEGACY_TRANSMIT: TransmitFormat =
    TransmitFormat { flags: TRANSMIT_END | TRANSMIT_CHECK_SEQUENCE | TRANSMIT_REPORT, tells_payload: false };

/// The advanced data descriptor of the 82575 and later (I210 datasheet, section 7.2.2.3): its type, and that it is an extended one.
/// The I225 has no other.
pub const ADVANCED_TRANSMIT: TransmitFormat =
    TransmitFormat { flags: LEGACY_TRANSMIT.flags | 3 << 20 | 1 << 29, tells_payload: true };

/// In either format: the frame ends in this buffer.
pub const TRANSMIT_END: u64 = 1 << 24;
/// The chip appends the check sequence.
pub const TRANSMIT_CHECK_SEQUENCE: u64 = 1 << 25;
/// The chip is to set [`TRANSMIT_DONE`].
pub const TRANSMIT_REPORT: u64 = 1 << 27;
pub const TRANSMIT_DONE: u64 = 1 << 32;
