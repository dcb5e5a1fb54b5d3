//! What is measured, and how.
/// Two floods; what the second takes more is its further records' cost, without what the boot costs.
pub const FLOODS: [u32; 2] = [256, 1280];

/// Kernel parameters for a boot with a flood to `targets`.
pub fn flood(records: u32, targets: &str) -> String {
    format!("{QUIET} {targets} flood={records}")
}

/// No serial port, no address to be asked for, and the end right after the log.
const QUIET: &str = "console=null ip=off after=exit";

/// The parameter for so many targets, all addresses given.
pub fn targets(count: u32) -> String {
    let target = |port| format!("@10.0.0.1/,{port}@10.0.0.2/02:00:00:00:00:02");
    let targets: Vec<String> = (6666..6666 + count).map(target).collect();
    format!("netconsole={}", targets.join(";"))
}
