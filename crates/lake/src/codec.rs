//! How files are compressed.

use event::Day;
use parquet::basic::{Compression, ZstdLevel};
use uuid::Uuid;

/// How the columns of a Parquet file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Codec {
    /// Zstandard: a third smaller than Snappy.
    #[default]
    Zstd,
    /// Snappy, for readers that know no other.
    Snappy,
}

impl Codec {
    /// What the files are called by.
    const fn name(self) -> &'static str {
        match self {
            Codec::Zstd => "zstd",
            Codec::Snappy => "snappy",
        }
    }

    /// As Parquet has it; Snappy knows no levels.
    pub(crate) fn compression(self, level: i32) -> Compression {
        match self {
            Codec::Zstd => Compression::ZSTD(ZstdLevel::try_new(level).expect("a level between 1 and 22")),
            Codec::Snappy => Compression::SNAPPY,
        }
    }

    /// The codec of a data file, by its name.
    pub(crate) fn of_path(path: &str) -> Codec {
        if path.ends_with(".snappy.parquet") { Codec::Snappy } else { Codec::Zstd }
    }

    /// The name of a new file of a day.
    pub(crate) fn new_path(self, day: Day) -> String {
        format!("event_date={day}/part-{}.{}.parquet", Uuid::now_v7(), self.name())
    }
}
