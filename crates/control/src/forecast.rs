//! What the queue will do: facts for [`domain::estimate`], gathered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::estimate::{AtWork, Durations, Entry, Forecast, SAMPLES, Took, World, forecast};
use domain::phase::Phase;
use domain::queue::{Priority, rank};
use domain::{AppId, DeploymentId, EnvironmentId};
use store::environments::Environment;
use store::queue::Filter;
use store::{Store, StoreError};
use ulid::Ulid;

use crate::control::Inner;
use crate::dispatch::rules;

/// How long a result is good for: not long, or a while when more than so many wait.
const QUICK: usize = 500;
const KEEP_SHORT: Duration = Duration::from_millis(300);
const KEEP_LONG: Duration = Duration::from_secs(5);
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

/// The last result, as long as it is good.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Option<(Instant, std::sync::Arc<Foreseen>)>>);

/// Foresees the whole queue.
pub(crate) async fn foresee(inner: &Inner) -> Result<std::sync::Arc<Foreseen>, StoreError> {
    let kept = |keep: Option<(Instant, std::sync::Arc<Foreseen>)>| {
        let mut kept = inner.foreseen.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if keep.is_some() {
            *kept = keep;
        }
        kept.clone()
    };
    if let Some((at, foreseen)) = kept(None)
        && at.elapsed() < if foreseen.world.waiting.len() > QUICK { KEEP_LONG } else { KEEP_SHORT }
    {
        return Ok(foreseen);
    }
    let now = Utc::now();
    let (world, durations) = gather(inner, now).await?;
    // Long queues take a while, and others want the thread.
    let played = tokio::task::spawn_blocking(move || {
        let forecasts = forecast(&world, now);
        (world, forecasts)
    });
    let (world, forecasts) = played.await.map_err(|e| StoreError::Internal(e.to_string()))?;
    let forecasts = forecasts.into_iter().map(|f| (f.deployment.clone(), f)).collect();
    let foreseen = std::sync::Arc::new(Foreseen { world, forecasts, durations });
    kept(Some((Instant::now(), foreseen.clone())));
    Ok(foreseen)
}

/// Foresees the start of one more, ordered now for this environment with the priority `normal`.
pub(crate) async fn foresee_new(
    inner: &Inner,
    environment: &Environment,
    past_windows: bool,
) -> Result<Forecast, StoreError> {
    let foreseen = foresee(inner).await?;
    let store = &inner.world.store;
    let now = store::time::micros(Utc::now());
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
    let rows = store::queue::list(store, &Filter::default(), None, MOST).await?;
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
    let recent = store::deployments::succeeded(store, None, RECENT).await?;
    for worked in &recent {
        *known.entry(worked.environment.clone()).or_default() += 1;
    }
    for id in environments.iter().take(ENVIRONMENTS) {
        // Those with enough among the newest of all are known from these.
        if known.get(*id).is_none_or(|count| *count < SAMPLES) {
            for worked in store::deployments::succeeded(store, Some(id), SAMPLES as u64).await? {
                durations.add(&worked.app, &worked.environment, worked.finished - worked.began);
            }
        }
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
