//! Standard error, taken aside while the terminal shows something else: what this program says of itself, and what
//! a command that it runs prints.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::dup2_stderr;

use crate::complain;

/// How many lines are kept: the last.
const MOST: usize = 1000;
/// A longer line goes on in a further one.
const LONGEST: usize = 4096;

/// Standard error meanwhile. Dropped, it is as it was before, and what came is written there.
#[derive(Debug)]
pub struct Aside {
    original: OwnedFd,
    written: Written,
}

/// What was written to a pipe.
#[derive(Debug)]
struct Written {
    pipe: PipeReader,
    lines: VecDeque<Vec<u8>>,
}

impl Aside {
    /// Takes it aside, once what was said before is out. `None`: it is no terminal, so nothing there disturbs one.
    pub fn take() -> io::Result<Option<Self>> {
        let stderr = io::stderr();
        if !stderr.is_terminal() {
            return Ok(None);
        }
        complain::wait_out();
        let original = stderr.as_fd().try_clone_to_owned()?;
        let (written, writer) = Written::new()?;
        dup2_stderr(writer)?;
        // A write to the terminal that was underway.
        complain::wait_out();
        Ok(Some(Aside { original, written }))
    }

    /// Takes what was written since, and returns the last line of all. It does not wait.
    pub fn look(&mut self) -> Option<String> {
        self.written.take();
        self.written.lines.back().map(|line| String::from_utf8_lossy(line).trim_end().to_owned())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = dup2_stderr(&self.original);
        self.written.take();
        for line in &self.written.lines {
            let _ = io::stderr().write_all(line);
        }
    }
}

impl Written {
    fn new() -> io::Result<(Self, PipeWriter)> {
        let (pipe, writer) = io::pipe()?;
        // Only the end that is read here: who writes waits for room.
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok((Written { pipe, lines: VecDeque::new() }, writer))
    }

    fn take(&mut self) {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = self.pipe.read(&mut buffer) {
            for part in buffer.get(..length).unwrap_or_default().split_inclusive(|byte| *byte == b'\n') {
                self.add(part);
            }
        }
    }

    /// A line, or a part of one that the next part continues.
    fn add(&mut self, part: &[u8]) {
        let is_open = |line: &&mut Vec<u8>| line.last() != Some(&b'\n') && line.len() < LONGEST;
        match self.lines.back_mut().filter(is_open) {
            Some(line) => line.extend_from_slice(part),
            None => self.lines.push_back(part.to_vec()),
        }
        if self.lines.len() > MOST {
            self.lines.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_comes_in_parts_is_one() {
        let (mut written, mut writer) = Written::new().expect("a pipe");
        written.take();
        assert!(written.lines.is_empty());
        for part in ["one\ntw", "o\n", "three"] {
            writer.write_all(part.as_bytes()).expect("room");
            written.take();
        }
        assert_eq!(written.lines, [&b"one\n"[..], b"two\n", b"three"]);
    }

    #[test]
    fn however_much_comes_the_last_is_kept() {
        let (mut written, mut writer) = Written::new().expect("a pipe");
        for number in 0..3000 {
            writeln!(writer, "{number}").expect("room");
            written.take();
        }
        assert_eq!(written.lines.len(), MOST);
        assert_eq!(written.lines.back().map(Vec::as_slice), Some(&b"2999\n"[..]));
        for _ in 0..3000 {
            writer.write_all(&[b'x'; 4000]).expect("room");
            written.take();
        }
        assert_eq!(written.lines.len(), MOST);
        assert!(written.lines.iter().all(|line| line.len() < 2 * LONGEST));
    }
}
