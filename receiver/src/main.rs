//! `netconsole-receiver`: the host's end of netconsole.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use netconsole_receiver::options::Options;
use netconsole_receiver::{complain, manual, receive, watch};

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(message) => {
            // --help and --version are no errors.
            let status = if message.use_stderr() { watch::ERROR } else { 0 };
            let _ = message.print();
            return status.into();
        }
    };
    if options.man {
        return match manual::write_page(Options::command(), &mut std::io::stdout()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let status = fail(&error);
                complain::finish();
                status
            }
        };
    }
    let status = match receive::run(&options) {
        Ok(status) => status,
        Err(error) => fail(&error),
    };
    complain::finish();
    status
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    complain::complain(format_args!("netconsole-receiver: {error}"));
    watch::ERROR.into()
}
