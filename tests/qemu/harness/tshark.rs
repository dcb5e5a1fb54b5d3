//! The second opinion on every capture: Wireshark's dissectors.

use std::path::Path;
use std::process::Command;

/// What no frame of a capture may be.
const FAULTS: &str = "_ws.malformed || _ws.expert.severity == error \
    || ip.checksum.status == 0 || udp.checksum.status == 0 || udp.checksum.zero \
    || icmp.checksum.status == 0 || icmpv6.checksum.status == 0 || igmp.checksum.status == 0";

/// The ports of logs and commands. Their payloads are ours: where they are sealed they look random, and now and
/// then like some protocol that Wireshark would guess.
const OURS: &str = "udp.port==6000-65535,data";

/// The frames of a capture that Wireshark finds malformed or with a bad checksum, one a line.
pub fn faults(capture: &Path) -> String {
    let output = Command::new("tshark")
        .args([
            "-n",
            "-o",
            "udp.check_checksum:TRUE",
            "-o",
            "ip.check_checksum:TRUE",
            "-d",
            OURS,
            "-Y",
            FAULTS,
            "-r",
        ])
        .arg(capture)
        .output()
        .expect("tshark is missing: run scripts/setup tshark");
    assert!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
