//! The runtime with real processes.

#![allow(clippy::unwrap_used)]

mod exec;
mod instances;
mod isolation;
mod kill;
mod limits;
mod logs;
mod priority;
mod probe;
mod restart;
mod support;
