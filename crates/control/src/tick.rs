//! The leader's clock: runs schedules whose time has come, and ends what nobody approved of in time.
//!
//! A plan is carried out once: its schedule moves on in the very transaction that accepts its deployment, under the
//! leader's epoch, and only if it still is as it was read. So a crash before the commit leaves the plan for whoever leads
//! then, and one after it leaves nothing to do; who leads no more is refused. What is refused for another reason is given up
//! for this time: the schedule moves on, and is in nobody's way.
//!
//! Repositories are asked for several schedules at a time, and what expires has a clock of its own: one that does not answer
//! makes no other late.
//!
//! The database is read when something was written and when a plan is due; in between only the clock is looked at, so
//! that one that jumps is noticed within a second.

use std::sync::Weak;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::access::{Grants, Role};
use domain::event::EventKind;
use domain::schedule::{Due, LastRun, RunOutcome, due};
use domain::source::Commit;
use domain::{DeploymentId, TokenId, UserId};
use operations::deployments::{Deploy, DeployRequest};
use operations::{Error, ErrorKind};
use store::schedules::Schedule;
use store::{StoreError, Tx, leases};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Control;
use crate::access::Admitted;
use crate::approvals::expire;
use crate::audit::Write;
use crate::caller::{Caller, Credential, Principal, Via};
use crate::control::Inner;
use crate::deployment;
use crate::error::store_error;
use crate::handlers::order::Prepared;
use crate::handlers::schedules::request;
use crate::tokens;

/// Between two looks at the clock.
const LOOK: Duration = Duration::from_secs(1);
/// After an error, so that a database that is away is not asked without pause.
const PAUSE: Duration = Duration::from_secs(2);
/// Schedules in one look; more are looked at right after.
const BATCH: u64 = 50;
/// Of these, whose repositories are asked at a time.
const ASKED: usize = 16;

/// What the clock is looked at for.
#[derive(Debug, Clone, Copy)]
enum Errand {
    Schedules,
    Expiries,
}

/// Until the server stops.
pub(crate) async fn run(inner: Weak<Inner>, stopping: CancellationToken) {
    tokio::join!(watch(inner.clone(), stopping.clone(), Errand::Schedules), watch(inner, stopping, Errand::Expiries));
}

async fn watch(inner: Weak<Inner>, stopping: CancellationToken, errand: Errand) {
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
                Some(epoch) => {
                    let control = Control { inner: strong };
                    match errand {
                        Errand::Schedules => look(&control, epoch).await,
                        Errand::Expiries => expire(&control, epoch, store::time::micros(store::clock::now())).await,
                    }
                }
                None => Ok(None),
            }
        };
        let next = match stopping.run_until_cancelled(pass).await {
            None => return,
            Some(Ok(next)) => next,
            Some(Err(e)) => {
                tracing::warn!(?errand, "what is due can't be looked at: {e}");
                Some(store::clock::now() + PAUSE)
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
                if next.is_some_and(|next| next <= store::clock::now()) {
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
    next.map_or(LOOK, |next| (next - store::clock::now()).to_std().unwrap_or_default().min(LOOK))
}

/// Carries out what is due, and returns when something is due next.
async fn look(control: &Control, epoch: u64) -> Result<Option<DateTime<Utc>>, Error> {
    let store = control.store();
    let now = store::time::micros(store::clock::now());
    let mut waits = false;
    let due = store::schedules::due(store, now, BATCH).await.map_err(store_error)?;
    let more = due.len() as u64 == BATCH;
    // Tasks of their own: while one is carried out the others go on, and hold no connection to the database that it waits for.
    let (mut due, mut asked) = (due.into_iter(), JoinSet::new());
    loop {
        while asked.len() < ASKED
            && let Some(schedule) = due.next()
        {
            asked.spawn(wanted(control.clone(), schedule, now));
        }
        let Some(joined) = asked.join_next().await else { break };
        let (schedule, wanted) = joined.map_err(|e| {
            tracing::error!("what a schedule asks for was not found out: {e}");
            Error::internal()
        })?;
        match carry_out(control, epoch, &schedule, wanted, now).await {
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
        return Ok(Some(store::clock::now() + PAUSE));
    }
    if more {
        return Ok(Some(now));
    }
    store::schedules::next(store, now).await.map_err(store_error)
}

/// A deployment that a schedule asks for.
struct Wanted {
    who: Admitted,
    request: DeployRequest,
    commit: Option<Commit>,
}

/// What a schedule asks for, and for whom, as far as no transaction is needed for it: this may take long.
async fn wanted(control: Control, schedule: Schedule, now: DateTime<Utc>) -> (Schedule, Option<Result<Wanted, Error>>) {
    let planned = schedule.next_at.map(|planned_at| due(&schedule.cron, schedule.missed, planned_at, now));
    let wanted = match planned {
        Some(Due::Run { .. }) => Some(ask(&control, &schedule).await),
        Some(Due::NotYet | Due::Skip { .. }) | None => None,
    };
    (schedule, wanted)
}

async fn ask(control: &Control, schedule: &Schedule) -> Result<Wanted, Error> {
    let request = request(schedule)?;
    // Asked anew each time: what somebody may do changes.
    let who = admitted(control, schedule, &request).await?;
    let commit = match control.pin(&who, &request).await {
        // A repository that is away is no reason to ask it again and again: the next run does.
        Err(e) if e.code == ErrorKind::Unavailable => return Err(Error::unprocessable(e.detail)),
        other => other?,
    };
    Ok(Wanted { who, request, commit })
}

/// Carries out what is due, or gives it up.
///
/// # Errors
/// `Conflict` when another server leads, and what may be better the next time.
async fn carry_out(
    control: &Control,
    epoch: u64,
    schedule: &Schedule,
    wanted: Option<Result<Wanted, Error>>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let Some(planned_at) = schedule.next_at else { return Ok(()) };
    let (late, next) = match due(&schedule.cron, schedule.missed, planned_at, now) {
        Due::NotYet => return Ok(()),
        Due::Skip { next, .. } => {
            let why = "it was missed: no server ran at its time, or the clock jumped".to_owned();
            return give_up(control, epoch, schedule, planned_at, next, RunOutcome::Skipped { why }).await;
        }
        Due::Run { next, late, .. } => (late, next),
    };
    let Wanted { who, request, commit } = match wanted {
        Some(Ok(wanted)) => wanted,
        None => return Ok(()),
        Some(Err(e)) if e.status >= 500 => return Err(e),
        Some(Err(e)) => {
            return give_up(control, epoch, schedule, planned_at, next, RunOutcome::Failed { why: e.detail }).await;
        }
    };
    let tx = begin(control, epoch).await?;
    if let Some(before) = still_waits(&tx, schedule).await? {
        drop(tx);
        let why = format!("{before}, of the run before, still waits for its start");
        return give_up(control, epoch, schedule, planned_at, next, RunOutcome::Skipped { why }).await;
    }
    let Prepared { environment, record, state, when } = match control.prepare(&tx, &who, request, commit).await {
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
    match control.accept::<Deploy, deployment::Deploy>(&who, tx, &environment, record, state, when).await {
        Ok(_) => {}
        Err(e) if e.status >= 500 => return Err(e),
        // Such as where others approve: of a folder nobody can, or too many wait for them. Nothing was written.
        Err(e) => {
            return give_up(control, epoch, schedule, planned_at, next, RunOutcome::Failed { why: e.detail }).await;
        }
    }
    tracing::info!(schedule = %schedule.id, %deployment, %planned_at, late, "a schedule has run");
    Ok(())
}

/// A write that only the leader may do.
async fn begin(control: &Control, epoch: u64) -> Result<Write, Error> {
    let tx = control.write().await?;
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
        let run = LastRun { planned_at, at: store::time::micros(store::clock::now()), outcome };
        if store::schedules::advance(&tx, schedule, next, &run).await? {
            let (id, name) = (schedule.id.clone(), schedule.name.clone());
            let event = EventKind::ScheduleSkipped { schedule: id, name, planned_at, why };
            let (app, environment) = (Some(&schedule.app), Some(&schedule.environment));
            store::events::insert(&tx, app, environment, None, &event, store::clock::now()).await?;
            tx.commit().await?;
        }
        Ok::<(), StoreError>(())
    };
    written.await.map_err(store_error)
}

async fn admitted(control: &Control, schedule: &Schedule, request: &DeployRequest) -> Result<Admitted, Error> {
    let caller = caller(control, schedule).await?;
    control.admit::<Deploy>(caller, request).await
}

/// For whom a schedule acts: whoever made it, with what they may do by now. What was made with a token can do no more than that
/// token, and ends with it: who has a token for an hour has what it made for an hour. A person's token acts for the person,
/// whose own approval does not count. Those from before there were owners act in their own names: they may deploy whatever they were made for, critical
/// ones and folders of the server included.
///
/// # Errors
/// `Unauthorized` when its owner may not come in any more.
async fn caller(control: &Control, schedule: &Schedule) -> Result<Caller, Error> {
    let name = format!("schedule {}", schedule.name);
    let mut maker = None;
    let (principal, grants) = if schedule.owner.is_empty() {
        (Principal::Schedule(schedule.id.clone()), Grants::everywhere(Role::Admin))
    } else if let Ok(user) = schedule.owner.parse::<UserId>() {
        let found = store::users::find(control.store(), &user).await.map_err(store_error)?;
        let Some(found) = found.filter(|found| !found.disabled) else { return Err(gone(schedule)) };
        let grants = Grants::clone(&*control.grants_of(&found).await?);
        (Principal::Person(user), grants)
    } else if let Ok(token) = schedule.owner.parse::<TokenId>() {
        match tokens::acts_for(control, &token).await {
            Err(e) if e.code == ErrorKind::Unauthorized => return Err(over(schedule)),
            other => {
                let acts = other?;
                maker = acts.maker;
                (acts.principal, Grants::clone(&acts.grants))
            }
        }
    } else {
        tracing::error!(schedule = %schedule.id, "nobody has the id of its owner: {}", schedule.owner);
        return Err(gone(schedule));
    };
    Ok(Caller { via: Via::Tick, maker, ..Caller::new(principal, Credential::Inside, grants, name) })
}

fn gone(schedule: &Schedule) -> Error {
    let by = &schedule.created_by;
    Error::new(
        ErrorKind::Unauthorized,
        format!("it acts for `{by}`, who may not come in any more; {}", take_over(schedule)),
    )
}

fn over(schedule: &Schedule) -> Error {
    let by = &schedule.created_by;
    Error::new(
        ErrorKind::Unauthorized,
        format!("`{by}` made it with a token that was revoked or has ended; {}", take_over(schedule)),
    )
}

fn take_over(schedule: &Schedule) -> String {
    format!("to have it act for you: `plimsoll schedules enable {}`", schedule.id)
}
