//! How a writer uses memory, and when it tidies up.

use deltalake_core::kernel::Version;

use crate::Codec;
use crate::encode::ROW_GROUP;
use crate::table::CHECKPOINT_EVERY;

/// How a writer uses memory and when it tidies up.
#[derive(Debug, Clone)]
pub struct WriterOptions {
    /// Rows at which a day's buffer is written to a file.
    pub file_rows: usize,
    /// Bytes at which a day's buffer is written to a file.
    pub file_bytes: usize,
    /// Bytes that all days' buffers may take together; beyond it the largest is written.
    pub buffered_bytes: usize,
    /// Event ids kept in memory over all days (about 40 bytes each); beyond it the days used longest ago are dropped
    /// and read from the lake again when needed.
    pub known_ids: usize,
    /// Rows of a row group: the unit that a reader can leave alone within a file.
    pub row_group_rows: usize,
    /// How new files are compressed. What is merged keeps the codec of its first file.
    pub codec: Codec,
    /// Whether commits compact the days they leave with many small files.
    pub compacts: bool,
    /// The log is checkpointed whenever the version is a multiple of this.
    pub checkpoint_every: Version,
}

impl Default for WriterOptions {
    fn default() -> WriterOptions {
        WriterOptions {
            file_rows: 128 << 10,
            file_bytes: 24 << 20,
            buffered_bytes: 48 << 20,
            known_ids: 1_000_000,
            row_group_rows: ROW_GROUP,
            codec: Codec::default(),
            compacts: true,
            checkpoint_every: CHECKPOINT_EVERY,
        }
    }
}
