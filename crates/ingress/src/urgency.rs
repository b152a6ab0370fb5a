//! Requests before builds: the process gets a larger share of the processors when they are all busy, as while a
//! deployment builds and starts. Three times that of others, so that a flood of handshakes can't starve the apps either.
//! It takes root or `CAP_SYS_NICE`; without it the ingress is one of many.

use nix::libc;

const NICE: libc::c_int = -5;

/// For the threads that this one will start. Async-signal-safe.
pub(crate) fn raise() {
    // SAFETY: no memory is touched; a refusal changes nothing.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}

/// Where the kernel shares the processors out among sessions first, the process's own counts among its threads alone.
pub(crate) fn raise_session() {
    if let Err(e) = std::fs::write("/proc/self/autogroup", NICE.to_string()) {
        tracing::debug!("the session keeps its share of the processors: {e}");
    }
}
