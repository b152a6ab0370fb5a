//! How a process ended.

use std::fmt;

/// `Display` is `exit status 1` or `killed by signal 9 (SIGKILL)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
}

impl Exit {
    pub fn success(self) -> bool {
        self == Exit::Code(0)
    }

    /// From the status that `waitpid` fills in.
    pub(crate) fn from_wait(status: i32) -> Self {
        use nix::libc::{WEXITSTATUS, WIFSIGNALED, WTERMSIG};
        if WIFSIGNALED(status) { Exit::Signal(WTERMSIG(status)) } else { Exit::Code(WEXITSTATUS(status)) }
    }
}

impl From<std::process::ExitStatus> for Exit {
    fn from(status: std::process::ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt;
        Self::from_wait(status.into_raw())
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Exit::Code(code) => write!(f, "exit status {code}"),
            // Real-time signals have no name.
            Exit::Signal(number) => match nix::sys::signal::Signal::try_from(number) {
                Ok(signal) => write!(f, "killed by signal {number} ({signal})"),
                Err(_) => write!(f, "killed by signal {number}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_like_a_sentence() {
        assert_eq!(Exit::from_wait(1 << 8).to_string(), "exit status 1");
        assert_eq!(Exit::from_wait(9).to_string(), "killed by signal 9 (SIGKILL)");
        assert_eq!(Exit::from_wait(40).to_string(), "killed by signal 40");
        assert!(Exit::Code(0).success() && !Exit::Code(1).success() && !Exit::Signal(15).success());
    }
}
