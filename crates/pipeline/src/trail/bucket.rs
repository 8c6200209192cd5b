//! A bucket as a source: what lies in it of some days and was not read before.
//!
//! Accounts and regions are found by listing folders, days by listing their keys; several lists are asked for at once,
//! and no more is held than a page of each. An object is written into the ledger behind the commit of its events, in the
//! version that was read.
//!
//! **Invariant:** every key of a day that is asked for is compared with the ledger, whatever was read before it. Days are
//! claimed as covered only where every folder was listed to its end and every new object in them was read to its end.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use event::{Day, Timestamp};

use super::layout::{DIGESTS, Days, Kind, Trail, day_folder, is_account, is_organization, month_folder};
use super::parallel;
use super::port::{Bucket, Listed, ListedPage, location};
use crate::alert::News;
use crate::collect::TroubleKind;
use crate::coverage::{Coverage, Interval};
use crate::intake::lock;
use crate::proof::Metadata;
use crate::service::CallError;
use crate::source::{Content, Item, Source, Unreadable};
use crate::state::{ObjectLedger, ObjectVersion, StateError};

/// From how many days of one month on its folders are listed, so that days without files cost nothing.
const MONTH_PAYS: usize = 4;

/// The point where a test can end the process, beside those of [`ingest`](crate::ingest::FAILPOINTS).
pub const FAILPOINTS: &[&str] = &["pipeline::after-objects"];

/// How a bucket is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many lists are asked for at once.
    pub listers: usize,
    /// The most bytes that an object may have as stored.
    pub max_object: u64,
    /// Whether digests are read, too.
    pub digests: bool,
    /// From when on its events are news; `None` where the run says how they came to us.
    pub news: Option<News>,
}

impl Default for Options {
    fn default() -> Options {
        Options { listers: 8, max_object: 1 << 30, digests: false, news: None }
    }
}

/// What was found in a bucket: `objects = known + left + to_read`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Found {
    /// Accounts with log files.
    pub accounts: u64,
    /// Regions of all accounts.
    pub regions: u64,
    /// Folders of days that were listed to their end.
    pub days: u64,
    /// Folders that could not be listed, or not to their end.
    pub failed: u64,
    /// Accounts with digest files, read where proof is asked for.
    pub digests: u64,
    /// Folders of Insight events: left for their own command.
    pub insights: u64,
    /// Folders of other services.
    pub foreign: u64,
    /// Objects in the days that were asked for.
    pub objects: u64,
    /// Those of them that were read before, in this very version.
    pub known: u64,
    /// Those of them that only mark a folder.
    pub left: u64,
    /// Those of them that are new.
    pub to_read: u64,
}

impl Found {
    /// Whether everything that was asked for was listed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed == 0
    }
}

/// The new objects of a bucket.
pub struct BucketSource<'s> {
    bucket: Arc<dyn Bucket>,
    ledger: &'s dyn ObjectLedger,
    trail: Trail,
    days: Days,
    options: Options,
    is_discovered: bool,
    /// The folders of days that are to be listed, the first day first.
    folders: VecDeque<Folder>,
    new: VecDeque<Listed>,
    unreadable: VecDeque<Unreadable>,
    /// The versions that were read since the last commit.
    read: Arc<Mutex<Vec<ObjectVersion>>>,
    /// How many objects were read to their end, committed or not.
    read_to_their_end: Arc<AtomicU64>,
    failure: Arc<Mutex<Option<Failure>>>,
    found: Found,
}

/// What first kept something from being listed or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Of what kind.
    pub kind: TroubleKind,
    /// What could not be read, and why.
    pub message: String,
}

/// A day of one account in one region, and how far it was listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Folder {
    day: Day,
    prefix: String,
    after: Option<String>,
}

/// A folder above the days.
enum Step {
    /// `AWSLogs/`, or an organisation's folder in it.
    Accounts(String),
    /// An account's.
    Services(String),
    /// Where an account's log files stand, by region.
    Regions(String),
    /// A region's month, of which these days are wanted.
    Month(String, Vec<Day>),
}

impl Step {
    fn prefix(&self) -> &str {
        match self {
            Step::Accounts(prefix) | Step::Services(prefix) | Step::Regions(prefix) | Step::Month(prefix, _) => prefix,
        }
    }
}

impl<'s> BucketSource<'s> {
    /// What lies in a bucket of these days and is not in the ledger. Asks nothing yet.
    #[must_use]
    pub fn new(
        bucket: Arc<dyn Bucket>,
        ledger: &'s dyn ObjectLedger,
        trail: Trail,
        days: Days,
        options: Options,
    ) -> BucketSource<'s> {
        BucketSource {
            bucket,
            ledger,
            trail,
            days,
            options,
            is_discovered: false,
            folders: VecDeque::new(),
            new: VecDeque::new(),
            unreadable: VecDeque::new(),
            read: Arc::default(),
            read_to_their_end: Arc::default(),
            failure: Arc::default(),
            found: Found::default(),
        }
    }

    /// What first kept something from being listed or read, if anything did.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        lock(&self.failure).clone()
    }

    /// What is read completely once everything that was handed over is committed: the days that were asked for, up to
    /// `delivered`, before which everything had been delivered when the listing was begun. Nothing where anything is
    /// missing, or where there is no trail.
    #[must_use]
    pub fn covered(&self, delivered: Timestamp) -> Coverage {
        let is_listed =
            self.is_discovered && self.folders.is_empty() && self.new.is_empty() && self.found.is_complete();
        let is_read = self.read_to_their_end.load(Ordering::Relaxed) == self.found.to_read;
        // A prefix under which no account has files is a mistake, and no account in which nothing happens.
        let Some(first) = self.days.first.start().filter(|_| is_listed && is_read && self.found.accounts > 0) else {
            return Coverage::default();
        };
        let behind = Day::from_days(self.days.last.days() + 1).start().unwrap_or(Timestamp::MAX);
        Coverage::from_iter([Interval::new(first, behind.min(delivered))])
    }

    /// What was found so far.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// Finds accounts, regions and days, one level of folders after the other.
    fn discover(&mut self) {
        self.is_discovered = true;
        let mut level = vec![Step::Accounts(self.trail.root())];
        let mut folders = Vec::new();
        while !level.is_empty() {
            let bucket = &self.bucket;
            let answers = parallel::each(self.options.listers, level, |step| {
                let answer = bucket.folders(step.prefix());
                (step, answer)
            });
            level = Vec::new();
            let mut is_barred = false;
            for (step, answer) in answers {
                match answer {
                    Ok(names) => self.descend(&step, &names, &mut level, &mut folders),
                    Err(error) => is_barred |= self.fail(step.prefix(), &error),
                }
            }
            if is_barred {
                return;
            }
        }
        folders.sort();
        self.folders = folders.into();
        if self.found.accounts == 0 && self.found.is_complete() {
            let root = location(self.bucket.name(), &self.trail.root());
            note(&self.failure, TroubleKind::NotFound, || format!("{root}: no account has log files there"));
        }
    }

    /// Takes note of what a folder holds.
    fn descend(&mut self, step: &Step, names: &[String], level: &mut Vec<Step>, folders: &mut Vec<Folder>) {
        let prefix = step.prefix();
        for name in names {
            let folder = format!("{prefix}{name}/");
            match step {
                Step::Accounts(_) if is_account(name) && self.trail.wants_account(name) => {
                    level.push(Step::Services(folder));
                }
                // An organisation has no organisations in it.
                Step::Accounts(above) if is_organization(name) && *above == self.trail.root() => {
                    level.push(Step::Accounts(folder));
                }
                Step::Accounts(_) => {}
                Step::Services(_) => match Kind::of(name) {
                    Kind::Logs => {
                        self.found.accounts += u64::from(name == super::layout::LOGS);
                        level.push(Step::Regions(folder));
                    }
                    Kind::Digests => {
                        self.found.digests += 1;
                        if self.options.digests {
                            level.push(Step::Regions(folder));
                        }
                    }
                    Kind::Insights => self.found.insights += 1,
                    Kind::Foreign => self.found.foreign += 1,
                },
                Step::Regions(above) if self.trail.wants_region(name) => {
                    self.found.regions += u64::from(!above.ends_with(&format!("/{DIGESTS}/")));
                    self.months(&folder, level, folders);
                }
                Step::Regions(_) => {}
                Step::Month(_, days) => {
                    let day = days.iter().find(|day| folder.ends_with(&format!("/{}", day_folder(**day))));
                    folders.extend(day.map(|&day| Folder { day, prefix: folder, after: None }));
                }
            }
        }
    }

    /// Says how the days of one region are found: by their month's folders, or straight away where they are few.
    fn months(&self, region: &str, level: &mut Vec<Step>, folders: &mut Vec<Folder>) {
        let days: Vec<Day> = self.days.iter().collect();
        for month in days.chunk_by(|left, right| month_folder(*left) == month_folder(*right)) {
            if month.len() >= MONTH_PAYS {
                level.push(Step::Month(format!("{region}{}", month_folder(month[0])), month.to_vec()));
                continue;
            }
            folders.extend(month.iter().map(|&day| Folder {
                day,
                prefix: format!("{region}{}", day_folder(day)),
                after: None,
            }));
        }
    }

    /// Lists a page of each of the next few days.
    fn list(&mut self) {
        let few = self.folders.len().min(self.options.listers.max(1));
        let round: Vec<Folder> = self.folders.drain(..few).collect();
        let (bucket, ledger) = (&self.bucket, self.ledger);
        let pages = parallel::each(few, round, |folder| {
            let page = bucket.list(&folder.prefix, folder.after.as_deref());
            (folder, page.map(|page| look_up(ledger, bucket.name(), page)))
        });
        let mut unfinished = Vec::new();
        for (folder, page) in pages {
            match page {
                Ok(Ok((page, seen))) => match self.take(&folder, page, &seen) {
                    Next::Page(after) => unfinished.push(Folder { after: Some(after), ..folder }),
                    Next::Nothing => self.found.days += 1,
                    Next::Nowhere => {
                        self.fail(&folder.prefix, &CallError::Refused("its pages lead nowhere".to_owned()));
                    }
                },
                Ok(Err(error)) => {
                    let reason = format!("cannot be compared with the ledger: {error}");
                    self.unreadable(&folder.prefix, TroubleKind::Refused, reason);
                }
                Err(error) => {
                    self.fail(&folder.prefix, &error);
                }
            }
        }
        for folder in unfinished.into_iter().rev() {
            self.folders.push_front(folder);
        }
    }

    /// Takes note of the objects of a page, and says where the next one begins.
    fn take(&mut self, folder: &Folder, page: ListedPage, seen: &[bool]) -> Next {
        let last = page.objects.last().map(|object| object.key.clone());
        for (object, &seen) in page.objects.into_iter().zip(seen) {
            self.found.objects += 1;
            if seen {
                self.found.known += 1;
            } else if object.key.ends_with('/') {
                self.found.left += 1;
            } else {
                self.found.to_read += 1;
                self.new.push_back(object);
            }
        }
        match last {
            _ if !page.more => Next::Nothing,
            Some(last) if folder.after.as_ref().is_none_or(|after| last > *after) => Next::Page(last),
            _ => Next::Nowhere,
        }
    }

    /// Takes note of a folder that could not be listed. Returns whether that ends the listing: no other would fare better.
    fn fail(&mut self, prefix: &str, error: &CallError) -> bool {
        let ends_all = matches!(error, CallError::NotFound(_) | CallError::Credentials(_));
        let others = self.folders.len();
        let rest =
            if ends_all && others > 0 { format!("; {others} more folders are not listed") } else { String::new() };
        self.unreadable(prefix, TroubleKind::of(error), format!("cannot be listed: {error}{rest}"));
        if ends_all {
            self.found.failed += others as u64;
            self.folders.clear();
        }
        ends_all
    }

    fn unreadable(&mut self, prefix: &str, kind: TroubleKind, reason: String) {
        self.found.failed += 1;
        let name = location(self.bucket.name(), prefix);
        note(&self.failure, kind, || format!("{name}: {reason}"));
        self.unreadable.push_back(Unreadable { name, reason });
    }

    fn item(&self, object: Listed) -> Item {
        let (bucket, read) = (Arc::clone(&self.bucket), Arc::clone(&self.read));
        let max_object = self.options.max_object;
        let version = Arc::new(Mutex::new(None));
        let reading = Arc::clone(&version);
        let Listed { key, size, .. } = object;
        let name = location(self.bucket.name(), &key);
        let beside: Arc<Mutex<Metadata>> = Arc::default();
        let found = Arc::clone(&beside);
        let (failed, cut) = (Arc::clone(&self.failure), Arc::clone(&self.failure));
        let (to_open, to_read) = (name.clone(), name.clone());
        let open = move || match open(&*bucket, &key, max_object, &reading) {
            Ok((content, metadata)) => {
                *lock(&found) = metadata;
                Ok(content)
            }
            Err(error) => {
                note(&failed, TroubleKind::of(&error), || format!("{to_open}: cannot be read: {error}"));
                Err(io::Error::other(error))
            }
        };
        let read_to_their_end = Arc::clone(&self.read_to_their_end);
        let receipt = move || {
            let version = lock(&version).take();
            let is_read = version.is_some();
            if is_read {
                read_to_their_end.fetch_add(1, Ordering::Relaxed);
            } else {
                note(&cut, TroubleKind::Unavailable, || format!("{to_read}: the connection was cut"));
            }
            lock(&read).extend(version);
            is_read
        };
        Item::new(name, Some(size), open)
            .with_receipt(receipt)
            .with_metadata(move || std::mem::take(&mut *lock(&beside)))
    }
}

/// Keeps a failure, unless there was one before.
fn note(failure: &Mutex<Option<Failure>>, kind: TroubleKind, message: impl FnOnce() -> String) {
    lock(failure).get_or_insert_with(|| Failure { kind, message: message() });
}

/// Where a listing goes on.
enum Next {
    Page(String),
    Nothing,
    Nowhere,
}

/// Says which objects of a page were read before.
fn look_up(ledger: &dyn ObjectLedger, bucket: &str, page: ListedPage) -> Result<(ListedPage, Vec<bool>), StateError> {
    let versions: Vec<ObjectVersion> = page.objects.iter().map(|object| object.version(bucket)).collect();
    let seen = ledger.seen_objects(&versions)?;
    Ok((page, seen))
}

/// The version of an object that is being read; none once its reading has failed.
pub(super) type Version = Arc<Mutex<Option<ObjectVersion>>>;

/// What an object holds, and what stands beside it.
pub(super) type Opened = (Content, Metadata);

/// Opens an object. What is read and in which version stands in `version`, until the reading fails.
pub(super) fn open(bucket: &dyn Bucket, key: &str, max: u64, version: &Version) -> Result<Opened, CallError> {
    let object = bucket.get(key, max)?;
    let location = location(bucket.name(), key);
    *lock(version) = Some(ObjectVersion { location, etag: object.etag, size: object.size });
    let content = match object.content {
        Content::Bytes(bytes) => Content::Bytes(bytes),
        Content::Reader(reader) => Content::Reader(Box::new(Watched { reader, version: Arc::clone(version) })),
    };
    Ok((content, object.metadata))
}

/// Takes note where the network fails in the middle of an object: it has to be read again, unlike a damaged one.
struct Watched {
    reader: Box<dyn Read + Send>,
    version: Version,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer);
        if read.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted) {
            *lock(&self.version) = None;
        }
        read
    }
}

impl Source for BucketSource<'_> {
    fn next_item(&mut self) -> Option<Result<Item, Unreadable>> {
        loop {
            if let Some(unreadable) = self.unreadable.pop_front() {
                return Some(Err(unreadable));
            }
            if let Some(object) = self.new.pop_front() {
                return Some(Ok(self.item(object)));
            }
            if !self.is_discovered {
                self.discover();
            } else if self.folders.is_empty() {
                return None;
            } else {
                self.list();
            }
        }
    }

    fn news(&self) -> Option<News> {
        self.options.news
    }

    fn settle(&mut self, at: Timestamp) -> Result<(), StateError> {
        let read = std::mem::take(&mut *lock(&self.read));
        if read.is_empty() {
            return Ok(());
        }
        self.ledger.mark_objects(&read, at)?;
        fail::fail_point!("pipeline::after-objects", |_| std::process::abort());
        Ok(())
    }
}
