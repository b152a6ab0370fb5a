//! Who asks, and under which idempotency key.

use domain::TokenId;
use operations::{Effect, Error, ErrorKind, Operation};
use tokio_util::sync::CancellationToken;

/// An authenticated caller.
#[derive(Debug, Clone)]
pub struct Caller {
    pub token: TokenId,
    /// Name of the token; recorded as the author of what it does.
    pub name: String,
    /// It may look, and change nothing: see [`Caller::may`].
    pub read_only: bool,
    pub key: Option<IdempotencyKey>,
    /// Fires when nobody waits for the answer any more. What an operation has begun goes on all the same, unless it is of
    /// use to nobody then.
    pub gone: CancellationToken,
}

impl Caller {
    /// Whether the caller may do `O`; every door asks before it carries an operation out.
    ///
    /// # Errors
    /// `Forbidden` when the token is read-only and `O` is not.
    pub fn may<O: Operation>(&self) -> Result<(), Error> {
        match O::EFFECT {
            Effect::Read => Ok(()),
            Effect::Write | Effect::Destroy => self.may_change(O::NAME),
        }
    }

    /// The same for what is no operation.
    pub fn may_change(&self, what: &str) -> Result<(), Error> {
        match self.read_only {
            false => Ok(()),
            true => Err(Error::new(
                ErrorKind::Forbidden,
                format!("the token `{}` is read-only, and {what} changes something", self.name),
            )
            .hint("use a token that may do more: `plimsoll tokens create NAME` makes one")),
        }
    }
}

/// The caller's promise that two requests with this key are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// 1 to 128 visible ASCII characters.
    pub key: String,
    /// Of operation and request, in hexadecimal: the same key with another request is refused.
    pub request_digest: String,
}

/// Carries out one operation of the contract.
pub trait Handle<O: Operation> {
    fn handle(&self, caller: &Caller, request: O::Request) -> impl Future<Output = Result<O::Response, Error>> + Send;
}
