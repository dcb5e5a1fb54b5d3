//! The kernel's image as it is loaded: with the kernel unpacked, which there is time for now and would take most of the
//! time between a crash and the first record of the log.

use netconsole_bzimage::model::Model;
use netconsole_bzimage::stored::Packed;

/// The image with its kernel stored; none where it is none of ours, is damaged, or was packed by another version: then it
/// is loaded as it is.
pub fn stored(file: &[u8]) -> Option<Vec<u8>> {
    let packed = Packed::read(file)?;
    let mut stored = vec![0; packed.stored_len()?];
    packed.store(&mut Box::new(Model::ZEROS), &mut stored)?;
    Some(stored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netconsole_bzimage::compression::compress;
    use netconsole_bzimage::stream::{self, Header, PACKED, STORED};

    /// Behind the first two sectors.
    const SETUP: usize = 1024;
    const STORED_AT: usize = 2048;

    /// An image whose payload is this kernel, without any places.
    fn packed(kernel: &[u8]) -> Vec<u8> {
        let mut packed = vec![0; 1000];
        let size = compress(&mut kernel.to_vec(), 0, &mut Box::new(Model::ZEROS), &mut packed);
        let size_of_kernel = kernel.len() as u32;
        let header = Header {
            text_size: 0,
            reach: 0,
            image_size: size_of_kernel,
            stored_at: STORED_AT as u32,
            stored_size: size_of_kernel,
            stored_sum: stream::checksum(kernel),
        };
        let checked = [&header.bytes(), &packed[..size.expect("there is room")]].concat();
        let payload = [&PACKED[..], &checked, &stream::checksum(&checked).to_le_bytes()].concat();
        let mut file = vec![0; SETUP];
        file[0x1f1] = 1;
        file[0x1f4] = payload.len().div_ceil(16) as u8;
        file[0x202..0x206].copy_from_slice(b"HdrS");
        file[0x24c] = payload.len() as u8;
        file.extend(payload);
        file.resize(file.len().next_multiple_of(16), 0);
        file
    }

    #[test]
    fn what_is_loaded_has_the_kernel_unpacked() {
        let kernel = b"netconsole, netconsole";
        let mut file = packed(kernel);
        let image = stored(&file).expect("it is packed");
        assert!(image[SETUP..].starts_with(&STORED));
        assert_eq!(&image[SETUP + STORED_AT..][..kernel.len()], kernel);
        // Another's, and a damaged one.
        assert_eq!(stored(&[0; 4096]), None);
        file[SETUP + 40] ^= 1;
        assert_eq!(stored(&file), None);
    }
}
