//! Calls to real receivers on this machine's loopback addresses.
#![allow(clippy::unwrap_used)]

mod answers;
mod refused;
mod support;
mod tls;
