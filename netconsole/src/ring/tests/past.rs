//! A ring that follows another kernel's log: one stream of numbers and times, read by the same calls.

use super::{Memory, record, text};
use crate::ring::{Audience, Level, Past, PastRecord, Read, Timebase};

/// Records 3 to 6 of another kernel, of which 5 is lost.
pub(super) struct Other;

impl Past for Other {
    fn first(&self) -> u64 {
        3
    }

    fn find(&self, sequence: u64) -> Option<PastRecord> {
        ((3..7).contains(&sequence) && sequence != 5).then_some(PastRecord {
            sequence,
            micros: sequence * 1000,
            level: 5,
            facility: 1,
            continues: sequence == 4,
            goes: true,
            caller: Some(0x8000_0002),
            len: 5,
            text: 100 + sequence,
        })
    }

    fn copy_text(&self, record: &PastRecord, offset: usize, to: &mut [u8]) {
        assert_eq!(record.text, 100 + record.sequence);
        let text = format!("text{}", record.sequence);
        to.copy_from_slice(&text.as_bytes()[offset..offset + to.len()]);
    }

    fn fields(&self, _: &PastRecord, item: &mut dyn FnMut(&[u8], &[u8])) {
        item(b"DEVICE", b"+pci:0");
    }

    fn release(&self) -> &str {
        "6.1"
    }

    fn boots_ago(&self) -> u8 {
        0
    }
}

#[test]
fn the_other_kernel_s_records_come_first_and_numbers_and_times_go_on() {
    let memory = Memory::new(16, 128);
    // What a boot before left there is gone.
    memory.ring().append(Level::Info, "old", 1, format_args!("old"));
    let ring = memory.ring().following(&Other, 7, 6000);
    ring.begin_following(50, Audience::Everybody);
    ring.append(Level::Warning, "own", 60, format_args!("own"));

    assert_eq!((ring.first(), ring.end(), ring.own_first()), (3, 8, 7));
    assert!(matches!(ring.read(0), Read::Lost { resume: 3 }));
    assert!(matches!(ring.read(5), Read::Lost { resume: 6 }));
    assert!(matches!(ring.read(8), Read::End));
    assert!(ring.peek(5).is_none() && ring.peek(8).is_none());

    let mut timebase = Timebase::new(50);
    timebase.calibrate(50, 1_000_000);
    let past = record(&ring, 4);
    assert_eq!((text(past), past.level(), past.priority()), ("text4".into(), Level::Notice, 13));
    assert!(past.is_continuation() && !past.is_cut() && past.is_intact() && ring.is_past(4));
    assert_eq!((past.release(), past.caller(), past.boot()), (Some("6.1"), Some(0x8000_0002), 0));
    assert_eq!(ring.micros(&past, &timebase), 4000);
    assert_eq!(ring.peek(6).map(text), Some("text6".into()));
    let mut bytes = [0; 2];
    assert_eq!((past.copy_text(3, &mut bytes), bytes), (2, *b"t4"));

    let own = record(&ring, 7);
    assert_eq!((text(own), own.priority(), own.release()), ("own".into(), 4, None));
    assert_eq!(ring.micros(&own, &timebase), 6010);
    assert!(!ring.is_past(7));
}
