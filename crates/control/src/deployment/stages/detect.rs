//! Finds out what the source is, takes the environment's variables as they are now, and
//! so knows the digest of the release to be.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use async_trait::async_trait;
use detect::DetectError;
use domain::config::{ConfigError, locate};
use domain::failure::{Cause, Failure};
use domain::limits::Limits;
use domain::phase::Phase;
use domain::plan::{Change, Fact, Touch, digest_of_spec, digest_of_variables};
use domain::release::{Digest, Release, release_digest};
use domain::spec::AppSpec;
use saga::{Retry, Stage, Step};
use store::{Session, StoreError};

use super::{DETECT, blocking, store_away, store_retry};
use crate::deployment::explain::{Explain, Outlook, Scene, Undo};
use crate::deployment::promise::keep;
use crate::deployment::state::Order;
use crate::deployment::{Deploying, State, World, fail};
use crate::environment::{Variables, data_key};

const PHASE: Phase = Phase::Building;

pub(crate) struct Detect;

#[async_trait]
impl<G: Deploying> Stage<G> for Detect {
    fn name(&self) -> &'static str {
        DETECT
    }

    fn retry(&self) -> Retry {
        store_retry()
    }

    async fn run(&self, world: &World, mut state: State, _: &Step) -> Result<State, saga::Failure<Failure>> {
        let order = &state.order;
        let sink = world.sink(&order.deployment, PHASE, None);
        let workspace = world.layout.workspace(&order.deployment);
        let detected = look(world, &workspace.source()).await?;
        sink.say(&format!("detected {}", detected.app.stacks()));
        detected.notes.iter().for_each(|note| sink.say(note));

        let variables = Variables::load(&world.store, &world.vault, &order.environment).await.map_err(unreadable)?;
        let tx = world.store.write().await.map_err(|e| store_away(PHASE, e))?;
        let key = data_key(&tx, &world.vault, &order.environment).await.map_err(unreadable)?;
        tx.commit().await.map_err(|e| store_away(PHASE, e))?;

        let Some(tree) = &state.tree else {
            return Err(saga::Failure::permanent(fail::internal(PHASE, "the source has no digest")));
        };
        let values = variables.to_map();
        let digest = release_digest(tree, &detected.app, &values, &key.digest_key());
        let facts = [
            Fact::Tree(tree.clone()),
            Fact::Spec(digest_of_spec(&detected.app)),
            Fact::Variables(digest_of_variables(&values, &key.digest_key())),
            Fact::Release(digest.clone()),
        ];
        keep(order, PHASE, &facts)?;
        let sealed = variables.seal(&key).map_err(unreadable)?;
        let path = workspace.snapshot();
        blocking(PHASE, move || write_private(&path, &sealed))
            .await?
            .map_err(|e| saga::Failure::permanent(fail::internal(PHASE, format!("can't keep the snapshot: {e}"))))?;

        let known = take(world, order, &digest).await?;
        if let Some(release) = known {
            sink.say(&format!("v{} was made of the same source and variables: nothing to build", release.number));
            state.release = Some(release.into());
            state.reused = true;
        }
        state.digest = Some(digest);
        state.spec = Some(detected.app);
        Ok(state)
    }
}

/// The release that was made of the same, if its files are there. The transaction that finds it notes that this deployment has come to
/// need it: so its files stay, and those of others may go while this one builds.
async fn take(world: &World, order: &Order, digest: &Digest) -> Result<Option<Release>, saga::Failure<Failure>> {
    let away = |e| store_away(PHASE, e);
    // A look beforehand, as most have something to build and need no turn to write.
    if existing(&world.store, world, order, digest).await.map_err(away)?.is_none() {
        keep(order, PHASE, &[Fact::Exists(None)])?;
        return Ok(None);
    }
    let tx = world.store.write().await.map_err(away)?;
    let known = existing(&tx, world, order, digest).await.map_err(away)?;
    keep(order, PHASE, &[Fact::Exists(known.as_ref().map(|release| release.number))])?;
    if let Some(release) = &known {
        store::releases::take(&tx, release, &order.deployment).await.map_err(away)?;
        tx.commit().await.map_err(away)?;
    }
    Ok(known)
}

async fn existing(
    session: &impl Session,
    world: &World,
    order: &Order,
    digest: &Digest,
) -> Result<Option<Release>, StoreError> {
    let known = store::releases::find_by_digest(session, &order.app, digest).await?;
    Ok(known.filter(|_| world.layout.release(&order.app, digest).is_dir()))
}

impl Explain for Detect {
    fn outlook(&self, scene: &Scene) -> Outlook {
        let found = scene.spec.stacks();
        let found = if found.is_empty() { String::new() } else { format!(" ({found})") };
        Outlook::run(format!("finds out what the app is made of{found}, and takes the variables as they are"))
            .touching([Touch::Workspace { change: Change::Uses }])
    }

    fn taken_back(&self, _: &Scene) -> Undo {
        Undo::nothing()
    }
}

/// What the source is, if this server can run it.
pub(crate) async fn look(world: &World, source: &Path) -> Result<detect::Detected, saga::Failure<Failure>> {
    let (dir, toolchain) = (source.to_owned(), world.toolchain().await.clone());
    let detected = blocking(PHASE, move || detect::detect(&dir, &toolchain)).await?.map_err(unrecognised)?;
    within(&detected.app, &world.most, source)?;
    Ok(detected)
}

/// The server's settings are the most that anybody gets.
fn within(app: &AppSpec, most: &Limits, source: &Path) -> Result<(), saga::Failure<Failure>> {
    let build = [(vec!["build", "limits"], app.build_limits)];
    let components = app.components.iter().map(|c| (vec!["components", c.name.as_str(), "limits"], c.limits));
    for (mut path, limits) in build.into_iter().chain(components) {
        if let Some((key, asked, allowed)) = limits.beyond(most) {
            let table = path.join(".");
            path.push(key);
            // It was read a moment ago, or there would be no limits.
            let text = std::fs::read_to_string(source.join(domain::config::FILE_NAME)).unwrap_or_default();
            let message = format!("`{key}` in [{table}] asks for {asked}, and this server allows {allowed}");
            let wrong = ConfigError::at(&text, locate(&text, &path), message, None);
            let hint = format!("lower it, or start the server with a larger --max-{key}");
            let message = format!("{}, {wrong}", domain::config::FILE_NAME);
            return Err(saga::Failure::permanent(fail::failure(PHASE, Cause::Configuration, message, hint)));
        }
    }
    Ok(())
}

fn write_private(path: &std::path::Path, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let mut file = std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn unrecognised(error: DetectError) -> saga::Failure<Failure> {
    let text = error.to_string();
    let (message, hint) = text.rsplit_once("; ").unwrap_or((&text, "correct it, commit, and deploy again"));
    saga::Failure::permanent(fail::failure(PHASE, Cause::Configuration, message, hint))
}

fn unreadable(error: crate::environment::VariablesError) -> saga::Failure<Failure> {
    match error {
        crate::environment::VariablesError::Store(e) => store_away(PHASE, e),
        other => saga::Failure::permanent(fail::internal(PHASE, other.to_string())),
    }
}
