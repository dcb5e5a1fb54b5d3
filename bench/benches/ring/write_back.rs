//! What it costs that a record is in memory, not only in the CPU's caches, when it is done: the ring as it is, with each
//! line written back (as the kernel does, src/machine/cache.rs), and with each word written back by itself.
//!
//! The last stands for a ring that is mapped write-through, which no program can have: there, too, each store goes to
//! memory by itself. What such a mapping costs beyond that, the whole bus for each locked instruction, is not in it.

use crate::{BATCH, ring_memory};
use criterion::{Criterion, Throughput};
use netconsole::ring::{Level, Ring, WriteBack};
use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _mm_clflush};
use std::sync::atomic::{AtomicU64, Ordering};

/// The size of a cache's line, in bytes.
const LINE: usize = 64;

/// Calls `flush` with each line of a record and with that of its index's word.
fn each_line(record: &[AtomicU64], entry: &AtomicU64, flush: impl Fn(*const AtomicU64)) {
    let begins_line = |word: &AtomicU64| std::ptr::from_ref(word).addr().is_multiple_of(LINE);
    for (number, word) in record.iter().enumerate() {
        if number == 0 || begins_line(word) {
            flush(word);
        }
    }
    flush(entry);
}

fn clwb(line: *const AtomicU64) {
    // SAFETY: it is a word's address, and what it holds stays. `ways` looks whether the CPU has the instruction.
    unsafe { asm!("clwb [{}]", in(reg) line, options(nostack, preserves_flags)) };
}

fn clflushopt(line: *const AtomicU64) {
    // SAFETY: as of `clwb`.
    unsafe { asm!("clflushopt [{}]", in(reg) line, options(nostack, preserves_flags)) };
}

fn clflush(line: *const AtomicU64) {
    // SAFETY: it is a word's address; every CPU with 64-bit mode has the instruction.
    unsafe { _mm_clflush(line.cast()) };
}

/// As many writes to memory as a write-through mapping makes: each word is stored again, and written back.
fn each_word(record: &[AtomicU64], entry: &AtomicU64, flush: impl Fn(*const AtomicU64)) {
    for word in record.iter().chain([entry]) {
        word.store(word.load(Ordering::Relaxed), Ordering::Relaxed);
        flush(word);
    }
}

/// The ways that this CPU has.
fn ways() -> Vec<(&'static str, Option<WriteBack>)> {
    // Intel SDM volume 2, CPUID, leaf 7, EBX bits 23 and 24.
    let features = if __cpuid(0).eax >= 7 { __cpuid_count(7, 0).ebx } else { 0 };
    let mut ways: Vec<(&str, Option<WriteBack>)> = vec![
        ("in the caches", None),
        ("each line, clflush", Some(|record, entry| each_line(record, entry, clflush))),
        ("each word, clflush", Some(|record, entry| each_word(record, entry, clflush))),
    ];
    if features & 1 << 23 != 0 {
        ways.push(("each line, clflushopt", Some(|record, entry| each_line(record, entry, clflushopt))));
        ways.push(("each word, clflushopt", Some(|record, entry| each_word(record, entry, clflushopt))));
    }
    if features & 1 << 24 != 0 {
        ways.push(("each line, clwb", Some(|record, entry| each_line(record, entry, clwb))));
        ways.push(("each word, clwb", Some(|record, entry| each_word(record, entry, clwb))));
    }
    ways
}

pub fn records(criterion: &mut Criterion) {
    let (header, index, data) = ring_memory();
    let mut group = criterion.benchmark_group(format!("{BATCH} records of 66 bytes, written back"));
    group.throughput(Throughput::Elements(BATCH));
    for (name, way) in ways() {
        let ring = Ring::new(&header, &index, &data);
        let ring = match way {
            Some(way) => ring.written_back_by(way),
            None => ring,
        };
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for ticks in 0..BATCH {
                    let text = format_args!(
                        "a text of sixty-six bytes, which is what a line of a log has: {ticks:04}"
                    );
                    ring.append(Level::Info, "bench::records", ticks, text);
                }
            });
        });
    }
}
