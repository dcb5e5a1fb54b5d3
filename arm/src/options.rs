//! The command line of `netconsole-arm` itself.

use clap::Parser;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Makes netconsole the crash kernel of this Linux: when it panics, its whole log goes out by UDP, and the machine
/// reboots.
#[derive(Debug, Parser)]
#[command(name = "netconsole-arm", version, max_term_width = 100)]
pub struct Options {
    /// Where the log goes; else where this Linux's own netconsole sends it
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = parse_target)]
    pub to: Option<SocketAddr>,
    /// The kernel's image
    #[arg(long, value_name = "FILE", default_value = "/usr/lib/netconsole/netconsole.bzimage")]
    pub kernel: PathBuf,
    /// Seal the log with the key in this file, which nobody else may read (64 hexadecimal digits, mode 0600)
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// More parameters of the kernel, such as linux.patience=120
    #[arg(long, value_name = "PARAMETERS", default_value = "")]
    pub append: String,
    /// Load by kexec_file_load(2) and by nothing else
    #[arg(short = 's', long, conflicts_with = "kexec_syscall")]
    pub kexec_file_syscall: bool,
    /// Load by kexec_load(2) and by nothing else; without -s and -c it is tried first, unless Linux is locked down
    #[arg(short = 'c', long)]
    pub kexec_syscall: bool,
    /// Say whether it is armed, and what has changed since
    #[arg(long, conflicts_with_all = ["disarm", "test", "watch", "show"])]
    pub status: bool,
    /// Take the crash kernel out
    #[arg(long, conflicts_with_all = ["test", "watch", "show"])]
    pub disarm: bool,
    /// Crash this machine, to see that it works; asks twice before
    #[arg(long, conflicts_with_all = ["watch", "show"])]
    pub test: bool,
    /// Arm it, and again whenever addresses, links, CPUs or memory change
    #[arg(long, conflicts_with = "show")]
    pub watch: bool,
    /// Print the kernel's command line, and load nothing
    #[arg(long)]
    pub show: bool,
    /// How often CPUs and memory are looked at, of which nobody tells, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, hide = true)]
    pub look: u64,
    /// Look at a system in this directory
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    pub root: PathBuf,
}

/// How the kernel is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemCall {
    /// kexec_file_load(2), `-s`.
    FileLoad,
    /// kexec_load(2), `-c`.
    Load,
}

impl Options {
    /// The system call that was asked for, if any.
    pub fn system_call(&self) -> Option<SystemCall> {
        let file_load = self.kexec_file_syscall.then_some(SystemCall::FileLoad);
        file_load.or(self.kexec_syscall.then_some(SystemCall::Load))
    }
}

/// An address, perhaps with a port; 6666 without.
fn parse_target(text: &str) -> Result<SocketAddr, String> {
    const PORT: u16 = 6666;
    let address = text.parse::<SocketAddr>();
    let alone = || text.trim_matches(['[', ']']).parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT));
    match address.or_else(|_| alone()) {
        Ok(target) if target.port() != 0 => Ok(target),
        _ => {
            Err("expected an address, then, if need be, ':' and a port: 10.0.0.2:6666, [fd00::2]:6666".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse_target;

    #[test]
    fn a_target_is_an_address_with_or_without_a_port() {
        for (text, expected) in [
            ("10.0.0.2", "10.0.0.2:6666"),
            ("10.0.0.2:514", "10.0.0.2:514"),
            ("fd00::2", "[fd00::2]:6666"),
            ("[fd00::2]:514", "[fd00::2]:514"),
        ] {
            assert_eq!(parse_target(text).expect(text).to_string(), expected);
        }
        for text in ["", "loghost", "10.0.0.2:0", "10.0.0.2:x", "10.0.0"] {
            assert!(parse_target(text).is_err(), "{text}");
        }
    }
}
