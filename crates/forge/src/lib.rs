//! Where source code comes from: git repositories, directories and archives.

pub mod archive;
pub mod directory;
pub mod error;
pub mod git;
mod links;
pub mod local;

pub use archive::ArchiveError;
pub use directory::{Copied, DirectoryError};
pub use error::GitError;
pub use git::Git;
pub use local::Local;
