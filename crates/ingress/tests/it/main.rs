//! The ingress as its users see it: real sockets, real files, real processes.
#![allow(clippy::unwrap_used)]

mod crash;
mod cutover;
mod files;
mod handover;
mod hostile;
mod proxying;
mod statics;
mod support;
mod tls;
