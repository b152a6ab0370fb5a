//! Where source code comes from: git repositories and directories.

pub mod directory;
pub mod error;
pub mod git;
mod links;
pub mod local;

pub use directory::{Copied, DirectoryError};
pub use error::GitError;
pub use git::Git;
pub use local::Local;
