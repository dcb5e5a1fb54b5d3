//! virtio-iommu (virtio 1.2, section 5.13). A reset leaves no device attached to any domain; what devices that are not
//! attached may do says the configuration's `bypass`, which a reset leaves as it was.

use super::{Found, PATIENCE, Stuck};
use crate::nic::pci::{ConfigurationAccess, PciDevice};
use crate::nic::virtio::{AnyTransport, MmioTransport};
use crate::nic::{Access, Addresses, Waits};
use virtio_drivers::transport::{DeviceStatus, Transport};

/// Its kind (section 5).
const KIND: u32 = 23;
/// Section 5.13.3: devices that are not attached pass where this was negotiated; where that can be chosen.
const BYPASS: u64 = 1 << 3;
const BYPASS_CONFIG: u64 = 1 << 6;
const VERSION_1: u64 = 1 << 32;
const ACCESS_PLATFORM: u64 = 1 << 33;
/// Section 5.13.4: the offset of `bypass`, a byte.
const BYPASS_OFFSET: usize = 36;

/// Whether a function with these ids is a virtio-iommu: 0x1040 and the device type, 23.
pub fn is_virtio_iommu(ids: (u16, u16)) -> bool {
    ids == (0x1af4, 0x1057)
}

/// Has the virtio-iommu `device` let all devices through, no device reaching memory meanwhile.
pub fn bypass_pci<C: ConfigurationAccess>(
    config: &mut C,
    access: &Access,
    waits: Waits,
    device: &PciDevice,
) -> Result<Found, Stuck> {
    let transport = AnyTransport::on_pci(config, access, device).map_err(|_| Stuck::Absent)?;
    bypass(transport, waits)
}

/// The same for one whose registers are at the physical `address`.
pub fn bypass_mmio(address: u64, addresses: &Addresses, waits: Waits) -> Result<Found, Stuck> {
    let transport =
        MmioTransport::find_device(KIND, address, addresses).ok().flatten().ok_or(Stuck::Absent)?;
    bypass(AnyTransport::Mmio(transport), waits)
}

pub(super) fn bypass(mut transport: impl Transport, waits: Waits) -> Result<Found, Stuck> {
    let before = transport.read_config_space::<u8>(BYPASS_OFFSET);
    transport.set_status(DeviceStatus::empty());
    if !is_reset(&transport, waits) {
        return Err(Stuck::Absent);
    }
    transport.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER);
    let offered = transport.read_device_features();
    if offered & (BYPASS | BYPASS_CONFIG) == 0 {
        return Err(Stuck::NoBypass);
    }
    transport.write_driver_features(offered & (BYPASS | BYPASS_CONFIG | VERSION_1 | ACCESS_PLATFORM));
    transport.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::FEATURES_OK);
    if !transport.get_status().contains(DeviceStatus::FEATURES_OK) {
        return Err(Stuck::NoBypass);
    }
    if offered & BYPASS_CONFIG != 0 {
        let is_set = transport.write_config_space(BYPASS_OFFSET, 1u8).is_ok()
            && transport.read_config_space::<u8>(BYPASS_OFFSET) == Ok(1);
        if !is_set {
            return Err(Stuck::NoBypass);
        }
    }
    Ok(if before == Ok(1) { Found::Off } else { Found::TurnedOff })
}

/// Waits until a reset is done; false where it does not come to that, or nothing answers any more, which reads as all ones.
fn is_reset(transport: &impl Transport, waits: Waits) -> bool {
    let look = || match transport.get_status() {
        status if status.is_empty() => Some(true),
        status if status.contains(DeviceStatus::all()) => Some(false),
        _ => None,
    };
    waits.until(PATIENCE, look).unwrap_or(false)
}
