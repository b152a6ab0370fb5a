//! What the queue will do: facts for [`domain::estimate`], gathered.
//!
//! That of a short queue is made when somebody asks. That of a long one takes longer than anybody who looks should wait, so
//! that it is made again and again, and shown meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::estimate::{AtWork, Durations, Entry, Forecast, SAMPLES, Took, World, forecast};
use domain::phase::Phase;
use domain::queue::{Priority, rank};
use domain::{AppId, DeploymentId, EnvironmentId};
use store::environments::Environment;
use store::queue::Filter;
use store::{Store, StoreError};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use crate::control::Inner;
use crate::dispatch::rules;
use crate::turns::Turns;

/// How long a result is good for: not long, or a while when more than so many wait.
const QUICK: usize = 500;
const KEEP_SHORT: Duration = Duration::from_millis(300);
const KEEP_LONG: Duration = Duration::from_secs(5);
/// The age up to which that of a long queue is shown while a new one is made.
const STALE: Duration = Duration::from_secs(60);
/// Between two that are made before anybody asks, of a long queue; and so many times what one took, if that is longer.
const AGAIN: Duration = Duration::from_secs(15);
const SHARE: u32 = 50;
/// Beyond this nobody can say anything useful.
const MOST: u64 = 100_000;
/// Deployments that say how long one takes when little is known of an environment.
const RECENT: u64 = 200;
/// Environments whose own durations are looked at.
const ENVIRONMENTS: usize = 200;

/// What is foreseen, and what it was made from.
#[derive(Debug, Default)]
pub(crate) struct Foreseen {
    pub(crate) world: World,
    pub(crate) forecasts: BTreeMap<DeploymentId, Forecast>,
    pub(crate) durations: Durations,
}

impl Foreseen {
    /// How long one of those that wait probably takes.
    pub(crate) fn took(&self, app: &AppId, environment: &EnvironmentId) -> Took {
        self.durations.of(app, environment)
    }
}

/// The last result, and whether a new one is being made.
#[derive(Default)]
pub(crate) struct Kept {
    last: Mutex<Option<(Instant, Arc<Foreseen>)>>,
    making: Turns<()>,
}

impl Kept {
    fn last(&self) -> Option<(Instant, Arc<Foreseen>)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, foreseen: &Arc<Foreseen>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), foreseen.clone()));
    }
}

/// Foresees the whole queue. Of a long one the last result is good while the next is made, for a while: nobody who looks has to
/// wait for that.
pub(crate) async fn foresee(inner: &Arc<Inner>) -> Result<Arc<Foreseen>, StoreError> {
    let Some((at, last)) = inner.foreseen.last() else { return make(inner).await };
    let long = last.world.waiting.len() > QUICK;
    match at.elapsed() {
        age if age < if long { KEEP_LONG } else { KEEP_SHORT } => Ok(last),
        age if long && age < STALE => {
            let inner = inner.clone();
            tokio::spawn(async move {
                let Some(_turn) = inner.foreseen.making.take(&()) else { return };
                if let Err(e) = make(&inner).await {
                    tracing::debug!("the queue can't be foreseen: {e}");
                }
            });
            Ok(last)
        }
        _ => make(inner).await,
    }
}

/// Until the server stops: foresees a long queue before anybody asks.
pub(crate) async fn keep(inner: Weak<Inner>, stopping: CancellationToken) {
    // What waited when the server stopped waits still.
    let mut pause = Duration::from_secs(1);
    while stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        let Some(inner) = inner.upgrade() else { return };
        let began = Instant::now();
        if let Err(e) = again(&inner).await {
            tracing::debug!("the queue can't be foreseen: {e}");
        }
        pause = AGAIN.max(began.elapsed() * SHARE);
    }
}

async fn again(inner: &Inner) -> Result<(), StoreError> {
    let long = store::queue::count(&inner.world.store, &Filter::default()).await? > QUICK as u64;
    if long && inner.foreseen.last().is_none_or(|(at, _)| at.elapsed() > KEEP_LONG) {
        make(inner).await?;
    }
    Ok(())
}

async fn make(inner: &Inner) -> Result<Arc<Foreseen>, StoreError> {
    let now = store::clock::now();
    let began = Instant::now();
    let (world, durations) = gather(inner, now).await?;
    let gathered = began.elapsed();
    // Long queues take a while, and others want the thread.
    let played = tokio::task::spawn_blocking(move || {
        let forecasts = forecast(&world, now);
        (world, forecasts)
    });
    let (world, forecasts) = played.await.map_err(|e| StoreError::Internal(e.to_string()))?;
    let whole = began.elapsed();
    tracing::debug!(waiting = world.waiting.len(), ?gathered, ?whole, "the queue was foreseen");
    let forecasts = forecasts.into_iter().map(|f| (f.deployment.clone(), f)).collect();
    let foreseen = Arc::new(Foreseen { world, forecasts, durations });
    inner.foreseen.keep(&foreseen);
    Ok(foreseen)
}

/// Foresees the start of one more, ordered now for this environment with the priority `normal`.
pub(crate) async fn foresee_new(
    inner: &Arc<Inner>,
    environment: &Environment,
    past_windows: bool,
) -> Result<Forecast, StoreError> {
    // What began a moment ago is in its way: only of a long queue the last result is good enough.
    let foreseen = match inner.foreseen.last() {
        Some((_, last)) if last.world.waiting.len() > QUICK => foresee(inner).await?,
        _ => make(inner).await?,
    };
    let store = &inner.world.store;
    let now = store::time::micros(store::clock::now());
    let deployment = DeploymentId::from_ulid(Ulid::generate());
    let mut world = foreseen.world.clone();
    // Nothing of its own may wait yet, so that less is known of its place.
    world.apps.insert(environment.app_id.clone(), store::queue::facts_of(store, &environment.app_id).await?);
    world.slots.insert(environment.host.clone(), slots(inner, &environment.host));
    let records = store::windows::list(store, Some(now)).await?;
    let rules = rules(&records, &environment.app_id, &environment.name);
    if !rules.is_empty() {
        world.windows.insert(environment.id.clone(), rules);
    }
    world.waiting.push(Entry {
        deployment: deployment.clone(),
        app: environment.app_id.clone(),
        environment: environment.id.clone(),
        host: environment.host.clone(),
        rank: rank(now, None, Priority::Normal),
        enqueued_at: now,
        not_before: None,
        past_windows,
        took: foreseen.took(&environment.app_id, &environment.id),
    });
    let played = tokio::task::spawn_blocking(move || forecast(&world, now));
    let mut forecasts = played.await.map_err(|e| StoreError::Internal(e.to_string()))?.into_iter();
    forecasts.find(|f| f.deployment == deployment).ok_or_else(|| StoreError::Internal("it was not foreseen".to_owned()))
}

async fn gather(inner: &Inner, now: DateTime<Utc>) -> Result<(World, Durations), StoreError> {
    let store = &inner.world.store;
    let mut rows = store::queue::list(store, &Filter::default(), None, MOST).await?;
    // Nobody knows when people say yes, and until then they are in nobody's way.
    rows.retain(|row| !row.held);
    let busy = store::environments::busy(store).await?;
    let wanted: BTreeSet<&EnvironmentId> =
        rows.iter().map(|row| &row.environment).chain(busy.iter().map(|e| &e.id)).collect();
    let durations = durations(store, &wanted).await?;
    let waiting = rows.iter().map(|row| row.app.clone()).collect();
    let mut world = World { apps: store::queue::facts(store, &waiting).await?, ..World::default() };
    for environment in &busy {
        let Some(id) = &environment.running else { continue };
        let deployment = match store::deployments::get(store, id).await {
            Err(StoreError::NotFound { .. }) => continue,
            other => other?.deployment,
        };
        let began = deployment.phases.iter().find(|times| times.phase != Phase::Queued);
        world.at_work.push(AtWork {
            deployment: id.clone(),
            app: environment.app_id.clone(),
            environment: environment.id.clone(),
            host: environment.host.clone(),
            since: began.map_or(deployment.updated_at, |times| times.started_at),
            took: durations.of(&environment.app_id, &environment.id),
            stuck: deployment.stuck.is_some(),
        });
    }
    let records = store::windows::list(store, Some(now)).await?;
    let mut past = BTreeSet::new();
    if !records.is_empty() {
        let ids: Vec<&EnvironmentId> = wanted.into_iter().collect();
        let names = store::environments::names(store, &ids).await?;
        for row in &rows {
            let Some(name) = names.get(&row.environment) else { continue };
            let rules = rules(&records, &row.app, name);
            if !rules.is_empty() {
                world.windows.insert(row.environment.clone(), rules);
            }
        }
        let held = rows.iter().filter(|row| world.windows.contains_key(&row.environment)).map(|row| &row.deployment);
        past.extend(store::bypasses::among(store, &held.collect::<Vec<_>>()).await?);
    }
    let hosts: BTreeSet<&str> = rows.iter().map(|row| row.host.as_str()).collect();
    for host in hosts {
        world.slots.insert(host.to_owned(), slots(inner, host));
    }
    world.waiting = rows
        .into_iter()
        .map(|row| Entry {
            took: durations.of(&row.app, &row.environment),
            past_windows: past.contains(&row.deployment),
            deployment: row.deployment,
            app: row.app,
            environment: row.environment,
            host: row.host,
            rank: row.rank,
            enqueued_at: row.enqueued_at,
            not_before: row.not_before,
        })
        .collect();
    Ok((world, durations))
}

/// Slots of a host: nobody tells how many another server has, so that it is taken to be like this one.
fn slots(inner: &Inner, host: &str) -> u32 {
    let each = u32::try_from(inner.options.workers).unwrap_or(u32::MAX);
    each.saturating_mul(inner.member.servers_of(host))
}

/// How long deployments took: the newest of each of these environments, and the newest of all.
async fn durations(store: &Store, environments: &BTreeSet<&EnvironmentId>) -> Result<Durations, StoreError> {
    let mut durations = Durations::default();
    let mut known: BTreeMap<EnvironmentId, usize> = BTreeMap::new();
    let recent = store::deployments::succeeded(store, RECENT).await?;
    for worked in &recent {
        *known.entry(worked.environment.clone()).or_default() += 1;
    }
    // Those with enough among the newest of all are known from these.
    let little = |id: &&&EnvironmentId| known.get(**id).is_none_or(|count| *count < SAMPLES);
    let asked: Vec<&EnvironmentId> = environments.iter().take(ENVIRONMENTS).filter(little).copied().collect();
    for worked in store::deployments::succeeded_in(store, &asked, SAMPLES as u64).await? {
        durations.add(&worked.app, &worked.environment, worked.finished - worked.began);
    }
    for worked in &recent {
        let again = environments.contains(&worked.environment)
            && known.get(&worked.environment).is_some_and(|count| *count < SAMPLES);
        match again {
            true => durations.add_to_all(&worked.app, worked.finished - worked.began),
            false => durations.add(&worked.app, &worked.environment, worked.finished - worked.began),
        }
    }
    Ok(durations)
}
