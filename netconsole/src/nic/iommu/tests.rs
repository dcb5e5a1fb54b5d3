//! IOMMUs that somebody left on, by models of them that are written from their specifications and keep to what these ask
//! of software.

use super::{Found, PATIENCE, Registers, Stuck, amd, vtd};
use crate::nic::WAITS;
use crate::nic::waits::fake;
use std::cell::{Cell, RefCell};

/// VT-d: global status, and how many reads of it a command takes.
#[derive(Default)]
struct Vtd {
    version: u32,
    capabilities: u32,
    status: u32,
    protection: u32,
    fault_control: u32,
    delay: u32,
    /// The status bits that are to change, and the reads until they do.
    pending: RefCell<Option<(u32, bool, u32)>>,
    now: RefCell<Option<u32>>,
    is_stuck: bool,
    commands: Vec<(u32, bool)>,
}

impl Vtd {
    fn status(&self) -> u32 {
        self.now.borrow().unwrap_or(self.status)
    }
}

impl Registers for Vtd {
    fn read(&self, register: usize) -> u32 {
        match register {
            0x00 => self.version,
            0x08 => self.capabilities,
            0x1c => {
                let mut pending = self.pending.borrow_mut();
                if let Some((bit, is_set, left)) = pending.as_mut().filter(|_| !self.is_stuck) {
                    if *left == 0 {
                        let status = self.status();
                        *self.now.borrow_mut() = Some(if *is_set { status | *bit } else { status & !*bit });
                        *pending = None;
                    } else {
                        *left -= 1;
                    }
                }
                self.status()
            }
            0x38 => self.fault_control,
            0x64 => self.protection,
            _ => panic!("not this driver's business: {register:#x}"),
        }
    }

    fn write(&mut self, register: usize, value: u32) {
        match register {
            0x18 => {
                assert!(self.pending.borrow().is_none(), "one command at a time (11.4.4.1)");
                // SRTP, SFL, WBF and SIRTP are done once: their status does not count as theirs.
                let kept = self.status() & 0x96ff_ffff;
                let changed = kept ^ value;
                assert_eq!(changed.count_ones(), 1, "one bit at a time: {kept:#x} to {value:#x}");
                let is_set = value & changed != 0;
                self.commands.push((changed, is_set));
                // A flush's status goes when it is done; the model has done it at once.
                if changed != 1 << 27 {
                    *self.pending.borrow_mut() = Some((changed, is_set, self.delay));
                }
            }
            0x38 => self.fault_control = value,
            0x64 => {
                assert_eq!(value, 0, "all but bit 31 is reserved");
                assert_eq!(self.status() & 1 << 31, 0, "the translation goes first");
                if !self.is_stuck {
                    self.protection = 0;
                }
            }
            _ => panic!("not this driver's business: {register:#x}"),
        }
    }
}

const TRANSLATES: u32 = 1 << 31;
const REMAPS: u32 = 1 << 25;

fn vtd(status: u32) -> Vtd {
    Vtd { version: 0x10, status, ..Vtd::default() }
}

#[test]
fn a_vtd_that_is_on_is_turned_off_bit_by_bit() {
    // RTPS, QIES, IRTPS and CFIS, which stay.
    let others = 1 << 30 | 1 << 26 | 1 << 24 | 1 << 23;
    for status in [TRANSLATES, REMAPS, TRANSLATES | REMAPS, TRANSLATES | REMAPS | others] {
        let mut unit = Vtd { delay: 50, ..vtd(status) };
        assert!(vtd::is_on(&unit));
        assert_eq!(vtd::turn_off(&mut unit, WAITS), Ok(Found::TurnedOff));
        assert_eq!(unit.status(), status & others);
        assert_eq!(unit.fault_control, 1 << 31, "no interrupts of its own");
        assert!(!vtd::is_on(&unit));
        assert_eq!(vtd::turn_off(&mut unit, WAITS), Ok(Found::Off));
    }
}

#[test]
fn a_vtd_that_is_off_is_not_written_to() {
    for capabilities in [0, 1 << 5, 1 << 4 | 1 << 6] {
        let mut unit = Vtd { capabilities, ..vtd(0) };
        assert_eq!(vtd::turn_off(&mut unit, WAITS), Ok(Found::Off));
        assert_eq!((unit.commands.len(), unit.fault_control), (0, 0));
    }
}

#[test]
fn a_vtd_that_needs_it_has_its_buffer_flushed_first() {
    let mut unit = Vtd { capabilities: 1 << 4, ..vtd(TRANSLATES) };
    assert_eq!(vtd::turn_off(&mut unit, WAITS), Ok(Found::TurnedOff));
    assert_eq!(unit.commands, [(1 << 27, true), (TRANSLATES, false)]);
}

#[test]
fn protected_memory_is_opened() {
    for status in [0, TRANSLATES] {
        let mut unit = Vtd { capabilities: 1 << 5 | 1 << 6, protection: 1 << 31 | 1, ..vtd(status) };
        assert!(vtd::is_on(&unit));
        assert_eq!(vtd::turn_off(&mut unit, WAITS), Ok(Found::TurnedOff));
        assert_eq!(unit.protection, 0);
    }
    // A unit without it has something else there.
    let mut unit = Vtd { protection: u32::MAX, ..vtd(0) };
    assert_eq!(vtd::turn_off(&mut unit, WAITS), Ok(Found::Off));
}

#[test]
fn a_vtd_that_stays_on_or_is_not_there_is_named() {
    let mut unit = Vtd { is_stuck: true, ..vtd(TRANSLATES) };
    assert_eq!(vtd::turn_off(&mut unit, WAITS), Err(Stuck::Translation));
    let mut unit = Vtd { is_stuck: true, capabilities: 1 << 5, protection: 1 << 31 | 1, ..vtd(0) };
    assert_eq!(vtd::turn_off(&mut unit, WAITS), Err(Stuck::ProtectedMemory));
    for version in [0, u32::MAX] {
        let mut unit = Vtd { version, status: u32::MAX, ..Vtd::default() };
        assert!(!vtd::is_on(&unit));
        assert_eq!(vtd::turn_off(&mut unit, WAITS), Err(Stuck::Absent));
        assert!(unit.commands.is_empty());
    }
}

/// One that is gone from the first command on, so that its bus answers each read late, with all ones.
struct Vanishing {
    is_gone: bool,
    reads: Cell<u32>,
}

impl Registers for Vanishing {
    fn read(&self, register: usize) -> u32 {
        self.reads.set(self.reads.get() + u32::from(self.is_gone));
        match register {
            _ if self.is_gone => u32::MAX,
            // VT-d: version, capabilities, status; AMD: control.
            0x00 => 0x10,
            0x08 => 1 << 4,
            0x1c => TRANSLATES,
            0x18 => 1,
            _ => 0,
        }
    }

    fn write(&mut self, register: usize, _: u32) {
        self.is_gone |= register == 0x18;
    }
}

#[test]
fn one_that_vanishes_is_not_read_on_and_on() {
    let new = || Vanishing { is_gone: false, reads: Cell::new(0) };
    let mut unit = new();
    assert_eq!(vtd::turn_off(&mut unit, WAITS), Err(Stuck::Translation));
    assert!(unit.is_gone && unit.reads.get() < 10, "{} reads", unit.reads.get());
    let mut unit = new();
    assert_eq!(amd::turn_off(&mut unit, WAITS), Err(Stuck::Translation));
    assert!(unit.is_gone && unit.reads.get() < 10, "{} reads", unit.reads.get());
}

/// Its bus takes so many µs for each read.
struct Slow(Vtd, u64);

impl Registers for Slow {
    fn read(&self, register: usize) -> u32 {
        fake::pass(self.1);
        self.0.read(register)
    }

    fn write(&mut self, register: usize, value: u32) {
        self.0.write(register, value);
    }
}

#[test]
fn a_wait_ends_by_the_clock_whatever_a_read_takes() {
    for a_read_takes in [0, 1, 1000, 50_000] {
        let begun = fake::now();
        let mut unit = Slow(Vtd { is_stuck: true, ..vtd(TRANSLATES) }, a_read_takes);
        assert_eq!(vtd::turn_off(&mut unit, WAITS), Err(Stuck::Translation));
        let took = fake::now() - begun;
        assert!((PATIENCE..PATIENCE + 12 * (a_read_takes + 2)).contains(&took), "{took} µs");
    }
}

/// AMD's: its control and its status.
struct Amd {
    control: u32,
    runs: RefCell<u32>,
    is_stuck: bool,
}

impl Registers for Amd {
    fn read(&self, register: usize) -> u32 {
        match register {
            0x18 => self.control,
            0x2020 => {
                let mut runs = self.runs.borrow_mut();
                // Each read something stops, where it is told to.
                let told = [(1 << 2, 1 << 3), (1 << 12, 1 << 4)];
                let stopped = told.into_iter().find(|(ask, run)| self.control & ask == 0 && *runs & run != 0);
                *runs &= !stopped.map_or(0, |(_, run)| run);
                *runs
            }
            _ => panic!("not this driver's business: {register:#x}"),
        }
    }

    fn write(&mut self, register: usize, value: u32) {
        assert_eq!(register, 0x18);
        assert!(value & 1 != 0 || *self.runs.borrow() == 0, "what it does in memory stops first");
        self.control = if self.is_stuck { value | 1 } else { value };
    }
}

#[test]
fn an_amd_one_is_turned_off_when_its_own_accesses_have_stopped() {
    // Coherent, pass posted writes: theirs to keep.
    let others = 1 << 10 | 1 << 8;
    let on = 1 | 1 << 2 | 1 << 3 | 1 << 12 | 1 << 13;
    let mut unit = Amd { control: on | others, runs: RefCell::new(1 << 3 | 1 << 4), is_stuck: false };
    assert!(amd::is_on(&unit));
    assert_eq!(amd::turn_off(&mut unit, WAITS), Ok(Found::TurnedOff));
    assert_eq!(unit.control, others);
    assert_eq!(amd::turn_off(&mut unit, WAITS), Ok(Found::Off));
    let mut unit = Amd { control: on, runs: RefCell::new(0), is_stuck: true };
    assert_eq!(amd::turn_off(&mut unit, WAITS), Err(Stuck::Translation));
    let mut unit = Amd { control: u32::MAX, runs: RefCell::new(0), is_stuck: false };
    assert!(!amd::is_on(&unit));
    assert_eq!(amd::turn_off(&mut unit, WAITS), Err(Stuck::Absent));
}

#[cfg(feature = "virtio")]
mod virtio {
    use super::super::virtio::bypass;
    use super::{Found, Stuck, WAITS};
    use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
    use virtio_drivers::{Error, PhysAddr};
    use zerocopy::{FromBytes, Immutable, IntoBytes};

    /// Its features, what was negotiated, and the configuration's last byte.
    #[derive(Default)]
    struct Iommu {
        offered: u64,
        negotiated: u64,
        status: u32,
        bypass: u8,
        refuses: bool,
        never_resets: bool,
        reads: std::cell::Cell<u32>,
    }

    impl Transport for &mut Iommu {
        fn device_type(&self) -> DeviceType {
            DeviceType::IOMMU
        }
        fn read_device_features(&mut self) -> u64 {
            assert_eq!(self.status, 3, "acknowledged, and by a driver");
            self.offered
        }
        fn write_driver_features(&mut self, features: u64) {
            assert_eq!(features & !self.offered, 0);
            self.negotiated = features;
        }
        fn get_status(&self) -> DeviceStatus {
            self.reads.set(self.reads.get() + 1);
            DeviceStatus::from_bits_retain(self.status)
        }
        fn set_status(&mut self, status: DeviceStatus) {
            if status.is_empty() && self.never_resets {
                return;
            }
            self.status = status.bits();
            if status.is_empty() {
                self.negotiated = 0;
            } else if self.refuses {
                self.status &= !8;
            }
        }
        fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T, Error> {
            assert_eq!(offset, 36);
            T::read_from_bytes(&[self.bypass]).map_err(|_| Error::InvalidParam)
        }
        fn write_config_space<T: IntoBytes + Immutable>(
            &mut self,
            offset: usize,
            value: T,
        ) -> Result<(), Error> {
            assert_eq!((offset, self.status & 8), (36, 8));
            if self.negotiated & 1 << 6 != 0 {
                self.bypass = value.as_bytes()[0];
            }
            Ok(())
        }
        fn max_queue_size(&mut self, _: u16) -> u32 {
            panic!("no queue is needed")
        }
        fn notify(&mut self, _: u16) {
            panic!("no queue is needed")
        }
        fn set_guest_page_size(&mut self, _: u32) {}
        fn requires_legacy_layout(&self) -> bool {
            false
        }
        fn queue_set(&mut self, _: u16, _: u32, _: PhysAddr, _: PhysAddr, _: PhysAddr) {
            panic!("no queue is needed")
        }
        fn queue_unset(&mut self, _: u16) {}
        fn queue_used(&mut self, _: u16) -> bool {
            false
        }
        fn ack_interrupt(&mut self) -> InterruptStatus {
            InterruptStatus::empty()
        }
        fn read_config_generation(&self) -> u32 {
            0
        }
    }

    const ALL: u64 = 1 << 32 | 0x7f;

    #[test]
    fn all_devices_bypass_it() {
        let mut iommu = Iommu { offered: ALL, status: 15, ..Iommu::default() };
        assert_eq!(bypass(&mut iommu, WAITS), Ok(Found::TurnedOff));
        assert_eq!((iommu.bypass, iommu.negotiated, iommu.status), (1, 1 << 32 | 1 << 6 | 1 << 3, 11));
        assert_eq!(bypass(&mut iommu, WAITS), Ok(Found::Off));
        // Before virtio 1.2 it was the feature alone.
        let mut iommu = Iommu { offered: 1 << 32 | 1 << 3, ..Iommu::default() };
        assert_eq!(bypass(&mut iommu, WAITS), Ok(Found::TurnedOff));
        assert_eq!(iommu.negotiated, 1 << 32 | 1 << 3);
    }

    #[test]
    fn one_that_can_not_be_bypassed_is_named() {
        let mut iommu = Iommu { offered: 1 << 32, ..Iommu::default() };
        assert_eq!(bypass(&mut iommu, WAITS), Err(Stuck::NoBypass));
        let mut iommu = Iommu { offered: ALL, refuses: true, ..Iommu::default() };
        assert_eq!(bypass(&mut iommu, WAITS), Err(Stuck::NoBypass));
        let mut iommu = Iommu { offered: ALL, status: 15, never_resets: true, ..Iommu::default() };
        assert_eq!(bypass(&mut iommu, WAITS), Err(Stuck::Absent));
        // Nothing answers any more.
        let mut iommu = Iommu { offered: ALL, status: 0xff, never_resets: true, ..Iommu::default() };
        assert_eq!((bypass(&mut iommu, WAITS), iommu.reads.get()), (Err(Stuck::Absent), 1));
    }
}
