//! What the functions of the Simple Network Protocol end with (UEFI specification 2.10, section 24.1 and appendix D), and what
//! that means for the driver.

use super::FirmwareStatus;
use crate::nic::{NicError, TransmitError};

const SUCCESS: u64 = 0;
const ERROR: u64 = 1 << 63;
/// Nothing is there now, or there is no room now.
const NOT_READY: u64 = ERROR | 6;
const NOT_STARTED: u64 = ERROR | 19;
const ALREADY_STARTED: u64 = ERROR | 20;

/// What one call of the firmware has ended with. Panic-safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The function's name.
    pub function: &'static str,
    /// Its status; `None` where it could not be called.
    pub status: Option<u64>,
}

impl Outcome {
    /// Of a function that has to succeed.
    pub const fn done(self) -> Result<(), NicError> {
        match self.status {
            Some(SUCCESS) => Ok(()),
            Some(status) => Err(NicError::Firmware(self.function, status)),
            None => Err(NicError::NoRegisters("firmware's")),
        }
    }

    /// Of Start: somebody else may have started it before.
    pub const fn started(self) -> Result<(), NicError> {
        match self.status {
            Some(ALREADY_STARTED) => Ok(()),
            _ => self.done(),
        }
    }

    /// Of GetStatus. `media` is whether the cable is in, `None` where the firmware does not know; `sent` what it wrote as the
    /// frame's address, 0 for none.
    pub const fn told(self, media: Option<bool>, sent: usize) -> Result<FirmwareStatus, NicError> {
        let sent = match self.status {
            Some(NOT_READY) => None,
            _ => match self.done() {
                Ok(()) if sent != 0 => Some(sent),
                Ok(()) => None,
                Err(error) => return Err(error),
            },
        };
        Ok(FirmwareStatus { link_is_up: !matches!(media, Some(false)), sent })
    }

    /// Of Transmit. Firmware says what it likes where its card's ring is full: iPXE's driver of the PCnet, that it is
    /// unsupported.
    pub const fn transmitted(self) -> Result<(), TransmitError> {
        match self.status {
            Some(SUCCESS) => Ok(()),
            None | Some(NOT_STARTED) => Err(TransmitError::Broken),
            Some(_) => Err(TransmitError::Full),
        }
    }

    /// Of Receive, which wrote `length` as the length of the frame in a buffer of `room` bytes.
    pub const fn received(self, length: usize, room: usize) -> Option<usize> {
        match self.status {
            Some(SUCCESS) if length <= room => Some(length),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appendix D, table D.3, spelled out.
    const DEVICE_ERROR: u64 = 0x8000_0000_0000_0007;
    const UNSUPPORTED: u64 = 0x8000_0000_0000_0003;

    fn ends(status: u64) -> Outcome {
        Outcome { function: "Transmit", status: Some(status) }
    }

    const UNCALLED: Outcome = Outcome { function: "Transmit", status: None };

    #[test]
    fn what_fails_is_named_with_its_status() {
        assert_eq!(ends(0).done(), Ok(()));
        assert_eq!(ends(DEVICE_ERROR).done(), Err(NicError::Firmware("Transmit", DEVICE_ERROR)));
        assert_eq!(UNCALLED.done(), Err(NicError::NoRegisters("firmware's")));
        // A warning is no success, either: what was asked for was not done as it was asked for.
        assert_eq!(ends(5).done(), Err(NicError::Firmware("Transmit", 5)));
    }

    #[test]
    fn what_was_started_before_is_started() {
        assert_eq!(ends(0).started(), Ok(()));
        assert_eq!(ends(0x8000_0000_0000_0014).started(), Ok(()));
        assert_eq!(ends(DEVICE_ERROR).started(), Err(NicError::Firmware("Transmit", DEVICE_ERROR)));
        assert_eq!(UNCALLED.started(), UNCALLED.done());
    }

    #[test]
    fn a_card_tells_how_it_is_unless_it_fails() {
        let told = |link_is_up, sent| Ok(FirmwareStatus { link_is_up, sent });
        assert_eq!(ends(0).told(None, 0), told(true, None));
        assert_eq!(ends(0).told(Some(true), 0x1234), told(true, Some(0x1234)));
        assert_eq!(ends(0).told(Some(false), 0x1234), told(false, Some(0x1234)));
        // EFI_NOT_READY writes no address.
        assert_eq!(ends(0x8000_0000_0000_0006).told(None, 0x1234), told(true, None));
        for failed in [ends(DEVICE_ERROR), ends(0x8000_0000_0000_0013), UNCALLED] {
            assert_eq!(failed.told(Some(true), 0x1234).err(), failed.done().err());
        }
    }

    #[test]
    fn a_frame_is_taken_or_waits_unless_the_card_does_not_run() {
        assert_eq!(ends(0).transmitted(), Ok(()));
        for full in [0x8000_0000_0000_0006, UNSUPPORTED, DEVICE_ERROR, 0x8000_0000_0000_0009] {
            assert_eq!(ends(full).transmitted(), Err(TransmitError::Full), "{full:#x}");
        }
        assert_eq!(ends(0x8000_0000_0000_0013).transmitted(), Err(TransmitError::Broken));
        assert_eq!(UNCALLED.transmitted(), Err(TransmitError::Broken));
    }

    #[test]
    fn a_frame_has_arrived_where_it_fits() {
        assert_eq!(ends(0).received(60, 1536), Some(60));
        assert_eq!(ends(0).received(1536, 1536), Some(1536));
        assert_eq!(ends(0).received(1537, 1536), None);
        for none in [ends(0x8000_0000_0000_0006), ends(DEVICE_ERROR), UNCALLED] {
            assert_eq!(none.received(60, 1536), None);
        }
    }
}
