//! The program itself, from outside. Loopback only.

#[path = "../model/mod.rs"]
mod model;

mod browser;
mod captures;
mod dissector;
mod ending;
mod files;
mod http;
mod json;
mod linux;
mod outputs;
mod package;
mod run;
mod samples;
mod screen;
mod selection;
mod service;
mod serving;
mod sinks;
mod sockets;
mod state;
mod symbols;
#[cfg(feature = "tui")]
mod tui;
mod wall;
