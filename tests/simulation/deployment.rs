//! The deployment as a saga over the model of the world: the same engine, the same order of stages, fewer of them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use saga::{Failure, Kind, Retry, Saga, Stage, Step};
use serde::{Deserialize, Serialize};

use crate::chance::Chance;
use crate::database::{Away, Database};
use crate::host::Host;
use crate::process::Process;
use crate::verdict::Verdicts;
use crate::world::Mutation;

/// What a run of a deployment acts on: it belongs to one process, and one epoch.
pub(crate) struct World {
    pub(crate) process: Process,
    pub(crate) epoch: u64,
    pub(crate) database: Database,
    pub(crate) host: Arc<Mutex<Host>>,
    pub(crate) chance: Chance,
    pub(crate) verdicts: Verdicts,
    pub(crate) mutation: Option<Mutation>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) deployment: u32,
    pub(crate) environment: u32,
    pub(crate) generation: u64,
    /// Who had the routes before the cutover.
    pub(crate) previous: Option<Option<u32>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Why(pub(crate) String);

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) enum Deploy {}

impl Saga for Deploy {
    type World = World;
    type State = State;
    type Error = Why;
    const NAME: &'static str = "deploy";
    const VERSION: u32 = 1;

    fn stages() -> Vec<Box<dyn Stage<Self>>> {
        vec![Box::new(Build), Box::new(Claim), Box::new(Start), Box::new(Cutover), Box::new(Activate), Box::new(Retire)]
    }

    fn timed_out(stage: &str, limit: Duration) -> Why {
        Why(format!("{stage} took longer than {limit:?}"))
    }

    fn panicked(stage: &str, message: String) -> Why {
        Why(format!("{stage}: {message}"))
    }
}

type Done = Result<State, Failure<Why>>;
type Undone = Result<(), Failure<Why>>;

/// Waits that can be repeated.
fn attempts(max: u32) -> Retry {
    Retry::attempts(max).base(Duration::from_millis(500)).cap(Duration::from_secs(4)).jitter(0.0)
}

/// What is only away comes back: no run ends for that.
fn patient() -> Retry {
    attempts(100_000)
}

impl World {
    /// One thing done to the machine. Between any two of them the process can be stopped or killed.
    async fn act<T>(&self, state: &State, what: &str, act: impl FnOnce(&mut Host) -> T) -> T {
        self.process.step().await;
        tokio::time::sleep(self.chance.millis(0, 30)).await;
        self.process.step().await;
        let done = {
            let mut host = self.host();
            if let Err(newer) = host.acts(state.deployment, self.epoch) {
                let (deployment, epoch) = (state.deployment, self.epoch);
                self.verdicts.wrong(format!("{what} of {deployment} under epoch {epoch} after one under {newer}"));
            }
            act(&mut host)
        };
        self.verdicts.look();
        self.process.step().await;
        done
    }

    /// The same, which only who acts on the environment may do.
    async fn act_alone<T>(&self, state: &State, what: &str, act: impl FnOnce(&mut Host) -> T) -> T {
        let verdicts = self.verdicts.clone();
        let database = self.database.clone();
        let (deployment, environment) = (state.deployment, state.environment);
        self.act(state, what, move |host| {
            let acting = database.rows().environments.get(&environment).and_then(|e| e.acting);
            if acting != Some(deployment) {
                verdicts.wrong(format!("{deployment} acts on environment {environment}, which {acting:?} holds"));
            }
            act(host)
        })
        .await
    }

    fn host(&self) -> MutexGuard<'_, Host> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A step fails now and then; half of that is worth another attempt.
    fn luck(&self, percent: u64) -> Result<(), Failure<Why>> {
        let why = || Why("bad luck".to_owned());
        match (self.chance.percent(percent), self.chance.percent(50)) {
            (false, _) => Ok(()),
            (true, true) => Err(Failure::retry(why())),
            (true, false) => Err(Failure::permanent(why())),
        }
    }

    /// What takes back or cleans up finds something in its way now and then, which only an operator gets past.
    fn obstacle(&self) -> Undone {
        match self.chance.percent(4) {
            true => Err(Failure::permanent(Why("something is in the way".to_owned()))),
            false => Ok(()),
        }
    }
}

fn away(_: Away) -> Failure<Why> {
    Failure::retry(Why("the database is away".to_owned()))
}

fn older() -> Failure<Why> {
    Failure::permanent(Why("a newer one was there".to_owned()))
}

struct Build;

#[async_trait]
impl Stage<Deploy> for Build {
    fn name(&self) -> &'static str {
        "build"
    }

    fn retry(&self) -> Retry {
        attempts(3)
    }

    fn undo_retry(&self) -> Retry {
        patient()
    }

    async fn run(&self, world: &World, state: State, step: &Step) -> Done {
        world.act(&state, "build", |host| host.workspaces.insert(state.deployment)).await;
        tokio::select! {
            biased;
            () = step.cancel.cancelled() => return Err(Failure::cancelled(Why("cancelled".to_owned()))),
            () = tokio::time::sleep(world.chance.millis(10, 8000)) => {}
        }
        world.luck(6)?;
        world.act(&state, "build", |host| host.workspaces.insert(state.deployment)).await;
        Ok(state)
    }

    async fn undo(&self, world: &World, state: &State) -> Undone {
        world.obstacle()?;
        world.act(state, "undo of build", |host| host.workspaces.remove(&state.deployment)).await;
        Ok(())
    }
}

struct Claim;

#[async_trait]
impl Stage<Deploy> for Claim {
    fn name(&self) -> &'static str {
        "claim"
    }

    fn retry(&self) -> Retry {
        patient()
    }

    fn undo_retry(&self) -> Retry {
        patient()
    }

    async fn run(&self, world: &World, state: State, step: &Step) -> Done {
        loop {
            let (deployment, of, generation) = (state.deployment, state.environment, state.generation);
            let unasked = world.mutation == Some(Mutation::LetTheOlderPass);
            let claim = world.database.write(&world.process, move |rows| {
                let environment = rows.environments.get_mut(&of)?;
                if environment.active_generation > generation && !unasked {
                    return None;
                }
                environment.acting.get_or_insert(deployment);
                Some(environment.acting == Some(deployment))
            });
            match claim.await.map_err(away)? {
                None => return Err(older()),
                Some(true) => return Ok(state),
                Some(false) => {}
            }
            tokio::select! {
                biased;
                () = step.cancel.cancelled() => return Err(Failure::cancelled(Why("cancelled".to_owned()))),
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    async fn undo(&self, world: &World, state: &State) -> Undone {
        release(world, state).await
    }
}

async fn release(world: &World, state: &State) -> Undone {
    let (deployment, of) = (state.deployment, state.environment);
    let release = world.database.write(&world.process, move |rows| {
        if let Some(environment) = rows.environments.get_mut(&of).filter(|e| e.acting == Some(deployment)) {
            environment.acting = None;
        }
    });
    release.await.map_err(away)
}

struct Start;

#[async_trait]
impl Stage<Deploy> for Start {
    fn name(&self) -> &'static str {
        "start"
    }

    fn retry(&self) -> Retry {
        attempts(3)
    }

    fn undo_retry(&self) -> Retry {
        patient()
    }

    async fn run(&self, world: &World, state: State, _: &Step) -> Done {
        let (deployment, environment, generation) = (state.deployment, state.environment, state.generation);
        let admitted = world.act_alone(&state, "start", |host| host.admit(environment, generation)).await;
        admitted.map_err(|_| older())?;
        // Admitted and started are two steps, as with real processes.
        world.act_alone(&state, "start", |host| host.start(deployment, environment)).await;
        tokio::time::sleep(world.chance.millis(5, 2000)).await;
        world.luck(6)?;
        Ok(state)
    }

    async fn undo(&self, world: &World, state: &State) -> Undone {
        world.obstacle()?;
        world.act_alone(state, "undo of start", |host| host.stop(state.deployment)).await;
        Ok(())
    }
}

struct Cutover;

#[async_trait]
impl Stage<Deploy> for Cutover {
    fn name(&self) -> &'static str {
        "cutover"
    }

    fn retry(&self) -> Retry {
        attempts(3)
    }

    fn undo_retry(&self) -> Retry {
        patient()
    }

    async fn run(&self, world: &World, state: State, _: &Step) -> Done {
        world.luck(4)?;
        let (deployment, environment, generation) = (state.deployment, state.environment, state.generation);
        let done = world.act_alone(&state, "cutover", |host| host.route(environment, generation, Some(deployment)));
        done.await.map_err(|_| older())?;
        Ok(state)
    }

    /// What serves by the database's word serves again, under the new generation.
    async fn undo(&self, world: &World, state: &State) -> Undone {
        world.obstacle()?;
        let (environment, generation) = (state.environment, state.generation);
        let active = world.database.write(&world.process, move |rows| rows.environments.get(&environment)?.active);
        let active = active.await.map_err(away)?;
        let back = world.act_alone(state, "undo of cutover", |host| host.route(environment, generation, active));
        // Refused: a newer one has them, so there is nothing to give back.
        _ = back.await;
        Ok(())
    }
}

struct Activate;

#[async_trait]
impl Stage<Deploy> for Activate {
    fn name(&self) -> &'static str {
        "activate"
    }

    fn kind(&self) -> Kind {
        Kind::Pivot
    }

    fn retry(&self) -> Retry {
        attempts(2)
    }

    fn undo_retry(&self) -> Retry {
        patient()
    }

    async fn run(&self, world: &World, state: State, _: &Step) -> Done {
        tokio::time::sleep(world.chance.millis(100, 1500)).await;
        world.luck(6)?;
        match world.act_alone(&state, "activate", |host| host.answers(state.environment)).await {
            Some(who) if who == state.deployment => Ok(state),
            _ => Err(Failure::retry(Why("somebody else answers".to_owned()))),
        }
    }
}

struct Retire;

#[async_trait]
impl Stage<Deploy> for Retire {
    fn name(&self) -> &'static str {
        "retire"
    }

    fn kind(&self) -> Kind {
        Kind::ForwardOnly
    }

    fn retry(&self) -> Retry {
        patient()
    }

    async fn run(&self, world: &World, state: State, _: &Step) -> Done {
        let (deployment, environment) = (state.deployment, state.environment);
        // Run again after the claim was given back, everything is done: the environment may be another one's by now.
        let ours = world.database.write(&world.process, move |rows| {
            rows.environments.get(&environment).is_some_and(|e| e.acting == Some(deployment))
        });
        if !ours.await.map_err(away)? {
            return Ok(state);
        }
        world.obstacle()?;
        world
            .act_alone(&state, "retire", |host| {
                host.instances.retain(|instance, of| *of != environment || *instance == deployment);
                host.workspaces.remove(&deployment);
            })
            .await;
        release(world, &state).await?;
        Ok(state)
    }
}
