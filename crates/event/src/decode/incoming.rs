//! Content as it comes, counted and capped.

use std::io::{self, Read};

use super::inflate;

/// A reader that ends where the content does, at the limit, or at damage, which it remembers.
pub(super) struct Incoming<'r> {
    reader: &'r mut dyn Read,
    limit: u64,
    /// The bytes that came.
    pub(super) inflated: u64,
    /// The content is at its sound end.
    pub(super) ended: bool,
    /// What ended the content before that.
    pub(super) failure: Option<String>,
}

impl<'r> Incoming<'r> {
    pub(super) fn new(reader: &'r mut dyn Read, limit: u64) -> Incoming<'r> {
        Incoming { reader, limit, inflated: 0, ended: false, failure: None }
    }

    /// Fills the buffer up to `want` bytes, as far as there are any.
    pub(super) fn fill(&mut self, buffer: &mut Vec<u8>, want: usize) {
        let room = want.saturating_sub(buffer.len()) as u64;
        // This reader gives no errors: it remembers them.
        let _ = self.take(room).read_to_end(buffer);
    }

    /// Reads on to the end after the content was found to be damaged, because a checksum that does not fit says more
    /// than the broken text before it.
    pub(super) fn drain(&mut self) {
        if self.failure.is_none() {
            let _ = io::copy(self, &mut io::sink());
            // That it is too large as well explains nothing.
            self.failure = self.failure.take().filter(|_| self.inflated < self.limit);
        }
    }
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended || self.failure.is_some() || buffer.is_empty() {
            return Ok(0);
        }
        // One byte more than may come tells a content that is too large from one that fits.
        let left = usize::try_from(self.limit - self.inflated).unwrap_or(usize::MAX).saturating_add(1);
        let room = buffer.len().min(left);
        let read = loop {
            match self.reader.read(&mut buffer[..room]) {
                Ok(read) => break read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(inflate::describe(&error, self.inflated));
                    return Ok(0);
                }
            }
        };
        if read == left {
            self.inflated = self.limit;
            self.failure = Some(inflate::over_limit(self.limit));
            return Ok(read - 1);
        }
        self.inflated += read as u64;
        self.ended = read == 0;
        Ok(read)
    }
}
