//! Who asks, and under which idempotency key.

use domain::TokenId;
use operations::{Error, Operation};

/// An authenticated caller.
#[derive(Debug, Clone)]
pub struct Caller {
    pub token: TokenId,
    /// Name of the token; recorded as the author of what it does.
    pub name: String,
    pub key: Option<IdempotencyKey>,
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
