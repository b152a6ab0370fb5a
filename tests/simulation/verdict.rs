//! What must hold, after every step and at the end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use domain::schedule::{GRACE, Missed};

use crate::clock::time;
use crate::database::{Database, End, Rows};
use crate::host::Host;
use crate::order::{self, Head};

/// Clones share what was found.
#[derive(Clone)]
pub(crate) struct Verdicts {
    database: Database,
    hosts: Vec<Arc<Mutex<Host>>>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    wrong: Vec<String>,
    /// The active and the routed generation of each environment: they only grow.
    active: BTreeMap<u32, u64>,
    routed: BTreeMap<u32, u64>,
    epochs: BTreeMap<u32, u64>,
    heads: BTreeMap<u32, u32>,
    /// When each app last had a turn, in milliseconds of the run.
    turns: BTreeMap<u32, u64>,
}

impl Verdicts {
    pub(crate) fn new(database: Database, hosts: Vec<Arc<Mutex<Host>>>) -> Self {
        Self { database, hosts, seen: Arc::default() }
    }

    pub(crate) fn wrong(&self, what: String) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // The first ones tell; a broken world breaks everything after.
        if seen.wrong.len() < 5 {
            seen.wrong.push(format!("at {} ms: {what}", self.database.now()));
        }
    }

    pub(crate) fn found(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).wrong.clone()
    }

    /// After every step.
    pub(crate) fn look(&self) {
        let mut wrong = Vec::new();
        {
            let rows = self.database.rows();
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let mut at_work: BTreeMap<u32, usize> = BTreeMap::new();
            for (id, environment) in &rows.environments {
                let active = seen.active.entry(*id).or_default();
                if environment.active_generation < *active {
                    wrong.push(format!("environment {id} went back to generation {}", environment.active_generation));
                }
                *active = environment.active_generation;
                *at_work.entry(environment.app).or_default() += usize::from(environment.running.is_some());
                let Some(host) = self.hosts.get(environment.host as usize) else { continue };
                let host = host.lock().unwrap_or_else(PoisonError::into_inner);
                if environment.active.is_some() && host.answers(*id).is_none() {
                    wrong.push(format!("nothing serves in environment {id}"));
                }
                let routed = seen.routed.entry(*id).or_default();
                let generation = host.routes.get(id).map_or(0, |route| route.generation);
                if generation < *routed {
                    wrong.push(format!("the routes of environment {id} went back to generation {generation}"));
                }
                *routed = generation;
            }
            for (app, count) in at_work {
                if count > rows.limit {
                    wrong.push(format!("{count} deployments of app {app} at work, {} allowed", rows.limit));
                }
            }
            let mut alone: BTreeMap<u32, u32> = BTreeMap::new();
            for (id, deployment) in &rows.deployments {
                if deployment.ends > 1 {
                    wrong.push(format!("the end of {id} was told {} times", deployment.ends));
                }
                if deployment.queued || deployment.end.is_some() {
                    continue;
                }
                if let Some(other) = alone.insert(deployment.environment, *id) {
                    wrong.push(format!("{other} and {id} are at work in one environment"));
                }
                let epoch = seen.epochs.entry(*id).or_default();
                if deployment.epoch < *epoch {
                    wrong.push(format!("the epoch of {id} went back to {}", deployment.epoch));
                }
                *epoch = deployment.epoch;
            }
            seen.heads = alone;
        }
        wrong.into_iter().for_each(|what| self.wrong(what));
    }

    /// After a server has looked for what to start: it found `heads`, and left `rows`.
    pub(crate) fn started(&self, heads: &[Head], rows: &Rows, now: u64) {
        let wrong = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            order::judge(heads, rows, &mut seen.turns, now)
        };
        wrong.into_iter().chain(superseded(rows)).for_each(|what| self.wrong(what));
    }

    /// What has come of each plan of schedules, when all has been well since `well` and they still go on.
    pub(crate) fn schedules(&self, well: DateTime<Utc>) {
        let mut wrong = Vec::new();
        {
            let rows = self.database.rows();
            for (n, schedule) in rows.schedules.iter().enumerate() {
                let mut plan = schedule.cron.next_after(time(0));
                let mut before: Option<DateTime<Utc>> = None;
                for run in &schedule.runs {
                    if plan.is_some_and(|plan| run.planned < plan) {
                        wrong.push(format!("schedule {n} ran again for {}", run.planned));
                    } else if Some(run.planned) != plan {
                        wrong.push(format!("schedule {n}: nothing came of its plan for {plan:?}"));
                    }
                    if let Some(before) = before.filter(|before| run.planned <= *before) {
                        wrong.push(format!("schedule {n} makes up for {}, missed before {before}", run.planned));
                    }
                    let skips = schedule.missed == Missed::Skip && run.at - run.planned > GRACE;
                    if run.deployment.is_none() != skips {
                        wrong.push(format!("schedule {n}, {:?}: {run:?}", schedule.missed));
                    }
                    (plan, before) = (run.next, Some(run.at));
                }
                if schedule.next != plan {
                    wrong.push(format!("schedule {n}: nothing came of its plan for {plan:?}"));
                } else if plan.is_none_or(|plan| plan <= well) {
                    wrong.push(format!(
                        "schedule {n} is planned for {plan:?}, and does not run: all is well since {well}"
                    ));
                }
            }
        }
        wrong.into_iter().for_each(|what| self.wrong(what));
    }

    /// When everything has come to rest. `accepted` are the deployments whose ids clients have got, `cancelled` those whose cancel was
    /// accepted.
    pub(crate) fn at_the_end(&self, accepted: &[u32]) {
        let mut wrong = Vec::new();
        {
            let rows = self.database.rows();
            let scheduled =
                rows.schedules.iter().flat_map(|schedule| &schedule.runs).filter_map(|run| run.deployment.as_ref());
            for id in accepted.iter().chain(scheduled) {
                match rows.deployments.get(id) {
                    None => wrong.push(format!("{id} was accepted and is gone")),
                    Some(deployment) if deployment.end.is_none() => {
                        let (queued, owner) = (deployment.queued, deployment.owner);
                        wrong.push(format!("{id} waits for ever (queued: {queued}, owner: {owner:?})"));
                    }
                    Some(_) => {}
                }
            }
            if rows.answers.len() > rows.deployments.len() {
                wrong.push("two requests got one deployment".to_owned());
            }
            for (id, environment) in &rows.environments {
                if let Some(by) = environment.acting {
                    wrong.push(format!("environment {id} is still claimed by {by}"));
                }
                let newest = rows
                    .deployments
                    .iter()
                    .filter(|(_, d)| d.environment == *id && d.end == Some(End::Active))
                    .max_by_key(|(_, d)| d.generation)
                    .map(|(id, _)| *id);
                let Some(host) = self.hosts.get(environment.host as usize) else { continue };
                let host = host.lock().unwrap_or_else(PoisonError::into_inner);
                let running: Vec<u32> = host.instances.iter().filter(|(_, of)| *of == id).map(|(d, _)| *d).collect();
                if environment.active != newest || host.answers(*id) != newest || running != Vec::from_iter(newest) {
                    wrong.push(format!(
                        "in environment {id} {newest:?} is the newest good one, {:?} is active, {:?} answers, {running:?} run",
                        environment.active,
                        host.answers(*id)
                    ));
                }
                let of = |d: &u32| rows.deployments.get(d).is_some_and(|d| d.environment == *id);
                for workspace in host.workspaces.iter().filter(|d| of(d)) {
                    wrong.push(format!("the workspace of {workspace} is left"));
                }
            }
        }
        wrong.into_iter().for_each(|what| self.wrong(what));
    }
}

/// What was ordered for later is newer than whatever was deployed before its time had come, and is not superseded by that.
fn superseded(rows: &Rows) -> Vec<String> {
    let mut wrong = Vec::new();
    for (id, deployment) in rows.deployments.iter().filter(|(_, d)| d.end == Some(End::Superseded)) {
        let active = rows.environments.get(&deployment.environment).map_or(0, |e| e.active_generation);
        if deployment.not_before.is_some() || deployment.hastened.is_some_and(|newest| active <= newest) {
            wrong.push(format!("{id}, ordered for later, is superseded by what was deployed meanwhile"));
        }
    }
    wrong
}
