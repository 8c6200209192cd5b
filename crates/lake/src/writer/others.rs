//! What other writers committed meanwhile: every day is compared with it before a commit.

use std::sync::Arc;

use deltalake_core::kernel::Version;
use event::Day;

use super::{Shared, Staged, Writer, lock};
use crate::LakeError;
use crate::reader::each_id;
use crate::table::{Added, DataFile};

impl Writer {
    /// Compares every open day with what other writers committed. After it all ids are those of the current version.
    pub(crate) fn meet_others(&self) -> Result<(), LakeError> {
        let (version, foreign) = {
            let mut shared = lock(&self.shared);
            shared.refresh()?;
            (shared.table.version(), shared.foreign.clone())
        };
        for (day, slot) in self.slots() {
            let mut open = lock(&slot.state);
            if open.ids.is_none() || open.version >= version {
                continue;
            }
            let news: Vec<&Added> =
                foreign.iter().filter(|added| added.file.day == day && added.version > open.version).collect();
            if !news.is_empty() {
                // What is buffered was compared with the old version only: it goes into a file of its own, which is
                // compared again before it is committed.
                while !open.buffer.is_empty() {
                    let taken = self.take(&mut open);
                    drop(open);
                    self.stage(day, &slot, taken)?;
                    open = lock(&slot.state);
                }
                for added in news {
                    if let Some(ids) = &mut open.ids {
                        each_id(self.storage(), &added.file, |key, hash| _ = ids.note(key, hash))?;
                    }
                }
            }
            open.version = version;
            self.account(&slot, &open);
        }
        Ok(())
    }

    /// Forgets the foreign files that nobody has to be compared with any more.
    pub(crate) fn forget_foreign(&self) {
        let slots = self.slots();
        let versions = slots.iter().filter_map(|(_, slot)| {
            let open = lock(&slot.state);
            open.ids.as_ref().map(|_| open.version)
        });
        let oldest_day = versions.min();
        let mut shared = lock(&self.shared);
        let staged = shared.staged.iter().map(|staged| staged.checked).min();
        let encoding = shared.encoding.iter().copied().min();
        let oldest = [oldest_day, staged, encoding].into_iter().flatten().min().unwrap_or(Version::MAX);
        shared.foreign.retain(|added| added.version > oldest);
    }
}

impl Shared {
    /// Moves the view on. Files of ours whose commit was reported as failed, but landed, are recognised.
    pub(crate) fn refresh(&mut self) -> Result<(), LakeError> {
        for added in self.table.refresh()? {
            let ours = self.staged.iter().position(|staged| staged.file.path == added.file.path);
            match ours {
                Some(place) => self.landed.push(self.staged.swap_remove(place).file),
                None => self.foreign.push(added),
            }
        }
        Ok(())
    }

    pub(super) fn files_of(&self, day: Day) -> Vec<Arc<DataFile>> {
        let staged = self.staged.iter().map(|staged| &staged.file).filter(|file| file.day == day);
        let mut files = self.table.files_of(day);
        files.extend(staged.cloned());
        files
    }

    /// What others added to the day of a staged file after it was compared.
    pub(crate) fn unmet(&self, staged: &Staged) -> Vec<Added> {
        let news = self.foreign.iter();
        news.filter(|added| added.file.day == staged.file.day && added.version > staged.checked).cloned().collect()
    }
}
