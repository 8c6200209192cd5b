//! The paths a user gave to the files under them, each once, in the order of delivery.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pipeline::source::Unreadable;

use super::{Skipped, name};

/// A regular file. A million of them cost some 130 MB, most of it their names.
#[derive(Debug)]
pub(super) struct File {
    /// Its name in its folder.
    pub(super) name: Box<OsStr>,
    /// As stored.
    pub(super) size: u64,
    /// [`name::delivered`].
    pub(super) delivered: u32,
    /// The index of its folder.
    pub(super) folder: u32,
}

/// What can be read once, from its start to its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdin,
    Pipe(PathBuf),
}

/// Everything that is to be read.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The folders under the name by which each was reached first.
    pub(super) folders: Vec<PathBuf>,
    /// The files, the first to be read last.
    pub(super) files: Vec<File>,
    pub(super) streams: Vec<Stream>,
    pub(super) unreadable: Vec<Unreadable>,
    pub(super) skipped: Skipped,
}

/// The folders that were met, by where they really are.
#[derive(Default)]
struct Known {
    index: HashMap<PathBuf, u32>,
    walked: Vec<bool>,
}

impl Listing {
    /// Lists the files under the paths.
    pub(super) fn of<'p>(paths: impl Iterator<Item = &'p Path>) -> Listing {
        let mut listing = Listing::default();
        let mut known = Known::default();
        for path in paths {
            if path == Path::new("-") {
                listing.add_stream(Stream::Stdin);
            } else if path.symlink_metadata().is_err() && path.to_str().is_some_and(is_glob) {
                listing.add_glob(&path.to_string_lossy(), &mut known);
            } else {
                listing.add_path(path, true, &mut known);
            }
        }
        listing.sort();
        listing
    }

    fn add_stream(&mut self, stream: Stream) {
        if !self.streams.contains(&stream) {
            self.streams.push(stream);
        }
    }

    fn add_glob(&mut self, pattern: &str, known: &mut Known) {
        let matches = match glob::glob(pattern) {
            Ok(matches) => matches,
            Err(error) => return self.cannot(Path::new(pattern), format!("not a valid pattern: {}", error.msg)),
        };
        let mut any = false;
        for found in matches {
            any = true;
            match found {
                Ok(path) => self.add_path(&path, false, known),
                Err(error) => self.cannot(error.path(), error.error()),
            }
        }
        if !any {
            self.cannot(Path::new(pattern), "no file matches");
        }
    }

    /// Adds what a path leads to; `named` if the user wrote it out.
    fn add_path(&mut self, path: &Path, named: bool, known: &mut Known) {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return self.cannot(path, error),
        };
        let is_clutter = path.file_name().is_some_and(|name| name::is_clutter_folder(&name.to_string_lossy()));
        if metadata.is_dir() && is_clutter && !named {
            self.skipped.add(name::bounded(&path.to_string_lossy()));
        } else if metadata.is_dir() {
            match self.folder(path, known) {
                Ok(folder) => self.walk(folder, known),
                Err(error) => self.cannot(path, error),
            }
        } else if metadata.is_file() {
            self.add_file(path, metadata.len(), named, known);
        } else if is_pipe(&metadata) && named {
            self.add_stream(Stream::Pipe(path.to_owned()));
        } else {
            self.cannot(path, "not a regular file");
        }
    }

    fn add_file(&mut self, path: &Path, size: u64, named: bool, known: &mut Known) {
        let Some(file_name) = path.file_name() else { return self.cannot(path, "not a regular file") };
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if !named && name::is_clutter(&file_name.to_string_lossy()) {
            return self.skipped.add(name::bounded(&path.to_string_lossy()));
        }
        match self.folder(parent, known) {
            Ok(folder) => self.push(folder, file_name, size),
            Err(error) => self.cannot(path, error),
        }
    }

    fn push(&mut self, folder: u32, file_name: &OsStr, size: u64) {
        let delivered = name::delivered(&file_name.to_string_lossy());
        self.files.push(File { name: file_name.into(), size, delivered, folder });
    }

    /// The index of a folder, new or known.
    fn folder(&mut self, path: &Path, known: &mut Known) -> io::Result<u32> {
        let real = fs::canonicalize(path)?;
        // Four thousand million folders do not fit into memory.
        let next = u32::try_from(self.folders.len()).map_err(io::Error::other)?;
        let index = *known.index.entry(real).or_insert(next);
        if index == next {
            // A file in the working folder is called by its name alone.
            self.folders.push(if path == Path::new(".") { PathBuf::new() } else { path.to_owned() });
            known.walked.push(false);
        }
        Ok(index)
    }

    /// Adds the files in a folder and in all below it, each folder once.
    fn walk(&mut self, folder: u32, known: &mut Known) {
        let mut to_do = vec![folder];
        while let Some(folder) = to_do.pop() {
            if std::mem::replace(&mut known.walked[folder as usize], true) {
                continue;
            }
            let mut below = Vec::new();
            for path in self.list(folder) {
                match self.folder(&path, known) {
                    Ok(next) => below.push(next),
                    Err(error) => self.cannot(&path, error),
                }
            }
            to_do.extend(below.into_iter().rev());
        }
    }

    /// Adds a folder's files; gives its folders back, in order.
    fn list(&mut self, folder: u32) -> Vec<PathBuf> {
        let path = self.folders[folder as usize].clone();
        let listed = if path.as_os_str().is_empty() { fs::read_dir(".") } else { fs::read_dir(&path) };
        let entries = match listed {
            Ok(entries) => entries,
            Err(error) => {
                self.cannot(&path, error);
                return Vec::new();
            }
        };
        let mut below = Vec::new();
        let mut clutter = Vec::new();
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.cannot(&path, format!("cannot be listed to its end: {error}"));
                    break;
                }
            };
            let file_name = entry.file_name();
            let readable_name = file_name.to_string_lossy();
            let metadata = entry.metadata().and_then(|metadata| {
                // A link counts as what it leads to.
                if metadata.is_symlink() { fs::metadata(path.join(&file_name)) } else { Ok(metadata) }
            });
            match metadata {
                Err(error) => self.cannot(&path.join(&file_name), error),
                Ok(metadata) if metadata.is_dir() => {
                    let is_clutter = name::is_clutter_folder(&readable_name);
                    if is_clutter { &mut clutter } else { &mut below }.push(path.join(&file_name));
                }
                Ok(_) if name::is_clutter(&readable_name) => clutter.push(path.join(&file_name)),
                Ok(metadata) if metadata.is_file() => self.push(folder, &file_name, metadata.len()),
                Ok(_) => self.cannot(&path.join(&file_name), "not a regular file"),
            }
        }
        // What a folder that is reached by two ways is called must not depend on the order on disk.
        below.sort();
        clutter.sort();
        clutter.iter().for_each(|path| self.skipped.add(name::bounded(&path.to_string_lossy())));
        below
    }

    fn cannot(&mut self, path: &Path, reason: impl ToString) {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        self.unreadable.push(Unreadable { name: name::bounded(&path.to_string_lossy()), reason: reason.to_string() });
    }

    /// Puts the first file to be read last, and drops those that were reached twice.
    fn sort(&mut self) {
        let mut by_path: Vec<u32> = (0..self.folders.len() as u32).collect();
        by_path.sort_by(|&left, &right| self.folders[left as usize].cmp(&self.folders[right as usize]));
        let mut rank = vec![0u32; self.folders.len()];
        for (place, &folder) in by_path.iter().enumerate() {
            rank[folder as usize] = place as u32;
        }
        self.files.sort_unstable_by(|left, right| {
            let key = |file: &File| (file.delivered, rank[file.folder as usize]);
            key(right).cmp(&key(left)).then_with(|| right.name.cmp(&left.name))
        });
        self.files.dedup_by(|left, right| left.folder == right.folder && left.name == right.name);
        self.unreadable.sort_by(|left, right| left.name.cmp(&right.name));
    }
}

fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

#[cfg(unix)]
fn is_pipe(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    metadata.file_type().is_fifo()
}

#[cfg(not(unix))]
fn is_pipe(_: &fs::Metadata) -> bool {
    false
}
