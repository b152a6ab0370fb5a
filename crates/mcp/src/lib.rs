//! The third door: the operations of the contract as tools of the Model Context Protocol.
//!
//! Revisions 2026-07-28 and 2025-11-25 (and the older ones that the library knows), over standard input and output
//! ([`stdio`]) and over streamable HTTP ([`http`]). There are no sessions: each request stands for itself, so a client
//! notices nothing of a restart of the server but one call that it repeats.
//!
//! Tools come from the one list of operations ([`tools`]): the name, both schemas, the annotations from the effect
//! alone. What carries them out is a [`Contract`]: the server in its own process, or the server behind its HTTP API.
//! A call goes through these, in this order:
//!
//! 1. [`Door`]: is there such a tool, may it be called in read-only mode, and so often, is there a free place;
//! 2. `arguments`: unknown and missing ones are named, what is destroyed is confirmed;
//! 3. the [`Contract`]; nothing that it began ends with the call: a client that leaves stops no deployment;
//! 4. `size`: at most [`MAX_RESULT`] bytes, with a cursor to go on from, or with where the rest is;
//! 5. [`Gate`]: the one place where secrets and control characters are taken out of whatever leaves, errors and
//!    progress included.

mod answer;
mod arguments;
mod contract;
mod door;
mod gate;
mod hosts;
pub mod http;
mod refusal;
mod schema;
mod size;
pub mod stdio;
pub mod tools;
mod wait;

pub use contract::{Call, Contract, decode};
pub use door::{Door, Settings};
pub use gate::Gate;
pub use hosts::Hosts;
pub use size::MAX_RESULT;
