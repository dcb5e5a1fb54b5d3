//! The clock that KVM gives its guests (Linux, Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW), as far as it
//! tells how fast the time stamp counter runs.

#![forbid(unsafe_code)]

/// The frequency of the time stamp counter in Hz by what turns its ticks into nanoseconds: they are shifted left by
/// `shift`, or right where that is negative, and multiplied by `multiplier` / 2^32. `None` where that makes no sense.
pub fn frequency(multiplier: u32, shift: i8) -> Option<u64> {
    const NANOSECONDS: u128 = 1_000_000_000 << 32;
    let ticks = NANOSECONDS.checked_div(multiplier.into())?;
    let shift_right = u32::from(shift.unsigned_abs());
    let hz = if shift >= 0 { ticks.checked_shr(shift_right)? } else { ticks.checked_shl(shift_right)? };
    u64::try_from(hz).ok().filter(|hz| (100_000_000..=100_000_000_000).contains(hz))
}

#[cfg(test)]
mod tests {
    use super::frequency;
    use proptest::prelude::*;

    /// What Linux's kvm_get_time_scale makes of a frequency: the multiplier has its highest bit set.
    fn scale(hz: u64) -> (u32, i8) {
        let (mut shift, mut ticks) = (0, u128::from(hz));
        while ticks > 2_000_000_000 {
            (ticks, shift) = (ticks / 2, shift - 1);
        }
        while ticks <= 1_000_000_000 {
            (ticks, shift) = (ticks * 2, shift + 1);
        }
        (((1_000_000_000_u128 << 32) / ticks) as u32, shift)
    }

    #[test]
    fn a_clock_of_2_6_ghz_is_read() {
        let (multiplier, shift) = scale(2_600_000_000);
        assert_eq!((multiplier, shift), (3_303_820_996, -1));
        let hz = frequency(multiplier, shift).expect("a frequency");
        assert!(hz.abs_diff(2_600_000_000) < 1_000, "{hz}");
    }

    #[test]
    fn what_is_no_clock_is_refused() {
        for (multiplier, shift) in [(0, 0), (1, 0), (u32::MAX, 127), (1, -128), (u32::MAX, -128)] {
            assert_eq!(frequency(multiplier, shift), None, "{multiplier}, {shift}");
        }
    }

    proptest! {
        #[test]
        fn every_frequency_comes_back(hz in 200_000_000_u64..20_000_000_000) {
            let (multiplier, shift) = scale(hz);
            let found = frequency(multiplier, shift).expect("a frequency");
            prop_assert!(found.abs_diff(hz) <= hz / 100_000_000 + 16, "{} for {}", found, hz);
        }

        #[test]
        fn anything_is_read(multiplier: u32, shift: i8) {
            let _ = frequency(multiplier, shift);
        }
    }
}
