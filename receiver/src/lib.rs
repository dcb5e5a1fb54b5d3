//! The receiving end of netconsole: datagrams in, ordered records out.
//!
//! A datagram's way is one line: [`input`] or [`pcap`] → [`datagram`] (which format?) → [`senders`] and [`machines`]
//! (whose?), [`names`] (called what?) →
//! [`boots`] and [`boot`] (of which boot?) → [`order`] and
//! [`fragments`] (whole and in sequence), or [`messages`] (where does a message of text end?) → [`event`] → [`output`], [`watch`] and [`stats`].
//! [`ncrx`] asks a sender again for what is missing, [`console`] has one carry out commands; [`protection`] is
//! the way in and out where there is a key. [`site`] is what a browser (the [`wall`]) and Prometheus get, through [`http`]; what they ask of the run is a [`question`]. [`state`] is what outlives a run. What may be held at most is in [`limits`].

#![forbid(unsafe_code)]

pub mod again;
pub mod basic;
pub mod bind;
pub mod boot;
pub mod boots;
pub mod child;
pub mod clock;
pub mod complain;
pub mod config;
pub mod console;
pub mod consoles;
pub mod continued;
pub mod crash;
pub mod credit;
pub mod datagram;
pub mod digits;
pub mod dissect;
pub mod due;
pub mod escape;
pub mod event;
pub mod extended;
pub mod fragments;
pub mod groups;
pub mod holes;
pub mod http;
pub mod input;
pub mod json_lines;
pub mod limits;
pub mod loose;
pub mod machines;
pub mod manual;
pub mod messages;
pub mod metrics;
pub mod names;
pub mod nanos;
pub mod ncrx;
pub mod number;
pub mod on_crash;
pub mod options;
pub mod order;
pub mod output;
pub mod pace;
pub mod passed;
pub mod pcap;
pub mod priority;
pub mod privileges;
pub mod progress;
pub mod protection;
pub mod question;
pub mod queue;
pub mod receive;
pub mod report;
pub mod sealed;
pub mod selection;
pub mod sender;
pub mod senders;
pub mod service;
pub mod share;
pub mod shares;
pub mod site;
pub mod socket;
pub mod state;
pub mod stats;
pub mod symbols;
pub mod syslog;
pub mod terminal;
#[cfg(feature = "tui")]
pub mod tui;
pub mod wall;
pub mod wanted;
pub mod watch;
pub mod written;
