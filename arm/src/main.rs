//! `netconsole-arm`: makes netconsole the crash kernel of the Linux that runs here.

mod card;
mod command_line;
mod core_header;
mod error;
mod image;
mod iomem;
mod load;
mod network;
mod options;
mod readiness;
mod segments;
mod system;
mod target;
mod test;
mod watch;

use clap::Parser;
use command_line::CommandLine;
use error::ArmError;
use options::Options;
use std::process::ExitCode;
use system::System;

/// What was armed, without the key: read back by `--status`.
const STATE: &str = "run/netconsole-arm";

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("netconsole-arm: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), ArmError> {
    let system = System::new(options.root.clone());
    if options.status {
        return status(&system, options);
    }
    if options.disarm {
        load::unload(&system)?;
        system.remove(STATE);
        println!("disarmed: no crash kernel is loaded");
        return Ok(());
    }
    if options.watch {
        return watch::watch(&system, options);
    }
    if options.test {
        return test::crash(&system);
    }
    let line = CommandLine::compose(&system, options)?;
    if options.show {
        println!("{}", line.shown());
        return Ok(());
    }
    arm(&system, options, &line)
}

/// Loads the kernel with this command line, and says so.
fn arm(system: &System, options: &Options, line: &CommandLine) -> Result<(), ArmError> {
    for warning in line.warnings() {
        eprintln!("netconsole-arm: {warning}");
    }
    readiness::check(system)?;
    let is_ours = system.read(STATE).is_some() && replacer(system).is_none();
    let replaced = system.is_set("sys/kernel/kexec_crash_loaded") && !is_ours;
    load::load(system, options, line)?;
    if !system.is_set("sys/kernel/kexec_crash_loaded") {
        return Err(ArmError::NotLoaded);
    }
    system.write(STATE, line.shown())?;
    if replaced {
        eprintln!(
            "netconsole-arm: the crash kernel that was loaded before is replaced: no dump of the memory is made any more"
        );
    }
    println!("armed: {}", line.shown());
    Ok(())
}

/// The service of kdump's that has started since it was armed: Linux does not tell whose crash kernel is loaded, and that
/// one loads its own. systemd makes this link when a service starts.
fn replacer(system: &System) -> Option<&'static str> {
    let armed = system.modified(STATE)?;
    ["kdump-tools.service", "kdump.service"].into_iter().find(|service| {
        system
            .modified(format!("run/systemd/units/invocation:{service}"))
            .is_some_and(|started| started > armed)
    })
}

/// Says whether it is armed, with what, and what would be different now.
fn status(system: &System, options: &Options) -> Result<(), ArmError> {
    let armed = system.read(STATE);
    if !system.is_set("sys/kernel/kexec_crash_loaded") {
        println!("not armed: no crash kernel is loaded");
        return Err(ArmError::NotArmed);
    }
    let Some(armed) = armed else {
        println!("not armed: a crash kernel is loaded that is not netconsole's");
        return Err(ArmError::NotArmed);
    };
    if let Some(service) = replacer(system) {
        println!(
            "not armed: {service} has started since, and loads a crash kernel of its own: disable it, or arm again"
        );
        return Err(ArmError::NotArmed);
    }
    println!("armed: {armed}");
    match CommandLine::compose(system, options) {
        Ok(now) if now.shown() == armed => {}
        Ok(now) => println!("changed since, arm it again: {}", now.shown()),
        Err(error) => println!("changed since: {error}"),
    }
    Ok(())
}
