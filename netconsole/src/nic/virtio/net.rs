//! The network device (virtio 1.2, section 5.1), polled, on any transport: one queue each way, no
//! offloads, header and frame in one descriptor. A received frame may go on in others, and is then too long.

use super::queue_memory::{BUFFER_SIZE, LEGACY_ALIGNMENT, OVERFLOW_SIZE, QueueMemory};
use super::virtqueue::{DeviceFault, Direction, LegacyHeader, Virtqueue};
use crate::nic::addresses::Offset;
use crate::nic::frame::{ETHERNET_HEADER, ETHERNET_MTU};
use crate::nic::{Duplex, LinkMode, Nic, NicError, TransmitError, Waits};
use crate::wire::MacAddr;
use virtio_drivers::transport::{DeviceStatus, Transport};
use zerocopy::{FromBytes, IntoBytes};

/// Feature bits, sections 5.1.3 and 6.
mod feature {
    pub const MTU: u64 = 1 << 3;
    pub const MAC: u64 = 1 << 5;
    pub const STATUS: u64 = 1 << 16;
    pub const EVENT_IDX: u64 = 1 << 29;
    pub const VERSION_1: u64 = 1 << 32;
    /// Addresses are the platform's, which are physical ones here too: no IOMMU is turned on.
    pub const ACCESS_PLATFORM: u64 = 1 << 33;
    /// Memory is ordered as for a device in silicon, which x86 does for cached memory.
    pub const ORDER_PLATFORM: u64 = 1 << 36;
    pub const SPEED_DUPLEX: u64 = 1 << 63;
}

/// What is taken in a panic: what sending can't do without, and the link's state, since a card without link takes
/// frames and drops them.
pub(super) const PANIC_FEATURES: u64 =
    feature::VERSION_1 | feature::MAC | feature::STATUS | feature::ACCESS_PLATFORM | feature::ORDER_PLATFORM;
/// What is taken where it is offered.
pub(super) const FEATURES: u64 = PANIC_FEATURES | feature::MTU | feature::EVENT_IDX | feature::SPEED_DUPLEX;

/// Section 5.1.4, offsets in `struct virtio_net_config`.
mod config {
    pub const MAC: usize = 0;
    pub const STATUS: usize = 6;
    pub const MTU: usize = 10;
    /// In Mbit/s, 31 bits; anything else is unknown.
    pub const SPEED: usize = 12;
    /// 0 half, 1 full; anything else is unknown.
    pub const DUPLEX: usize = 16;
}
/// Section 5.1.4.
const STATUS_LINK_UP: u16 = 1;

/// Section 5.1.2.
const RECEIVE_QUEUE: u16 = 0;
const TRANSMIT_QUEUE: u16 = 1;

/// Section 5.1.6: `struct virtio_net_hdr` with `num_buffers`, as of VERSION_1. All zero without offloads.
const HEADER: usize = 12;
/// Where in that room a legacy card's header lies, which has no `num_buffers` (section 5.1.6.1).
const LEGACY_HEADER: LegacyHeader = (2, 12);
/// RFC 791: every link carries this.
const MINIMUM_MTU: u16 = 68;

/// How long the device may take to come out of reset, in µs: most take microseconds, one in a process of its own as long
/// as that is kept from running.
const RESET_PATIENCE: u64 = 500_000;
/// How often in a row the status of a device may be all ones: then it has gone.
const GONE_LOOKS: u32 = 3;
/// How often the configuration is read until its generation stays the same meanwhile.
const CONFIG_READS: u32 = 16;

/// The queues and buffers of one card, which has them for good.
#[repr(C)]
pub struct VirtioNetMemory<const TX: usize, const RX: usize> {
    transmit: QueueMemory<TX>,
    receive: QueueMemory<RX>,
    received: [u8; BUFFER_SIZE],
    /// The device writes here what is too long for a buffer.
    overflow: [u8; OVERFLOW_SIZE],
}

impl<const TX: usize, const RX: usize> VirtioNetMemory<TX, RX> {
    /// All zero, so that a static one takes no place in the image.
    #[expect(clippy::new_without_default, reason = "it is for statics, and too large to be moved")]
    pub const fn new() -> Self {
        Self {
            transmit: QueueMemory::new(),
            receive: QueueMemory::new(),
            received: [0; BUFFER_SIZE],
            overflow: [0; OVERFLOW_SIZE],
        }
    }
}

/// A virtio network card with `TX` transmit and `RX` receive buffers.
pub struct VirtioNet<T: Transport, const TX: usize, const RX: usize> {
    transport: T,
    waits: Waits,
    transmit: Virtqueue<TX>,
    receive: Virtqueue<RX>,
    /// A received frame is copied here before anything looks at it: the device can't change it then,
    /// and has its buffer back at once.
    received: &'static mut [u8; BUFFER_SIZE],
    /// The features to be taken where they are offered.
    wanted: u64,
    features: u64,
    own_mac: MacAddr,
    mac: MacAddr,
    mtu: u16,
    /// The configuration's generation when it was last looked at for changes.
    config_generation: u32,
    /// How many frames the full queue has refused one after the other, modulo 256: each time it is 0
    /// the device is asked whether it is well. Always asking would be an access, in a VM an exit, for
    /// each turn of the caller's waiting.
    refused: u8,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// It was not started, it broke the rules, or it asked for a reset.
    Broken,
}

impl<T: Transport, const TX: usize, const RX: usize> VirtioNet<T, TX, RX> {
    /// A card that [`restart`](Nic::restart) will bring up with the `wanted` features where it offers
    /// them. `own_mac` is taken where it has no usable address, and the card finds `memory` by `offset`. Touches nothing of the device.
    pub(super) fn new(
        transport: T,
        waits: Waits,
        wanted: u64,
        own_mac: MacAddr,
        offset: Offset,
        memory: &'static mut VirtioNetMemory<TX, RX>,
    ) -> Self {
        let overflow = offset.physical(memory.overflow.as_ptr());
        Self {
            transport,
            waits,
            transmit: Virtqueue::new(&mut memory.transmit, offset, Direction::ToDevice),
            receive: Virtqueue::new(&mut memory.receive, offset, Direction::FromDevice { overflow }),
            received: &mut memory.received,
            wanted,
            features: 0,
            own_mac,
            mac: own_mac,
            mtu: ETHERNET_MTU,
            config_generation: 0,
            refused: 0,
            state: State::Broken,
        }
    }

    /// Section 3.1.1, steps 1 to 8.
    fn bring_up(&mut self) -> Result<(), NicError> {
        self.reset()?;
        let mut status = DeviceStatus::ACKNOWLEDGE;
        self.transport.set_status(status);
        status |= DeviceStatus::DRIVER;
        self.transport.set_status(status);

        self.negotiate(status)?;
        status |= self.features_ok();

        self.transport.set_guest_page_size(LEGACY_ALIGNMENT);
        let event_index = self.has(feature::EVENT_IDX);
        set_up(&mut self.transport, TRANSMIT_QUEUE, &mut self.transmit, event_index)?;
        set_up(&mut self.transport, RECEIVE_QUEUE, &mut self.receive, event_index)?;
        for id in 0..self.transmit.buffers() {
            if let Some(header) = self.transmit.buffer(id).and_then(|buffer| buffer.get_mut(..HEADER)) {
                header.fill(0);
            }
        }
        self.mac = self.read_mac()?;
        while let Some(id) = self.receive.take_idle() {
            self.receive.publish(id, BUFFER_SIZE);
        }
        self.config_generation = self.transport.read_config_generation();
        self.transport.set_status(status | DeviceStatus::DRIVER_OK);
        self.notify_receive();
        Ok(())
    }

    fn reset(&mut self) -> Result<(), NicError> {
        self.transport.set_status(DeviceStatus::empty());
        let mut all_ones: u32 = 0;
        let look = || match self.transport.get_status() {
            status if status.is_empty() => Some(Ok(())),
            status if status.contains(DeviceStatus::all()) => {
                all_ones = all_ones.saturating_add(1);
                (all_ones >= GONE_LOOKS).then_some(Err(NicError::Absent))
            }
            _ => None,
        };
        self.waits.until(RESET_PATIENCE, look).unwrap_or(Err(NicError::ResetTimeout))
    }

    fn negotiate(&mut self, status: DeviceStatus) -> Result<(), NicError> {
        let offered = self.transport.read_device_features();
        let mut wanted = self.wanted;
        if self.transport.requires_legacy_layout() {
            // The other features of its time (section 6.3) are below 32.
            wanted &= u64::from(u32::MAX);
        } else if offered & feature::VERSION_1 == 0 {
            return Err(NicError::MissingFeature("virtio 1.0 (VIRTIO_F_VERSION_1)"));
        }
        self.features = offered & wanted;
        self.mtu = ETHERNET_MTU;
        if self.has(feature::MTU) {
            match self.read_config(|transport| read(transport, config::MTU))? {
                mtu @ MINIMUM_MTU..=ETHERNET_MTU => self.mtu = mtu,
                // Buffers for larger packets would have to be given (section 5.1.4.2): not taken.
                _ => self.features &= !feature::MTU,
            }
        }
        self.transport.write_driver_features(self.features);
        if self.transport.requires_legacy_layout() {
            return Ok(());
        }
        self.transport.set_status(status | DeviceStatus::FEATURES_OK);
        if self.transport.get_status().contains(DeviceStatus::FEATURES_OK) {
            Ok(())
        } else {
            Err(NicError::FeaturesRefused)
        }
    }

    /// A legacy device does not know this step (section 3.1.2).
    fn features_ok(&self) -> DeviceStatus {
        if self.transport.requires_legacy_layout() {
            DeviceStatus::empty()
        } else {
            DeviceStatus::FEATURES_OK
        }
    }

    fn has(&self, feature: u64) -> bool {
        self.features & feature != 0
    }

    fn read_mac(&self) -> Result<MacAddr, NicError> {
        if !self.has(feature::MAC) {
            return Ok(self.own_mac);
        }
        let mac = MacAddr(self.read_config(|transport| {
            let mut octets = [0; 6];
            for (offset, octet) in (config::MAC..).zip(octets.iter_mut()) {
                *octet = read(transport, offset)?;
            }
            Ok(octets)
        })?);
        Ok(if mac.is_unicast() { mac } else { self.own_mac })
    }

    /// Reads configuration that did not change meanwhile (section 2.5.3).
    fn read_config<V>(&self, fields: impl Fn(&T) -> Result<V, NicError>) -> Result<V, NicError> {
        for _ in 0..CONFIG_READS {
            let generation = self.transport.read_config_generation();
            let value = fields(&self.transport)?;
            if self.transport.read_config_generation() == generation {
                return Ok(value);
            }
        }
        Err(NicError::Configuration)
    }

    /// Section 2.1.2: the device may say that it can't go on.
    fn check_status(&mut self) {
        let alive = DeviceStatus::DRIVER_OK | self.features_ok();
        if self.transport.get_status() & (alive | DeviceStatus::DEVICE_NEEDS_RESET) != alive {
            self.state = State::Broken;
        }
    }

    /// A transmit buffer that is with nobody. Finished ones are taken back when none is left, all at
    /// once: most frames cost nothing here.
    #[inline(always)]
    fn take_transmit_buffer(&mut self) -> Result<u16, TransmitError> {
        match self.transmit.take_idle() {
            Some(id) => Ok(id),
            None => self.take_finished_buffer(),
        }
    }

    #[inline(never)]
    fn take_finished_buffer(&mut self) -> Result<u16, TransmitError> {
        self.reclaim();
        if let Some(id) = self.transmit.take_idle() {
            self.refused = 0;
            return Ok(id);
        }
        if self.refused == 0 {
            self.check_status();
        }
        self.refused = self.refused.wrapping_add(1);
        Err(if self.state == State::Running { TransmitError::Full } else { TransmitError::Broken })
    }

    /// Lends a transmit buffer to `build` and publishes what it has made, if anything; false where it says `None`.
    #[inline(always)]
    fn transmit_one(
        &mut self,
        build: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<bool, TransmitError> {
        if self.state == State::Broken {
            return Err(TransmitError::Broken);
        }
        let id = self.take_transmit_buffer()?;
        let frame = self.transmit.buffer(id).and_then(|buffer| buffer.get_mut(HEADER..));
        let built = frame.and_then(|frame| Some(build(frame)?.min(frame.len())));
        match built {
            Some(length) if length > 0 => self.transmit.publish(id, HEADER.wrapping_add(length)),
            _ => self.transmit.put_idle(id),
        }
        Ok(built.is_some())
    }

    /// Takes back the transmit buffers that the device is done with.
    fn reclaim(&mut self) {
        while let Some((id, _)) = self.unless_broken(|nic| nic.transmit.take_used()) {
            self.transmit.put_idle(id);
        }
    }

    /// What the device says in a queue, unless it has ever said something that can't be.
    fn unless_broken<V>(
        &mut self,
        take: impl FnOnce(&mut Self) -> Result<Option<V>, DeviceFault>,
    ) -> Option<V> {
        if self.state == State::Broken {
            return None;
        }
        take(self).unwrap_or_else(|DeviceFault| {
            self.state = State::Broken;
            None
        })
    }

    /// Copies the next received buffer, gives it back, and returns how much of the copy is header and
    /// frame: nothing where it was too long.
    fn take_received(&mut self) -> Result<Option<usize>, DeviceFault> {
        let Some((id, written)) = self.receive.take_used()? else { return Ok(None) };
        let length = usize::try_from(written).map_err(|_| DeviceFault)?;
        if length > BUFFER_SIZE && length <= self.receive.writable() {
            self.receive.publish(id, BUFFER_SIZE);
            return Ok(Some(0));
        }
        let buffer = self.receive.buffer(id).ok_or(DeviceFault)?;
        let (Some(from), Some(to)) = (buffer.get(HEADER..length), self.received.get_mut(HEADER..length))
        else {
            return Err(DeviceFault);
        };
        to.copy_from_slice(from);
        self.receive.publish(id, BUFFER_SIZE);
        Ok(Some(length))
    }

    fn notify_receive(&mut self) {
        if self.receive.needs_notification() {
            self.transport.notify(RECEIVE_QUEUE);
        }
    }
}

/// Makes a queue new, and tells the card where it is. A legacy card dictates its size, and others may insist on the one
/// that they tell first.
fn set_up<T: Transport, const N: usize>(
    transport: &mut T,
    number: u16,
    queue: &mut Virtqueue<N>,
    event_index: bool,
) -> Result<(), NicError> {
    let most = transport.max_queue_size(number);
    let header = transport.requires_legacy_layout().then_some(LEGACY_HEADER);
    if !queue.reset(most, header, event_index) {
        return Err(NicError::NoQueue(number));
    }
    let [descriptors, available, used] = queue.addresses();
    transport.queue_set(number, queue.size().into(), descriptors, available, used);
    Ok(())
}

fn read<T: Transport, V: FromBytes + IntoBytes>(transport: &T, offset: usize) -> Result<V, NicError> {
    transport.read_config_space(offset).map_err(|_| NicError::Configuration)
}

impl<T: Transport, const TX: usize, const RX: usize> Nic for VirtioNet<T, TX, RX> {
    fn mac(&self) -> MacAddr {
        self.mac
    }

    fn mtu(&self) -> usize {
        self.mtu.into()
    }

    fn link_is_up(&mut self) -> bool {
        if self.state == State::Running {
            self.check_status();
        }
        self.state == State::Running
            && (!self.has(feature::STATUS)
                || self
                    .read_config(|transport| read(transport, config::STATUS))
                    .is_ok_and(|status: u16| status & STATUS_LINK_UP != 0))
    }

    fn link_mode(&mut self) -> Option<LinkMode> {
        if !self.has(feature::SPEED_DUPLEX) || !self.link_is_up() {
            return None;
        }
        let fields = self.read_config(|transport| {
            Ok((read::<_, u32>(transport, config::SPEED)?, read::<_, u8>(transport, config::DUPLEX)?))
        });
        let (speed, duplex) = fields.ok()?;
        let megabits = i32::try_from(speed).ok().and(Some(speed))?;
        let duplex = match duplex {
            0 => Some(Duplex::Half),
            1 => Some(Duplex::Full),
            _ => None,
        };
        Some(LinkMode { megabits, duplex })
    }

    fn link_has_changed(&mut self) -> bool {
        // Section 2.5.3: it is another one after each change, the link's status among them.
        let generation = self.transport.read_config_generation();
        core::mem::replace(&mut self.config_generation, generation) != generation
    }

    fn transmit(&mut self, build: &mut dyn FnMut(&mut [u8]) -> usize) -> Result<(), TransmitError> {
        self.transmit_one(|frame| Some(build(frame))).map(|_| ())
    }

    #[inline(always)]
    fn transmit_all(
        &mut self,
        mut build: impl FnMut(&mut [u8]) -> Option<usize>,
    ) -> Result<(), TransmitError> {
        while self.transmit_one(&mut build)? {}
        Ok(())
    }

    fn kick(&mut self) {
        if self.state == State::Running && self.transmit.needs_notification() {
            self.transport.notify(TRANSMIT_QUEUE);
        }
    }

    fn is_drained(&mut self) -> bool {
        self.reclaim();
        self.state == State::Running && self.transmit.outstanding() == 0
    }

    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> bool {
        // Bounded, for the device can fill the buffers as fast as they are given back.
        for _ in 0..RX {
            let Some(length) = self.unless_broken(Self::take_received) else { return false };
            self.notify_receive();
            match self.received.get(HEADER..length) {
                Some(frame) if frame.len() >= ETHERNET_HEADER => {
                    take(frame);
                    return true;
                }
                // Shorter than an Ethernet header, or too long.
                _ => {}
            }
        }
        false
    }

    fn restart(&mut self) -> Result<(), NicError> {
        self.state = State::Broken;
        let result = self.bring_up();
        match result {
            Ok(()) => (self.state, self.refused) = (State::Running, 0),
            // Section 2.1.2: tells the device that the driver has given up. One that is still in
            // reset is left alone.
            Err(NicError::ResetTimeout) => {}
            Err(_) => {
                let status = self.transport.get_status();
                self.transport.set_status(status | DeviceStatus::FAILED);
            }
        }
        result
    }
}
