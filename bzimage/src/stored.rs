//! Makes of a bzImage with a packed kernel one that has the kernel stored, too: it starts in a few million instructions
//! in place of some 470, and its file is four times as long.

use crate::model::Model;
use crate::stream::{self, Header, PACKED, STORED};
use core::ops::Range;

/// Offsets in a bzImage (Documentation/arch/x86/boot.rst).
const SETUP_SECTS: usize = 0x1f1;
const SYSSIZE: usize = 0x1f4;
const MAGIC: usize = 0x202;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
/// The unit of `syssize`.
const UNIT: usize = 16;

/// A bzImage whose kernel is packed as this library does it.
pub struct Packed<'f> {
    /// Without a signature, which may follow.
    file: &'f [u8],
    /// Where what is loaded into memory begins.
    code: usize,
    payload: Range<usize>,
    header: Header,
}

impl<'f> Packed<'f> {
    /// None where it is another file, a damaged one, or one that has its kernel stored already.
    pub fn read(file: &'f [u8]) -> Option<Self> {
        let number = |at: usize| usize::try_from(u32::from_le_bytes(*file.get(at..)?.first_chunk()?)).ok();
        file.get(MAGIC..)?.starts_with(b"HdrS").then_some(())?;
        let code = (usize::from(*file.get(SETUP_SECTS)?) + 1) * 512;
        let end = number(SYSSIZE)?.checked_mul(UNIT)?.checked_add(code)?.min(file.len());
        let file = file.get(..end)?;
        let begin = code.checked_add(number(PAYLOAD_OFFSET)?)?;
        let payload = begin..begin.checked_add(number(PAYLOAD_LENGTH)?)?;
        let bytes = file.get(payload.clone()).filter(|bytes| bytes.starts_with(&PACKED))?;
        // It says how much memory is asked for: not by a flipped bit.
        let (header, _) = Header::split(stream::checked(bytes)?)?;
        let this = Self { file, code, payload, header };
        (this.stored()?.start >= file.len()).then_some(this)
    }

    /// Where in the file the kernel is stored.
    fn stored(&self) -> Option<Range<usize>> {
        let Header { stored_at, stored_size, .. } = self.header;
        let start = self.code.checked_add(usize::try_from(stored_at).ok()?)?;
        Some(start..start.checked_add(usize::try_from(stored_size).ok()?)?)
    }

    /// How long the file with the kernel stored is; none where no memory could hold it.
    pub fn stored_len(&self) -> Option<usize> {
        let loaded = self.stored()?.end.checked_sub(self.code)?;
        loaded.checked_next_multiple_of(UNIT)?.checked_add(self.code)
    }

    /// Writes that file, of [`stored_len`](Self::stored_len) bytes. None where it was packed in another way than this
    /// library's.
    pub fn store(&self, model: &mut Model, into: &mut [u8]) -> Option<()> {
        let (begin, rest) = into.split_at_mut_checked(self.file.len())?;
        begin.copy_from_slice(self.file);
        begin.get_mut(self.payload.start..)?.first_chunk_mut().map(|kind| *kind = STORED)?;
        let units = u32::try_from(self.stored_len()?.checked_sub(self.code)? / UNIT).ok()?;
        begin.get_mut(SYSSIZE..)?.first_chunk_mut().map(|word| *word = units.to_le_bytes())?;
        rest.fill(0);

        let stored = into.get_mut(self.stored()?)?;
        let (image, place) = stored.split_at_mut_checked(usize::try_from(self.header.image_size).ok()?)?;
        let places = stream::unpack(self.file.get(self.payload.clone())?, image, model)?;
        (place.len() == places.len()).then_some(())?;
        place.copy_from_slice(places);
        (stream::checksum(stored) == self.header.stored_sum).then_some(())
    }
}
