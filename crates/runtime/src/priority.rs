//! Who stands back when all processors are busy, as while a deployment starts a release: requests come first, which the
//! ingress sees to by itself, then apps, then the server, then builds.
//!
//! | | nice |
//! |---|---|
//! | apps, their supervisors, release commands | as the server was started, 0 as a rule |
//! | the server | 5 more |
//! | build commands | 10 more |
//!
//! Every process may stand back further, but only root or `CAP_SYS_NICE` comes forward again. Without that the server stays
//! where it is, as its apps would have to stay with it.

use std::sync::OnceLock;

use nix::libc;
use nix::unistd::{getpid, getsid};

use crate::isolation::Sandbox;

const SERVER: i32 = 5;
const BUILD: i32 = 10;
/// The furthest forward that a server puts anything: the ingress.
const FOREMOST: i32 = -5;
/// The furthest back that there is.
const LAST: i32 = 19;

/// Of this process, before it stood back.
static NORMAL: OnceLock<i32> = OnceLock::new();

/// Makes the server stand back behind the apps, if what it starts can be put in front again. Whether it does. To be called
/// before anything starts a thread: each has a niceness of its own, and the first one's goes on to those it starts.
pub fn stand_back() -> bool {
    let normal = normal();
    // The one way to know is to try.
    if !set(normal.min(FOREMOST) - 1) {
        return false;
    }
    set((normal + SERVER).min(LAST));
    // Where the kernel shares the processors out among sessions first. Somebody else's session is left alone.
    if getsid(None) == Ok(getpid()) {
        set_session(c"5");
    }
    true
}

/// What apps get.
pub(crate) fn normal() -> i32 {
    *NORMAL.get_or_init(current)
}

/// Puts this thread where apps are. Nothing happens if that is forbidden.
pub(crate) fn resume(normal: i32) {
    set(normal);
}

/// Of a process that is about to be started.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Priority {
    Normal(i32),
    Build(i32),
}

impl Priority {
    pub(crate) fn of(sandbox: Option<&Sandbox>, normal: i32) -> Self {
        match sandbox {
            Some(sandbox) if sandbox.background => Self::Build(normal),
            _ => Self::Normal(normal),
        }
    }

    /// In the child, once it has a session of its own, and as long as it has our privileges. Async-signal-safe.
    pub(crate) fn enter(self) {
        match self {
            Self::Normal(normal) => drop(set(normal)),
            Self::Build(normal) => {
                set((normal + BUILD).min(LAST));
                set_session(c"10");
            }
        }
    }
}

fn current() -> i32 {
    // SAFETY: plain numbers. It can't fail for the caller itself.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

fn set(nice: i32) -> bool {
    // SAFETY: plain numbers; a refusal changes nothing.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) == 0 }
}

/// Not to be had everywhere, and nothing depends on it.
fn set_session(nice: &std::ffi::CStr) {
    // SAFETY: constant texts, which end with NUL, and a descriptor that is ours.
    unsafe {
        let file = libc::open(c"/proc/self/autogroup".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file >= 0 {
            libc::write(file, nice.as_ptr().cast(), nice.count_bytes());
            libc::close(file);
        }
    }
}
