//! The log ring on the host: what a record costs its writers on 1 and 2 threads, beside another ring without
//! `std`, `log_buffer`'s, which keeps text alone and wants a lock, and beside the plainest thing that `log` and
//! `tracing` can be given: texts in a vector behind a lock.

mod write_back;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use log::Log;
use log_buffer::LogBuffer;
use netconsole::ring::{Level, Ring, RingHeader};
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};

/// As many texts as the ring of 256 KiB holds.
const CAPACITY: usize = 2000;

/// The plain back end.
struct Texts(Mutex<Vec<String>>);

impl Texts {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn push(&self, text: String) {
        if let Ok(mut texts) = self.0.lock() {
            if texts.len() == CAPACITY {
                texts.clear();
            }
            texts.push(text);
        }
    }
}

impl Log for Texts {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.push(format!("{} {}: {}", record.level(), record.target(), record.args()));
    }

    fn flush(&self) {}
}

/// The same for `tracing`.
struct Subscriber(Texts);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "{value:?}");
    }
}

impl tracing::Subscriber for Subscriber {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let metadata = event.metadata();
        let mut text = Text(format!("{} {}: ", metadata.level(), metadata.target()));
        event.record(&mut text);
        self.0.push(text.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// How many records one iteration writes, so that starting the threads does not count.
const BATCH: u64 = 10_000;

/// How long `batches` take that `threads` threads write together.
fn time(threads: u64, batches: u64, write: impl Fn(u64) + Sync) -> Duration {
    let together = Barrier::new(threads as usize + 1);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..threads)
            .map(|thread| {
                let (write, together) = (&write, &together);
                scope.spawn(move || {
                    together.wait();
                    (thread..batches * BATCH).step_by(threads as usize).for_each(write);
                })
            })
            .collect();
        together.wait();
        let start = Instant::now();
        for writer in writers {
            writer.join().expect("writing does not panic");
        }
        start.elapsed()
    })
}

/// Memory for a ring of 256 KiB.
fn ring_memory() -> (RingHeader, Vec<AtomicU64>, Vec<AtomicU64>) {
    let zeros = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect();
    (RingHeader::new(), zeros(4096), zeros(32768))
}

fn records(criterion: &mut Criterion) {
    let (header, index, data) = ring_memory();
    let ring = Ring::new(&header, &index, &data);
    let ticks = AtomicU64::new(0);
    let plain = Texts::new();
    let buffer = Mutex::new(LogBuffer::new(vec![0; 256 << 10]));
    // This benchmark is the whole program, so that it is the only one to set it.
    tracing::subscriber::set_global_default(Subscriber(Texts::new())).expect("there is no other subscriber");

    log::set_max_level(log::LevelFilter::Trace);

    for threads in [1, 2] {
        let mut group = criterion.benchmark_group(format!("{BATCH} records, {threads} threads"));
        group.throughput(Throughput::Elements(BATCH));
        group.bench_function("netconsole's ring, text", |bencher| {
            bencher.iter_custom(|count| {
                time(threads, count, |_| {
                    let ticks = ticks.fetch_add(1, Ordering::Relaxed);
                    ring.append(
                        Level::Info,
                        "bench::records",
                        ticks,
                        format_args!("a text that is always the same"),
                    );
                })
            })
        });
        group.bench_function("netconsole's ring, formatted", |bencher| {
            bencher.iter_custom(|count| {
                time(threads, count, |number| {
                    let ticks = ticks.fetch_add(1, Ordering::Relaxed);
                    ring.append(
                        Level::Info,
                        "bench::records",
                        ticks,
                        format_args!("message {number} of many"),
                    );
                })
            })
        });
        group.bench_function("log_buffer's ring behind a lock", |bencher| {
            bencher.iter_custom(|count| {
                time(threads, count, |number| {
                    if let Ok(mut buffer) = buffer.lock() {
                        // Writing to it does not fail.
                        let _ = writeln!(buffer, "INFO bench::records: message {number} of many");
                    }
                })
            })
        });
        group.bench_function("log, texts behind a lock", |bencher| {
            bencher.iter_custom(|count| {
                time(threads, count, |number| {
                    log::info!(logger: plain, "message {number} of many");
                })
            })
        });
        group.bench_function("tracing, texts behind a lock", |bencher| {
            bencher.iter_custom(|count| {
                time(threads, count, |number| tracing::info!("message {number} of many"))
            })
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20);
    targets = records, write_back::records
}
criterion_main!(benches);
