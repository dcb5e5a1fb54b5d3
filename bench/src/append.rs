//! The kernel parameters of the boots that are measured.

/// No serial port, no address to be asked for, and the end right after the log.
pub const QUIET: &str = "console=null ip=off after=exit";

/// Kernel parameters for a boot with a flood to `targets`.
pub fn flood(records: u32, targets: &str) -> String {
    format!("{QUIET} {targets} flood={records}")
}

/// The targets' ports, in their order.
pub const TARGET_PORTS: std::ops::Range<u16> = 6666..6682;

/// The parameter for `count` targets, all addresses given.
pub fn targets(count: usize) -> String {
    let target = |port| format!("@10.0.0.1/,{port}@10.0.0.2/02:00:00:00:00:02");
    let targets: Vec<String> = TARGET_PORTS.take(count).map(target).collect();
    format!("netconsole={}", targets.join(";"))
}
