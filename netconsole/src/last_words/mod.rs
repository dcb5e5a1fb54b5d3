//! What a panic does about the log: the legs on which it leaves.

#![forbid(unsafe_code)]

pub mod leg;
