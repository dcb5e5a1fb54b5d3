//! What an idle sender takes, counted by the allocator: the same on each machine.

use netconsole_receiver::event::Event;
use netconsole_receiver::senders::Senders;
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

const START: Duration = Duration::from_secs(1_700_000_000);
/// A quarter of a hundred thousand: the tables are as full as with all.
const SENDERS: u32 = 25_000;
/// What a hundred thousand may take: of 100 MiB (`scripts/bench --memory`) the rest is for the program itself, its threads and what the allocator adds.
const MOST: usize = 82 << 20;
/// More than what is remembered of the first and the last.
const RECORDS: u64 = 20;

fn address(number: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(0x0a00_0000 + number), 6665))
}

/// Takes the records of each, with what is asked and answered in between; then nothing comes for a minute.
fn serve(senders: &mut Senders, mut each: impl FnMut(&Event)) {
    let mut now = START;
    let mut heard = Vec::new();
    for sequence in 0..RECORDS {
        for number in 0..SENDERS {
            let datagram = format!("6,{sequence},{},-;text\n", sequence * 1_000_000 + u64::from(number));
            now = START + Duration::from_secs(sequence) + Duration::from_micros(number.into());
            senders.datagram(address(number), 0, datagram.as_bytes(), now, &mut heard);
            heard.drain(..).for_each(|heard| each(&heard.event));
        }
        senders.tick(now, &mut heard);
        senders.answers(now);
    }
    for second in 0..60 {
        let now = now + Duration::from_secs(second);
        senders.tick(now, &mut heard);
        senders.answers(now);
        heard.drain(..).for_each(|heard| each(&heard.event));
    }
}

#[test]
fn a_hundred_thousand_senders_take_less_than_82_mib() {
    let (mut records, mut others) = (0, 0);
    let mut senders = Senders::new(HashMap::new(), true);
    let taken = allocation_counter::measure(|| {
        serve(&mut senders, |event| match event {
            Event::Record { .. } => records += 1,
            _ => others += 1,
        });
    });
    assert_eq!(senders.count(), SENDERS as usize);
    assert_eq!(
        (records, others),
        (RECORDS * u64::from(SENDERS), 0),
        "nobody joined late, or misses anything"
    );
    let each =
        usize::try_from(taken.bytes_current).expect("more is taken than given back") / SENDERS as usize;
    assert!(each * 100_000 < MOST, "{each} bytes a sender");
}

/// Behind a gap very many records may wait, which come at once when it closes: what that takes is given back.
#[test]
fn a_burst_leaves_no_memory_taken() {
    const RECORDS: u64 = 10_000;
    let mut senders = Senders::new(HashMap::new(), true);
    let mut records = 0;
    let taken = allocation_counter::measure(|| {
        let mut heard = Vec::new();
        for sequence in [0].into_iter().chain(2..RECORDS).chain([1]) {
            let datagram = format!("6,{sequence},{sequence},-;text\n");
            senders.datagram(address(0), 0, datagram.as_bytes(), START, &mut heard);
        }
        records = heard.iter().filter(|heard| matches!(heard.event, Event::Record { .. })).count();
    });
    assert_eq!(records as u64, RECORDS);
    assert!(taken.bytes_max > 4 << 20, "{} bytes at most", taken.bytes_max);
    assert!(taken.bytes_current < 512 << 10, "{} bytes", taken.bytes_current);
}

/// The names and counts of those that had to go, and the tables' spare room.
const BESIDE: usize = 4 << 20;

/// The limit is memory, not a number: twice as much holds twice as many, and little more than it is taken.
#[test]
fn what_is_known_of_senders_fits_into_its_memory() {
    let known = [8 << 20, 16 << 20].map(|memory| {
        let mut senders = Senders::new(HashMap::new(), true).with_memory(memory);
        let taken = allocation_counter::measure(|| {
            let mut heard = Vec::new();
            for number in 0..SENDERS {
                let now = START + Duration::from_micros(number.into());
                senders.datagram(address(number), 0, b"6,0,0,-;text\n", now, &mut heard);
                heard.clear();
            }
        });
        let taken = usize::try_from(taken.bytes_current).expect("more than nothing");
        let most = memory + BESIDE;
        assert!(taken <= most, "{} senders take {taken} bytes, not {most}", senders.count());
        senders.count()
    });
    assert!(known[0] > 5000 && known[0] * 2 <= known[1] && known[1] <= known[0] * 2 + 1, "{known:?}");
    assert!(known[1] < SENDERS as usize, "there were more than fit");
}
