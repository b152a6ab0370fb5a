//! What the audit log says of signing in.

use std::time::Instant;

use chrono::{DateTime, Utc};
use domain::audit::{ActorKind, Detail, Draft, Outcome, Via};
use domain::email::Email;
use operations::Error;
use serde_json::{Value, json};
use store::Tx;
use store::users::User;

use super::Visitor;
use crate::Control;
use crate::audit::{Recorded, commit};

/// What a person did.
pub(super) struct Told {
    pub(super) operation: &'static str,
    pub(super) target: String,
    /// How often it had failed before.
    pub(super) failures: u32,
}

impl Control {
    /// In the transaction of what it tells of: without the record, nothing has happened.
    pub(super) async fn record_person(
        &self,
        tx: &Tx,
        user: &User,
        visitor: &Visitor,
        told: Told,
        now: DateTime<Utc>,
    ) -> Result<Recorded, Error> {
        let detail = if told.failures == 0 { Value::Null } else { json!({ "failures_before": told.failures }) };
        let draft = Draft {
            actor: user.id.to_string(),
            actor_kind: ActorKind::Person,
            actor_name: user.name.clone(),
            target: Some(told.target),
            detail: Detail::new(detail),
            ..draft(visitor, told.operation, Outcome::Done, now)
        };
        self.record(tx, draft).await
    }

    /// An attempt that failed, as far as the log has room for those. What was typed is told only when it is an address: people type
    /// passwords into the wrong field.
    pub(super) async fn record_failure(
        &self,
        visitor: &Visitor,
        email: Option<&Email>,
        operation: &'static str,
        mut detail: Value,
    ) -> Result<(), Error> {
        let Some(left_out) = self.inner.sign_ins.allowance.ask(visitor.address, Instant::now()) else {
            tracing::debug!(address = %visitor.address, operation, "too many failures to sign in: this one is not in the audit log");
            return Ok(());
        };
        if left_out > 0 {
            detail["left_out_before"] = left_out.into();
        }
        self.record_grave_failure(visitor, email, operation, detail).await
    }

    /// The same for one that can't be made up: there is always room for it.
    pub(super) async fn record_grave_failure(
        &self,
        visitor: &Visitor,
        email: Option<&Email>,
        operation: &'static str,
        detail: Value,
    ) -> Result<(), Error> {
        let now = store::time::micros(store::clock::now());
        let draft = Draft {
            target: email.map(ToString::to_string),
            detail: Detail::new(detail),
            ..draft(visitor, operation, Outcome::Refused, now)
        };
        let tx = self.write().await?;
        let recorded = self.record(&tx, draft).await?;
        commit(tx, recorded).await
    }
}

/// By somebody who is not known.
fn draft(visitor: &Visitor, operation: &str, outcome: Outcome, now: DateTime<Utc>) -> Draft {
    Draft {
        at: now,
        actor: "system".to_owned(),
        actor_kind: ActorKind::System,
        actor_name: "somebody unknown".to_owned(),
        token: None,
        via: Via::Web,
        address: Some(visitor.address),
        request: visitor.request_id.clone(),
        operation: operation.to_owned(),
        app_id: None,
        app: None,
        environment: None,
        target: None,
        outcome,
        of: None,
        detail: Detail::default(),
    }
}
