//! Clients as they should be: a key for each order, patience, another server when one does not answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::chance::Chance;
use domain::DeploymentId;
use domain::deployment::Deployment;
use operations::client::CallError;
use operations::deployments::RollbackRequest;
use operations::deployments::{Cancel as CancelOperation, Deploy, DeployRequest, DeploymentRequest, Rollback};
use operations::{Error, ErrorKind, Operation};
use tokio::task::{JoinHandle, JoinSet};

use crate::ledger::Cancel;
use crate::orders::{Order, What};
use crate::world::World;

const CLIENTS: u64 = 10;
/// A server that does not answer within this is left for another one.
const ANSWER: Duration = Duration::from_secs(10);
/// Without any answer for so long something is wrong.
const PATIENCE: Duration = Duration::from_secs(120);

/// They come at once, and go when [`World::stop_ordering`] says so.
pub(crate) fn start(world: &Arc<World>) -> Vec<JoinHandle<()>> {
    (0..CLIENTS).map(|number| tokio::spawn(client(Arc::clone(world), world.chance(100 + number)))).collect()
}

async fn client(world: Arc<World>, chance: Chance) {
    let mut cancels = JoinSet::new();
    while world.is_ordering() {
        if !world.ledger.may_send(world.settings.level) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        let order = Order::draw(&chance, world.places.len(), |place| world.places[place].rough);
        let accepted = place(&world, &chance, &order).await;
        if let Some(deployment) = &accepted {
            enter(&world, deployment, &order);
        }
        world.ledger.sent();
        if let (Some(deployment), Some(after)) = (accepted, order.cancel_after) {
            let (world, chance) = (Arc::clone(&world), Chance::of(chance.below(u64::MAX)));
            cancels.spawn(async move {
                tokio::time::sleep(after).await;
                cancel(&world, &chance, deployment.id).await;
            });
        }
    }
    while let Some(done) = cancels.join_next().await {
        done.unwrap();
    }
}

fn enter(world: &World, deployment: &Deployment, order: &Order) {
    let Deployment { id, generation, .. } = deployment;
    let place = &world.places[order.place];
    world.story.tell(&format!("{} accepted {id} (generation {generation}): {order:?}", place.label()));
    if deployment.app != place.app || deployment.environment != place.environment {
        world.story.wrong(format!("{id} was ordered for {} and is for another environment", place.label()));
    }
    if !world.ledger.enter(id.clone(), order.clone(), *generation) {
        world.story.wrong(format!("{id} was given to two orders"));
    }
}

/// Sends an order until it is accepted or refused.
async fn place(world: &World, chance: &Chance, order: &Order) -> Option<Deployment> {
    let place = &world.places[order.place];
    let (app, environment, priority) = (place.app.clone(), place.environment.clone(), order.priority);
    match order.what {
        What::Deploy(fate) => {
            let (team, version) = (&world.teams[place.team], world.version());
            let commit = tokio::task::block_in_place(|| team.commit(fate, version, chance));
            let request = DeployRequest {
                app,
                environment,
                source: None,
                reference: Some(commit),
                tags: Vec::new(),
                metadata: Default::default(),
                priority,
                not_before: order.later.map(|span| chrono::Utc::now() + span),
                bypass_window: None,
                plan: None,
            };
            once::<Deploy>(world, chance, &request, order.twin).await
        }
        What::Rollback => {
            let request = RollbackRequest { app, environment, release: None, tag: None, priority };
            once::<Rollback>(world, chance, &request, order.twin).await
        }
    }
}

/// One order under one key, whether it is sent once or by two at the same time.
async fn once<O: Operation<Response = Deployment>>(
    world: &World,
    chance: &Chance,
    request: &O::Request,
    twin: bool,
) -> Option<Deployment> {
    let key = format!("storm-{:016x}{:016x}", chance.below(u64::MAX), chance.below(u64::MAX));
    let send = || send::<O>(world, chance, request, Some(&key));
    if !twin {
        return send().await.ok();
    }
    world.story.count("orders sent twice");
    let (one, two) = tokio::join!(send(), send());
    match (one, two) {
        (Ok(one), Ok(two)) => {
            if one.id != two.id {
                world.story.wrong(format!("one key, two deployments: {} and {}", one.id, two.id));
            }
            Some(one)
        }
        // A refusal is not kept under the key: what was impossible a moment ago may be possible now.
        (Ok(one), Err(_)) | (Err(_), Ok(one)) => Some(one),
        (Err(_), Err(_)) => None,
    }
}

/// Asks one server after the other until one has an answer.
///
/// # Errors
/// What the refusal said.
async fn send<O: Operation>(
    world: &World,
    chance: &Chance,
    request: &O::Request,
    key: Option<&str>,
) -> Result<O::Response, Error> {
    let began = Instant::now();
    let mut pause = Duration::from_millis(20);
    loop {
        let number = usize::try_from(chance.below(world.fleet.nodes.len() as u64)).unwrap();
        let call = world.fleet.client(number).call_with_key::<O>(request, key);
        let why = match tokio::time::timeout(ANSWER, call).await {
            Ok(Ok(answer)) => {
                world.story.count("requests answered");
                return Ok(answer);
            }
            Ok(Err(CallError::Refused(error))) => match error.code {
                ErrorKind::Unavailable => format!("unavailable: {error}"),
                // What is said besides is the same whichever server is asked, and however often.
                ErrorKind::Conflict | ErrorKind::NotFound | ErrorKind::Unprocessable => {
                    world.story.count("requests refused");
                    world.story.tell(&format!("{} refused: {error}", O::NAME));
                    return Err(error);
                }
                _ => {
                    world.story.wrong(format!("{} was answered with {}: {error}", O::NAME, error.code.code()));
                    return Err(error);
                }
            },
            Ok(Err(CallError::Garbled { reason, .. })) => {
                world.story.wrong(format!("{} got an answer that is not Plimsoll's: {reason}", O::NAME));
                reason
            }
            Ok(Err(CallError::Unreachable { reason, .. })) => reason,
            Err(_) => format!("no answer within {} s", ANSWER.as_secs()),
        };
        world.story.count("requests sent again");
        if began.elapsed() > PATIENCE {
            let waited = began.elapsed().as_secs();
            world.story.wrong(format!("no server has answered {} for {waited} s: {why}", O::NAME));
            return Err(Error::unavailable(why));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

async fn cancel(world: &World, chance: &Chance, deployment: DeploymentId) {
    world.ledger.cancel(&deployment, Cancel::Wished);
    let request = DeploymentRequest { deployment: deployment.clone() };
    if send::<CancelOperation>(world, chance, &request, None).await.is_ok() {
        world.story.count("cancels promised");
        world.story.tell(&format!("{deployment} will be taken back"));
        world.ledger.cancel(&deployment, Cancel::Promised);
    }
}
