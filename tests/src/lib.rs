//! Whole-system tests: what they need to run the real thing.
//!
//! [`Server`] is the real binary with a data folder, a home and ports of its own; [`Repo`] a real git
//! repository; [`RawLoad`] a client that hides nothing; [`agent::Agent`] speaks the Model Context Protocol.
#![allow(clippy::unwrap_used)]

pub mod agent;
pub mod app;
pub mod archive;
pub mod can_test;
pub mod canary;
pub mod docker;
pub mod flow;
pub mod http;
pub mod load;
pub mod oidc;
pub mod postgres;
pub mod processes;
pub mod repo;
pub mod requests;
pub mod server;
pub mod timing;
pub mod wait;

pub use app::App;
pub use can_test::can_test;
pub use load::RawLoad;
pub use repo::Repo;
pub use server::{Peer, Server};
pub use wait::wait_for;
