//! The audit log: no write of a handler is committed without the record that tells of it.
//!
//! [`Control::write`] gives a [`Write`], which only [`commit`] ends, and that takes a [`Recorded`]: the proof that the
//! transaction holds its record. So a handler that forgets it does not compile. What can't be done in one transaction
//! begins with a record of its own, see [`Act`]. Who was refused is recorded, too, see [`Refusals`].

mod act;
mod anchors;
mod noted;
mod refusals;

use domain::audit::{ActorKind, Anchor, Detail, Draft, MacKey, Outcome, Via};
use operations::{Error, Operation};
use serde_json::{Value, json};
use store::idempotency::Answer;
use store::{Constraint, Held, StoreError, Tx};

pub(crate) use act::Act;
pub(crate) use anchors::tell as anchors;
pub(crate) use noted::Noted;
pub(crate) use refusals::Refusals;

use crate::Control;
use crate::access::Admitted;
use crate::caller::Principal;
use crate::error::store_error;
use crate::vault::Vault;

/// Proof that what a transaction does is in the audit log. Made here alone.
#[must_use]
pub(crate) struct Recorded(());

/// A write that is committed with a [`Recorded`].
pub(crate) type Write = Held<Recorded>;

/// Makes everything written durable and visible, with its record.
pub(crate) async fn commit(tx: Write, recorded: Recorded) -> Result<(), Error> {
    tx.commit(recorded).await.map_err(store_error)
}

/// Why a write needs no record of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unasked {
    /// The answer under an idempotency key, to what was recorded before.
    Answer,
    /// The count of an attempt to sign in, before and after it: what comes of it is recorded.
    Attempt,
    /// A program waits to be let in, or is told that it was not: nobody has got anything by it.
    Waits,
    /// The same password by another hash: for who it is, nothing has happened.
    Rehash,
}

/// The same for what nobody has asked for.
pub(crate) async fn commit_unasked(tx: Write, why: Unasked) -> Result<(), Error> {
    tracing::trace!(?why, "a write without a record of its own");
    commit(tx, Recorded(())).await
}

/// The keys that the log is signed with: the one in use first.
pub(crate) fn keys(vault: &Vault) -> Vec<MacKey> {
    vault.audit_keys().into_iter().map(MacKey::new).collect()
}

/// Adds the record of what a server makes at its very first start, before anybody can ask for it.
pub(crate) async fn record_first(tx: &Tx, keys: &[MacKey], operation: &str, target: &str) -> Result<(), Error> {
    let detail = json!({ "role": "owner", "why": "it was the first start of a server" });
    store::audit::begin(tx, keys, local(operation, target, detail)).await.map(drop).map_err(store_error)
}

/// Adds the record of what was done on the machine while no server ran.
pub(crate) async fn record_offline(
    tx: &Tx,
    keys: &[MacKey],
    operation: &str,
    target: &str,
    detail: Value,
) -> Result<(), Error> {
    store::audit::append(tx, keys, local(operation, target, detail)).await.map(drop).map_err(store_error)
}

/// Of the server itself, past the API.
fn local(operation: &str, target: &str, detail: Value) -> Draft {
    Draft {
        at: store::clock::now(),
        actor: Principal::System.id().to_owned(),
        actor_kind: ActorKind::System,
        actor_name: "the server".to_owned(),
        token: None,
        via: Via::Local,
        address: None,
        request: None,
        operation: operation.to_owned(),
        app_id: None,
        app: None,
        environment: None,
        target: Some(target.to_owned()),
        outcome: Outcome::Done,
        of: None,
        detail: Detail::new(detail),
    }
}

impl Control {
    pub(crate) async fn write(&self) -> Result<Write, Error> {
        self.store().write_held().await.map_err(store_error)
    }

    /// Writes what an operation has come to: the record, and the answer under the caller's idempotency key.
    pub(crate) async fn conclude<O: Operation>(
        &self,
        tx: &Tx,
        who: &Admitted,
        response: &O::Response,
    ) -> Result<Recorded, Error> {
        let response = in_json::<O>(response)?;
        who.noted().answered(&response);
        self.keep_json::<O>(tx, who, response).await?;
        let recorded = self.record(tx, who.noted().draft(who, Outcome::Done)).await?;
        who.noted().concluded();
        Ok(recorded)
    }

    /// The record alone, for an operation whose answer is only known after the commit.
    pub(crate) async fn conclude_before_answer(&self, tx: &Tx, who: &Admitted) -> Result<Recorded, Error> {
        self.record(tx, who.noted().draft(who, Outcome::Done)).await
    }

    /// The answer alone, if the caller has an idempotency key for it.
    pub(crate) async fn keep_answer<O: Operation>(&self, who: &Admitted, response: &O::Response) -> Result<(), Error> {
        if who.key.is_none() {
            return Ok(());
        }
        let tx = self.write().await?;
        self.keep_json::<O>(&tx, who, in_json::<O>(response)?).await?;
        commit_unasked(tx, Unasked::Answer).await
    }

    /// Adds a record to the log, in the transaction of what it tells of.
    pub(crate) async fn record(&self, tx: &Tx, draft: Draft) -> Result<Recorded, Error> {
        self.append(tx, draft).await.map(|_| Recorded(()))
    }

    /// The same; returns its number.
    async fn append(&self, tx: &Tx, draft: Draft) -> Result<u64, Error> {
        let record = store::audit::append(tx, &self.audit_keys(), draft).await.map_err(store_error)?;
        Ok(record.seq)
    }

    pub(crate) fn audit_keys(&self) -> Vec<MacKey> {
        keys(&self.world().vault)
    }

    /// Says in the server's log where the audit log ends: at each start, and at midnight.
    pub(crate) async fn tell_audit_head(&self) -> Result<(), Error> {
        if let Some(head) = store::audit::head(self.store()).await.map_err(store_error)? {
            tracing::info!(anchor = %Anchor(head.end), "the audit log ends here");
        }
        Ok(())
    }

    async fn keep_json<O: Operation>(&self, tx: &Tx, who: &Admitted, response: Value) -> Result<(), Error> {
        let Some(key) = &who.key else { return Ok(()) };
        let answer = Answer {
            owner: who.principal.id().to_owned(),
            key: key.key.clone(),
            operation: O::NAME.to_owned(),
            request_digest: self.digest(&key.request_digest),
            status: O::STATUS,
            response,
            created_at: store::clock::now(),
        };
        match store::idempotency::insert(tx, &answer).await {
            Err(StoreError::Conflict(Constraint::IdempotencyKey)) => {
                Err(Error::conflict("another request with this idempotency key was quicker"))
            }
            other => other.map_err(store_error),
        }
    }
}

fn in_json<O: Operation>(response: &O::Response) -> Result<Value, Error> {
    serde_json::to_value(response).map_err(|e| {
        tracing::error!(operation = O::NAME, "an answer can't be written as JSON: {e}");
        Error::internal()
    })
}
