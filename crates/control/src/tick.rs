//! The leader's clock: runs schedules whose time has come.
//!
//! A plan is carried out once: its schedule moves on in the very transaction that accepts its deployment, under the
//! leader's epoch, and only if it still is as it was read. So a crash before the commit leaves the plan for whoever leads
//! then, and one after it leaves nothing to do; who leads no more is refused.
//!
//! The database is read when something was written and when a plan is due; in between only the clock is looked at, so
//! that one that jumps is noticed within a second.

use std::sync::Weak;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::event::EventKind;
use domain::schedule::{Due, LastRun, RunOutcome, due};
use domain::{DeploymentId, TokenId};
use operations::{Error, ErrorKind, deployments::Deploy};
use store::schedules::Schedule;
use store::{StoreError, Tx, leases};
use tokio_util::sync::CancellationToken;

use crate::Control;
use crate::caller::Caller;
use crate::control::Inner;
use crate::deployment;
use crate::error::store_error;
use crate::handlers::order::Prepared;
use crate::handlers::schedules::request;

/// Between two looks at the clock.
const LOOK: Duration = Duration::from_secs(1);
/// After an error, so that a database that is away is not asked without pause.
const PAUSE: Duration = Duration::from_secs(2);
/// Schedules in one look; more are looked at right after.
const BATCH: u64 = 50;

/// Until the server stops.
pub(crate) async fn run(inner: Weak<Inner>, stopping: CancellationToken) {
    let Some((mut leading, mut changes)) =
        inner.upgrade().map(|inner| (inner.member.leading(), inner.world.store.changes()))
    else {
        return;
    };
    loop {
        let epoch = *leading.borrow_and_update();
        changes.borrow_and_update();
        let Some(strong) = inner.upgrade() else { return };
        let pass = async {
            match epoch {
                Some(epoch) => look(&Control { inner: strong }, epoch).await,
                None => Ok(None),
            }
        };
        let next = match stopping.run_until_cancelled(pass).await {
            None => return,
            Some(Ok(next)) => next,
            Some(Err(e)) => {
                tracing::warn!("schedules can't be looked at: {e}");
                Some(Utc::now() + PAUSE)
            }
        };
        let wait = async {
            loop {
                tokio::select! {
                    _ = leading.changed() => return,
                    // Nothing to do for who does not lead.
                    _ = changes.changed(), if epoch.is_some() => return,
                    () = tokio::time::sleep(until(next)) => {}
                }
                if next.is_some_and(|next| next <= Utc::now()) {
                    return;
                }
            }
        };
        if stopping.run_until_cancelled(wait).await.is_none() {
            return;
        }
    }
}

/// To the next plan, if it is nearer than the next look at the clock.
fn until(next: Option<DateTime<Utc>>) -> Duration {
    next.map_or(LOOK, |next| (next - Utc::now()).to_std().unwrap_or_default().min(LOOK))
}

/// Carries out what is due, and returns when something is due next.
async fn look(control: &Control, epoch: u64) -> Result<Option<DateTime<Utc>>, Error> {
    let store = control.store();
    let now = store::time::micros(Utc::now());
    let mut waits = false;
    let due = store::schedules::due(store, now, BATCH).await.map_err(store_error)?;
    let more = due.len() as u64 == BATCH;
    for schedule in due {
        match carry_out(control, epoch, &schedule, now).await {
            Ok(()) => {}
            // It is somebody else's to do now; nothing was written.
            Err(e) if e.code == ErrorKind::Conflict => return Err(e),
            Err(e) => {
                tracing::warn!(schedule = %schedule.id, "its plan is tried again: {}", e.detail);
                waits = true;
            }
        }
    }
    if waits {
        return Ok(Some(Utc::now() + PAUSE));
    }
    if more {
        return Ok(Some(now));
    }
    store::schedules::next(store, now).await.map_err(store_error)
}

async fn carry_out(control: &Control, epoch: u64, schedule: &Schedule, now: DateTime<Utc>) -> Result<(), Error> {
    let Some(planned_at) = schedule.next_at else { return Ok(()) };
    let (late, next) = match due(&schedule.cron, schedule.missed, planned_at, now) {
        Due::NotYet => return Ok(()),
        Due::Skip { next, .. } => {
            let why = "it was missed: no server ran at its time, or the clock jumped".to_owned();
            return give_up(control, epoch, schedule, planned_at, next, RunOutcome::Skipped { why }).await;
        }
        Due::Run { next, late, .. } => (late, next),
    };
    let caller = caller(schedule);
    let tx = begin(control, epoch).await?;
    if let Some(before) = still_waits(&tx, schedule).await? {
        drop(tx);
        let why = format!("{before}, of the run before, still waits for its start");
        return give_up(control, epoch, schedule, planned_at, next, RunOutcome::Skipped { why }).await;
    }
    let prepared = match request(schedule) {
        Ok(request) => control.prepare(&tx, &caller, request).await,
        Err(e) => Err(e),
    };
    let Prepared { environment, record, state, when } = match prepared {
        Ok(prepared) => prepared,
        Err(e) if e.status >= 500 => return Err(e),
        Err(e) => {
            drop(tx);
            return give_up(control, epoch, schedule, planned_at, next, RunOutcome::Failed { why: e.detail }).await;
        }
    };
    let deployment = record.deployment.id.clone();
    let run = LastRun { planned_at, at: now, outcome: RunOutcome::Deployed { deployment: deployment.clone() } };
    if !store::schedules::advance(&tx, schedule, next, &run).await.map_err(store_error)? {
        return Ok(());
    }
    control.accept::<Deploy, deployment::Deploy>(&caller, tx, &environment, record, state, when).await?;
    tracing::info!(schedule = %schedule.id, %deployment, %planned_at, late, "a schedule has run");
    Ok(())
}

/// A write that only the leader may do.
async fn begin(control: &Control, epoch: u64) -> Result<Tx, Error> {
    let tx = control.store().write().await.map_err(store_error)?;
    leases::check(&tx, leases::LEADER, epoch).await.map_err(store_error)?;
    Ok(tx)
}

/// The deployment of the run before, when it has not started yet: one that waits is enough.
async fn still_waits(tx: &Tx, schedule: &Schedule) -> Result<Option<DeploymentId>, Error> {
    let Some(LastRun { outcome: RunOutcome::Deployed { deployment }, .. }) = &schedule.last_run else {
        return Ok(None);
    };
    let waits = store::queue::find(tx, deployment).await.map_err(store_error)?;
    Ok(waits.map(|entry| entry.deployment))
}

/// Moves the plan on without a deployment, and says why.
async fn give_up(
    control: &Control,
    epoch: u64,
    schedule: &Schedule,
    planned_at: DateTime<Utc>,
    next: Option<DateTime<Utc>>,
    outcome: RunOutcome,
) -> Result<(), Error> {
    let why = match &outcome {
        RunOutcome::Skipped { why } | RunOutcome::Failed { why } => why.clone(),
        RunOutcome::Deployed { .. } => return Ok(()),
    };
    tracing::warn!(schedule = %schedule.id, %planned_at, "a schedule did not run: {why}");
    let written = async {
        let tx = control.store().write().await?;
        leases::check(&tx, leases::LEADER, epoch).await?;
        let run = LastRun { planned_at, at: store::time::micros(Utc::now()), outcome };
        if store::schedules::advance(&tx, schedule, next, &run).await? {
            let (id, name) = (schedule.id.clone(), schedule.name.clone());
            let event = EventKind::ScheduleSkipped { schedule: id, name, planned_at, why };
            let (app, environment) = (Some(&schedule.app), Some(&schedule.environment));
            store::events::insert(&tx, app, environment, None, &event, Utc::now()).await?;
            tx.commit().await?;
        }
        Ok::<(), StoreError>(())
    };
    written.await.map_err(store_error)
}

/// A schedule acts in its own name. It has no token and needs none: it was checked when it was made.
fn caller(schedule: &Schedule) -> Caller {
    let token = schedule.id.as_str().replacen("sch_", "tok_", 1);
    let token = token.parse().unwrap_or_else(|_| TokenId::from_ulid(ulid::Ulid::from_parts(0, 0)));
    Caller {
        token,
        name: format!("schedule {}", schedule.name),
        read_only: false,
        key: None,
        gone: CancellationToken::new(),
    }
}
