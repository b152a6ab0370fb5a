//! The question, in the transaction that accepts the deployment.

use domain::ApprovalId;
use domain::approval::{ApprovalKind, ApprovalState, MOST_PENDING, MOST_PENDING_OF_ONE, needed};
use domain::deployment::DeploymentKind;
use domain::event::EventKind;
use operations::Error;
use store::Tx;
use store::approvals::Approval;
use store::deployments::Record;
use store::environments::Environment;
use ulid::Ulid;

use super::{pin, tell};
use crate::Control;
use crate::access::Admitted;
use crate::deployment::State;
use crate::deployment::state::Awaited;
use crate::error::store_error;

/// Longest note, in characters: messages of commits have no end.
const MAX_NOTE: usize = 400;

impl Control {
    /// Looks whether others have to approve of a deployment that is about to be accepted, and names them in it and its saga. What
    /// comes back is [asked](ask) once the deployment is written.
    pub(crate) async fn hold(
        &self,
        tx: &Tx,
        who: &Admitted,
        environment: &Environment,
        record: &mut Record,
        state: &mut State,
    ) -> Result<Option<Approval>, Error> {
        let found = store::approval_policies::find(tx, &record.app_id, &environment.name).await.map_err(store_error)?;
        let Some(found) = found else { return Ok(None) };
        let policy = found.policy;
        let bypass = store::bypasses::find(tx, &record.deployment.id).await.map_err(store_error)?;
        let Some(kind) = needed(&policy, record.deployment.kind, bypass.is_some()) else { return Ok(None) };
        // Going back ends an outage: there is always room for it.
        if record.deployment.kind != DeploymentKind::Rollback {
            has_room(tx, environment, who.principal.id()).await?;
        }
        let (pin, mut note) = pin::subject(tx, record, state).await?;
        if let Some(bypass) = bypass.filter(|_| kind == ApprovalKind::Bypass) {
            note = format!("past closed windows ({}): {note}", bypass.reason);
        }
        let id = ApprovalId::from_ulid(Ulid::generate());
        let deployment = &mut record.deployment;
        deployment.metadata.approval = Some(id.clone());
        state.order.approval = Some(Awaited { id: id.clone(), reference: deployment.metadata.reference.clone() });
        Ok(Some(Approval {
            id,
            kind,
            deployment: deployment.id.clone(),
            app_id: record.app_id.clone(),
            app: deployment.app.clone(),
            environment_id: environment.id.clone(),
            environment: environment.name.clone(),
            subject: pin.subject(),
            subject_note: note.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_NOTE).collect(),
            requester: who.principal.id().to_owned(),
            requester_person: who.behind().cloned(),
            requester_name: who.name.clone(),
            required: policy.required,
            role: policy.role,
            state: ApprovalState::Pending,
            why: None,
            created_at: deployment.created_at,
            expires_at: deployment.created_at + policy.expires_in.get(),
            decided_at: None,
        }))
    }
}

async fn has_room(tx: &Tx, environment: &Environment, requester: &str) -> Result<(), Error> {
    let pending =
        async |of: Option<&str>| store::approvals::pending(tx, &environment.id, of).await.map_err(store_error);
    let what = format!("{}/{}", environment.app, environment.name);
    let most = match (pending(Some(requester)).await? >= MOST_PENDING_OF_ONE, pending(None).await? >= MOST_PENDING) {
        (true, _) => format!("{MOST_PENDING_OF_ONE} deployments of yours to {what} wait for approval already"),
        (false, true) => format!("{MOST_PENDING} deployments to {what} wait for approval already"),
        (false, false) => return Ok(()),
    };
    Err(Error::conflict(most).hint("have some voted on, or cancel them: `plimsoll approvals list --state pending`"))
}

/// Writes the question, and tells of it.
pub(crate) async fn ask(tx: &Tx, approval: &Approval) -> Result<(), Error> {
    store::approvals::insert(tx, approval).await.map_err(store_error)?;
    let asked = EventKind::ApprovalRequested {
        approval: approval.id.clone(),
        about: approval.kind,
        required: approval.required,
        role: approval.role,
        expires_at: approval.expires_at,
        by: approval.requester_name.clone(),
    };
    tell(tx, approval, &asked, approval.created_at).await.map_err(store_error)
}
