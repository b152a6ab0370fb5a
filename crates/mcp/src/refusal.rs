//! Why a call did not do what it should: for programs a stable code and whether to try again, for models and people
//! what is wrong and what to do.

use operations::{Error, ErrorKind};
use serde::Serialize;
use serde_json::Value;

/// An error of a tool, as clients get it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Refusal {
    /// A code of the API, or `invalid_arguments`, `confirmation_required`.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    /// A place in a file of the user's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<Value>,
    pub(crate) retry: Retry,
}

/// Whether the very same call may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Retry {
    pub(crate) possible: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after_seconds: Option<u32>,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        let retry = Retry { possible: false, after_seconds: None };
        Self { code, message: message.into(), hint: None, location: None, retry }
    }

    pub(crate) fn arguments(message: impl Into<String>) -> Self {
        Self::new("invalid_arguments", message)
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let location = error.location.as_ref().and_then(|location| serde_json::to_value(location).ok());
        Refusal {
            code: error.code.code(),
            message: error.detail,
            hint: error.hint,
            location,
            retry: match error.code {
                ErrorKind::Unavailable => Retry { possible: true, after_seconds: Some(2) },
                ErrorKind::RateLimited => Retry { possible: true, after_seconds: Some(10) },
                // The same request meets the same answer until somebody changes something.
                ErrorKind::Invalid
                | ErrorKind::Unauthorized
                | ErrorKind::Forbidden
                | ErrorKind::ConfirmIdentity
                | ErrorKind::ReadOnly
                | ErrorKind::NotFound
                | ErrorKind::Conflict
                | ErrorKind::TooLarge
                | ErrorKind::Unprocessable
                | ErrorKind::Internal => Retry { possible: false, after_seconds: None },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passes_by_itself_is_worth_a_second_try() {
        for kind in ErrorKind::ALL {
            let refusal = Refusal::from(Error::new(kind, "what").hint("do").at("plimsoll.toml", 3, 4));
            assert_eq!(refusal.code, kind.code());
            let passes = matches!(kind, ErrorKind::Unavailable | ErrorKind::RateLimited);
            assert_eq!(refusal.retry.possible, passes);
            assert_eq!(refusal.location.as_ref().map(|l| l["line"].clone()), Some(3.into()));
        }
    }
}
