//! Every driver against receivers that are really there, on loopback.
#![allow(clippy::unwrap_used)]

mod conformance;
mod http;
mod mail;
mod support;
