//! Links the kernel by linker.ld, without a C runtime.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=linker.ld");
    println!("cargo:rerun-if-changed=boot");
    println!("cargo:rerun-if-changed=../../../boot/memory.s");
    let script = format!("-T{}/linker.ld", env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    // A bare target calls the linker itself, the host's calls it through the C compiler.
    let arguments = if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none") {
        vec!["-zmax-page-size=4096", "-znoexecstack"]
    } else {
        vec!["-nostartfiles", "-nostdlib", "-static", "-no-pie", "-Wl,-zmax-page-size=4096,-znoexecstack"]
    };
    for argument in arguments.into_iter().chain([script.as_str()]) {
        println!("cargo:rustc-link-arg-bin=example-kernel={argument}");
    }
}
