//! Packs the kernel that scripts/build has made, and tells `main.rs` and linker.ld about it.

#[cfg(feature = "kernel")]
#[path = "src/branches.rs"]
mod branches;
#[cfg(feature = "kernel")]
#[path = "src/inflate.rs"]
mod inflate;
#[cfg(feature = "kernel")]
#[path = "src/stream.rs"]
mod stream;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "kernel")]
    kernel::pack();
}

#[cfg(feature = "kernel")]
mod kernel {
    use super::{branches, stream};
    use object::read::elf::ElfFile64;
    use object::{LittleEndian, Object, ObjectSegment, ObjectSymbol};
    use std::fmt::Write;
    use std::path::Path;
    use std::{env, fs};

    /// With symbols; scripts/build puts it there, wherever cargo builds.
    const KERNEL: &str = "../target/netconsole.debug";
    /// What the assembly is told about the kernel, by linker.ld's names.
    const SYMBOLS: [&str; 7] = [
        "image_start",
        "text_end",
        "data_end",
        "image_end",
        "persistent_end",
        "entry_efi",
        "leave_long_mode",
    ];

    /// Leaves in OUT_DIR the file `kernel`, packed, and `kernel.rs`, what there is to know about it.
    pub fn pack() {
        for file in [KERNEL, "linker.ld"] {
            println!("cargo:rerun-if-changed={file}");
        }
        let elf = fs::read(KERNEL).unwrap_or_else(|error| panic!("{KERNEL}: {error}: run scripts/build"));
        let elf = ElfFile64::<LittleEndian>::parse(&*elf).expect("an ELF file");
        let address = |name| elf.symbol_by_name(name).unwrap_or_else(|| panic!("no {name}")).address();
        let start = address("image_start");
        let size = |name| usize::try_from(address(name) - start).expect("an address behind image_start");
        let (image_size, text_size) = (size("data_end"), size("text_end"));

        // As the file has the segments, so they lie in memory.
        let mut image = vec![0; image_size];
        for segment in elf.segments() {
            let bytes = segment.data().expect("a segment in the file");
            let at = usize::try_from(segment.address() - start).expect("a segment behind image_start");
            image[at..at + bytes.len()].copy_from_slice(bytes);
        }
        let mut filtered = image.clone();
        branches::make_absolute(&mut filtered[..text_size]);
        let mut packed = Vec::new();
        zopfli::compress(zopfli::Options::default(), zopfli::Format::Deflate, &*filtered, &mut packed)
            .expect("a vector takes all");
        packed.extend(stream::checksum(&packed));

        let mut unpacked = vec![0; image_size];
        assert!(stream::unpack(&packed, &mut unpacked, text_size), "what was packed unpacks");
        assert!(unpacked == image, "what was packed comes out again");

        let mut constants = String::new();
        for name in SYMBOLS {
            let name_of_constant = name.to_uppercase();
            writeln!(constants, "const {name_of_constant}: usize = {:#x};", address(name)).expect("a text");
        }
        let directory = env::var("OUT_DIR").expect("cargo sets it");
        let directory = Path::new(&directory);
        fs::write(directory.join("kernel.rs"), constants).expect("OUT_DIR is writable");
        fs::write(directory.join("kernel"), packed).expect("OUT_DIR is writable");
        link(
            ["image_start", "data_end", "image_end"]
                .map(|name| format!("--defsym=kernel_{name}={:#x}", address(name))),
        );
    }

    /// Links by linker.ld, without a C runtime, into the kernel's .bss.
    fn link(addresses: [String; 3]) {
        let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
        let mut arguments = vec![format!("-T{folder}/linker.ld")];
        // A bare target calls the linker itself, the host's calls it through the C compiler.
        let bare = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none");
        if !bare {
            arguments.extend(["-nostartfiles", "-nostdlib", "-static", "-no-pie"].map(String::from));
        }
        let for_linker = ["--build-id=none", "-znoexecstack"].map(String::from).into_iter().chain(addresses);
        arguments.extend(for_linker.map(|argument| if bare { argument } else { format!("-Wl,{argument}") }));
        for argument in arguments {
            println!("cargo:rustc-link-arg-bin=bzimage={argument}");
        }
    }
}
