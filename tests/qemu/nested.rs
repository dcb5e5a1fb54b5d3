//! Under KVM: a Debian Linux in QEMU, whose CPU has SVM, runs Debian's own QEMU, in which the kernel is. So KVM's rules hold:
//! which registers there are, what CPUID says, what absent devices read as.

use crate::harness::{Boot, Nic, Peer, target};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// nested/machines.sh: each machine's port at the target, its status, and what its log has.
const MACHINES: [(&str, i32, &[&str]); 4] = [
    ("7001", 33, &["boot: by qemu, multiboot", "eth0: virtio network card at 00:", BY_KVM]),
    ("7002", 33, &["boot: by QEMU, Linux", "eth0: Intel 82574L at 00:", BY_KVM]),
    ("7003", 33, &["eth0: virtio network card at ", " MHz, says the hypervisor"]),
    ("7004", 35, &["BUG: page fault", "---[ end Kernel panic - not syncing: page fault ]---", BY_KVM]),
];
/// How fast the time stamp counter runs. The hypervisor's own word is one of CPUID's leaves.
const BY_KVM: &str = " MHz, says KVM's clock";

#[test]
#[ignore = "it takes minutes on a busy machine: scripts/test --all runs it"]
fn it_runs_under_kvm() {
    let directory = target().join("kexec-linux");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/kexec-linux");
    let made =
        Command::new(script).arg(&directory).args(["", "kvm"]).output().expect("scripts/kexec-linux runs");
    assert!(made.status.success(), "kexec-linux: {}", String::from_utf8_lossy(&made.stderr));
    let [kernel, initrd] = ["vmlinuz", "initrd-kvm"].map(|file| directory.join(file).display().to_string());
    // What Linux would do against the emulated CPU's faults takes time, and on a busy host it would find its timer too slow.
    let linux = "quiet console=ttyS0 no_timer_check mitigations=off nokaslr ipv6.disable=1";
    let loader =
        ["-kernel", &kernel, "-initrd", &initrd, "-append", linux, "-m", "512", "-cpu", "max", "-no-reboot"];
    let boot = Boot::new("nested", "").loader(loader).nics([Nic::virtio().peer(Peer::at("10.0.0.2"))]);
    // The crash sends what had gone out, too.
    let capture = boot.repeats().timeout(Duration::from_secs(900)).start().end();
    assert_eq!(capture.status, Some(0), "Linux powers off; serial:\n{}", capture.serial);
    for (port, status, texts) in MACHINES {
        let ended = format!("kvm {port}: {status}");
        assert!(capture.serial.contains(&ended), "'{ended}' is not in {}", capture.serial);
        let text = capture.text(&format!("10.0.0.2:{port}"));
        for said in texts.iter().chain(&["cpu: runs under KVM", "network logging started"]) {
            assert!(text.contains(said), "{port}: '{said}' is not in {text}");
        }
    }
}
