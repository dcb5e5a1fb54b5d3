//! The kernel, booted in QEMU and judged by what it puts on the wire.

mod harness;

mod addresses;
mod after;
mod arp;
mod crash;
mod crash_after;
mod crash_reset;
mod flood;
mod fragments;
mod hostile;
mod ipv6;
mod levels;
mod link;
mod loaders;
mod machines;
mod main_job;
mod nics;
mod parameters;
mod ping;
mod protections;
mod secure;
mod targets;
