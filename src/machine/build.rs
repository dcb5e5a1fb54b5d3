//! Which build this is: the build id that the linker computes over the whole image, so that an
//! address of the crash report is looked up in the right ELF file.

/// The kernel's release.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// A SHA-1 in hexadecimal digits.
pub struct BuildId([u8; 40]);

impl BuildId {
    /// Its text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or("")
    }
}

unsafe extern "C" {
    static build_id_note: [u8; NOTE_SIZE];
}

/// An ELF note: three 32-bit words (sizes of name and descriptor, type), "GNU\0", then the SHA-1.
const NOTE_HEADER: usize = 16;
const NOTE_SIZE: usize = NOTE_HEADER + 20;

/// The image's build id. Panic-safe.
pub fn id() -> BuildId {
    // SAFETY: linker.ld places the note there, and `--build-id=sha1` (build.rs) gives it this size.
    let note = unsafe { &build_id_note };
    let mut text = [b'0'; 40];
    for (pair, byte) in text.chunks_exact_mut(2).zip(note.iter().skip(NOTE_HEADER)) {
        for (digit, value) in pair.iter_mut().zip([byte >> 4, byte & 0xf]) {
            *digit = if value < 10 { b'0'.wrapping_add(value) } else { (b'a' - 10).wrapping_add(value) };
        }
    }
    BuildId(text)
}
