//! The vhost-user protocol, as QEMU's documentation has it (docs/interop/vhost-user.rst): what QEMU tells of the
//! guest's memory and queues.

use super::memory::{Memory, Region};
use super::queue::Queue;
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::fs::File;
use std::io::{self, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;

/// The number of the queue in which the guest receives (virtio 1.2, section 5.1.2).
pub const RECEIVE: usize = 0;
/// The number of the queue in which it sends.
pub const TRANSMIT: usize = 1;

/// VIRTIO_F_VERSION_1, and VHOST_USER_F_PROTOCOL_FEATURES, without which QEMU does not start.
const FEATURES: u64 = 1 << 32 | 1 << 30;
/// None of the protocol's own.
const PROTOCOL_FEATURES: u64 = 0;
/// Of a message's flags: the protocol's version, and that it is an answer.
const ANSWER: u32 = 1 | 1 << 2;

mod request {
    pub const GET_FEATURES: u32 = 1;
    pub const SET_MEM_TABLE: u32 = 5;
    pub const SET_VRING_NUM: u32 = 8;
    pub const SET_VRING_ADDR: u32 = 9;
    pub const SET_VRING_BASE: u32 = 10;
    pub const GET_VRING_BASE: u32 = 11;
    pub const SET_VRING_KICK: u32 = 12;
    pub const SET_VRING_CALL: u32 = 13;
    pub const GET_PROTOCOL_FEATURES: u32 = 15;
}

/// What QEMU has told of a queue; it is in use from when its kick's descriptor comes until its base is asked for.
#[derive(Default)]
struct Ring {
    size: u16,
    base: u16,
    /// Where QEMU has the descriptors, the used ring and the available ring.
    addresses: [u64; 3],
    /// The eventfd that interrupts the guest.
    call: Option<File>,
}

/// The back end's end of the connection.
pub struct Connection {
    stream: UnixStream,
    /// How long the queues are at least, whatever QEMU says.
    least_size: u16,
    rings: [Ring; 2],
    /// The guest's memory.
    pub memory: Memory,
    /// The queues in use, by their numbers.
    pub queues: [Option<Queue>; 2],
}

impl Connection {
    /// QEMU has connected.
    pub fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            least_size: 0,
            rings: Default::default(),
            memory: Memory::default(),
            queues: [None; 2],
        }
    }

    /// Takes the queues for `size` entries long where the driver has chosen fewer. (QEMU 10 offers it 1,024 in any case.)
    pub fn ignore_sizes(&mut self, size: u16) {
        self.least_size = size;
    }

    /// Deals with a message, if there is one; whether there was. An error where QEMU has ended.
    pub fn poll(&mut self) -> io::Result<bool> {
        let mut header = [0; 12];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let length = match recvmsg(&self.stream, &mut [IoSliceMut::new(&mut header)], &mut control, flags) {
            Err(Errno::AGAIN) => return Ok(false),
            received => received?.bytes,
        };
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let rights = |message| match message {
            RecvAncillaryMessage::ScmRights(files) => Some(files),
            _ => None,
        };
        let files = control.drain().filter_map(rights).flatten().map(File::from).collect();
        self.stream.read_exact(&mut header[length..])?;
        let [request, _, size] =
            [0, 4, 8].map(|at| u32::from_ne_bytes(*header[at..].first_chunk().expect("4 bytes")));
        let mut payload = vec![0; size as usize];
        self.stream.read_exact(&mut payload)?;
        self.handle(request, &payload, files)?;
        Ok(true)
    }

    /// Interrupts the guest for what was given back in a queue, unless its driver does not want that.
    pub fn interrupt(&self, queue: usize) -> io::Result<()> {
        let wants = self.queues[queue].is_some_and(|queue| queue.wants_interrupt(&self.memory));
        let Some(mut call) = self.rings[queue].call.as_ref().filter(|_| wants) else { return Ok(()) };
        call.write_all(&1u64.to_ne_bytes())
    }

    fn handle(&mut self, request: u32, payload: &[u8], files: Vec<File>) -> io::Result<()> {
        let long = |number: usize| {
            payload
                .get(8 * number..)
                .and_then(|rest| rest.first_chunk())
                .map_or(0, |bytes| u64::from_ne_bytes(*bytes))
        };
        // "A vring state description": index and number.
        let (index, number) = ((long(0) & 1) as usize, (long(0) >> 32) as u16);
        match request {
            request::GET_FEATURES => return self.answer(request, &FEATURES.to_ne_bytes()),
            request::GET_PROTOCOL_FEATURES => return self.answer(request, &PROTOCOL_FEATURES.to_ne_bytes()),
            request::SET_MEM_TABLE => {
                let region = |first: usize| Region {
                    guest_address: long(first),
                    size: long(first + 1),
                    user_address: long(first + 2),
                    file_offset: long(first + 3),
                };
                let regions = (0..long(0) as u32 as usize).map(|number| region(1 + 4 * number));
                self.memory = Memory::map(regions.zip(files).collect())?;
            }
            request::SET_VRING_NUM => self.rings[index].size = self.least_size.max(number),
            request::SET_VRING_BASE => self.rings[index].base = number,
            request::SET_VRING_ADDR => self.rings[index].addresses = [long(1), long(2), long(3)],
            request::SET_VRING_KICK => {
                let Ring { size, base, addresses, .. } = self.rings[index];
                let at = |address| self.memory.guest_address(address).expect("a ring in the guest's memory");
                self.queues[index] = Some(Queue::new(size, base, addresses.map(at), &self.memory));
            }
            request::SET_VRING_CALL => self.rings[index].call = files.into_iter().next(),
            request::GET_VRING_BASE => {
                let base = self.queues[index].take().map_or(0, |queue| queue.next);
                let state = [index as u32, base.into()].map(u32::to_ne_bytes).concat();
                return self.answer(request, &state);
            }
            // Of features, owners and errors there is nothing to know, and the queues are looked at all the time.
            _ => {}
        }
        Ok(())
    }

    fn answer(&mut self, request: u32, payload: &[u8]) -> io::Result<()> {
        let header = [request, ANSWER, payload.len() as u32].map(u32::to_ne_bytes).concat();
        self.stream.write_all(&[&header, payload].concat())
    }
}
