//! The runtime: apps as processes, static sites as links, commands of builds, and the
//! probes that say whether any of it is well. It decides nothing: `control` tells it
//! what should run, and it makes that so.
//!
//! # Who is who
//!
//! An *instance* is one app process with all that it starts, under a *supervisor* of its
//! own: the same binary in another role ([`supervise`]), one thread, detached from the
//! server. The server keeps nothing about instances in memory; a new one finds in the
//! folders and in `/proc` what the old one knew ([`ProcessRuntime`]).
//!
//! # What survives what
//!
//! | killed with -9 | supervisor | app | afterwards |
//! |---|---|---|---|
//! | server | runs on | runs on, with logs and restarts | the next server's `start` adopts it |
//! | supervisor | | dies at once (parent-death signal), its children may linger | state `Lost`; the next `start`, `stop` or `clean` kills what lingers |
//! | app | runs on | is started again, after its leftovers are killed | restart counted, last exit noted |
//! | machine | | | state `Lost`; `start` begins anew, log numbers go on |
//! | server, in a command | | the command dies at once, its children may linger | [`Executor::sweep_all_except`] at the next start |
//!
//! # An instance's folder
//!
//! `<dir>/<deployment>-<component>-<index>/`, mode 0700:
//!
//! | | written by | |
//! |---|---|---|
//! | `spec.json` | server, before the supervisor | [`InstanceSpec`] without its environment |
//! | `status.json` | supervisor, at each change, whole | state, pids with start times, restarts, last exit |
//! | `lock` | supervisor | locked for its life: whether it is there is asked of the kernel, not of a file |
//! | `log/current`, `log/<number>` | supervisor | output; see [`log`] |
//! | `supervisor.err` | supervisor | its own panics |
//! | `home/`, `tmp/` | app | defaults for `HOME` and `TMPDIR`; the app's user's, the rest is the server's |
//!
//! Beside the instances: `.generations/<environment>` (the newest generation that has started
//! anything; synced before it does), `.locks/<instance>` (one change at a time) and
//! `.gone-…` (folders that are being deleted).
//!
//! # Killed in the middle
//!
//! | the server dies | it leaves | cleaned by |
//! |---|---|---|
//! | in `start`, before the supervisor runs | a folder without a lock | the next `start` of the name, or `clean` |
//! | … before the environment is sent whole | a supervisor that sees its input end, and goes | the same |
//! | … after that | an instance that comes up | the next `start` adopts it |
//! | in `stop` | a supervisor that goes on stopping | the next `stop` waits for it, a `start` too |
//! | in `remove`, after the stop | a stopped instance, or `.gone-…` | the next `remove`, or `clean` |
//! | in [`Sites`] | a temporary link, under the site's lock | the next call |
//!
//! # How a command line is run
//!
//! By `/bin/sh -c`, in a session and process group of its own. A line that is one plain
//! program is `exec`ed, so signals and exit status are the program's own; TERM goes to the whole
//! group either way, and the stop timeout holds for all of it, also when a shell in front
//! has died. Nothing is inherited: the environment is what was asked for, `PORT`, and
//! defaults for `PATH` (the server's), `HOME`, `LANG`, `TMPDIR`. What it may reach and use is a [`Sandbox`], which
//! `spawn`, the only place where commands of users become processes, puts into force; see [`isolation`]. How far it stands
//! back when the processors are busy says [`priority`].
//!
//! # How nothing is left
//!
//! A supervisor is a subreaper: every orphan of the app becomes its child, so it can kill
//! and reap them all. Where there is no supervisor any more, and for commands, processes are
//! found by marks in their environment (`PLIMSOLL_RUNTIME` with `PLIMSOLL_INSTANCE`,
//! `PLIMSOLL_SUPERVISOR`, `PLIMSOLL_WORK` or `PLIMSOLL_RUN`). The one thing that gets away is a
//! process that has both replaced its environment and outlived a supervisor killed with -9, where there is no control
//! group either: with one, all that is in it is killed.
//! A signal never hits a stranger that has got a dead process's pid: each goes through a pidfd
//! whose process was checked after opening it.
//!
//! # Secrets
//!
//! An app's environment goes to its supervisor through a pipe and stays in its memory, for
//! restarts. It is in no file, argument list or `Debug`, and not in the supervisor's own environment. Values of
//! variables that the spec calls secret are taken out of what the app prints before that is written.

mod blocking;
mod environment;
mod exit;
mod folder;
mod generation;
mod lines;
mod marker;
mod proc;
mod shell;
mod spawn;

pub mod error;
pub mod exec;
pub mod isolation;
pub mod log;
pub mod ports;
pub mod priority;
pub mod probe;
pub mod process;
pub mod sites;
pub mod spec;
pub mod supervise;

pub use error::{ExecError, FileError, SiteError, StartError, StopError};
pub use exec::{Command, Executor, Exit, Line};
pub use isolation::{Exceeded, Host, Sandbox, Users};
pub use log::{Follower, LogLine, LogReader, Stream};
pub use ports::{NoFreePort, Ports};
pub use probe::{NotHealthy, Target, ask, observe, wait_healthy};
pub use proc::Process;
pub use process::{ProcessRuntime, Started, Supervisor};
pub use sites::Sites;
pub use spec::{Backoff, InstanceSpec, LogLimits, RestartPolicy};
pub use supervise::supervise;
