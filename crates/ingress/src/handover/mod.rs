//! How one process takes another's place without a lost connection.
//!
//! The listening sockets are never closed: the new process gets them from the old one over the control socket. The
//! kernel's queue of connections belongs to the socket, so whoever waits in it is served by either.
//!
//! ```text
//!  new                                          old
//!   │── take_over ───────────────────────────────►│   accepts, answers, changes its table
//!   │◄──────────── sockets and the folder's lock ─│
//!   │── ready ───────────────────────────────────►│   finishes the change that runs; refuses others ("moved")
//!   │◄───────────────────────────────────── yours ─│
//!   │   loads table and certificates, binds the control socket, accepts
//!   │── serving ─────────────────────────────────►│   accepts no longer; kept connections get one more answer
//!   │── follow(table), for each change ──────────►│
//!   │◄──────────────────────────────── followed ──│   so no request on an old connection goes an old way
//!   │── leaving(deployment)? ────────────────────►│   a drain counts requests of both
//!   │                                        ends ─│   when nothing is in flight, or after 10 minutes
//! ```
//!
//! Only one of the two changes the table at any time: the old one until it said `yours`, the new one after that, and
//! what is acknowledged is on the disk of the folder that both share. The lock is one open file of both, so it is
//! never free in between.
//!
//! Killed at any instant: if the new one ends before it said `serving`, the old one reads the table anew and goes on.
//! If the old one ends before it said `yours`, the new one has sockets and lock, and goes on. Only a connection that was
//! closed counts as an end: who hears what it can't understand (another version's words) knows that the other one lives.
//! Before `yours` the new one then steps back; after it the old one ends the new one, and goes on.

mod hold;
mod link;
mod predecessor;
mod sockets;
mod successor;

pub use hold::Holder;
pub(crate) use link::{ANSWER, inner};
pub(crate) use predecessor::{Claim, Offer, Predecessor};
pub(crate) use sockets::{Sockets, given, send_sockets};
pub(crate) use successor::hand_over;
