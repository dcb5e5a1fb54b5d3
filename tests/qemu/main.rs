//! The kernel, booted in QEMU and judged by what it puts on the wire.

mod harness;

mod addresses;
mod after;
mod arp;
mod console_serial;
mod console_udp;
mod crash;
mod crash_after;
mod crash_reset;
mod flood;
mod fragments;
mod hostile;
mod images;
mod ipv6;
mod levels;
mod link;
mod link_flaps;
mod loaders;
mod machine_info;
mod machines;
mod main_job;
mod ncrx;
mod nics;
mod parameters;
mod ping;
mod protections;
mod protocols;
mod receiver;
mod runtime_targets;
mod secure;
mod soak;
mod syslog;
mod targets;
mod userdata;
mod vlan;
