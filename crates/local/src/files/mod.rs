//! Files, folders, globs, archives and standard input as a source.
//!
//! What a folder holds is read whole, in the order in which CloudTrail delivered it (the time stands in its file
//! names), then by path; files without such a name come last. Each file is read once, however often it is reached: by
//! two arguments, by a link, by a loop of links. Archives (`.zip`, `.tar`, `.tar.gz`, told by their content) are opened
//! where they stand, and an archive inside an archive too. Nothing is extracted: names inside archives are only names.
//!
//! What is certainly no log (`README.md`, checksums, `.DS_Store`: see `name`) is passed over where
//! a folder, a glob or an archive brings it, and counted in [`FileSource::skipped`]; a file that the user names is
//! always read. Only regular files are read from folders. A named pipe or `-` must be named by the user, and no device
//! is ever opened.
//!
//! Read in this order: `name` (what a file name tells), `listing` (paths to files), `content` (how bytes are handed
//! on), `archive`, `zip`, `tar`.

mod archive;
pub(crate) mod content;
mod listing;
mod name;
mod tar;
#[cfg(test)]
mod tests;
mod zip;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use pipeline::source::{Content, Item, SizeHint, Source, Unreadable};

use archive::{Archive, Found, Kind, Opened};
use listing::{Listing, Stream};

/// What a user can choose about reading files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The inflated bytes that one file, or one entry of an archive, may have at most.
    pub inflated: u64,
    /// Whether every entry of an archive is handed on as it stands there: none is passed over by its name, and an archive
    /// inside it is one entry. So a bucket is read that was packed.
    pub as_it_stands: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { inflated: event::decode::Limits::default().inflated, as_it_stands: false }
    }
}

/// What was passed over by its name.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// How many files.
    pub files: u64,
    /// The names of the first [`Skipped::NAMED`] of them.
    pub names: Vec<String>,
}

impl Skipped {
    /// How many skipped files are kept by name.
    pub const NAMED: usize = 100;

    fn add(&mut self, name: String) {
        self.files += 1;
        if self.names.len() < Self::NAMED {
            self.names.push(name);
        }
    }
}

/// The files under some paths.
pub struct FileSource {
    options: Options,
    unreadable: VecDeque<Unreadable>,
    files: Vec<listing::File>,
    folders: Vec<PathBuf>,
    streams: VecDeque<Stream>,
    stdin: Option<Box<dyn Read + Send>>,
    /// The archives being read, the innermost last.
    archives: Vec<Archive>,
    skipped: Skipped,
    items: u64,
    bytes: u64,
}

impl FileSource {
    /// Lists the files under the paths. Nothing is opened yet but folders.
    #[must_use]
    pub fn new(paths: &[impl AsRef<Path>], options: Options) -> FileSource {
        let Listing { folders, files, streams, unreadable, skipped } = Listing::of(paths.iter().map(AsRef::as_ref));
        FileSource {
            options,
            unreadable: unreadable.into(),
            items: files.len() as u64 + streams.len() as u64,
            bytes: files.iter().map(|file| file.size).sum(),
            files,
            folders,
            streams: streams.into(),
            stdin: None,
            archives: Vec::new(),
            skipped,
        }
    }

    /// Reads `-` from here instead of from the process's standard input.
    #[must_use]
    pub fn with_stdin(mut self, stdin: impl Read + Send + 'static) -> FileSource {
        self.stdin = Some(Box::new(stdin));
        self
    }

    /// What was passed over so far because its name says that it is no log.
    #[must_use]
    pub fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    /// The next item of the innermost archive; `None` where it is at its end.
    fn next_of_archive(&mut self) -> Option<Option<Result<Item, Unreadable>>> {
        let found = self.archives.last_mut()?.next_entry();
        let Some(found) = found else {
            self.archives.pop();
            return Some(None);
        };
        Some(match found {
            Found::Item(item) => {
                self.items += 1;
                Some(Ok(item))
            }
            Found::Unreadable(unreadable) => Some(Err(unreadable)),
            Found::Skipped(name) => {
                self.skipped.add(name);
                None
            }
            Found::Archive(kind, name, opened) => self.enter(kind, name, opened),
        })
    }

    /// Opens an archive, which stands for itself among the items no longer.
    fn enter(&mut self, kind: Kind, name: String, opened: Opened) -> Option<Result<Item, Unreadable>> {
        match Archive::open(kind, &name, opened, self.archives.len(), self.options) {
            Ok(archive) => {
                self.archives.push(archive);
                None
            }
            Err(reason) => Some(Err(Unreadable { name, reason })),
        }
    }

    fn next_file(&mut self, file: listing::File) -> Option<Result<Item, Unreadable>> {
        let path = self.folders[file.folder as usize].join(&*file.name);
        let name = name::bounded(&path.to_string_lossy());
        // CloudTrail's own files are no archives: there are many of them, and a look into each is saved.
        let kind = if file.delivered == name::NEVER { sniff(&path) } else { Ok(None) };
        match kind {
            Ok(None) => {
                Some(Ok(Item::new(name, Some(file.size), move || Ok(Content::of(regular(&path)?, Some(file.size))))))
            }
            Ok(Some(kind)) => match File::open(&path) {
                Ok(opened) => {
                    self.items = self.items.saturating_sub(1);
                    self.enter(kind, name, Opened::File(opened))
                }
                Err(error) => Some(Err(Unreadable { name, reason: error.to_string() })),
            },
            Err(error) => Some(Err(Unreadable { name, reason: error.to_string() })),
        }
    }

    /// Standard input or a named pipe: it can be read once, so its start is looked at and handed on with the rest.
    fn next_stream(&mut self, stream: Stream) -> Option<Result<Item, Unreadable>> {
        let (name, opened): (String, io::Result<Box<dyn Read + Send>>) = match stream {
            Stream::Stdin => ("stdin".to_owned(), Ok(self.stdin.take().unwrap_or_else(|| Box::new(io::stdin())))),
            Stream::Pipe(path) => {
                let opened = File::open(&path).map(|file| -> Box<dyn Read + Send> { Box::new(file) });
                (name::bounded(&path.to_string_lossy()), opened)
            }
        };
        let peeked = opened.and_then(|mut reader| {
            let head = archive::head(&mut reader)?;
            Ok((archive::kind(&head), io::Cursor::new(head).chain(reader)))
        });
        match peeked {
            Ok((Some(kind), reader)) => {
                self.items = self.items.saturating_sub(1);
                self.enter(kind, name, Opened::Stream(Box::new(reader)))
            }
            Ok((None, reader)) => Some(Ok(Item::new(name, None, move || Ok(Content::of(reader, None))))),
            Err(error) => Some(Err(Unreadable { name, reason: error.to_string() })),
        }
    }
}

impl Source for FileSource {
    fn next_item(&mut self) -> Option<Result<Item, Unreadable>> {
        loop {
            if let Some(unreadable) = self.unreadable.pop_front() {
                return Some(Err(unreadable));
            }
            let next = if let Some(next) = self.next_of_archive() {
                next
            } else if let Some(file) = self.files.pop() {
                self.next_file(file)
            } else if let Some(stream) = self.streams.pop_front() {
                self.next_stream(stream)
            } else {
                return None;
            };
            if next.is_some() {
                return next;
            }
        }
    }

    /// The files listed and the entries found so far; the bytes of all files. What comes by a pipe has no size.
    fn size_hint(&self) -> SizeHint {
        SizeHint { items: Some(self.items), bytes: Some(self.bytes) }
    }
}

/// Opens a file and sees that it is one: it may have become a pipe since it was listed.
fn regular(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("no longer a regular file"));
    }
    File::open(path)
}

fn sniff(path: &Path) -> io::Result<Option<Kind>> {
    Ok(archive::kind(&archive::head(&mut regular(path)?)?))
}
