//! Checkouts from real repositories, made by the real git, over each transport; copies of folders; archives.
#![allow(clippy::unwrap_used)]

mod archives;
mod directory;
mod failures;
mod hostile;
mod local;
mod makers;
mod references;
mod support;
mod transports;
