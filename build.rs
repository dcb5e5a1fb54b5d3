//! Links the kernel binary by linker.ld, without a C runtime. The library and the tests are not touched.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=linker.ld");
    println!("cargo:rerun-if-changed=boot");
    let script = format!("{}/linker.ld", env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    let bare = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none");
    // A bare target calls the linker itself, the host's calls it through the C compiler.
    let for_compiler = ["-nostartfiles", "-nostdlib", "-static", "-no-pie"];
    let for_linker = ["-zmax-page-size=4096", "--build-id=sha1", "-znoexecstack", "--emit-relocs"];
    let mut arguments = vec![format!("-T{script}")];
    if bare {
        arguments.extend(for_linker.map(String::from));
    } else {
        arguments.extend(for_compiler.map(String::from));
        arguments.extend(for_linker.map(|argument| format!("-Wl,{argument}")));
    }
    for argument in arguments {
        println!("cargo:rustc-link-arg-bin=netconsole={argument}");
    }
}
