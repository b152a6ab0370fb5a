//! Where an app's code comes from.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::UploadId;

/// What the URL of a git repository must look like, for clients that look before they send.
pub const URL_PATTERN: &str = r"^[^-\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";
/// The same for a branch, tag or commit.
pub const REFERENCE_PATTERN: &str = r"^[^-\s\x00-\x1f\x7f-\x9f][^\s\x00-\x1f\x7f-\x9f]*$";

/// A place to take source from, as an app remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// A git repository: a local path, `ssh://…`, `user@host:path` or `https://…`.
    Git {
        #[schemars(extend("pattern" = URL_PATTERN))]
        url: String,
        /// Branch, tag or commit; the repository's default branch when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(extend("pattern" = REFERENCE_PATTERN))]
        reference: Option<String>,
    },
    /// A directory on the server's own machine, copied as it is.
    Directory {
        #[schemars(extend("pattern" = r"^/[^\x00]*$"))]
        path: PathBuf,
    },
    /// An archive (tar, tar.gz, tar.zst or zip) that was uploaded. It is there for the deployments that were asked
    /// for with it, and gone when they have ended: no app can have it as its own.
    Archive { upload: UploadId },
}

/// The commit that a deployment was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Commit {
    /// 40 (or 64) hexadecimal digits.
    pub sha: String,
    /// First line of the message.
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub summary: String,
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub author: String,
    /// Seconds since the epoch, as the author's clock said.
    pub time: i64,
}

impl Commit {
    /// The seven digits that people read.
    pub fn short(&self) -> &str {
        self.sha.get(..7).unwrap_or(&self.sha)
    }
}
