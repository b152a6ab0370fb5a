//! Tests of the saga engine through its public face.
#![allow(clippy::unwrap_used)]

mod begin;
mod cancel;
mod core;
mod counted;
mod engine;
mod harness;
mod journals;
mod listeners;
mod scripted;
