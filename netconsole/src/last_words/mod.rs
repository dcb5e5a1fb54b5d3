//! What a panic does about the log: the legs on which it leaves.
//!
//! It knows nothing of `console` and `stack`: what these have may be half-written.

#![forbid(unsafe_code)]

pub mod leg;
