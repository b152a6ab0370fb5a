//! The ingress as its users see it: real sockets, real files, real processes.
#![allow(clippy::unwrap_used)]

mod counts;
mod crash;
mod cutover;
mod files;
mod handover;
mod hostile;
mod limits;
mod proxying;
mod retry;
mod smuggling;
mod statics;
mod support;
mod tls;
mod tunnels;
mod unsent;
