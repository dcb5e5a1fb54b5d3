//! Packs the kernel that scripts/build has made, and tells `main.rs` and linker.ld about it.

#[cfg(feature = "kernel")]
#[path = "src/branches.rs"]
mod branches;
#[cfg(feature = "kernel")]
#[path = "src/coder.rs"]
mod coder;
#[cfg(feature = "kernel")]
#[path = "src/compression.rs"]
mod compression;
#[cfg(feature = "kernel")]
#[path = "src/counters.rs"]
mod counters;
#[cfg(feature = "kernel")]
#[path = "src/instructions.rs"]
mod instructions;
#[cfg(feature = "kernel")]
#[path = "src/matches.rs"]
mod matches;
#[cfg(feature = "kernel")]
#[path = "src/model.rs"]
mod model;
#[cfg(feature = "kernel")]
#[path = "src/odds.rs"]
mod odds;
#[cfg(feature = "kernel")]
#[path = "src/relocations.rs"]
mod relocations;
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
    use super::model::Model;
    use super::stream::{Header, PACKED, STORED};
    use super::{branches, compression, relocations, stream};
    use object::elf::{
        R_X86_64_64, R_X86_64_GOTPCREL, R_X86_64_GOTPCRELX, R_X86_64_PC32, R_X86_64_PC64, R_X86_64_PLT32,
        R_X86_64_REX_GOTPCRELX, SHF_ALLOC,
    };
    use object::read::elf::ElfFile64;
    use object::{
        LittleEndian, Object, ObjectSection, ObjectSegment, ObjectSymbol, RelocationFlags, SectionFlags,
    };
    use std::fmt::Write as _;
    use std::ops::Range;
    use std::path::Path;
    use std::{env, fs};

    /// With symbols; scripts/build puts it there, wherever cargo builds.
    const KERNEL: &str = "../target/netconsole.debug";
    /// The most bytes of code, constants and stack that what unpacks the kernel has, beside the packed kernel.
    const UNPACKER_CODE: usize = 28 << 10;
    /// What the assembly is told about the kernel, by linker.ld's names.
    const SYMBOLS: [&str; 6] =
        ["image_start", "data_end", "image_end", "persistent_end", "entry_efi", "entry_unpacked"];

    /// Leaves in OUT_DIR the file `kernel`, packed, and `kernel.rs`, what there is to know about it.
    pub fn pack() {
        for file in [KERNEL, "linker.ld"] {
            println!("cargo:rerun-if-changed={file}");
        }
        let elf = fs::read(KERNEL).unwrap_or_else(|error| panic!("{KERNEL}: {error}: run scripts/build"));
        let elf = ElfFile64::<LittleEndian>::parse(&*elf).expect("an ELF file");
        let address = |name| elf.symbol_by_name(name).unwrap_or_else(|| panic!("no {name}")).address();
        let start = address("image_start");
        let distance = |name| address(name).checked_sub(start).expect("an address behind image_start");
        let size = |name| usize::try_from(distance(name)).expect("a size");
        let got = distance("got_start")..distance("got_end");
        let (image_size, text_size) = (size("data_end"), size("text_end"));

        let reach = u32::try_from(size("persistent_end")).expect("a size");

        // As the file has the segments, so they lie in memory.
        let mut image = vec![0; image_size];
        for segment in elf.segments() {
            let bytes = segment.data().expect("a segment in the file");
            let at = usize::try_from(segment.address() - start).expect("a segment behind image_start");
            image[at..at + bytes.len()].copy_from_slice(bytes);
        }
        let mut filtered = image.clone();
        branches::make_absolute(&mut filtered[..text_size], reach);
        let mut model = Box::new(Model::ZEROS);
        let mut packed = vec![0; image_size];
        let packed_size = compression::compress(&mut filtered, text_size, &mut model, &mut packed);
        packed.truncate(packed_size.expect("what is packed is smaller"));
        let mut kept = Vec::new();
        relocations::encode(&places(&elf, &image, start, distance("fixed_end"), got), &mut kept);

        // Stored, it lies where the kernel's .bss ends: as far as can be from the place that it is copied to.
        let stored = [&image[..], &kept].concat();
        let stored_at = (size("image_end") - stored.len()) & !15;
        let word = |number: usize| u32::try_from(number).expect("a size");
        let header = Header {
            text_size: word(text_size),
            reach,
            image_size: word(image_size),
            stored_at: word(stored_at),
            stored_size: word(stored.len()),
            stored_sum: stream::checksum(&stored),
        };
        let checked = [&header.bytes()[..], &packed, &kept].concat();
        let mut payload = [&PACKED[..], &checked, &stream::checksum(&checked).to_le_bytes()].concat();

        let mut unpacked = vec![0; image_size];
        let places = stream::unpack(&payload, &mut unpacked, &mut model).expect("what was packed unpacks");
        assert!(unpacked == image && places == kept, "what was packed comes out again");
        payload[..STORED.len()].copy_from_slice(&STORED);
        let places = stream::take(&payload, &stored, &mut unpacked);
        assert!(unpacked == image && places == Some(&kept[..]), "what was stored comes out again");
        let moved = relocations::apply(&kept, &mut unpacked, 0);
        assert!(moved.is_some() && unpacked == image, "every place is in the image");
        payload[..PACKED.len()].copy_from_slice(&PACKED);

        let mut constants = String::new();
        for name in SYMBOLS {
            let name_of_constant = name.to_uppercase();
            writeln!(constants, "const {name_of_constant}: usize = {:#x};", address(name)).expect("a text");
        }
        let directory = env::var("OUT_DIR").expect("cargo sets it");
        let directory = Path::new(&directory);
        // Code and stack, and the payload.
        let unpacker = (payload.len() + UNPACKER_CODE).next_multiple_of(4096);
        let values = [("STORED_AT", stored_at), ("STORED_SIZE", stored.len()), ("UNPACKER_SIZE", unpacker)];
        for (name, value) in values {
            writeln!(constants, "const {name}: usize = {value:#x};").expect("a text");
        }
        fs::write(directory.join("kernel.rs"), constants).expect("OUT_DIR is writable");
        fs::write(directory.join("kernel"), payload).expect("OUT_DIR is writable");
        let sizes = [("data_end", image_size), ("unpacker", unpacker), ("stored", stored_at)];
        link(sizes.map(|(name, size)| format!("--defsym=kernel_{name}={size:#x}")));
    }

    /// Where the image, which is linked to `start`, holds addresses of its own: from its begin, in their order. What comes
    /// before `fixed` runs nowhere else, and may hold others.
    fn places(
        elf: &ElfFile64<LittleEndian>,
        image: &[u8],
        start: u64,
        fixed: u64,
        got: Range<u64>,
    ) -> Vec<u64> {
        let word = |place: u64| {
            let bytes = usize::try_from(place).ok().and_then(|place| image.get(place..)?.first_chunk());
            u64::from_le_bytes(*bytes.expect("a word of the image"))
        };
        // The linker tells no relocations of its own table.
        let mut places: Vec<u64> = got.step_by(8).filter(|&place| word(place) != 0).collect();
        for section in elf.sections() {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            if sh_flags.0 & SHF_ALLOC.0 == 0 {
                continue;
            }
            for (address, relocation) in section.relocations() {
                let RelocationFlags::Elf { r_type } = relocation.flags() else { continue };
                let place = address - start;
                match r_type {
                    R_X86_64_64 => places.push(place),
                    R_X86_64_PC32
                    | R_X86_64_PC64
                    | R_X86_64_PLT32
                    | R_X86_64_GOTPCREL
                    | R_X86_64_GOTPCRELX
                    | R_X86_64_REX_GOTPCRELX => {}
                    _ => assert!(
                        place < fixed,
                        "at {address:#x} is a relocation of type {r_type}: it can't be moved"
                    ),
                }
            }
        }
        places.sort_unstable();
        for &place in &places {
            let value = word(place);
            assert!(value >= start, "{value:#x} is no address in the image");
        }
        places
    }

    /// Links by linker.ld, without a C runtime. The kernel's sizes are told.
    fn link(sizes: [String; 3]) {
        let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
        let mut arguments = vec![format!("-T{folder}/linker.ld")];
        // A bare target calls the linker itself, the host's calls it through the C compiler.
        let bare = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none");
        if !bare {
            arguments.extend(["-nostartfiles", "-nostdlib", "-static", "-no-pie"].map(String::from));
        }
        // Both sections begin at 0.
        let for_linker = ["--build-id=none", "-znoexecstack", "--no-check-sections"];
        let for_linker = for_linker.map(String::from).into_iter().chain(sizes);
        arguments.extend(for_linker.map(|argument| if bare { argument } else { format!("-Wl,{argument}") }));
        for argument in arguments {
            println!("cargo:rustc-link-arg-bin=bzimage={argument}");
        }
    }
}
