//! What an archive has used up of its limits.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use domain::limits::Size;
use tokio_util::sync::CancellationToken;

use super::Limits;
use super::error::ArchiveError;

/// Shared by all that read and write for one archive.
#[derive(Clone)]
pub(super) struct Budget<'a> {
    pub(super) limits: &'a Limits,
    cancel: &'a CancellationToken,
    used: Rc<Used>,
}

#[derive(Default)]
struct Used {
    packed: Cell<u64>,
    bytes: Cell<u64>,
    entries: Cell<u64>,
    names: Cell<u64>,
}

impl<'a> Budget<'a> {
    pub(super) fn new(limits: &'a Limits, cancel: &'a CancellationToken) -> Self {
        Self { limits, cancel, used: Rc::default() }
    }

    /// One more file, link or folder, and so many bytes of names.
    pub(super) fn entry(&self, name: usize) -> Result<(), ArchiveError> {
        self.check_cancel()?;
        if add(&self.used.entries, 1) > self.limits.entries {
            return Err(too_large(format!("has more than {} files and folders", self.limits.entries)));
        }
        if add(&self.used.names, name as u64) > self.limits.names {
            return Err(too_large(format!("has names of more than {} together", Size(self.limits.names))));
        }
        Ok(())
    }

    /// So many packed bytes were read.
    pub(super) fn packed(&self, n: u64) {
        add(&self.used.packed, n);
    }

    /// So many bytes of files are about to be written.
    pub(super) fn bytes(&self, n: u64) -> Result<(), ArchiveError> {
        self.check_cancel()?;
        let bytes = add(&self.used.bytes, n);
        if bytes > self.limits.bytes {
            return Err(too_large(format!("becomes larger than {}", Size(self.limits.bytes))));
        }
        self.check_ratio(bytes)
    }

    /// What an archive announces may end it before it has cost anything.
    pub(super) fn announced(&self, n: u64) -> Result<(), ArchiveError> {
        match self.used.bytes.get().saturating_add(n) > self.limits.bytes {
            true => Err(too_large(format!("becomes larger than {}", Size(self.limits.bytes)))),
            false => Ok(()),
        }
    }

    fn check_ratio(&self, bytes: u64) -> Result<(), ArchiveError> {
        match bytes > self.limits.small && bytes / self.limits.ratio.max(1) > self.used.packed.get() {
            true => Err(too_large(format!("becomes more than {} times as large as it is", self.limits.ratio))),
            false => Ok(()),
        }
    }

    fn check_cancel(&self) -> Result<(), ArchiveError> {
        if self.cancel.is_cancelled() { Err(ArchiveError::Cancelled) } else { Ok(()) }
    }
}

/// Counts what is read of the archive itself.
pub(super) struct Packed<'a, R> {
    inner: R,
    budget: Budget<'a>,
}

impl<'a, R> Packed<'a, R> {
    pub(super) fn new(inner: R, budget: Budget<'a>) -> Self {
        Self { inner, budget }
    }
}

impl<R: Read> Read for Packed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.budget.packed(n as u64);
        Ok(n)
    }
}

/// A stream of a tar: it may be as long as its files and their headers may be, and no longer, whether anybody
/// wants what is in it or not.
pub(super) struct Metered<'a> {
    inner: Box<dyn Read + 'a>,
    budget: Budget<'a>,
    read: u64,
    limit: u64,
}

impl<'a> Metered<'a> {
    pub(super) fn new(inner: Box<dyn Read + 'a>, budget: Budget<'a>) -> Self {
        let limits = budget.limits;
        // A header, its padding and a long name for each entry, and a mebibyte for the padding at the end.
        let headers = limits.entries.saturating_mul(3 * 512).saturating_add(limits.names.saturating_mul(2));
        let limit = limits.bytes.saturating_add(headers).saturating_add(1 << 20);
        Self { inner, budget, read: 0, limit }
    }
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.read += n as u64;
        let checked = self.budget.check_cancel().and_then(|()| self.budget.check_ratio(self.read));
        checked.map_err(io::Error::other)?;
        if self.read > self.limit {
            return Err(io::Error::other(too_large(format!("becomes larger than {}", Size(self.budget.limits.bytes)))));
        }
        Ok(n)
    }
}

fn add(counter: &Cell<u64>, n: u64) -> u64 {
    let sum = counter.get().saturating_add(n);
    counter.set(sum);
    sum
}

fn too_large(what: String) -> ArchiveError {
    ArchiveError::TooLarge { what }
}
