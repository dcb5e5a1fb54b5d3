//! Single records: their parts, their growth, and logging from within logging.

use super::{Memory, append, record, text, texts};
use crate::ring::{ALWAYS, Level, Read, Ring};
use std::cell::RefCell;
use std::fmt;

/// Displays by calling a function once, as a type whose `Display` has side effects.
struct Calls<F>(RefCell<F>);

impl<F: FnMut(&mut fmt::Formatter<'_>) -> fmt::Result> Calls<F> {
    fn new(function: F) -> Self {
        Self(RefCell::new(function))
    }
}

impl<F: FnMut(&mut fmt::Formatter<'_>) -> fmt::Result> fmt::Display for Calls<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0.borrow_mut())(f)
    }
}

#[test]
fn a_record_has_all_its_parts() {
    let memory = Memory::new(16, 256);
    let ring = memory.ring();
    assert!(matches!(ring.read(0), Read::End));
    ring.append(Level::Notice, "kernel::nic", 0x1234_5678_9abc_def0, format_args!("link up, 1000 Mb/s"));
    let record = record(&ring, 0);
    assert_eq!(record.ticks(), 0x1234_5678_9abc_def0);
    assert_eq!(record.level(), Level::Notice);
    assert_eq!(record.module().as_str(), "kernel::nic");
    assert_eq!(text(record), "link up, 1000 Mb/s");
    assert_eq!((record.boot(), record.is_cut(), record.is_continuation()), (0, false, false));
    assert_eq!((ring.first(), ring.end(), ring.dropped()), (0, 1, 0));
}

#[test]
fn what_every_target_is_to_have_says_so() {
    let memory = Memory::new(16, 256);
    let ring = memory.ring();
    ring.append_str(Level::Info, ALWAYS, 0, "started");
    ring.append(Level::Debug, ALWAYS, 0, format_args!("number {}", 1));
    append(&ring, "another");
    let always = [0, 1, 2].map(|sequence| record(&ring, sequence).goes_always());
    assert_eq!(always, [true, true, false]);
    assert_eq!((record(&ring, 1).level(), text(record(&ring, 0)).as_str()), (Level::Debug, "started"));
}

#[test]
fn records_before_one_are_counted_as_far_as_they_are_there() {
    let memory = Memory::new(16, 256);
    let ring = memory.ring();
    for level in [Level::Debug, Level::Info, Level::Debug, Level::Debug, Level::Error] {
        ring.append_str(level, "tests", 0, "text");
    }
    let debugs = |sequence, most| ring.count_before(sequence, most, |record| record.level() == Level::Debug);
    assert_eq!([0, 1, 2, 3, 4, 5].map(|sequence| debugs(sequence, 9)), [0, 1, 0, 1, 2, 0]);
    assert_eq!([0, 1, 2, 3].map(|most| debugs(4, most)), [0, 1, 2, 2]);
    // Of those that are overwritten none counts.
    for _ in 0..100 {
        ring.append_str(Level::Debug, "tests", 0, "text");
    }
    assert_eq!(debugs(ring.end(), u64::MAX), ring.end() - ring.first());
    assert_eq!(debugs(ring.first(), u64::MAX), 0);
}

#[test]
fn text_is_copied_from_every_offset() {
    let memory = Memory::new(16, 256);
    let ring = memory.ring();
    let written = "0123456789abcdefghijklmnopqrstuvwxyz";
    append(&ring, written);
    for offset in 0..=written.len() + 9 {
        for room in 0..=written.len() + 9 {
            let mut buffer = vec![b'.'; room];
            let copied = record(&ring, 0).copy_text(offset, &mut buffer);
            let expected: String = written.chars().skip(offset).take(room).collect();
            assert_eq!(&buffer[..copied], expected.as_bytes());
            assert!(buffer[copied..].iter().all(|&byte| byte == b'.'));
        }
    }
}

#[test]
fn only_the_last_newline_goes() {
    let memory = Memory::new(16, 256);
    let ring = memory.ring();
    append(&ring, "one\ntwo\n");
    append(&ring, "\n");
    append(&ring, "");
    append(&ring, "three\n\n");
    ring.append(Level::Info, "", 0, format_args!("{}{}{}", "four\n", "", "five\n"));
    let expected = ["one\ntwo", "", "", "three\n", "four\nfive"];
    assert_eq!(texts(&ring).into_iter().map(|(_, text)| text).collect::<Vec<_>>(), expected);
}

#[test]
fn padding_comes_between_pieces() {
    let memory = Memory::new(64, 1024);
    let ring = memory.ring();
    for width in [0, 1, 7, 8, 9, 100, 200] {
        let (line, end) = ("line\n", "ä");
        ring.append(Level::Info, "", 0, format_args!("{line}{:>width$}|{:é<width$}|{:08}", "x", end, width));
        let expected = format!("{line}{:>width$}|{:é<width$}|{:08}", "x", end, width);
        let parts: String = texts(&ring).into_iter().map(|(_, text)| text).collect();
        assert!(parts.ends_with(&expected), "{parts:?}");
    }
}

#[test]
fn a_long_module_path_keeps_its_end() {
    let memory = Memory::new(16, 256);
    let ring = memory.ring();
    let path = "netconsole::nic::virtio::queue::notifications";
    ring.append(Level::Info, path, 0, format_args!(""));
    assert_eq!(record(&ring, 0).module().as_str(), &path[path.len() - 31..]);
    // 33 bytes; the cut at 2 would be amid a character.
    ring.append(Level::Info, &format!("xä{}", "a".repeat(30)), 0, format_args!(""));
    assert_eq!(record(&ring, 1).module().as_str(), "a".repeat(30));
}

#[test]
fn a_text_of_any_length_is_recorded_whole() {
    let memory = Memory::new(64, 4096);
    let ring = memory.ring();
    for len in [127, 128, 129, 4607, 4608, 4609, 10_000] {
        let written = "ä€x🦀".repeat(len / 10 + 1)[..].to_owned();
        let first = ring.end();
        append(&ring, &written);
        let parts: Vec<_> = (first..ring.end()).map(|sequence| record(&ring, sequence)).collect();
        assert_eq!(parts.iter().map(|&part| text(part)).collect::<String>(), written);
        assert_eq!(parts.len(), written.len().div_ceil(4600), "no part is smaller than need be");
        assert!(parts.iter().enumerate().all(|(number, part)| part.is_continuation() == (number > 0)));
    }
}

#[test]
fn a_display_may_log() {
    let memory = Memory::new(64, 4096);
    let ring = memory.ring();
    let inner = Calls::new(|f: &mut fmt::Formatter<'_>| {
        append(&ring, "inner");
        f.write_str(" between ")
    });
    ring.append(Level::Warning, "outer", 7, format_args!("before{inner}after{}", "x".repeat(200)));
    let parts: Vec<_> = (0..ring.end()).map(|sequence| record(&ring, sequence)).collect();
    let outer: String = parts.iter().filter(|part| part.ticks() == 7).map(|&part| text(part)).collect();
    assert_eq!(outer, format!("before between after{}", "x".repeat(200)));
    assert_eq!(text(parts[1]), "inner");
    // The room that was reserved at first is used up, then the text goes on behind the other record.
    assert_eq!(parts[0].len(), 128);
    assert!(parts[2].is_continuation() && parts[2].level() == Level::Warning);
}

#[test]
fn a_display_that_overwrites_its_own_record_spoils_no_other() {
    let memory = Memory::new(16, 64);
    let ring = memory.ring();
    let flood = Calls::new(|f: &mut fmt::Formatter<'_>| {
        for number in 0..100 {
            append(&ring, &format!("flood {number}"));
        }
        f.write_str("too late")
    });
    ring.append(Level::Info, "outer", 0, format_args!("begun {flood}"));
    let found = texts(&ring);
    assert!(found.len() >= 5);
    assert!(found.iter().all(|(sequence, text)| *text == format!("flood {}", sequence - 1)));
}

#[test]
fn a_record_can_be_read_while_it_is_written() {
    let memory = Memory::new(16, 256);
    let ring = memory.ring();
    let look = Calls::new(|f: &mut fmt::Formatter<'_>| {
        let Read::Unfinished(record) = ring.read(0) else { panic!("{:?}", ring.read(0)) };
        assert!(record.is_cut() && record.is_intact());
        assert_eq!(text(record), "what there is");
        assert!(matches!(ring.read(1), Read::End));
        f.write_str(", and more")
    });
    ring.append(Level::Info, "", 0, format_args!("what there is{look}"));
    assert_eq!(text(record(&ring, 0)), "what there is, and more");
}

#[test]
fn a_display_that_fails_leaves_what_it_wrote() {
    let memory = Memory::new(16, 256);
    let ring = memory.ring();
    let fails = Calls::new(|_: &mut fmt::Formatter<'_>| Err(fmt::Error));
    ring.append(Level::Info, "", 0, format_args!("before {fails} after"));
    assert_eq!(text(record(&ring, 0)), "before ");
}

#[test]
fn unused_room_is_given_back() {
    let memory = Memory::new(64, 256);
    let ring = memory.ring();
    for number in 0..32 {
        append(&ring, &format!("{number:08}"));
    }
    // Three words of header, one of module path, one of text.
    assert_eq!(ring.end() - ring.first(), 32);
    assert_eq!(ring.head().position, 32 * 5);
}

#[test]
fn a_ring_without_room_drops_and_counts() {
    for (index, data) in [(0, 1024), (1024, 0), (16, 15)] {
        let memory = Memory::new(index, data);
        let ring: Ring<'_> = memory.ring();
        append(&ring, "text");
        assert_eq!((ring.end(), ring.dropped()), (0, 1));
        assert!(matches!(ring.read(0), Read::End));
    }
}

#[test]
fn an_overwritten_record_is_not_intact() {
    let memory = Memory::new(16, 64);
    let ring = memory.ring();
    append(&ring, "the first");
    let first = record(&ring, 0);
    while ring.first() == 0 {
        assert!(first.is_intact());
        append(&ring, "another one");
    }
    assert!(!first.is_intact());
    let resume = ring.first();
    assert!(matches!(ring.read(0), Read::Lost { resume: found } if found == resume));
}
