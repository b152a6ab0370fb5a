//! What must be true when the storm is over.

mod deployments;
mod events;
mod machine;
mod serving;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use domain::DeploymentId;
use domain::deployment::Deployment;
use operations::deployments::{List, ListRequest};
use operations::diagnosis::{Diagnose, DiagnoseRequest};

use crate::visitors::Seen;
use crate::world::World;

/// Waits until everything that was accepted has ended. Gives up when nothing ends for `patience`, and tells what waits.
pub(crate) async fn drain(world: &World, patience: Duration) {
    let began = Instant::now();
    let mut told = Instant::now();
    while world.ledger.in_flight() > 0 {
        let last = world.ledger.last_end().unwrap_or(began).max(began);
        if last.elapsed() > patience {
            let open = world.ledger.open();
            world.story.wrong(format!("{} deployments wait for ever, such as {:?}", open.len(), open.first()));
            let diagnoses = world.fleet.client(0).call::<Diagnose>(&DiagnoseRequest { limit: 500 }).await;
            world.story.tell(&format!("{diagnoses:#?}"));
            return;
        }
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            world.story.tell(&format!("{} deployments are in flight", world.ledger.in_flight()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.story.tell(&format!("all has ended after {:.0} s", began.elapsed().as_secs_f64()));
}

pub(crate) async fn judge(world: &World, seen: &Seen) {
    let all = every_deployment(world).await;
    deployments::judge(world, &all);
    events::judge(world, &all).await;
    serving::judge(world, &all, seen).await;
    machine::judge(world, &all).await;
}

/// As the servers know them.
async fn every_deployment(world: &World) -> BTreeMap<DeploymentId, Deployment> {
    let mut all = BTreeMap::new();
    let mut cursor = None;
    loop {
        let request = ListRequest { cursor, limit: 500, ..ListRequest::default() };
        let page = world.fleet.client(1).call::<List>(&request).await.unwrap();
        all.extend(page.items.into_iter().map(|deployment| (deployment.id.clone(), deployment)));
        cursor = page.next;
        if cursor.is_none() {
            return all;
        }
    }
}
