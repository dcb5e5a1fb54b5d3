//! `netconsole-receiver`: the host's end of netconsole.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::CommandFactory;
use netconsole_receiver::options::{Error, Options};
use netconsole_receiver::{complain, manual, receive, watch};

fn main() -> ExitCode {
    let status = match run() {
        Ok(status) => status,
        Err(error) => fail(&*error),
    };
    complain::finish();
    status
}

fn run() -> Result<ExitCode, Box<dyn std::fmt::Display>> {
    let arguments: Vec<_> = std::env::args_os().collect();
    let options = match Options::from_arguments(&arguments) {
        Ok(options) => options,
        Err(Error::Usage(message)) => {
            // --help and --version are no errors.
            let status = if message.use_stderr() { watch::ERROR } else { 0 };
            let _ = message.print();
            return Ok(status.into());
        }
        Err(Error::Config(error)) => return Err(Box::new(error)),
    };
    if options.man {
        manual::write_page(Options::command(), &mut std::io::stdout()).map_err(boxed)?;
    } else if let Some(shell) = options.completions {
        let mut command = Options::command();
        let name = command.get_name().to_owned();
        clap_complete::generate(shell, &mut command, name, &mut std::io::stdout());
    } else if options.check {
        receive::check(&options).map_err(boxed)?;
        println!("netconsole-receiver: nothing is wrong");
    } else {
        return receive::run(&options).map_err(boxed);
    }
    Ok(ExitCode::SUCCESS)
}

fn boxed(error: impl std::fmt::Display + 'static) -> Box<dyn std::fmt::Display> {
    Box::new(error)
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    complain::report(format_args!("netconsole-receiver: {error}"));
    watch::ERROR.into()
}
