//! Entries for a systemd-journal-remote, as systemd-journal-upload sends them.

use super::http::Format;
use crate::output::lane::Batch;

/// An upload.
#[derive(Debug)]
pub struct Upload;

impl Format for Upload {
    const PATH: &str = "/upload";
    const TYPE: &str = "application/vnd.fdo.journal";

    fn bodies(batch: &Batch) -> Vec<(Vec<u8>, u64)> {
        vec![(batch.bytes.clone(), batch.records)]
    }
}
