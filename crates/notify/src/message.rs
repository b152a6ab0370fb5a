//! What is delivered, and how it reads.

use chrono::{DateTime, Utc};
use domain::notice::{Digest, Notice};

/// One message for one notice or for many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The same in each attempt; letters, digits and `_`.
    pub id: String,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    pub digest: Digest,
    /// Where the UI is, such as `https://deploy.example.org`; without it there are no links.
    pub ui: Option<String>,
}

/// Notices whose body is shown, too; of the others the title.
const BODIES: usize = 5;

impl Message {
    /// One line.
    pub fn title(&self) -> String {
        self.digest.title()
    }

    /// Where the UI shows more.
    pub fn link(&self) -> Option<String> {
        self.link_to(self.digest.path())
    }

    pub(crate) fn link_to(&self, path: &str) -> Option<String> {
        self.ui.as_ref().map(|ui| format!("{}{path}", ui.trim_end_matches('/')))
    }

    /// Below the title, as plain text: what is shown of each notice, and how many are not.
    pub(crate) fn lines(&self, line: impl Fn(&Notice, Part) -> String) -> Vec<String> {
        let shown = self.digest.shown();
        let mut lines = Vec::new();
        for (n, notice) in shown.iter().enumerate() {
            if self.digest.count() > 1 {
                lines.push(line(notice, Part::Title));
            }
            if n < BODIES && notice.body.is_some() {
                lines.push(line(notice, Part::Body));
            }
        }
        let left_out = self.digest.count().saturating_sub(shown.len() as u64);
        if left_out > 0 {
            lines.push(format!("and {left_out} more"));
        }
        lines
    }
}

/// Of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Title,
    Body,
}
