//! Network cards: the trait that the rest of the kernel sees, and the polled drivers behind it.
//!
//! It knows nothing of `ring`, `format`, `stack`, `settings` and `targets`: frames have no meaning here.

#[cfg(not(all(
    feature = "virtio",
    feature = "intel",
    feature = "rtl8139",
    feature = "rtl8168",
    feature = "vmxnet3"
)))]
mod absent;
#[cfg(feature = "pci")]
mod addresses;
#[cfg(feature = "pci")]
mod bus_address;
#[cfg(all(test, feature = "pci"))]
mod conformance;
#[cfg(feature = "pci")]
mod driver;
#[cfg(all(test, feature = "pci"))]
mod exchange;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(feature = "pci")]
mod firmware;
#[cfg(feature = "pci")]
mod frame;
#[cfg(feature = "intel")]
pub mod intel;
#[cfg(feature = "pci")]
pub mod iommu;
mod link_mode;
#[cfg(feature = "pci")]
mod mmio;
#[cfg(feature = "pci")]
pub mod pci;
mod ports;
#[cfg(feature = "rtl8139")]
pub mod rtl8139;
#[cfg(feature = "rtl8168")]
pub mod rtl8168;
#[cfg(feature = "virtio")]
pub mod virtio;
#[cfg(feature = "vmxnet3")]
pub mod vmxnet3;
#[cfg(feature = "pci")]
mod waits;
mod watched;

#[cfg(all(test, feature = "pci"))]
pub(crate) use addresses::fake::NO_PORTS;
#[cfg(feature = "pci")]
pub use addresses::{Access, Addresses};
#[cfg(feature = "pci")]
pub use bus_address::BusAddress;
#[cfg(feature = "test-hooks")]
pub use driver::hang;
#[cfg(feature = "pci")]
pub use driver::{
    CardDriver, CardMemory, Driver, DriverMemory, Failure, Model, PanicCardMemory, PanicDriver, is_mmio_card,
};
#[cfg(feature = "pci")]
pub use firmware::{FirmwareCard, FirmwareStatus, Outcome as FirmwareOutcome};
pub use link_mode::{Duplex, LinkMode};
pub use ports::{Ports, Width};
#[cfg(feature = "pci")]
pub use waits::Waits;
#[cfg(all(test, feature = "pci"))]
pub(crate) use waits::fake::WAITS;
pub use watched::Watched;

use crate::wire::MacAddr;
use core::fmt;

/// A network card, driven by polling alone. No call blocks, allocates or panics; every wait inside
/// a driver has a deadline.
pub trait Nic {
    /// The card's own address, or the one the driver chose where the card has none.
    fn mac(&self) -> MacAddr;

    /// The largest IP packet that the card carries, in bytes.
    fn mtu(&self) -> usize;

    /// Whether the cable is connected, as the card says now.
    fn link_is_up(&mut self) -> bool;

    /// How fast the link is, where it is up and the card tells.
    fn link_mode(&mut self) -> Option<LinkMode> {
        None
    }

    /// Whether the cable has been unplugged or plugged in since this was last asked, even if it is as
    /// it was now. A card that can't tell says no.
    fn link_has_changed(&mut self) -> bool {
        false
    }

    /// Lends the next free transmit buffer to `build`, which writes a frame from the destination
    /// address on (no checksum sequence) and returns its length in bytes; 0 queues nothing. The card
    /// need not look at the frame before [`kick`](Self::kick).
    fn transmit(&mut self, build: &mut dyn FnMut(&mut [u8]) -> usize) -> Result<(), TransmitError>;

    /// Lends one free transmit buffer after the other to `build`, as [`transmit`](Self::transmit) does, until it
    /// returns `None`. For a caller that knows the card's type: `build` may become a part of the driver's own loop.
    fn transmit_all(&mut self, mut build: impl FnMut(&mut [u8]) -> Option<usize>) -> Result<(), TransmitError>
    where
        Self: Sized,
    {
        let mut goes_on = true;
        while goes_on {
            self.transmit(&mut |frame| {
                let length = build(frame);
                goes_on = length.is_some();
                length.unwrap_or(0)
            })?;
        }
        Ok(())
    }

    /// Tells the card of all frames queued since the last call, if it wants to be told.
    fn kick(&mut self);

    /// Whether the card has finished with every frame that was queued.
    fn is_drained(&mut self) -> bool;

    /// Lends the oldest received frame to `take`. False when none has arrived.
    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> bool;

    /// Resets the card and brings it up again; frames it had not finished are gone.
    fn restart(&mut self) -> Result<(), NicError>;
}

/// Why a frame could not be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransmitError {
    /// All transmit buffers are with the card: try again once it has finished with one.
    Full,
    /// The card broke the rules or asked for a reset: only [`Nic::restart`] helps.
    Broken,
}

/// Why a card could not be brought up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NicError {
    /// It did not come out of reset in time.
    ResetTimeout,
    /// Its registers don't keep what is written to them: it is gone.
    Absent,
    /// A group of registers is missing, or not within a BAR that has an address.
    NoRegisters(&'static str),
    /// It does not offer a feature that the driver needs.
    MissingFeature(&'static str),
    /// It refused the features that the driver chose.
    FeaturesRefused,
    /// A queue is absent, or has a size that the driver can't use; its number.
    NoQueue(u16),
    /// Its configuration space could not be read.
    Configuration,
    /// It has the ids of chips that the driver knows, and is another one.
    Unknown(&'static str),
    /// It did not start with the rings that it was given.
    NotStarted,
    /// It has 32-bit addresses, and its memory lies beyond them.
    Unreachable,
    /// The memory for its queues and buffers is not in one piece, or has no physical address.
    Scattered,
    /// The firmware, which drives it, refused the function of this name, with this status (UEFI specification, appendix D).
    Firmware(&'static str, u64),
}

impl fmt::Display for NicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ResetTimeout => write!(f, "it did not come out of reset in time"),
            Self::Absent => write!(f, "its registers do not keep what is written to them"),
            Self::NoRegisters(group) => {
                write!(f, "its {group} registers are missing or have no valid address")
            }
            Self::MissingFeature(feature) => write!(f, "it does not offer {feature}"),
            Self::FeaturesRefused => write!(f, "it refused the features that it offered"),
            Self::NoQueue(queue) => {
                write!(f, "its queue {queue} is missing or of a size that can't be used")
            }
            Self::Configuration => write!(f, "its configuration space can't be read"),
            Self::Unknown(chip) => write!(f, "it is {chip}, which the driver does not know"),
            Self::NotStarted => write!(f, "it did not start with the rings that it was given"),
            Self::Unreachable => write!(f, "it can't reach memory above 4 GiB"),
            Self::Scattered => write!(f, "the memory for its queues is not in one piece"),
            Self::Firmware(function, status) => {
                write!(f, "the firmware's {function} failed with status {status:#x}")
            }
        }
    }
}

impl core::error::Error for NicError {}
