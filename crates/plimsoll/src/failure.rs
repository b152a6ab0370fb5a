//! How a command ends badly, and how that is told.

use std::io;

use operations::client::CallError;
use operations::{Error, ErrorKind};

use crate::exit::Exit;

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// To be told on stderr: what, where, what to do.
    Problem { exit: Exit, problem: Box<Error> },
    /// Everything has been told already.
    Told(Exit),
    /// Whoever read our output has gone (`| head`): nothing to say, and nobody to say it to.
    ReaderGone,
}

impl Failure {
    pub(crate) fn usage(detail: impl Into<String>) -> Self {
        Self::with(Exit::Usage, Error::invalid(detail))
    }

    pub(crate) fn with(exit: Exit, problem: Error) -> Self {
        Failure::Problem { exit, problem: Box::new(problem) }
    }

    /// A file or folder that can't be used as needed; `what` is a verb.
    pub(crate) fn file(what: &str, path: &std::path::Path, error: &io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "Check the path",
            io::ErrorKind::PermissionDenied => "Give your user the right to it, or choose another path",
            _ => "Look at the disk and the path",
        };
        Error::invalid(format!("can't {what} {}: {error}", path.display())).hint(hint).into()
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        match self {
            Failure::Problem { exit, problem } => Failure::with(exit, problem.hint(hint)),
            other => other,
        }
    }
}

impl From<Error> for Failure {
    fn from(problem: Error) -> Self {
        Failure::with(problem.code.into(), problem)
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(problem) => problem.into(),
            CallError::Unreachable { .. } => Error::unavailable(error.to_string())
                .hint("Start the server with `plimsoll server`, or name the right one with --server URL")
                .into(),
            CallError::Garbled { .. } => Error::unavailable(error.to_string())
                .hint("Check --server and PLIMSOLL_SERVER: something else answers there, or another version")
                .into(),
        }
    }
}

/// Errors of writing to stdout.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Failure::ReaderGone
        } else {
            Failure::with(Exit::Internal, Error::new(ErrorKind::Internal, format!("can't write the output: {error}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(failure: &Failure) -> Option<u8> {
        match failure {
            Failure::Problem { exit, .. } | Failure::Told(exit) => Some(exit.code()),
            Failure::ReaderGone => None,
        }
    }

    #[test]
    fn failures_map_to_exit_codes() {
        let unreachable = CallError::Unreachable { url: "http://x".into(), reason: "refused".into() };
        assert_eq!(code(&unreachable.into()), Some(8));
        assert_eq!(code(&CallError::Refused(Error::not_found("app `x`")).into()), Some(3));
        assert_eq!(code(&Failure::usage("no")), Some(2));
        assert_eq!(code(&io::Error::from(io::ErrorKind::BrokenPipe).into()), None);
        assert_eq!(code(&io::Error::other("full").into()), Some(1));
    }
}
