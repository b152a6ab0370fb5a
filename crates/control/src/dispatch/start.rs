//! From the queue to work.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::DeploymentId;
use domain::deployment::DeploymentKind;
use domain::queue::{Candidate, Choice, Waiting, choose};
use store::environments::Environment;
use store::queue::Entry;
use store::starts::{Ready, Started};
use store::{Session, StoreError, Tx};

use super::supersede::{AT_ONCE, at_turn};
use super::{Gate, let_back, renew};
use crate::control::Inner;
use crate::deployment::journal::{Unwanted, beginning, end_unstarted};
use crate::deployment::runner::{Slot, Taken};

/// What has become of a deployment that was just recorded.
pub(crate) enum Accepted {
    /// It runs as soon as the transaction is committed.
    Starts(Taken, Slot),
    /// It waits in the queue.
    Waits,
}

/// What came of a look at the queue.
pub(super) struct Due {
    /// How many were taken out of it.
    pub(super) taken: usize,
    /// The time at which the next one may start that was ordered for later.
    pub(super) next: Option<DateTime<Utc>>,
}

/// Starts whatever may start now.
pub(super) async fn due(inner: &Inner) -> Result<Due, StoreError> {
    let (store, host) = (&inner.world.store, inner.member.host.as_str());
    let (mut count, mut opens, mut more) = (0, None, None);
    let mut outrun = false;
    // Each round starts at most one of an environment; a short one may make room for the next at once.
    while inner.runner.free() > 0 && !inner.stopping.is_cancelled() {
        let (chosen, gate) = choice(inner, store).await?;
        opens = gate.opens();
        if chosen.is_empty() {
            break;
        }
        let tx = store.write().await?;
        // Who was outrun by another server looks again now that nobody else can write.
        let chosen = if outrun { choice(inner, &tx).await?.0 } else { chosen };
        // More slots may be free by now than there were at the look.
        let slots: Vec<Slot> = (0..chosen.len()).map_while(|_| inner.runner.reserve()).collect();
        let Begun { taken, ended } = begin(inner, &tx, &chosen, slots.len()).await?;
        tx.commit().await?;
        let none = taken.is_empty() && ended.is_empty();
        count += taken.len() + ended.len();
        if ended.len() as u64 >= AT_ONCE {
            // More of them may be left: others have a turn to write, and this server's other work, before the next look.
            more = Some(Utc::now());
        }
        // A slot too many is given back.
        for (taken, slot) in taken.into_iter().zip(slots) {
            inner.runner.spawn(taken, Some(slot));
        }
        for deployment in ended {
            count_end(inner, &deployment).await;
        }
        if more.is_some() || (none && outrun) {
            // If nothing came of it, the next notice tells why.
            break;
        }
        outrun = none;
    }
    let next = store::queue::next_time(store, host, Utc::now()).await?;
    Ok(Due { taken: count, next: next.into_iter().chain(opens).chain(more).min() })
}

/// What may start here now, as far as `session` sees and if there were a slot for each, first come first; and what holds the others.
async fn choice(inner: &Inner, session: &impl Session) -> Result<(Vec<DeploymentId>, Gate), StoreError> {
    let now = Utc::now();
    let (heads, gate) = Gate::heads(session, &inner.member.host, now).await?;
    let waiting = heads.iter().map(|head| head.app.clone()).collect();
    let apps = store::queue::facts(session, &waiting).await?;
    let each = heads.len();
    let Choice { start, .. } = choose(heads, &apps, each, now, |c| gate.closed(c));
    Ok((start.into_iter().map(|start| start.deployment).collect(), gate))
}

#[derive(Default)]
struct Begun {
    taken: Vec<Taken>,
    /// They were pointless, and have ended.
    ended: Vec<DeploymentId>,
}

/// Takes so many of these out of the queue and makes them this server's, as far as they still may start: what was so a moment ago
/// may not be so any more, and other servers look at the same ones.
async fn begin(inner: &Inner, tx: &Tx, chosen: &[DeploymentId], most: usize) -> Result<Begun, StoreError> {
    let now = Utc::now();
    let ready = store::starts::first_ready(tx, chosen, most).await?;
    let candidates: Vec<Candidate> = ready.iter().map(Ready::candidate).collect();
    let gate = Gate::of(tx, &candidates, now).await?;
    let apps = store::queue::facts(tx, &candidates.iter().map(|c| c.app.clone()).collect()).await?;
    let Choice { start, .. } = choose(candidates, &apps, most, now, |c| gate.closed(c));
    let mut ready: BTreeMap<DeploymentId, Ready> =
        ready.into_iter().map(|ready| (ready.entry.deployment.clone(), ready)).collect();
    let (mut begun, mut entries, mut kinds) = (Begun::default(), Vec::new(), BTreeMap::new());
    let mut left = AT_ONCE;
    for ready in start.iter().filter_map(|start| ready.remove(&start.deployment)) {
        let superseded = at_turn(tx, &ready, &mut left).await?;
        if !superseded.is_empty() {
            begun.ended.extend(superseded);
            continue;
        }
        let Ready { entry, kind, generation, newest, serving, .. } = ready;
        let id = &entry.deployment;
        if generation < newest && entry.not_before.is_some() {
            renew(tx, id, &entry.environment).await?;
        } else if generation < serving && end_unstarted(tx, id, Unwanted::Superseded { newer: serving }).await? {
            store::queue::remove(tx, id).await?;
            begun.ended.push(entry.deployment);
            continue;
        }
        if kind == DeploymentKind::Rollback && gate.is_closed(&entry.environment) {
            // Closed since it was accepted, perhaps.
            let environment = store::environments::get(tx, &entry.environment).await?;
            let deployment = store::deployments::get(tx, id).await?.deployment;
            let_back(tx, &environment, &deployment, now).await?;
        }
        kinds.insert(id.clone(), kind);
        entries.push(entry);
    }
    let started = store::starts::start(tx, &inner.member.id, &entries, now).await?;
    let started = started.into_iter().filter_map(|started| {
        let kind = kinds.remove(&started.deployment)?;
        Some((started, kind))
    });
    begun.taken = taken(inner, tx, started).await?;
    Ok(begun)
}

/// Writes the first step of each in the transaction that takes it: that is one write, and one wait for the disk, less before it works.
async fn taken(
    inner: &Inner,
    tx: &Tx,
    started: impl IntoIterator<Item = (Started, DeploymentKind)>,
) -> Result<Vec<Taken>, StoreError> {
    let (mut taken, mut appends) = (Vec::new(), Vec::new());
    for (started, kind) in started {
        let Started { deployment, fence, cancel_by, journal } = started;
        // A wish to cancel it is answered before anything begins.
        let begun = match cancel_by {
            None => inner.runner.begin(&deployment, kind, journal),
            Some(_) => None,
        };
        if let Some(begun) = &begun {
            appends.extend(beginning(&deployment, fence, begun)?);
        }
        taken.push(Taken { deployment, kind, fence, cancel_by, begun });
    }
    store::appends::many(tx, &appends).await?;
    Ok(taken)
}

/// What keeps it from starting, but for a free slot and what is at work in its environment.
async fn waits(
    tx: &Tx,
    entry: &Entry,
    environment: &Environment,
    now: DateTime<Utc>,
) -> Result<Option<Waiting>, StoreError> {
    let candidates = vec![entry.candidate(environment.running.clone())];
    let gate = Gate::of(tx, &candidates, now).await?;
    let apps = [(entry.app.clone(), store::queue::facts_of(tx, &entry.app).await?)].into();
    let Choice { mut wait, .. } = choose(candidates, &apps, 1, now, |c| gate.closed(c));
    Ok(wait.pop().map(|(_, waiting)| waiting))
}

impl Inner {
    /// Finds a place for a deployment that `tx` has recorded: at work here and now, when nothing is before it and
    /// nothing in its way, so that a start costs no further write; or in the queue. Where one that goes before it may be about to
    /// start, it is the dispatcher that looks at both: it knows windows, limits and turns.
    pub(crate) async fn place(&self, tx: &Tx, entry: Entry, kind: DeploymentKind) -> Result<Accepted, StoreError> {
        let environment = store::environments::get(tx, &entry.environment).await?;
        let now = Utc::now();
        if entry.host == self.member.host
            && environment.running.is_none()
            && store::queue::head_of(tx, &entry.environment, now).await?.is_none()
            && !store::queue::any_before(tx, &entry, now).await?
            && let Some(slot) = self.runner.reserve()
            && waits(tx, &entry, &environment, now).await?.is_none()
            && let Some(started) =
                store::starts::start(tx, &self.member.id, std::slice::from_ref(&entry), now).await?.pop()
            && let Some(taken) = taken(self, tx, [(started, kind)]).await?.pop()
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

/// The same of each of these.
pub(crate) async fn count_ends(inner: &Inner, deployments: &[DeploymentId]) {
    for deployment in deployments {
        count_end(inner, deployment).await;
    }
}
