//! Makes the release that a promotion brings: the files are those of the release that it comes
//! from, the variables are the target's.

use async_trait::async_trait;
use domain::ReleaseId;
use domain::failure::{Cause, Failure};
use domain::phase::Phase;
use domain::plan::{Change, Touch};
use domain::release::{PromotedFrom, promoted_digest};
use saga::{Retry, Stage, Step};
use store::releases::NewRelease;
use ulid::Ulid;

use super::create_release::{discard, insert};
use super::{CREATE_RELEASE, store_away, store_retry};
use crate::deployment::explain::{Explain, Outlook, Scene, Undo};
use crate::deployment::{Deploying, State, World, fail};
use crate::environment::{Variables, VariablesError, data_key};
use crate::vault::DataKey;

pub(crate) struct Promote;

const PHASE: Phase = Phase::CopyingFiles;

#[async_trait]
impl<G: Deploying> Stage<G> for Promote {
    fn name(&self) -> &'static str {
        CREATE_RELEASE
    }

    fn retry(&self) -> Retry {
        store_retry()
    }

    async fn run(&self, world: &World, mut state: State, _: &Step) -> Result<State, saga::Failure<Failure>> {
        let (Some(spec), Some(digest), Some(promotion), false) =
            (&state.spec, &state.digest, &state.order.promotion, state.reused)
        else {
            return Ok(state);
        };
        let order = &state.order;
        let known = store::releases::find_by_digest(&world.store, &order.app, digest).await;
        let release = match known.map_err(|e| store_away(PHASE, e))? {
            // Made by an attempt of ours that was interrupted, or by a promotion of the same at the same time.
            Some(release) => release.into(),
            None => {
                let (variables, key) = promised(world, &state, PHASE).await?;
                let sealed = variables.seal(&key).map_err(|e| unreadable(PHASE, e))?;
                let new = NewRelease {
                    id: ReleaseId::from_ulid(Ulid::generate()),
                    app_id: order.app.clone(),
                    digest: digest.clone(),
                    artifact: promotion.artifact.clone(),
                    promoted_from: Some(PromotedFrom {
                        release: promotion.record.release.clone(),
                        number: promotion.record.number,
                        environment: promotion.record.from.clone(),
                    }),
                    commit: state.commit.clone(),
                    spec: spec.clone(),
                    size: promotion.size,
                    files: promotion.files,
                    tags: order.labels.tags.clone(),
                    metadata: order.labels.metadata.clone(),
                    snapshot: sealed,
                    created_at: store::clock::now(),
                };
                insert(world, &new).await.map_err(|e| store_away(PHASE, e))?
            }
        };
        world.sink(&order.deployment, PHASE, None).say(&format!(
            "v{} has the files of v{} of {}: nothing was built",
            release.number, promotion.record.number, promotion.record.from
        ));
        state.release = Some(release);
        Ok(state)
    }

    /// A release that nobody else uses goes with the deployment that made it. The files are another's.
    async fn undo(&self, world: &World, state: &State) -> Result<(), saga::Failure<Failure>> {
        let (Some(digest), false) = (&state.digest, state.reused) else { return Ok(()) };
        discard(world, state, digest).await.map_err(|e| store_away(PHASE, e))?;
        Ok(())
    }
}

impl Explain for Promote {
    fn outlook(&self, scene: &Scene) -> Outlook {
        match scene.existing {
            Some(number) => Outlook::skip(format!("v{number} is there")),
            None => Outlook::run("makes a release of the files that were built for the other environment")
                .touching([Touch::ReleaseFolder { digest: scene.digest.clone(), change: Change::Uses }]),
        }
    }

    fn taken_back(&self, _: &Scene) -> Undo {
        Undo::of("the release is forgotten, unless another deployment has come to use it; its files are another's")
    }
}

/// The target's variables, if they still are those that the promotion was accepted with.
pub(super) async fn promised(
    world: &World,
    state: &State,
    phase: Phase,
) -> Result<(Variables, DataKey), saga::Failure<Failure>> {
    let order = &state.order;
    let (Some(promotion), Some(digest)) = (&order.promotion, &state.digest) else {
        return Err(saga::Failure::permanent(fail::internal(phase, "it is no promotion")));
    };
    let loaded = Variables::load(&world.store, &world.vault, &order.environment).await;
    let variables = loaded.map_err(|e| unreadable(phase, e))?;
    let tx = world.store.write().await.map_err(|e| store_away(phase, e))?;
    let key = data_key(&tx, &world.vault, &order.environment).await.map_err(|e| unreadable(phase, e))?;
    tx.commit().await.map_err(|e| store_away(phase, e))?;
    if promoted_digest(&promotion.artifact, &variables.to_map(), &key.digest_key()) == *digest {
        return Ok((variables, key));
    }
    let message = format!("the variables of {} have changed since the promotion was asked for", order.environment_name);
    let hint = "look at the differences again with `plimsoll promote --dry-run`, then promote";
    Err(saga::Failure::permanent(fail::failure(phase, Cause::Configuration, message, hint)))
}

fn unreadable(phase: Phase, error: VariablesError) -> saga::Failure<Failure> {
    match error {
        VariablesError::Store(e) => store_away(phase, e),
        other => saga::Failure::permanent(fail::internal(phase, other.to_string())),
    }
}
