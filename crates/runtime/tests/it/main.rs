//! The runtime with real processes.

#![allow(clippy::unwrap_used)]

mod exec;
mod instances;
mod kill;
mod logs;
mod probe;
mod restart;
mod support;
