//! The app's processes as the supervisor sees them: all its descendants. As a
//! subreaper it inherits whatever the app leaves behind, so none is missing.

use nix::libc;

use crate::exit::Exit;
use crate::proc::descendants;

/// One step of reaping.
pub(super) enum Reaped {
    One(i32, Exit),
    /// The rest is alive.
    Alive,
    /// There are no descendants at all.
    Nobody,
}

/// Not `nix`'s: that fails for a process that was killed by a real-time signal.
pub(super) fn reap() -> Reaped {
    loop {
        let mut status = 0;
        // SAFETY: writes one integer that is ours.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        match pid {
            1.. => return Reaped::One(pid, Exit::from_wait(status)),
            0 => return Reaped::Alive,
            _ if std::io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) => {}
            _ => return Reaped::Nobody,
        }
    }
}

/// Signal every descendant.
pub(super) fn signal_all(signal: i32) {
    for (process, _) in descendants(std::process::id().cast_signed()) {
        if let Some(handle) = process.open() {
            handle.signal(signal).ok();
        }
    }
}

/// Ask the app to end: its whole group in one go, then those that left the group.
/// `app` must not have been reaped, or its number could mean someone else.
pub(super) fn terminate(app: i32) {
    // SAFETY: plain numbers. Continued, as a stopped process can't react.
    unsafe {
        libc::killpg(app, libc::SIGTERM);
        libc::killpg(app, libc::SIGCONT);
    }
    for (process, stat) in descendants(std::process::id().cast_signed()) {
        if stat.group != app
            && let Some(handle) = process.open()
        {
            handle.signal(libc::SIGTERM).ok();
        }
    }
}

/// Whether any of the app's own group still lives.
pub(super) fn group_lives(app: i32) -> bool {
    descendants(std::process::id().cast_signed()).iter().any(|(_, stat)| stat.group == app)
}
