//! The logs of five real crashes, against what the serial console and /dev/kmsg of the dead kernels said.

mod image;

use image::{Image, NAMES, basic, extended, text};
use linuxlog::{Count, Crash, LogError, Memory, OpenError, Read, scan};

fn assert_same_lines(name: &str, found: &str, expected: &str) {
    for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "{name}, line {}", number + 1);
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "{name}: lines");
}

#[test]
fn every_record_of_each_crash_is_read_as_linux_would_have_printed_it() {
    for name in NAMES {
        let image = Image::load(name);
        let crash = Crash::open(&image, Image::core_header(name)).expect(name);
        let log = crash.log().expect(name);
        assert_same_lines(name, &basic(&log), &text(&format!("{name}.basic.txt")));
        assert_same_lines(name, &extended(&log), &text(&format!("{name}.extended.txt")));
        assert!(matches!(log.read(log.end()), Read::End));
    }
}

/// Linux 5.4 exports no number, and its ring has not wrapped: as if it had, the numbers beside what it exports are changed.
#[test]
fn of_an_old_linux_the_first_number_is_found_beside_what_it_exports() {
    const FIRST: usize = 0xe40;
    const NEXT: usize = 0xe30;
    let name = "5.4-log_buf_len-4M";
    let mut image = Image::load(name);
    let count = Crash::open(&image, Image::core_header(name)).expect(name).log().expect(name).end();
    let page = image.addresses().into_iter().find(|&address| {
        let page = image.page_mut(address);
        page[FIRST..FIRST + 8] == [0; 8] && page[NEXT..NEXT + 8] == count.to_le_bytes()
    });
    let page = page.expect("log_first_seq and log_next_seq");
    for (first, next, expected) in [(1000, 1000 + count, 1000), (1000, 1001 + count, 0), (7, 3, 0)] {
        image.page_mut(page)[FIRST..FIRST + 8].copy_from_slice(&u64::to_le_bytes(first));
        image.page_mut(page)[NEXT..NEXT + 8].copy_from_slice(&u64::to_le_bytes(next));
        let crash = Crash::open(&image, Image::core_header(name)).expect(name);
        let log = crash.log().expect(name);
        assert_eq!((log.first(), log.end()), (expected, expected + count));
        assert_same_lines(name, &basic(&log), &text(&format!("{name}.basic.txt")));
        assert!(extended(&log).split(',').nth(1) == Some(&expected.to_string()), "the records have them");
        assert!(log.count().overwritten == expected && log.count().whole == count, "{:?}", log.count());
    }
}

#[test]
fn the_kernel_names_itself() {
    let releases = [
        "5.4.0-150-generic",
        "6.1.",
        "6.12.117+deb13-cloud-amd64",
        "7.2.13+deb14-cloud-amd64",
        "7.2.13+deb14-cloud-amd64",
    ];
    for (name, release) in NAMES.into_iter().zip(releases) {
        let image = Image::load(name);
        let crash = Crash::open(&image, Image::core_header(name)).expect(name);
        assert!(crash.info().release.as_str().starts_with(release), "{name}: {}", crash.info().release);
        assert!(crash.info().crash_time.is_some_and(|time| time > 1_700_000_000), "{name}");
    }
}

#[test]
fn a_scan_finds_the_note_and_the_page_tables_lead_to_the_same_log() {
    for name in NAMES {
        let image = Image::load(name);
        let addresses = image.addresses();
        let (first, last) = (addresses[0], addresses[addresses.len() - 1]);
        let crashes: Vec<_> = scan(&image, first..last + 4096).collect();
        assert_eq!(crashes.len(), 1, "{name}");
        let log = crashes[0].log().expect(name);
        assert_same_lines(name, &basic(&log), &text(&format!("{name}.basic.txt")));
    }
}

#[test]
fn what_is_not_there_is_said() {
    let name = "6.12";
    let image = Image::load(name);
    let at = Image::core_header(name);
    assert_eq!(
        Crash::open(&image, at + 4096).err().map(|error| error.to_string()),
        Some(format!("memory at {:#x} can't be read", at + 4096))
    );
    let elsewhere = image.addresses()[0];
    assert_eq!(Crash::open(&image, elsewhere).err(), Some(OpenError::NoCoreHeader(elsewhere)));

    let mut damaged = image.clone();
    // The type of the first program header, and so of the notes.
    let page = damaged.page_mut(at);
    for number in 0..64 {
        page[64 + number * 56] = 9;
    }
    assert_eq!(Crash::open(&damaged, at).err(), Some(OpenError::NoVmCoreInfo));

    // Without the ring's own head there is no log.
    let crash = Crash::open(&image, at).expect("it is whole");
    let mut pointer = [0; 8];
    crash.read(crash.info().prb.expect("it is exported"), &mut pointer).expect("it is there");
    let prb = crash.info().prb.expect("it is exported") - 0xffff_ffff_8000_0000;
    let physical = prb.wrapping_add(crash.info().phys_base.expect("it is exported"));
    let mut torn = image.clone();
    torn.remove(physical & !4095);
    let crash = Crash::open(&torn, at).expect("the note is whole");
    assert!(matches!(crash.log().err(), Some(LogError::Unreadable(_))));
}

/// A CPU that never answered has an empty segment of notes, and keeps its number.
#[test]
fn a_cpu_has_the_number_of_its_segment() {
    let name = "6.12";
    let (mut image, at) = (Image::load(name), Image::core_header(name));
    let numbers = |image: &Image| {
        let crash = Crash::open(image, at).expect("it is whole");
        let numbers: Vec<usize> = crash.cpus().map(|cpu| cpu.number).collect();
        numbers
    };
    assert_eq!(numbers(&image), [0]);
    // The last program header, of memory, becomes the notes of another CPU, behind VMCOREINFO's, then the first is empty.
    let page = image.page_mut(at);
    let last = 64 + (usize::from(page[56]) - 1) * 56;
    page.copy_within(64..64 + 56, last);
    assert_eq!(numbers(&image), [0, 2]);
    image.page_mut(at)[64 + 32..64 + 40].fill(0);
    assert_eq!(numbers(&image), [2]);
}

/// The page and the offset in it where the sequence number of the oldest record is.
fn oldest_number(image: &Image, at: u64) -> (u64, usize) {
    let crash = Crash::open(image, at).expect("it is whole");
    let info = crash.info();
    let word = |address: u64| {
        let mut bytes = [0; 8];
        crash.read(address, &mut bytes).expect("it is there");
        u64::from_le_bytes(bytes)
    };
    let ring = word(info.prb.expect("a number")) + info.ringbuffer_desc_ring.expect("a number");
    let field = |offset: Option<u64>| word(ring + offset.expect("a number"));
    let mask = (1 << (field(info.desc_ring_count_bits) & 31)) - 1;
    // The very first descriptor has no record.
    let place = (field(info.desc_ring_tail_id) + 1) & mask;
    let size = info.info_size.expect("a number");
    let mut bytes = vec![0; size as usize];
    crash.read(field(info.desc_ring_infos) + place * size, &mut bytes).expect("it is there");
    let mut found = image.clone();
    let mut places = image.addresses().into_iter().filter_map(|address| {
        let offset = found.page_mut(address).windows(bytes.len()).position(|window| window == bytes)?;
        Some((address, offset + info.info_seq.expect("a number") as usize))
    });
    let place = places.next().expect("it is in a page");
    assert_eq!(places.next(), None, "it is in one place");
    place
}

#[test]
fn a_damaged_number_costs_only_its_record() {
    for name in ["6.1", "6.12", "7.2"] {
        let (image, at) = (Image::load(name), Image::core_header(name));
        let expected = text(&format!("{name}.extended.txt"));
        let (_, others) = expected.split_once("\n").expect("lines");
        assert!(!others.starts_with(' '));
        let (page, offset) = oldest_number(&image, at);
        for number in [7, 1 << 34, (1 << 36) + 5, u64::MAX >> 2, u64::MAX - 9, u64::MAX] {
            let mut damaged = image.clone();
            damaged.page_mut(page)[offset..offset + 8].copy_from_slice(&u64::to_le_bytes(number));
            let crash = Crash::open(&damaged, at).expect(name);
            let log = crash.log().expect(name);
            assert_same_lines(&format!("{name}, {number:#x}"), &extended(&log), others);
        }
    }
}

#[test]
fn a_lost_page_costs_only_its_records() {
    let name = "6.12";
    let expected = text("6.12.basic.txt");
    let image = Image::load(name);
    let at = Image::core_header(name);
    let whole = extended_lines(&image, at);
    // The texts are the largest part of the image.
    for address in image.addresses().into_iter().skip(40).step_by(7) {
        let mut torn = image.clone();
        torn.remove(address);
        let Ok(crash) = Crash::open(&torn, at) else { continue };
        let Ok(log) = crash.log() else { continue };
        let found = basic(&log);
        let lines: Vec<&str> = found.lines().collect();
        assert!(lines.iter().all(|line| expected.lines().any(|whole| whole == *line)), "{address:#x}");
        assert!(lines.len() + 120 > whole, "{address:#x}: {} of {whole}", lines.len());
    }
}

/// In a ring that has wrapped the oldest descriptors are there, and their texts are others'.
#[test]
fn what_is_before_the_first_whole_record_was_overwritten_and_what_is_missing_later_is_unreadable() {
    let name = "6.12";
    let mut image = Image::load(name);
    let at = Image::core_header(name);
    let (states, whole) = {
        let crash = Crash::open(&image, at).expect("it is whole");
        let count = crash.log().expect("it is whole").count();
        assert_eq!((count.first, count.overwritten, count.unfinished, count.unreadable), (0, 0, 0, 0));
        let info = crash.info();
        let offset = |offset: Option<u64>| offset.expect("it is exported");
        let ring = word(&crash, offset(info.prb)) + offset(info.ringbuffer_desc_ring);
        let descriptors = word(&crash, ring + offset(info.desc_ring_descs));
        // The very first descriptor has no record.
        let first = word(&crash, ring + offset(info.desc_ring_tail_id)) + 1;
        let mask = (1 << (word(&crash, ring + offset(info.desc_ring_count_bits)) & 0xff)) - 1;
        let state = |number: u64| {
            let place = (first + number) & mask;
            let state = descriptors + place * offset(info.desc_size) + offset(info.desc_state_var);
            state.wrapping_sub(0xffff_ffff_8000_0000).wrapping_add(offset(info.phys_base))
        };
        ([0, 1, 2, 3, 4, 20, 21].map(state), count.whole)
    };
    for state in states {
        // Reusable.
        image.page_mut(state & !4095)[(state % 4096) as usize + 7] |= 0xc0;
    }
    let crash = Crash::open(&image, at).expect("it is whole");
    let count = crash.log().expect("the rest is whole").count();
    let expected = Count { first: 5, whole: whole - 7, overwritten: 5, unfinished: 0, unreadable: 2 };
    assert_eq!(count, expected);
}

fn word(crash: &Crash<'_, Image>, address: u64) -> u64 {
    let mut bytes = [0; 8];
    crash.read(address, &mut bytes).expect("it is there");
    u64::from_le_bytes(bytes)
}

fn extended_lines<M: Memory>(memory: &M, at: u64) -> usize {
    let crash = Crash::open(memory, at).expect("it is whole");
    basic(&crash.log().expect("it is whole")).lines().count()
}
