//! A machine that runs: what it sends is recorded, and it is gone when the test is.

use super::cable::Cable;
use super::capture::{Capture, Delivery};
use super::record::{Events, Record, Sent};
use super::vhost_user::Lie;
use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub struct Machine {
    child: Child,
    cables: Vec<Cable>,
    record: Arc<Record>,
    serial_reader: Option<JoinHandle<()>>,
    listener: UnixListener,
    monitor: Option<UnixStream>,
    files: PathBuf,
    sockets: PathBuf,
    delivery: Delivery,
    deadline: Instant,
}

impl Machine {
    #[expect(clippy::too_many_arguments, reason = "the parts that Boot::start made, moved in once")]
    pub(super) fn new(
        mut child: Child,
        listener: UnixListener,
        cables: Vec<Cable>,
        record: Arc<Record>,
        files: PathBuf,
        sockets: PathBuf,
        delivery: Delivery,
        deadline: Instant,
    ) -> Self {
        let mut serial = child.stdout.take().expect("QEMU's output is piped");
        let events = Arc::clone(&record);
        let serial_reader = Some(thread::spawn(move || {
            let mut buffer = [0; 4096];
            // QEMU's end closes the pipe.
            while let Ok(length @ 1..) = serial.read(&mut buffer) {
                events.add(|events| events.serial.extend_from_slice(&buffer[..length]));
            }
            events.add(|events| events.ended = true);
        }));
        Self {
            child,
            cables,
            record,
            serial_reader,
            listener,
            monitor: None,
            files,
            sockets,
            delivery,
            deadline,
        }
    }

    /// Waits until `look` finds what it looks for; fails, naming `what`, when the boot's time is over.
    pub fn wait_for<T>(&self, what: &str, look: impl FnMut(&Events) -> Option<T>) -> T {
        self.record.wait(self.deadline, look).unwrap_or_else(|| {
            let serial = String::from_utf8_lossy(&self.record.events().serial).into_owned();
            panic!("timeout waiting for {what}; files in {}; serial:\n{serial}", self.files.display())
        })
    }

    /// Waits for `time` at most until `look` finds what it looks for.
    pub fn look_for<T>(&self, time: Duration, look: impl FnMut(&Events) -> Option<T>) -> Option<T> {
        self.record.wait(Instant::now() + time, look)
    }

    /// Waits until a datagram to `target` contains `text`; returns when that was sent.
    pub fn wait_for_text(&self, target: &str, text: &str) -> Instant {
        let target: SocketAddr = target.parse().expect("an address and port");
        let mut seen = 0;
        self.wait_for(&format!("'{text}' at {target}"), |events| {
            let new = seen;
            seen = events.sent.len();
            let mut sent = events.sent[new..].iter();
            sent.find(|sent| {
                sent.datagram().is_some_and(|(to, payload)| to == target && contains(payload, text))
            })
            .map(|sent| sent.at)
        })
    }

    /// Waits until the serial console has shown `text`.
    pub fn wait_for_serial(&self, text: &str) {
        self.wait_for(&format!("'{text}' on serial"), |events| contains(&events.serial, text).then_some(()))
    }

    /// Types on the serial console; a line's end is `\r`.
    pub fn type_in(&mut self, keys: &str) {
        let serial = self.child.stdin.as_mut().expect("QEMU's input is piped");
        serial.write_all(keys.as_bytes()).expect("QEMU reads its input");
    }

    /// Types a command, and returns what it shows until the prompt comes back.
    pub fn command(&mut self, line: &str) -> String {
        // What the prompt says of itself comes once, when the boot is over.
        self.wait_for_serial("Type 'help'");
        let before = self.record.events().serial.clone();
        // From the prompt on.
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        self.type_in(&format!("{line}\r"));
        let typed = format!("# {line}\r\n");
        self.wait_for(&format!("the end of '{line}'"), |events| {
            // What the log showed in between has its own lines; an erased line ends where it began.
            let shown = String::from_utf8_lossy(&events.serial[start..]).replace("\r\x1b[K", "");
            let (_, answer) = shown.split_once(&typed)?;
            let answer = answer.replace("\r\n", "\n");
            let (answer, prompt) = answer.rsplit_once('\n').unwrap_or(("", &answer));
            prompt.ends_with("# ").then(|| format!("{answer}\n").trim_start_matches('\n').to_string())
        })
    }

    /// What the serial console has shown.
    pub fn serial(&self) -> String {
        String::from_utf8_lossy(&self.record.events().serial).into_owned()
    }

    /// How many datagrams went to `target` so far.
    pub fn count(&self, target: &str) -> usize {
        let target: SocketAddr = target.parse().expect("an address and port");
        let events = self.record.events();
        events.sent.iter().filter(|sent| sent.datagram().is_some_and(|(to, _)| to == target)).count()
    }

    /// Fails if the kernel sends a datagram to `target` within `duration`.
    pub fn nothing_comes_to(&self, target: &str, duration: Duration) {
        let target: SocketAddr = target.parse().expect("an address and port");
        let found = self.record.wait(Instant::now() + duration, |events| {
            let mut datagrams = events.sent.iter().filter_map(|sent| sent.datagram());
            datagrams.find(|(to, _)| *to == target).map(|(_, payload)| payload.to_vec())
        });
        if let Some(payload) = found {
            panic!("{target} got {:?}", String::from_utf8_lossy(&payload));
        }
    }

    /// Fails if the kernel sends any frame within `duration`.
    pub fn nothing_more_comes(&self, duration: Duration) {
        let before = self.record.events().sent.len();
        let more = self.record.wait(Instant::now() + duration, |events| {
            events.sent.get(before).map(|sent| format!("{:?}", sent.frame))
        });
        assert_eq!(more, None, "files in {}", self.files.display());
    }

    /// Waits until the kernel has sent nothing for `duration`.
    pub fn wait_until_quiet(&self, duration: Duration) {
        loop {
            let before = self.record.events().sent.len();
            let more = self
                .record
                .wait(Instant::now() + duration, |events| (events.sent.len() > before).then_some(()));
            if more.is_none() {
                return;
            }
            assert!(Instant::now() < self.deadline, "the kernel goes on sending");
        }
    }

    /// Fails if the kernel sends a datagram besides the first `count` within `duration`.
    pub fn nothing_new(&self, count: usize, duration: Duration) {
        let found = self.record.wait(Instant::now() + duration, |events| {
            let mut datagrams = events.sent.iter().filter_map(|sent| sent.datagram());
            datagrams.nth(count).map(|(to, payload)| (to, payload.to_vec()))
        });
        if let Some((to, payload)) = found {
            panic!("{to} got {:?}", String::from_utf8_lossy(&payload));
        }
    }

    /// Has QEMU's monitor carry out a command, waits until it has, and gives its answer.
    pub fn monitor(&mut self, command: &str) -> String {
        const PROMPT: &[u8] = b"(qemu) ";
        if self.monitor.is_none() {
            let (stream, _) = self.listener.accept().expect("QEMU connects its monitor");
            self.monitor = Some(stream);
            self.monitor_answer(PROMPT);
        }
        let stream = self.monitor.as_mut().expect("connected above");
        stream.write_all(format!("{command}\n").as_bytes()).expect("the monitor takes a command");
        self.monitor_answer(PROMPT)
    }

    /// Does something while the machine stands still.
    pub fn while_stopped<T>(&mut self, what: impl FnOnce() -> T) -> T {
        self.monitor("stop");
        let done = what();
        self.monitor("cont");
        done
    }

    fn monitor_answer(&mut self, end: &[u8]) -> String {
        let stream = self.monitor.as_mut().expect("the monitor is connected");
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(end) {
            stream.read_exact(&mut byte).expect("the monitor answers");
            answer.push(byte[0]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The frames that the kernel sent after the first `seen`; waits this long for one.
    pub fn sent_after(&self, seen: usize, patience: Duration) -> Vec<Sent> {
        let new =
            |events: &Events| events.sent.get(seen..).filter(|new| !new.is_empty()).map(<[Sent]>::to_vec);
        self.record.wait(Instant::now() + patience, new).unwrap_or_default()
    }

    /// Sends a frame to a NIC.
    pub fn send(&self, nic: usize, frame: &[u8]) {
        self.cables[nic].send(frame);
    }

    /// Has a switch's port not forward what a NIC sends: the capture has it, and no station hears it.
    pub fn block(&self, nic: usize) {
        self.cables[nic].block(true);
    }

    /// Has the port forward from now on.
    pub fn unblock(&self, nic: usize) {
        self.cables[nic].block(false);
    }

    /// Sends a frame to a NIC that the capture is not to have, as Wireshark would find it malformed. False where
    /// the machine has ended.
    pub fn throw(&self, nic: usize, frame: &[u8]) -> bool {
        self.cables[nic].throw(frame)
    }

    /// Has the first NIC's card lie about its queue of this number.
    pub fn tell(&self, lie: Lie, queue: usize) {
        self.cables[0].tell(lie, queue);
    }

    /// What the kernel has sent so far.
    pub fn sent(&self) -> Vec<Sent> {
        self.record.events().sent.clone()
    }

    /// How much CPU time QEMU has used.
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("QEMU runs");
        // proc(5): utime and stime are fields 14 and 15, in ticks of 10 ms; the name before may have spaces.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
        let ticks = |index: usize| fields[index].parse::<u64>().expect("a number of ticks");
        Duration::from_millis(10 * (ticks(11) + ticks(12)))
    }

    /// Waits until the CPU has nearly nothing to do.
    pub fn wait_until_idle(&self) {
        const LOOK: Duration = Duration::from_millis(300);
        let mut before = self.cpu_time();
        // There is no event for it: QEMU's CPU time is looked at instead.
        while Instant::now() < self.deadline {
            thread::sleep(LOOK);
            let now = self.cpu_time();
            if now - before < LOOK / 5 {
                return;
            }
            before = now;
        }
        panic!("the CPU does not come to rest; files in {}", self.files.display());
    }

    /// Waits until the kernel ends the machine.
    pub fn end(mut self) -> Capture {
        self.wait_for("the machine's end", |events| events.ended.then_some(()));
        let status = self.child.wait().expect("QEMU's exit status");
        if let Some(signal) = status.signal() {
            let said = fs::read_to_string(self.files.join("qemu.log")).unwrap_or_default();
            panic!(
                "QEMU itself died of signal {signal}; files in {}; it said:\n{said}",
                self.files.display()
            );
        }
        self.finish(Some(status))
    }

    /// Ends the machine, as a power cut does.
    pub fn stop(mut self) -> Capture {
        let ended = self.record.events().ended;
        assert!(!ended, "the machine ended by itself; files in {}", self.files.display());
        self.kill();
        self.finish(None)
    }

    fn kill(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn finish(&mut self, status: Option<ExitStatus>) -> Capture {
        if let Some(reader) = self.serial_reader.take() {
            reader.join().expect("the serial console was read");
        }
        self.cables.iter_mut().for_each(Cable::cut);
        let mut events = self.record.events();
        let serial = String::from_utf8_lossy(&events.serial).replace("\r\n", "\n");
        fs::write(self.files.join("serial.log"), &serial).expect("target/tests is writable");
        let capture = Capture {
            sent: std::mem::take(&mut events.sent),
            serial,
            status: status.and_then(|status| status.code()),
            pcaps: self.cables.iter().map(|cable| cable.pcap_path.clone()).collect(),
        };
        drop(events);
        capture.check(self.delivery);
        capture
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
        self.cables.iter_mut().for_each(Cable::cut);
        let serial = self.record.events().serial.clone();
        let _ = fs::write(self.files.join("serial.log"), serial);
        let _ = fs::remove_dir_all(&self.sockets);
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}
