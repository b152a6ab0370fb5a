//! In which order deployments start, judged apart from the code that chooses them.
//!
//! Of one app the first come starts first, where a priority is worth a fixed time: however many urgent ones it has, an old one's
//! turn comes. Between apps that both wait turns are taken: one that has had a turn goes again before the other only as long as
//! its priority is worth.

use std::collections::{BTreeMap, BTreeSet};

use domain::queue::Priority;

use crate::clock::queue_time;
use crate::database::Rows;

/// The first of an environment's queue, when it could start.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    id: u32,
    app: u32,
    priority: Priority,
    /// Since when it waits, in milliseconds of the run.
    came: u64,
}

impl Head {
    /// Among those of its app; lower goes first.
    fn place(&self) -> (i64, u32) {
        (worth(self.came, self.priority), self.id)
    }
}

/// The time at which a normal one would have to stand for the same.
fn worth(at: u64, priority: Priority) -> i64 {
    queue_time(at).timestamp_micros() - priority.advance()
}

/// What could start on `host` at `now`, were there no limit of its app and slots without end.
pub(crate) fn heads(rows: &Rows, host: u32, now: u64) -> Vec<Head> {
    let mut heads: BTreeMap<u32, Head> = BTreeMap::new();
    for (id, deployment) in rows.deployments.iter().filter(|(_, d)| d.queued && d.not_before.is_none_or(|at| at <= now))
    {
        let Some(environment) = rows.environments.get(&deployment.environment) else { continue };
        if environment.host != host || environment.running.is_some() {
            continue;
        }
        let came = deployment.enqueued_at.max(deployment.not_before.unwrap_or_default());
        let head = Head { id: *id, app: environment.app, priority: deployment.priority, came };
        let first = heads.entry(deployment.environment).or_insert_with(|| head.clone());
        if head.place() < first.place() {
            *first = head;
        }
    }
    heads.into_values().collect()
}

/// What is wrong about the starts of one transaction at `now`, which found `heads` and left `rows`. `turns` are the times at which
/// apps have last had a turn, which it brings up to date.
pub(crate) fn judge(heads: &[Head], rows: &Rows, turns: &mut BTreeMap<u32, u64>, now: u64) -> Vec<String> {
    let deployment = |head: &Head| rows.deployments.get(&head.id);
    let waits: Vec<&Head> = heads.iter().filter(|head| deployment(head).is_some_and(|d| d.queued)).collect();
    let mut starts: Vec<&Head> =
        heads.iter().filter(|head| deployment(head).is_some_and(|d| d.owner.is_some())).collect();
    starts.sort_by_key(|head| head.place());
    let apps: BTreeSet<u32> = starts.iter().map(|head| head.app).collect();
    let is_full = |app: u32| {
        let at_work = rows.environments.values().filter(|e| e.app == app && e.running.is_some());
        at_work.count() >= rows.limit
    };
    // Those of apps that could have had a turn, and had none: by the first of each.
    let mut left_out: BTreeMap<u32, &Head> = BTreeMap::new();
    for head in waits.iter().copied().filter(|head| !apps.contains(&head.app) && !is_full(head.app)) {
        let first = left_out.entry(head.app).or_insert(head);
        if head.place() < first.place() {
            *first = head;
        }
    }
    let mut wrong = Vec::new();
    for head in starts {
        let own = waits.iter().find(|other| other.app == head.app && other.place() < head.place());
        if let Some(other) = own {
            wrong.push(format!("{} starts before {}, which its app has had for longer", head.id, other.id));
        }
        let Some(turn) = turns.insert(head.app, now) else { continue };
        for (app, other) in &left_out {
            let since = other.came.max(turns.get(app).copied().unwrap_or_default());
            if worth(turn, head.priority) > worth(since, other.priority) {
                let (id, of, other) = (head.id, head.app, other.id);
                wrong.push(format!(
                    "{id} starts before {other}: app {of} had a turn at {turn} ms, app {app} waits since {since} ms"
                ));
            }
        }
    }
    wrong
}
