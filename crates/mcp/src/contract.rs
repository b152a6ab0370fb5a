//! Calling an operation of the contract by its name.

use futures::future::BoxFuture;
use operations::error::field_complaint;
use operations::{Effect, Error, Operation};
use serde_json::{Map, Value};

/// One call of one operation.
#[derive(Debug, Clone)]
pub struct Call {
    /// [`Operation::NAME`] of an operation of the contract.
    pub operation: &'static str,
    /// Fields of its request; not decoded yet, see [`decode`].
    pub request: Map<String, Value>,
    /// The caller's promise that two calls with this key are one: 1 to 128 visible ASCII characters. Checked by
    /// whoever carries the call out.
    pub key: Option<String>,
    /// What stands beside the HTTP request that brought the call; empty when none did.
    pub from: http::Extensions,
}

/// Carries out operations. What an operation has begun goes on when the future is dropped or the client is gone, but for what
/// would be of use to nobody then: a run of smoke tests ends.
pub trait Contract: Send + Sync + 'static {
    /// The response of the operation as JSON, or why there is none. An operation that is not in the list is
    /// `not_found`; a request that can't be decoded is `invalid` and names the field.
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Value, Error>>;

    /// Counts a call of a tool with this effect for whoever it is `from`: once for each, before anything that the call says.
    ///
    /// # Errors
    /// `rate_limited`, and the seconds after which the same call may be let through.
    fn count(&self, effect: Effect, from: &http::Extensions) -> Result<(), (Error, u32)> {
        let _ = (effect, from);
        Ok(())
    }

    /// Whether it refuses all that changes something, by a rule of its own that the door was not told. Asked for each list
    /// of the tools; what it can't tell, its refusals will.
    fn read_only(&self) -> BoxFuture<'static, bool> {
        Box::pin(std::future::ready(false))
    }
}

/// The request of `O` from its fields. `invalid`, and the field's name, when it is not one.
pub fn decode<O: Operation>(request: Map<String, Value>) -> Result<O::Request, Error> {
    serde_path_to_error::deserialize(Value::Object(request))
        .map_err(|error| Error::invalid(field_complaint(&error.path().to_string(), &error.inner().to_string())))
}
