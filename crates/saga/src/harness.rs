//! One harness that any saga is put through, for the tests of whoever writes one.
//!
//! It runs the saga again and again, each time in a new world of the caller's making, and lets each thing go wrong that the
//! engine promises to survive: each stage fails (before and after its effect), each stage is run twice, each undo is run twice, the process dies
//! just before and just after each write of the journal (on the way forward, while undoing a failure and while undoing a cancel) and in the middle
//! of each stage and undo, and a cancel comes at each stage. After each run the saga must have come to the outcome that the
//! course implies, and the caller's check must find the world in the state that the outcome claims.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # async fn example<G: saga::Saga<World = (), State = ()>>() {
//! use saga::{Outcome, OutcomeOf, harness::Harness};
//!
//! let report = Harness::<G>::new(
//!     || async { /* a new world */ },
//!     |_world| (/* the state that the saga starts with */),
//!     |_world: Arc<()>, outcome: OutcomeOf<G>| async move {
//!         match outcome {
//!             Outcome::Done(_) => Ok(()),          // … if the world is as it should be
//!             Outcome::Undone { .. } => Ok(()),    // … if nothing is left behind
//!             Outcome::Stuck { stage, .. } => Err(format!("stuck at {stage}")),
//!         }
//!     },
//! )
//! .run()
//! .await;
//! report.assert_sound();
//! # }
//! ```

mod case;
mod journal;
mod report;
mod rig;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};

use crate::{
    Cancel, CancelRefused, Cause, Engine, EngineError, Fence, Kind, Outcome, OutcomeOf, Plan, PlannedStage, Remedy,
    Saga, SagaId,
};
use rig::Rig;

pub use case::{Case, Course, Fault, Moment};
pub use journal::{Counting, check_journal};
pub use report::{CaseFailure, Report};

type MakeWorld<G> = Box<dyn Fn() -> BoxFuture<'static, <G as Saga>::World> + Send + Sync>;
type MakeState<G> = Box<dyn Fn(&<G as Saga>::World) -> <G as Saga>::State + Send + Sync>;
type Check<G> =
    Box<dyn Fn(Arc<<G as Saga>::World>, OutcomeOf<G>) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;
type Observe<G> = Box<dyn Fn(Arc<<G as Saga>::World>) -> BoxFuture<'static, String> + Send + Sync>;

/// Puts a saga through everything; see the [module](self).
pub struct Harness<G: Saga> {
    world: MakeWorld<G>,
    state: MakeState<G>,
    check: Check<G>,
    observe: Option<Observe<G>>,
    case_limit: Duration,
    concurrency: usize,
    chosen: Box<dyn Fn(&Case) -> bool + Send + Sync>,
}

/// What a sound case leaves to compare and to count.
struct Trace {
    observed: Option<String>,
    writes: usize,
}

impl<G: Saga> Harness<G> {
    /// `world` makes a world in which nothing has happened; `state` makes the state that the saga starts with; `check` says what
    /// is wrong with a world after an outcome. Each case has a world of its own; what must be cleaned up is cleaned up when it is dropped.
    pub fn new<W, C>(
        world: impl Fn() -> W + Send + Sync + 'static,
        state: impl Fn(&G::World) -> G::State + Send + Sync + 'static,
        check: impl Fn(Arc<G::World>, OutcomeOf<G>) -> C + Send + Sync + 'static,
    ) -> Self
    where
        W: Future<Output = G::World> + Send + 'static,
        C: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self {
            world: Box::new(move || world().boxed()),
            state: Box::new(state),
            check: Box::new(move |world, outcome| check(world, outcome).boxed()),
            observe: None,
            case_limit: Duration::from_secs(60),
            concurrency: 1,
            chosen: Box::new(|_| true),
        }
    }

    /// Describes a world as text. Cases of one course must end in worlds of one description, whatever fault befell them; leave out of it
    /// what may differ (times, process ids).
    pub fn observe<O>(mut self, observe: impl Fn(Arc<G::World>) -> O + Send + Sync + 'static) -> Self
    where
        O: Future<Output = String> + Send + 'static,
    {
        self.observe = Some(Box::new(move |world| observe(world).boxed()));
        self
    }

    /// How long a case may take before it counts as hanging. Default: a minute.
    pub fn case_limit(mut self, limit: Duration) -> Self {
        self.case_limit = limit;
        self
    }

    /// How many cases run at the same time. Default: one.
    pub fn concurrency(mut self, cases: usize) -> Self {
        self.concurrency = cases.max(1);
        self
    }

    /// Leaves out the cases that `chosen` refuses, but for the courses whose writes are counted to know where to kill. A slow saga can
    /// be split over several tests this way.
    pub fn only(mut self, chosen: impl Fn(&Case) -> bool + Send + Sync + 'static) -> Self {
        self.chosen = Box::new(chosen);
        self
    }

    /// Runs every case.
    ///
    /// # Panics
    /// If the saga's stages are in no legal order: then there is nothing to run.
    pub async fn run(&self) -> Report {
        let plan = match Plan::of(&G::stages()) {
            Ok(plan) => plan,
            Err(error) => panic!("saga {}: {error}", G::NAME),
        };
        let stages = plan.stages();
        let mut report = Report::default();
        let counted = counted_courses(&stages);
        let plain = courses(&stages).into_iter().map(|course| course.with(Fault::Nothing));
        let plain = plain.filter(|case| counted.contains(&case.course) || (self.chosen)(case)).collect();
        let mut base = HashMap::new();
        for (case, trace) in self.run_all(plain, &mut report).await {
            base.insert(case.course, trace);
        }
        let faulty = faulty_cases(&stages, &base).into_iter().filter(|case| (self.chosen)(case)).collect();
        for (case, trace) in self.run_all(faulty, &mut report).await {
            let expected = base.get(&case.course).and_then(|trace| trace.observed.as_ref());
            if let (Some(expected), Some(found)) = (expected, &trace.observed)
                && expected != found
            {
                let problem = format!("the world is not as without the fault.\n  without: {expected}\n  with: {found}");
                report.failures.push(CaseFailure { case, problem, journal: Vec::new() });
            }
        }
        report
    }

    /// Runs one case again, as a report names it.
    pub async fn replay(&self, case: Case) -> Result<(), CaseFailure> {
        self.run_case(case).await.map(|_| ())
    }

    async fn run_all(&self, cases: Vec<Case>, report: &mut Report) -> Vec<(Case, Trace)> {
        report.cases += cases.len();
        let runs = cases.into_iter().map(|case| async move { (case.clone(), self.run_case(case).await) });
        let mut sound = Vec::new();
        let mut runs = futures::stream::iter(runs).buffer_unordered(self.concurrency);
        while let Some((case, result)) = runs.next().await {
            match result {
                Ok(trace) => sound.push((case, trace)),
                Err(failure) => report.failures.push(failure),
            }
        }
        sound
    }

    async fn run_case(&self, case: Case) -> Result<Trace, CaseFailure> {
        let rig = Rig::new(case);
        let result = match tokio::time::timeout(self.case_limit, self.live(&rig)).await {
            Ok(result) => result,
            Err(_) => Err(format!("did not come to rest within {:?}", self.case_limit)),
        };
        result.map_err(|problem| CaseFailure {
            case: rig.case.clone(),
            problem,
            journal: rig.journal.lines(&saga_id()),
        })
    }

    async fn live(&self, rig: &Arc<Rig>) -> Result<Trace, String> {
        let world = Arc::new((self.world)().await);
        let state = (self.state)(&world);

        let first_life = self.one_life(rig, &world, state.clone(), Fence(1));
        let mut result = tokio::select! {
            biased;
            () = rig.killed() => None,
            result = first_life => Some(result.map_err(|error| error.to_string())?),
        };
        if result.is_none() {
            let second_life = self.one_life(rig, &world, state.clone(), Fence(2)).await;
            result = Some(second_life.map_err(|error| format!("after the kill: {error}"))?);
        }
        let mut outcome = result.ok_or("no outcome")?;

        let failing = self.failing_forward_only(&rig.case.course);
        if failing && matches!(outcome, Outcome::Stuck { .. }) {
            rig.mend();
            outcome = self.unstick(rig, &world).await.map_err(|error| format!("when unstuck: {error}"))?;
        } else if failing {
            return Err(format!("a stage after the pivot failed, but the saga is {}, not stuck", outcome.name()));
        }
        expect::<G>(rig, &outcome)?;
        (self.check)(Arc::clone(&world), outcome.clone())
            .await
            .map_err(|problem| format!("{}: {problem}", outcome.name()))?;

        let writes = rig.writes();
        self.stays_at_rest(rig, &world, &outcome).await?;
        let observed = match &self.observe {
            Some(observe) => Some(observe(world).await),
            None => None,
        };
        Ok(Trace { observed, writes })
    }

    async fn one_life(
        &self,
        rig: &Arc<Rig>,
        world: &Arc<G::World>,
        state: G::State,
        fence: Fence,
    ) -> Result<OutcomeOf<G>, EngineError> {
        let engine = self.engine(rig, world)?;
        let id = saga_id();
        match engine.start(&id, fence, state).await {
            Ok(_) | Err(EngineError::AlreadyStarted { .. }) => {}
            Err(error) => return Err(error),
        }
        engine.run(&id, fence, &rig.revive()).await
    }

    async fn unstick(&self, rig: &Arc<Rig>, world: &Arc<G::World>) -> Result<OutcomeOf<G>, EngineError> {
        let engine = self.engine(rig, world)?;
        engine.unstick(&saga_id(), Fence(3), Remedy::Retry, "harness").await?;
        engine.run(&saga_id(), Fence(3), &Cancel::new()).await
    }

    /// Running a saga that has ended must write nothing and give the same outcome.
    async fn stays_at_rest(&self, rig: &Arc<Rig>, world: &Arc<G::World>, outcome: &OutcomeOf<G>) -> Result<(), String> {
        let writes = rig.writes();
        let engine = self.engine(rig, world).map_err(|error| error.to_string())?;
        let again = engine.run(&saga_id(), Fence(4), &Cancel::new()).await.map_err(|error| error.to_string())?;
        let text = |outcome: &OutcomeOf<G>| serde_json::to_string(outcome).map_err(|error| error.to_string());
        if text(&again)? != text(outcome)? {
            return Err("the outcome read back from the journal differs: its state does not survive serde".to_owned());
        }
        if rig.writes() != writes {
            return Err("running the ended saga again wrote to its journal".to_owned());
        }
        Ok(())
    }

    fn engine(&self, rig: &Arc<Rig>, world: &Arc<G::World>) -> Result<Engine<G>, EngineError> {
        Ok(Engine::with_stages(rig.journal_for::<G>(), Arc::clone(world), Vec::new(), rig.stages::<G>())?)
    }

    fn failing_forward_only(&self, course: &Course) -> bool {
        matches!(course, Course::Fail { stage, .. } if kind_of::<G>(stage) == Some(Kind::ForwardOnly))
    }
}

impl Course {
    fn with(self, fault: Fault) -> Case {
        Case { course: self, fault }
    }
}

/// Every course that can be taken without a fault.
fn courses(stages: &[PlannedStage]) -> Vec<Course> {
    let mut courses = vec![Course::Straight];
    for PlannedStage { name: stage, .. } in stages {
        for when in Moment::BOTH {
            courses.push(Course::Fail { stage: stage.clone(), when });
            courses.push(Course::Cancel { stage: stage.clone(), when });
        }
    }
    courses
}

/// The way forward and the two longest ways back: where the process is killed at each write.
fn counted_courses(stages: &[PlannedStage]) -> Vec<Course> {
    let mut courses = vec![Course::Straight];
    if let Some(last) = stages.iter().rfind(|stage| stage.kind != Kind::ForwardOnly) {
        courses.push(Course::Fail { stage: last.name.clone(), when: Moment::After });
        courses.push(Course::Cancel { stage: last.name.clone(), when: Moment::After });
    }
    courses
}

fn faulty_cases(stages: &[PlannedStage], base: &HashMap<Course, Trace>) -> Vec<Case> {
    const POLLS: [u32; 2] = [1, 3];
    let mut cases = Vec::new();
    for course in counted_courses(stages) {
        for PlannedStage { name: stage, kind } in stages {
            let stage = || stage.clone();
            match &course {
                Course::Straight => {
                    cases.push(course.clone().with(Fault::RunTwice { stage: stage() }));
                    cases.extend(POLLS.map(|polls| course.clone().with(Fault::KillInRun { stage: stage(), polls })));
                }
                Course::Fail { .. } if *kind != Kind::ForwardOnly => {
                    cases.push(course.clone().with(Fault::UndoTwice { stage: stage() }));
                    cases.extend(POLLS.map(|polls| course.clone().with(Fault::KillInUndo { stage: stage(), polls })));
                }
                Course::Fail { .. } | Course::Cancel { .. } => {}
            }
        }
        // Without a trace the course went wrong even without a fault, and was reported.
        for write in 0..base.get(&course).map_or(0, |trace| trace.writes) {
            cases.extend(Moment::BOTH.map(|when| course.clone().with(Fault::KillAtWrite { write, when })));
        }
    }
    cases
}

/// Whether the course was taken to its proper end, and the fault happened at all.
fn expect<G: Saga>(rig: &Rig, outcome: &OutcomeOf<G>) -> Result<(), String> {
    if rig.case.fault != Fault::Nothing && !rig.fault_fired() {
        return Err("the fault never happened: the saga did not come that far".to_owned());
    }
    let wrong = |expected: &str| Err(format!("the outcome is {}, not {expected}", describe::<G>(outcome)));
    match (&rig.case.course, outcome) {
        (Course::Straight, Outcome::Done(_)) => Ok(()),
        (Course::Straight, _) => wrong("done"),
        (Course::Fail { stage, .. }, _) if kind_of::<G>(stage) == Some(Kind::ForwardOnly) => match outcome {
            Outcome::Done(_) => Ok(()),
            _ => wrong("done after the operator's retry"),
        },
        (Course::Fail { stage, .. }, Outcome::Undone { why: Cause::Failed { name, .. }, .. }) if stage == name => {
            Ok(())
        }
        (Course::Fail { .. }, _) => wrong("undone because of the stage that failed"),
        (Course::Cancel { stage, .. }, _) if kind_of::<G>(stage) == Some(Kind::ForwardOnly) => match outcome {
            Outcome::Done(_) if rig.answer() == Some(Err(CancelRefused::PastPivot)) => Ok(()),
            _ => wrong("done with the cancel refused"),
        },
        (Course::Cancel { .. }, Outcome::Undone { why: Cause::Cancelled { .. }, .. }) => Ok(()),
        (Course::Cancel { .. }, _) => wrong("undone because of the cancel"),
    }
}

fn describe<G: Saga>(outcome: &OutcomeOf<G>) -> String {
    match outcome {
        Outcome::Done(_) => "done".to_owned(),
        Outcome::Undone { why, .. } => format!("undone ({why})"),
        Outcome::Stuck { stage, error, .. } => format!("stuck at {stage} ({error})"),
    }
}

fn kind_of<G: Saga>(name: &str) -> Option<Kind> {
    G::stages().iter().find(|stage| stage.name() == name).map(|stage| stage.kind())
}

fn saga_id() -> SagaId {
    SagaId::new("harness")
}
