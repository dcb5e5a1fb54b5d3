//! `crash=KIND@WHERE`: crashes, really provoked, to prove that none of them keeps its log.

/// being written
pub enum Place { Panic, PanicTwice }
/// being written
pub fn here(_place: Place) {}
