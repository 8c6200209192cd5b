//! Bytes on their way from a file or an archive to the decoder.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use pipeline::source::{Content, Failing, SMALL};

/// Ends a content with an error where it grows beyond what one file may hold.
pub(super) struct Capped<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Capped<R> {
    pub(super) fn new(inner: R, limit: u64) -> Capped<R> {
        Capped { inner, left: limit, limit }
    }
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => {
                self.left = left;
                Ok(read)
            }
            None => Err(io::Error::other(over_limit(self.limit))),
        }
    }
}

/// What the decoder says of the same limit.
pub(super) fn over_limit(limit: u64) -> String {
    format!("inflates to more than the limit of {limit} bytes (limits.max_inflated)")
}

/// Content that can be read from any place, by several readers at once.
#[derive(Clone)]
pub(crate) enum Backing {
    Memory(Arc<Vec<u8>>),
    File(Arc<File>),
}

impl Backing {
    /// Takes in what a reader brings: a small content into memory, a larger one into a file without a name.
    ///
    /// Where the reader fails on its way, what it brought until then comes with the error.
    pub(super) fn spool(reader: &mut dyn Read, limit: u64) -> io::Result<(Backing, Option<io::Error>)> {
        let mut start = Vec::new();
        let failure = reader.take(SMALL + 1).read_to_end(&mut start).err();
        if failure.is_some() || start.len() as u64 <= SMALL {
            return Ok((Backing::Memory(Arc::new(start)), failure));
        }
        let mut file = tempfile::tempfile()?;
        file.write_all(&start)?;
        let mut left = limit.saturating_sub(start.len() as u64);
        let mut buffer = start;
        loop {
            let read = match reader.read(&mut buffer) {
                Ok(0) => return Ok((Backing::File(Arc::new(file)), None)),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok((Backing::File(Arc::new(file)), Some(error))),
            };
            left = left.checked_sub(read as u64).ok_or_else(|| io::Error::other(over_limit(limit)))?;
            file.write_all(&buffer[..read])?;
        }
    }

    /// All of it, and the failure behind it, if there was one.
    pub(super) fn into_content(self, failure: Option<io::Error>) -> Content {
        match (self, failure) {
            (Backing::Memory(bytes), None) => Content::Bytes(Arc::unwrap_or_clone(bytes)),
            (backing, failure) => Content::Reader(Box::new(backing.reader().chain(Failing(failure)))),
        }
    }

    /// A reader of its own place.
    pub(crate) fn reader(&self) -> Positioned {
        self.reader_at(0)
    }

    /// A reader from one of its bytes on.
    pub(crate) fn reader_at(&self, at: u64) -> Positioned {
        Positioned { backing: self.clone(), at }
    }

    fn length(&self) -> io::Result<u64> {
        match self {
            Backing::Memory(bytes) => Ok(bytes.len() as u64),
            Backing::File(file) => Ok(file.metadata()?.len()),
        }
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        match self {
            Backing::Memory(bytes) => {
                let start = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                (&bytes[start..]).read(buffer)
            }
            #[cfg(unix)]
            Backing::File(file) => std::os::unix::fs::FileExt::read_at(file.as_ref(), buffer, at),
            #[cfg(windows)]
            Backing::File(file) => std::os::windows::fs::FileExt::seek_read(file.as_ref(), buffer, at),
        }
    }
}

/// Reads a [`Backing`] from a place of its own.
#[derive(Clone)]
pub(crate) struct Positioned {
    backing: Backing,
    at: u64,
}

impl Read for Positioned {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.backing.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Positioned {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, offset) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::End(offset) => (self.backing.length()?, offset),
            SeekFrom::Current(offset) => (self.at, offset),
        };
        self.at = base.checked_add_signed(offset).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
