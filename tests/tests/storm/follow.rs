//! Follows the log of events over all servers, and looks at the database beside it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::event::{Event, EventKind};
use futures::StreamExt;
use operations::stream::EVENTS;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::world::World;

/// A server that says nothing for so long is left for another one; it sends a comment now and then, which is not seen here.
const SILENCE: Duration = Duration::from_secs(2);

pub(crate) struct Follower {
    done: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Follower {
    pub(crate) fn start(world: &Arc<World>) -> Self {
        let done = CancellationToken::new();
        let listens = tokio::spawn(listen(Arc::clone(world), done.clone()));
        let looks = tokio::spawn(look(Arc::clone(world), done.clone()));
        Self { done, tasks: vec![listens, looks] }
    }

    pub(crate) async fn stop(self) {
        self.done.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

/// One stream after the other, each from where the last one broke off.
async fn listen(world: Arc<World>, done: CancellationToken) {
    let chance = world.chance(2);
    let mut last = 0;
    while !done.is_cancelled() {
        let client = world.fleet.client(usize::try_from(chance.below(99)).unwrap());
        let (path, resumed) = (format!("{EVENTS}?after=0"), (last > 0).then(|| last.to_string()));
        let opened = tokio::time::timeout(SILENCE, client.stream(&path, resumed.as_deref())).await;
        let Ok(Ok(mut messages)) = opened else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        world.story.count("streams followed");
        loop {
            let next = tokio::time::timeout(SILENCE, messages.next());
            let Some(Ok(Some(Ok(message)))) = done.run_until_cancelled(next).await else { break };
            let Ok(event) = serde_json::from_str::<Event>(&message.data) else { continue };
            if event.cursor <= last {
                world.story.wrong(format!("event {} came after {last}", event.cursor));
            }
            last = event.cursor;
            hear(&world, event);
        }
    }
}

fn hear(world: &World, event: Event) {
    if let (EventKind::DeploymentFinished { phase, failure }, Some(id)) = (&event.kind, &event.deployment) {
        let why = failure.as_ref().map(|failure| format!(": {:?}, {}", failure.cause, failure.message));
        world.story.tell(&format!("{id} is {phase}{}", why.unwrap_or_default()));
        if !world.ledger.ended(id) {
            world.story.wrong(format!("{id} has ended twice"));
        }
    }
    if let (EventKind::DeploymentStuck { message, .. }, Some(id)) = (&event.kind, &event.deployment) {
        world.story.wrong(format!("{id} is stuck: {message}"));
    }
    world.ledger.hear(event);
}

/// Epochs and generations only grow, whatever happens to the database.
async fn look(world: Arc<World>, done: CancellationToken) {
    const FENCES: &str = "SELECT id, fence FROM sagas";
    const GENERATIONS: &str = "SELECT id || ' generation', generation FROM environments UNION ALL \
                               SELECT id || ' active', active_generation FROM environments";
    let mut known: BTreeMap<String, u64> = BTreeMap::new();
    while !done.is_cancelled() {
        for sql in [FENCES, GENERATIONS] {
            let read = tokio::task::block_in_place(|| world.postgres.try_sql(&world.database, sql));
            // It is away at the moment.
            let Ok(rows) = read else { continue };
            for row in rows.lines() {
                let Some((what, number)) = row.rsplit_once('|') else { continue };
                let number = number.parse().unwrap();
                let before = known.insert(what.to_owned(), number).unwrap_or_default();
                if number < before {
                    world.story.wrong(format!("{what} went from {before} back to {number}"));
                }
            }
        }
        let _ = tokio::time::timeout(Duration::from_millis(700), done.cancelled()).await;
    }
    let takes = known.iter().filter(|(what, _)| what.starts_with("dep_")).map(|(_, fence)| *fence);
    let most = takes.clone().max().unwrap_or_default();
    world.story.tell(&format!("the highest epoch of a deployment is {most}"));
    for _ in takes.filter(|fence| *fence > 1) {
        world.story.count("deployments taken over");
    }
}
