//! What a checkout may become, counted from what git lists before a file of it is written: a pack of one megabyte may
//! hold a terabyte.

use domain::limits::Size;

use super::tree::Listing;
use crate::archive::Limits;

/// Of a line that `git ls-tree -l -z` prints: all but the name, at most.
const LINE: u64 = 100;

/// What one checkout has used up: its repository and all submodules together.
pub(super) struct Budget<'a> {
    limits: &'a Limits,
    bytes: u64,
    entries: u64,
}

impl<'a> Budget<'a> {
    pub(super) fn new(limits: &'a Limits) -> Self {
        Self { limits, bytes: 0, entries: 0 }
    }

    /// Bytes that git may print to list a repository. A longer list breaks the limits, and need not be read to its end.
    pub(super) fn longest_list(&self) -> u64 {
        self.limits.entries.saturating_mul(LINE).saturating_add(self.limits.names)
    }

    /// What a checkout would become whose list is longer.
    pub(super) fn too_long(&self) -> String {
        let Limits { entries, names, .. } = self.limits;
        format!("more than the {entries} files and folders, or the {} of their names, that are allowed", Size(*names))
    }

    /// Adds a repository. `Err` says what the checkout would become with it.
    pub(super) fn take(&mut self, listing: &Listing) -> Result<(), String> {
        self.bytes = self.bytes.saturating_add(listing.bytes);
        self.entries = self.entries.saturating_add(listing.entries);
        let Limits { bytes, entries, .. } = self.limits;
        if self.bytes > *bytes {
            return Err(format!("{}, where {} are allowed", Size(self.bytes), Size(*bytes)));
        }
        if self.entries > *entries {
            return Err(format!("{} files and folders, where {entries} are allowed", self.entries));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_of_a_checkout_are_added_up() {
        let limits = Limits { bytes: 2 << 20, entries: 10, ..Limits::default() };
        let of = |bytes, entries| Listing { bytes, entries, ..Listing::default() };
        let mut budget = Budget::new(&limits);
        assert_eq!(budget.take(&of(1 << 20, 5)), Ok(()));
        assert_eq!(budget.take(&of(1 << 20, 5)), Ok(()));
        assert_eq!(budget.take(&of(0, 1)), Err("11 files and folders, where 10 are allowed".to_owned()));
        assert_eq!(budget.take(&of(1 << 20, 0)), Err("3MiB, where 2MiB are allowed".to_owned()));
        let error = budget.take(&of(u64::MAX, u64::MAX)).err();
        assert!(error.is_some_and(|e| e.ends_with("where 2MiB are allowed")), "sums have no end");
    }
}
