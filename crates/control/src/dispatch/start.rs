//! From the queue to work.

use chrono::{DateTime, Utc};
use domain::DeploymentId;
use domain::deployment::DeploymentKind;
use domain::queue::{Candidate, Choice, Waiting, choose};
use store::environments::Environment;
use store::queue::Entry;
use store::{StoreError, Tx};

use super::Gate;
use crate::control::Inner;
use crate::deployment::journal::{Unwanted, end_unstarted, regenerate};
use crate::deployment::runner::{Slot, Taken};

/// What has become of a deployment that was just recorded.
pub(crate) enum Accepted {
    /// It runs as soon as the transaction is committed.
    Starts(Taken, Slot),
    /// It waits in the queue.
    Waits,
}

/// Starts whatever may start now. Returns the time at which the next one may that was ordered for later.
pub(super) async fn due(inner: &Inner) -> Result<Option<DateTime<Utc>>, StoreError> {
    let (store, host) = (&inner.world.store, inner.member.host.as_str());
    let mut opens = None;
    // Each round starts at most one of an environment; a short one may make room for the next at once.
    while inner.runner.free() > 0 && !inner.stopping.is_cancelled() {
        let now = Utc::now();
        let (heads, gate) = Gate::heads(store, host, now).await?;
        opens = gate.opens();
        if heads.is_empty() {
            break;
        }
        let waiting = heads.iter().map(|head| head.app.clone()).collect();
        let apps = store::queue::facts(store, &waiting).await?;
        let Choice { start, .. } = choose(heads, &apps, inner.runner.free(), now, |c| gate.closed(c));
        if start.is_empty() {
            break;
        }
        let tx = store.write().await?;
        let mut begun = Vec::new();
        let mut ended = Vec::new();
        for chosen in start {
            let Some(slot) = inner.runner.reserve() else { break };
            match begin(inner, &tx, &chosen.deployment).await? {
                Begun::Taken(taken) => begun.push((taken, slot)),
                Begun::Ended => ended.push(chosen.deployment),
                Begun::NotNow => {}
            }
        }
        let some = !begun.is_empty() || !ended.is_empty();
        tx.commit().await?;
        for (taken, slot) in begun {
            inner.runner.spawn(taken, Some(slot));
        }
        for deployment in ended {
            count_end(inner, &deployment).await;
        }
        if !some {
            // Somebody else was quicker; the next notice tells what came of it.
            break;
        }
    }
    let next = store::queue::next_time(store, host, Utc::now()).await?;
    Ok(next.into_iter().chain(opens).min())
}

enum Begun {
    Taken(Taken),
    /// It was pointless, and has ended.
    Ended,
    /// What was so a moment ago is not so any more.
    NotNow,
}

/// Takes one out of the queue and makes it this server's, if it still may start.
async fn begin(inner: &Inner, tx: &Tx, id: &DeploymentId) -> Result<Begun, StoreError> {
    let Some(entry) = store::queue::find(tx, id).await? else { return Ok(Begun::NotNow) };
    let environment = store::environments::get(tx, &entry.environment).await?;
    let now = Utc::now();
    if environment.running.is_some() || waits(tx, &entry, &environment, now).await?.is_some() {
        return Ok(Begun::NotNow);
    }
    let deployment = store::deployments::get(tx, id).await?.deployment;
    let serving = store::environments::serving(tx, &environment).await?;
    if deployment.generation < environment.generation && entry.not_before.is_some() {
        // Its time has come now: it is newer than what was deployed since it was ordered.
        let generation = store::environments::next_generation(tx, &environment.id).await?;
        match regenerate(tx, id, generation).await {
            // It had begun before an older version of Plimsoll was stopped: it goes on as what it is.
            Err(StoreError::Conflict(_)) => {}
            other => other?,
        }
    } else if deployment.generation < serving && end_unstarted(tx, id, Unwanted::Superseded { newer: serving }).await? {
        store::queue::remove(tx, id).await?;
        return Ok(Begun::Ended);
    }
    store::queue::remove(tx, id).await?;
    Ok(match take(inner, tx, id, deployment.kind, &environment, now).await? {
        Some(taken) => Begun::Taken(taken),
        None => Begun::NotNow,
    })
}

/// Makes a deployment that nobody drives this server's, and the one that is at work in its environment.
async fn take(
    inner: &Inner,
    tx: &Tx,
    id: &DeploymentId,
    kind: DeploymentKind,
    environment: &Environment,
    now: DateTime<Utc>,
) -> Result<Option<Taken>, StoreError> {
    let saga = store::sagas::get(tx, id.as_str()).await?;
    let Some(fence) = store::sagas::take(tx, id.as_str(), &inner.member.id, saga.owner.as_ref()).await? else {
        return Ok(None);
    };
    store::environments::start(tx, &environment.id, id).await?;
    store::apps::started(tx, &environment.app_id, now).await?;
    let cancel_by = saga.cancel_by.filter(|_| saga.cancel_requested);
    Ok(Some(Taken { deployment: id.clone(), kind, fence, cancel_by }))
}

/// What keeps it from starting, but for a free slot and what is at work in its environment.
async fn waits(
    tx: &Tx,
    entry: &Entry,
    environment: &Environment,
    now: DateTime<Utc>,
) -> Result<Option<Waiting>, StoreError> {
    let candidates = vec![candidate(entry, environment)];
    let gate = Gate::of(tx, &candidates, now).await?;
    let apps = [(entry.app.clone(), store::queue::facts_of(tx, &entry.app).await?)].into();
    let Choice { mut wait, .. } = choose(candidates, &apps, 1, now, |c| gate.closed(c));
    Ok(wait.pop().map(|(_, waiting)| waiting))
}

pub(super) fn candidate(entry: &Entry, environment: &Environment) -> Candidate {
    Candidate {
        deployment: entry.deployment.clone(),
        app: entry.app.clone(),
        environment: entry.environment.clone(),
        priority: entry.priority,
        rank: entry.rank,
        not_before: entry.not_before,
        enqueued_at: entry.enqueued_at,
        running: environment.running.clone(),
    }
}

impl Inner {
    /// Finds a place for a deployment that `tx` has recorded: at work here and now, when nothing is before it and
    /// nothing in its way, so that a start costs no further write; or in the queue.
    pub(crate) async fn place(&self, tx: &Tx, entry: Entry, kind: DeploymentKind) -> Result<Accepted, StoreError> {
        let environment = store::environments::get(tx, &entry.environment).await?;
        let now = Utc::now();
        if entry.host == self.member.host
            && environment.running.is_none()
            && store::queue::head_of(tx, &entry.environment).await?.is_none()
            && let Some(slot) = self.runner.reserve()
            && waits(tx, &entry, &environment, now).await?.is_none()
            && let Some(taken) = take(self, tx, &entry.deployment, kind, &environment, now).await?
        {
            return Ok(Accepted::Starts(taken, slot));
        }
        store::queue::insert(tx, &entry).await?;
        Ok(Accepted::Waits)
    }
}

/// For the metrics, as the journal does it for those that ran.
pub(crate) async fn count_end(inner: &Inner, deployment: &DeploymentId) {
    match store::deployments::get(&inner.world.store, deployment).await {
        Ok(record) => inner.world.counters.ended(&record.deployment),
        Err(e) => tracing::debug!("an end is not counted: {e}"),
    }
}
