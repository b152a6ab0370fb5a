//! Checkouts from real repositories, made by the real git, over each transport.
#![allow(clippy::unwrap_used)]

mod directory;
mod failures;
mod hostile;
mod local;
mod references;
mod support;
mod transports;
