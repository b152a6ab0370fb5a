//! The built-in ingress: a reverse proxy in a process of its own, and the client by which the control plane
//! tells it where requests go.
//!
//! # What the process promises
//!
//! - It serves the last table it acknowledged, with or without a control plane, and after any crash.
//! - A cutover is all or nothing for an environment, and acknowledged only when it is on the disk *and* every new
//!   request follows it. No request is lost to it: those in flight finish where they are, and connections of
//!   clients stay open. [`Client::drain`] tells when nothing depends on the old release any longer; a request
//!   either is seen by it or goes to the new release, there is no gap between (see `epoch`).
//! - A generation never goes back: an older deployment is refused, also after a restart, also for an environment
//!   that was removed. The deployment of the current generation may decide again, to take its cutover back.
//! - A route belongs to one environment. Who wants a host and path that another one has is refused.
//! - Only requests with the folder's secret are told who answered them ([`Client::verify`]).
//! - A request that nobody took yet goes by the table of the moment, also in a process that was replaced, and waits for room
//!   in a full queue for 10 s (see `errand`).
//! - A request is sent again only if none of it was written, or, once, if its connection broke before a byte of an
//!   answer came, its method is idempotent and nothing was taken from its body (see `attempt`). Requests that can't be
//!   repeated take connections that were free for at most 500 ms.
//! - A request of which two servers could see the end at different places is refused, and the connection closed.
//! - A route that can't be served answers 503 and takes down nothing else.
//!
//! # Files of its folder (mode 0700)
//!
//! | file | content |
//! |---|---|
//! | `lock` | held by the process; a second one with the same folder ends with an error |
//! | `routes.json` | the table, with length and BLAKE3 checksum in the first line |
//! | `routes.previous.json` | the same, written right after it; read when `routes.json` is damaged |
//! | `routes.damaged.json` | a damaged `routes.json`, moved aside at a start as evidence |
//! | `process.json` | process id and address, by which a restart on port 0 finds its port again |
//! | `certificates/<id>.json` | a certificate with its private key, and a checksum (mode 0600) |
//! | `control.sock` | where [`Client`] asks (mode 0600) |
//! | `policy.json` | what the control plane set for the whole ingress |
//! | `stats.json` | counts, so that they go on after a restart |
//! | `verify.secret` | the secret of verifying requests (mode 0600) |
//! | `ingress.log`, `ingress.log.1` | output of a process that [`ensure`] started |
//!
//! # Killed at any instant
//!
//! A file is replaced by writing another one, syncing it, renaming it and syncing the folder; the name stands for
//! the old content or the new. So a process that is killed
//! - before the rename of `routes.json` comes back with the old table; the cutover was not acknowledged;
//! - after it comes back with the new table; the client saw [`Unavailable`] and repeats the cutover, which then
//!   finds nothing to do (or asks for the table);
//! - before the copy is written comes back with the new table too, as `routes.json` is whole.
//!
//! If `routes.json` is damaged by something else, the copy is served and [`Status::degraded`] says so. If both are,
//! the process serves nothing, says so, and takes what it is given; generations from before are unknown then.
//! A route in the table that can't be served (another version wrote it) is answered with 503, alone; an environment
//! that can't be read at all is left out, its generation still respected. Their text is kept, [`Status::damaged`] names
//! them, and a new cutover mends them.
//!
//! A certificate that can't be served is left out alone, and [`Status::degraded`] says so. How one process takes
//! another's place without a lost connection, and what a kill does then, is said in `handover`.
//!
//! # The way of a request
//!
//! `connection` and `workers` (the thread) → `serve` (TLS in `tls`, HTTP/1.1 or HTTP/2) → `proxy` → `heads` and `target`
//! (may it pass?) → `live` (the route) → `errand` → `attempt` → `exchange` on a connection of `upstream`, or `static_files` → `body`
//! or `tunnel`. What the control plane asks for goes `client` → `protocol` → `control` → `table` (the rules) →
//! `table_file` (the disk) → `live`.
//!
//! Absent on purpose: HTTP/2 towards apps, HTTP/3, OCSP stapling, client certificates, caching, compression, buffering
//! of bodies, retries of failed responses, WebSockets over HTTP/2 (RFC 8441), `Via`, hints (`103`), and a time limit
//! between two pieces of a response (event streams are silent for long).

mod attempt;
mod body;
mod build_id;
mod chunks;
mod client;
mod connection;
mod control;
mod counters;
mod ensure;
mod entrance;
mod epoch;
mod errand;
mod exchange;
mod files;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gate;
mod handover;
mod headers;
mod heads;
mod keepalive;
mod latency;
mod listen;
mod live;
mod options;
mod pace;
mod pages;
mod peer;
mod places;
mod policy;
mod protocol;
mod proxy;
mod redirect;
mod reply;
mod report;
mod route;
mod run;
mod salvage;
mod serve;
mod socket;
mod stalls;
mod static_files;
mod stats_file;
mod table;
mod table_file;
mod target;
mod tls;
mod tunnel;
mod upload;
mod upstream;
mod urgency;
mod verify;
mod watched;
mod websocket;
mod workers;

pub use client::{CertificateError, ChangeError, Client, CutoverError, Unavailable, VerifyError};
pub use ensure::{EnsureError, Replaced, ensure, replace};
pub use entrance::Entrance;
pub use handover::Holder;
pub use latency::Latency;
pub use options::{Limits, Options, Settings, Start};
pub use policy::Policy;
pub use report::{CertificateReport, CutoverReport, Drained, Errors, ReleaseStats, Stats, Status, Verified};
pub use route::{EnvironmentRoutes, Gate, Route, RouteLimits, Standby, Target};
pub use run::{RunError, run, serve};
pub use table::{Change, Refused, RouteTable};
pub use tls::{BadCertificate, Details as CertificateDetails, MAX_CHAIN, MAX_KEY, Sealed, inspect};
