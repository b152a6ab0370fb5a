//! One attempt of a stage or of its undo, with its time limit, its panics and its cancellation.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;

use crate::{Failure, Saga, Stage, Step};

pub(super) async fn run<G: Saga>(
    stage: &dyn Stage<G>,
    world: &G::World,
    state: G::State,
    step: &Step,
) -> Result<G::State, Failure<G::Error>> {
    guarded::<G, _>(stage, async {
        let limit = stage.limit(&state);
        within::<G, _>(stage, limit, stage.run(world, state, step)).await
    })
    .await
}

pub(super) async fn undo<G: Saga>(
    stage: &dyn Stage<G>,
    world: &G::World,
    state: &G::State,
) -> Result<(), Failure<G::Error>> {
    guarded::<G, _>(stage, async {
        let limit = stage.undo_limit(state);
        within::<G, _>(stage, limit, stage.undo(world, state)).await
    })
    .await
}

async fn within<G: Saga, T>(
    stage: &dyn Stage<G>,
    limit: Option<Duration>,
    work: impl Future<Output = Result<T, Failure<G::Error>>>,
) -> Result<T, Failure<G::Error>> {
    match limit {
        None => work.await,
        Some(limit) => match tokio::time::timeout(limit, work).await {
            Ok(result) => result,
            Err(_) => Err(Failure::retry(G::timed_out(stage.name(), limit))),
        },
    }
}

async fn guarded<G: Saga, T>(
    stage: &dyn Stage<G>,
    work: impl Future<Output = Result<T, Failure<G::Error>>>,
) -> Result<T, Failure<G::Error>> {
    // Unwind safety: after a panic the state copy is gone with the future, and the world is the stage's own business, as after a crash.
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => Err(Failure::permanent(G::panicked(stage.name(), message(panic.as_ref())))),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "panicked without a message".to_owned()
    }
}
