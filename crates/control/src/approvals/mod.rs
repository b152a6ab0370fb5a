//! Deployments that wait for the yes of others.
//!
//! What is asked about is pinned before it is accepted: [`Control::pin`] looks at the repository, [`Control::hold`] writes the
//! question in the transaction that accepts the deployment. It is held in the queue until enough people have voted; what would
//! change what it runs with makes the votes count no more ([`reset`]), and time ends it ([`expire`]).

mod expire;
mod foresee;
mod hold;
mod pin;
mod reset;

use chrono::{DateTime, Utc};
use domain::approval::ApprovalState;
use domain::event::EventKind;
use domain::queue::Waiting;
use store::approvals::{Approval, Vote};
use store::{StoreError, Tx};

use crate::deployment::journal::{Unwanted, end_unstarted};
use crate::dispatch::renew;

pub(crate) use expire::expire;
pub(crate) use hold::ask;
pub(crate) use reset::{Scope, reset};

/// Enough people have said yes: it may start. This is its time now, whatever was deployed since it was asked for.
pub(crate) async fn approve(tx: &Tx, approval: &Approval, votes: &[Vote], at: DateTime<Utc>) -> Result<(), StoreError> {
    let id = &approval.deployment;
    store::approvals::settle(tx, &approval.id, votes).await?;
    store::approvals::decide(tx, &approval.id, ApprovalState::Approved, None, at).await?;
    renew(tx, id, &approval.environment_id).await?;
    if approval.kind == domain::approval::ApprovalKind::Bypass {
        let names: Vec<&str> = votes.iter().filter(|vote| vote.counts).map(|vote| vote.name.as_str()).collect();
        store::bypasses::approve(tx, id, Some(&names.join(", "))).await?;
    }
    store::queue::set_held(tx, id, false).await?;
    decided(tx, approval, ApprovalState::Approved, None, at).await
}

/// It is not to run: somebody refused it, or its time is over. `why` goes on from "it was not approved".
pub(crate) async fn end(
    tx: &Tx,
    approval: &Approval,
    state: ApprovalState,
    why: String,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    store::approvals::decide(tx, &approval.id, state, Some(&why), at).await?;
    decided(tx, approval, state, Some(why.clone()), at).await?;
    if !end_unstarted(tx, &approval.deployment, Unwanted::NotApproved { why }).await? {
        let what = format!("the deployment {}", approval.deployment);
        return Err(StoreError::Corrupt { what, why: "it began before it was approved".to_owned() });
    }
    store::queue::remove(tx, &approval.deployment).await?;
    Ok(())
}

async fn decided(
    tx: &Tx,
    approval: &Approval,
    state: ApprovalState,
    why: Option<String>,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    tell(tx, approval, &EventKind::ApprovalDecided { approval: approval.id.clone(), state, why }, at).await
}

pub(crate) async fn tell(tx: &Tx, approval: &Approval, event: &EventKind, at: DateTime<Utc>) -> Result<(), StoreError> {
    let (app, environment) = (Some(&approval.app), Some(&approval.environment));
    store::events::insert(tx, app, environment, Some(&approval.deployment), event, at).await?;
    Ok(())
}

/// What its deployment waits for.
pub(crate) fn waiting(approval: &Approval, votes: &[Vote]) -> Waiting {
    Waiting::Approval {
        approval: approval.id.clone(),
        got: got(approval, votes),
        needs: approval.required,
        role: approval.role,
        expires_at: approval.expires_at,
    }
}

/// How many people have said yes to what is asked now.
pub(crate) fn got(approval: &Approval, votes: &[Vote]) -> u8 {
    use domain::approval::{Counted, MOST_REQUIRED, Tally, Verdict, tally};
    let yes = votes.iter().filter(|vote| vote.verdict == Verdict::Approve);
    let counted = yes.map(|vote| Counted { voter: &vote.user, verdict: vote.verdict, counts: vote.counts });
    match tally(counted, MOST_REQUIRED + 1, approval.requester_person.as_ref()) {
        Tally::Open { got } => got,
        Tally::Approved | Tally::Refused => approval.required,
    }
}
