//! How what goes wrong becomes a [`Failure`] that helps.

use domain::failure::{Cause, Failure};
use domain::phase::Phase;

pub(crate) fn failure(phase: Phase, cause: Cause, message: impl Into<String>, hint: impl Into<String>) -> Failure {
    Failure { phase, cause, message: message.into(), output: Vec::new(), hint: hint.into(), smoke_tests: Vec::new() }
}

/// The machine or Plimsoll itself. `message` says what was tried.
pub(crate) fn internal(phase: Phase, message: impl Into<String>) -> Failure {
    failure(phase, Cause::Internal, message, "look at the server's log, its disk and its permissions, then try again")
}

pub(crate) fn cancelled(phase: Phase) -> Failure {
    failure(phase, Cause::Cancelled, "it was cancelled", "deploy again when you are ready")
}

/// Adds the output that belongs to a failure.
pub(crate) fn with_output(mut failure: Failure, output: Vec<String>) -> Failure {
    failure.output = output;
    failure
}
