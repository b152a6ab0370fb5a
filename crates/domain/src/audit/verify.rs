//! Is the log as it was written?

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Hash, Head, Link, MacKey, Record};

/// What is wrong, and from which record on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {seq} {flaw}")]
pub struct Fault {
    /// Number of the first record that is not as it was written, or is missing.
    pub seq: u64,
    pub flaw: Flaw,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// It is not there; the next one that is there, if any.
    Missing { next: Option<u64> },
    /// It can't be read.
    Unreadable { why: String },
    /// It does not name the one before it.
    Unlinked,
    /// It was changed after it was written.
    Altered,
    /// It was not written by a holder of the key.
    Forged,
    /// It is the last one, but the head is missing.
    NoHead,
    /// It is the last one that the head names, but the head was not written by a holder of the key.
    HeadForged,
    /// It is the last one, and has another hash than the head says.
    OtherHead,
    /// It is behind the last one that the head names.
    BehindHead,
    /// When it was written the head had been altered: records before it may be missing.
    AfterBreak,
    /// It has another hash than the one that was kept elsewhere.
    OtherAnchor,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Missing { next: Some(next) } => write!(f, "is missing: the next one is {next}"),
            Flaw::Missing { next: None } => f.write_str("is missing: the log was cut off before it"),
            Flaw::Unreadable { why } => write!(f, "can't be read: {why}"),
            Flaw::Unlinked => f.write_str("does not follow the one before it: one of both was replaced"),
            Flaw::Altered => f.write_str("was altered: its hash is another one"),
            Flaw::Forged => f.write_str(
                "was not written by this server: its MAC is wrong, or made with a key that was not in use any more",
            ),
            Flaw::NoHead => f.write_str("is the last one, but the head that says so is missing"),
            Flaw::HeadForged => f.write_str("is the last one by a head that was altered"),
            Flaw::OtherHead => f.write_str("is the last one, and has another hash than the head says"),
            Flaw::BehindHead => f.write_str("is behind the end that the head names: an older head was put back"),
            Flaw::AfterBreak => {
                f.write_str("was written after the head had been altered: records before it may be missing")
            }
            Flaw::OtherAnchor => f.write_str("has another hash than the anchor: the log was written anew up to here"),
        }
    }
}

/// A record that was noted outside of the database: `SEQ:HASH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor(pub Link);

/// The text is no anchor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an anchor: expected the number of a record, `:` and its hash (64 hexadecimal digits)")]
pub struct InvalidAnchor(String);

impl FromStr for Anchor {
    type Err = InvalidAnchor;

    fn from_str(text: &str) -> Result<Self, InvalidAnchor> {
        let parts = text.split_once(':').and_then(|(seq, hash)| Some((seq.parse().ok()?, hash.parse().ok()?)));
        match parts {
            Some((seq, hash)) if seq > 0 => Ok(Self(Link { seq, hash })),
            _ => Err(InvalidAnchor(text.chars().take(100).collect())),
        }
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.seq, self.0.hash)
    }
}

/// A log that is as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// How many there are.
    pub records: u64,
    /// Hash of the last one; zeros when there is none.
    pub head: Hash,
    /// Those whose MAC was not looked at, as their key was not at hand.
    pub unchecked: u64,
}

/// Is shown one record after the other, from the first one on, and keeps nothing but the last.
pub struct Verifier<'a> {
    /// The newest first.
    keys: &'a [MacKey],
    /// So many of them, from the newest on, may still be met: none that was in use before one that was seen.
    usable: usize,
    anchor: Option<Anchor>,
    end: Link,
    unchecked: u64,
}

impl<'a> Verifier<'a> {
    /// The key in use first, behind it those of before. Without keys only the hashes are looked at.
    pub fn new(keys: &'a [MacKey], anchor: Option<Anchor>) -> Self {
        Self { keys, usable: keys.len(), anchor, end: Link::START, unchecked: 0 }
    }

    /// Number of the record that it wants to see next.
    pub fn next_seq(&self) -> u64 {
        self.end.seq + 1
    }

    /// The next record; after a fault there is no use in going on.
    pub fn next(&mut self, record: &Record) -> Result<(), Fault> {
        let seq = self.next_seq();
        let fault = |flaw| Err(Fault { seq, flaw });
        if record.seq != seq {
            return fault(Flaw::Missing { next: Some(record.seq) });
        }
        // Its own hash first: of an altered `prev`, this record is to blame.
        if record.digest() != record.hash {
            return fault(Flaw::Altered);
        }
        if record.prev != self.end.hash {
            return fault(Flaw::Unlinked);
        }
        match self.keys.iter().position(|key| key.id() == record.key) {
            // A key is changed because others may have it: from then on its word is worth nothing.
            Some(at) if at >= self.usable || !record.is_vouched_for(&self.keys[at]) => return fault(Flaw::Forged),
            Some(at) => self.usable = at + 1,
            None => self.unchecked += 1,
        }
        if self.anchor.is_some_and(|Anchor(link)| link.seq == seq && link.hash != record.hash) {
            return fault(Flaw::OtherAnchor);
        }
        self.end = record.link();
        Ok(())
    }

    /// After the last record of a copy, which has no head.
    pub fn finish(self) -> Result<Report, Fault> {
        if self.anchor.is_some_and(|Anchor(link)| link.seq > self.end.seq) {
            return Err(Fault { seq: self.end.seq + 1, flaw: Flaw::Missing { next: None } });
        }
        Ok(Report { records: self.end.seq, head: self.end.hash, unchecked: self.unchecked })
    }

    /// After the last record that the head names.
    pub fn finish_at(self, head: Option<&Head>) -> Result<Report, Fault> {
        let last = self.end;
        let fault = |seq, flaw| Err(Fault { seq, flaw });
        let Some(head) = head else {
            // The first start of a server is in its log: an empty one was emptied.
            return if last.seq == 0 { fault(1, Flaw::Missing { next: None }) } else { fault(last.seq, Flaw::NoHead) };
        };
        // Without its key, hashes are all there is to look at.
        if !self.keys.is_empty() && !self.keys[..self.usable].iter().any(|key| head.is_vouched_for(key)) {
            return fault(head.end.seq, Flaw::HeadForged);
        }
        if head.end.seq > last.seq {
            return fault(last.seq + 1, Flaw::Missing { next: None });
        }
        if head.end != last {
            return fault(last.seq, Flaw::OtherHead);
        }
        if let Some(seq) = head.broken {
            return fault(seq, Flaw::AfterBreak);
        }
        self.finish()
    }
}
