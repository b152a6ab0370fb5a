//! The pure core under random plans, failures, crashes, cancels and operators.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::collection::vec;
use proptest::prelude::*;
use saga::{
    Cause, Decision, Event, Failure, History, Kind, Plan, PlanError, PlannedStage, PlannedWork, Progress, Record,
    Remedy, Retry, StageStatus, Verdict, Way, decide, entry, failed,
};

type H = History<u32, String>;
type R = Record<u32, String>;
type Ev = Event<u32, String>;

fn zero() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn work(index: usize, kind: Kind, attempts: u32) -> PlannedWork {
    let retry = Retry::attempts(attempts).base(Duration::from_secs(1));
    PlannedWork { stage: PlannedStage { name: format!("s{index}"), kind }, retry, undo_retry: retry }
}

fn plans() -> impl Strategy<Value = Plan> {
    (vec(1u32..4, 0..4), prop::option::of((1u32..4, vec(1u32..4, 0..3))), 0u32..3)
        .prop_filter("no stages", |(undoable, rest, _)| !undoable.is_empty() || rest.is_some())
        .prop_map(|(undoable, rest, interruptions)| {
            let mut kinds: Vec<(Kind, u32)> = undoable.into_iter().map(|attempts| (Kind::Undoable, attempts)).collect();
            if let Some((pivot, forward)) = rest {
                kinds.push((Kind::Pivot, pivot));
                kinds.extend(forward.into_iter().map(|attempts| (Kind::ForwardOnly, attempts)));
            }
            let works = kinds.into_iter().enumerate().map(|(index, (kind, attempts))| work(index, kind, attempts));
            Plan::new(works.collect()).unwrap().with_max_interruptions(interruptions)
        })
}

/// What chance does at one turn.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Succeed,
    Fail(Verdict),
    Crash,
    Cancel,
    Operator(Remedy),
}

fn turns() -> impl Strategy<Value = Vec<(Turn, u64)>> {
    let turn = prop_oneof![
        6 => Just(Turn::Succeed),
        3 => Just(Turn::Fail(Verdict::Retry)),
        1 => Just(Turn::Fail(Verdict::Permanent)),
        1 => Just(Turn::Fail(Verdict::Cancelled)),
        2 => Just(Turn::Crash),
        1 => Just(Turn::Cancel),
        1 => Just(Turn::Operator(Remedy::Retry)),
        1 => Just(Turn::Operator(Remedy::Abandon)),
    ];
    vec((turn, any::<u64>()), 0..60)
}

/// A saga as the engine would run it, with chance in place of stages.
struct Play {
    plan: Plan,
    history: H,
    records: Vec<R>,
    now: DateTime<Utc>,
}

impl Play {
    fn new(plan: Plan) -> Self {
        let started = Event::Started { name: "play".to_owned(), version: 1, stages: plan.stages(), state: 0 };
        let record = Record { seq: 0, at: zero(), event: started };
        Self { plan, history: H::open(&record).unwrap(), records: vec![record], now: zero() }
    }

    fn put(&mut self, event: Ev) {
        let record = Record { seq: self.history.next_seq(), at: self.now, event };
        self.history = self.history.apply(&record).unwrap();
        assert!(self.history.undoing().is_none() || !self.history.past_pivot());
        self.records.push(record);
    }

    fn failure(&mut self, verdict: Verdict, seed: u64) {
        let failure = Failure { error: format!("error {seed}"), verdict };
        let event = failed(&self.history, &self.plan, failure, self.now, seed).unwrap();
        self.put(event);
    }

    /// Whether the saga has come to rest for good.
    fn turn(&mut self, turn: Turn, seed: u64) -> bool {
        if matches!(turn, Turn::Cancel) && self.history.cancel_reason().is_none() && self.history.can_cancel().is_ok() {
            self.put(Event::CancelRequested { reason: "chance".to_owned() });
            if matches!(self.history.progress(), Progress::Running { .. }) {
                // The stage goes on: what becomes of it is for the next turn to say.
                return false;
            }
        }
        let decision = decide(&self.history, &self.plan, self.now);
        if let Some(event) = entry(&self.history, &decision) {
            self.put(event);
            // A crash right after the write.
            if matches!(turn, Turn::Crash)
                && matches!(self.history.progress(), Progress::Running { .. } | Progress::Undoing { .. })
            {
                self.put(Event::Interrupted);
            }
            return false;
        }
        match decision {
            Decision::Run { stage, .. } => match turn {
                Turn::Fail(verdict) => self.failure(verdict, seed),
                Turn::Crash => self.put(Event::Interrupted),
                Turn::Succeed | Turn::Cancel | Turn::Operator(_) => {
                    self.put(Event::StageFinished { stage, state: self.history.state() + 1 });
                }
            },
            Decision::Undo { stage, .. } => match turn {
                Turn::Fail(verdict) => self.failure(verdict, seed),
                Turn::Crash => self.put(Event::Interrupted),
                Turn::Succeed | Turn::Cancel | Turn::Operator(_) => self.put(Event::UndoFinished { stage }),
            },
            Decision::Wait { until } => {
                assert!(until > self.now);
                self.now = until;
            }
            Decision::Abandon { interruptions, .. } => {
                assert!(interruptions > self.plan.max_interruptions());
                self.failure(Verdict::Permanent, seed);
            }
            Decision::Stuck { .. } => {
                let remedy = if let Turn::Operator(remedy) = turn { remedy } else { Remedy::Retry };
                self.put(Event::Resumed { remedy, by: "chance".to_owned() });
            }
            Decision::Finished | Decision::Undone { .. } => return true,
        }
        false
    }

    fn to_rest(plan: Plan, turns: &[(Turn, u64)]) -> Self {
        let mut play = Self::new(plan);
        for (turn, seed) in turns {
            if play.turn(*turn, *seed) {
                return play;
            }
        }
        // When chance has had its say, everything succeeds: then the saga must come to rest soon.
        for _ in 0..6 * play.plan.works().len() + 12 {
            if play.turn(Turn::Succeed, 0) {
                return play;
            }
        }
        panic!("never comes to rest: {:?}", play.history.progress());
    }
}

/// The rules, checked on the bare records and without the code under test.
fn check_rules(plan: &Plan, records: &[R]) {
    check_order(plan, records);
    let mut cancelled = false;
    for record in records {
        match &record.event {
            Event::StageStarted { stage, attempt } => {
                assert!((1..=plan.works()[*stage].retry.max_attempts()).contains(attempt));
            }
            Event::UndoStarted { stage, attempt } => {
                assert!((1..=plan.works()[*stage].undo_retry.max_attempts()).contains(attempt));
            }
            Event::CancelRequested { .. } => cancelled = true,
            Event::Undone { why } => assert_eq!(why.is_cancel(), cancelled),
            _ => {}
        }
    }
}

/// The rules that hold for any records that follow on each other, whoever decided on them.
fn check_order(plan: &Plan, records: &[R]) {
    let mut started = Vec::new();
    let mut undone = Vec::new();
    let mut cancelled = false;
    let mut pivot_passed = false;
    let mut abandoned = false;
    for record in records {
        if abandoned {
            assert!(matches!(record.event, Event::Finished | Event::Undone { .. }), "it goes on after that");
        }
        match &record.event {
            Event::StageStarted { stage, .. } => {
                assert!(undone.is_empty(), "a stage starts after undoing began");
                if started.last() != Some(stage) {
                    assert_eq!(*stage, started.len(), "stages start in order");
                    started.push(*stage);
                }
            }
            Event::StageFinished { stage, .. } => {
                pivot_passed |= plan.works()[*stage].stage.kind == Kind::Pivot && !cancelled;
            }
            Event::CancelRequested { .. } => {
                assert!(!cancelled && !pivot_passed && undone.is_empty());
                cancelled = true;
            }
            Event::UndoStarted { stage, .. } => {
                assert!(!pivot_passed, "undone after the pivot");
                if undone.last() != Some(stage) {
                    undone.push(*stage);
                    let last_first: Vec<_> = started.iter().rev().take(undone.len()).copied().collect();
                    assert_eq!(undone, last_first, "undone in the order of starting, reversed");
                }
            }
            Event::StuckAt { way, .. } => assert_eq!(pivot_passed, *way == Way::Forward),
            Event::Finished => {
                assert!(!cancelled && undone.is_empty() && (abandoned || started.len() == plan.works().len()));
            }
            Event::Undone { .. } => {
                assert!(abandoned || undone.len() == started.len(), "everything started is undone");
            }
            Event::Resumed { remedy, .. } => abandoned = *remedy == Remedy::Abandon,
            _ => {}
        }
    }
}

fn any_event() -> impl Strategy<Value = Ev> {
    let stage = 0usize..6;
    let attempt = 0u32..5;
    let at = prop::option::of((0i64..1000).prop_map(|seconds| zero() + TimeDelta::seconds(seconds)));
    prop_oneof![
        Just(Event::Started { name: "x".to_owned(), version: 1, stages: vec![], state: 0 }),
        (stage.clone(), attempt.clone()).prop_map(|(stage, attempt)| Event::StageStarted { stage, attempt }),
        stage.clone().prop_map(|stage| Event::StageFinished { stage, state: 9 }),
        (stage.clone(), attempt.clone(), at.clone()).prop_map(|(stage, attempt, retry_at)| {
            Event::StageFailed { stage, attempt, error: "e".to_owned(), retry_at }
        }),
        Just(Event::CancelRequested { reason: "r".to_owned() }),
        (stage.clone(), attempt.clone()).prop_map(|(stage, attempt)| Event::UndoStarted { stage, attempt }),
        stage.clone().prop_map(|stage| Event::UndoFinished { stage }),
        (stage.clone(), attempt, at).prop_map(|(stage, attempt, retry_at)| Event::UndoFailed {
            stage,
            attempt,
            error: "e".to_owned(),
            retry_at
        }),
        Just(Event::Interrupted),
        Just(Event::Finished),
        Just(Event::Undone { why: Cause::Cancelled { reason: "r".to_owned(), error: None } }),
        (stage, any::<bool>()).prop_map(|(stage, forward)| Event::StuckAt {
            stage,
            way: if forward { Way::Forward } else { Way::Undo },
            error: "e".to_owned()
        }),
        any::<bool>().prop_map(|retry| Event::Resumed {
            remedy: if retry { Remedy::Retry } else { Remedy::Abandon },
            by: "b".to_owned()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn every_play_comes_to_rest_by_the_rules(plan in plans(), turns in turns()) {
        let play = Play::to_rest(plan.clone(), &turns);
        check_rules(&plan, &play.records);
        let outcome = play.history.outcome().unwrap();
        prop_assert_eq!(outcome.is_done(), matches!(play.history.progress(), Progress::Done));
    }

    #[test]
    fn every_prefix_of_a_journal_can_be_resumed(plan in plans(), turns in turns(), later in turns()) {
        let play = Play::to_rest(plan.clone(), &turns);
        for cut in 1..=play.records.len() {
            // As read back from storage.
            let json = serde_json::to_string(&play.records[..cut]).unwrap();
            let records: Vec<R> = serde_json::from_str(&json).unwrap();
            let history = H::replay(&records).unwrap();
            let mut resumed = Play { plan: plan.clone(), history, records, now: play.records[cut - 1].at };
            if matches!(resumed.history.progress(), Progress::Running { .. } | Progress::Undoing { .. }) {
                resumed.put(Event::Interrupted);
            }
            let decision = decide(&resumed.history, &plan, resumed.now);
            if let Some(event) = entry(&resumed.history, &decision) {
                resumed.put(event);
            }
        }
        // And one prefix goes on to the end by other chances.
        let cut = 1 + turns.len() % play.records.len();
        let history = H::replay(&play.records[..cut]).unwrap();
        let mut resumed = Play { plan: plan.clone(), history, records: play.records[..cut].to_vec(), now: play.records[cut - 1].at };
        let rest = later.iter().copied().chain(std::iter::repeat_n((Turn::Succeed, 0), 60)).any(|(turn, seed)| resumed.turn(turn, seed));
        prop_assert!(rest);
        check_rules(&plan, &resumed.records);
    }

    #[test]
    fn any_event_anywhere_is_legal_or_an_error(plan in plans(), turns in turns(), cut: prop::sample::Index, events in vec(any_event(), 1..30)) {
        let play = Play::to_rest(plan.clone(), &turns);
        let mut records = play.records[..1 + cut.index(play.records.len())].to_vec();
        let mut history = H::replay(&records).unwrap();
        for event in events {
            let at_rest = matches!(history.progress(), Progress::Done | Progress::Undone { .. });
            let before = history.clone();
            let record = Record { seq: history.next_seq(), at: zero(), event };
            match history.apply(&record) {
                Ok(next) => {
                    prop_assert!(!at_rest, "a saga at rest moved on {:?}", record.event);
                    prop_assert_eq!(next.next_seq(), before.next_seq() + 1);
                    // Wherever that led, something can be decided and shown.
                    decide(&next, &plan, zero());
                    let _ = (next.current_stage(), next.next_stage(), next.previous_stage(), next.outcome(), next.can_cancel());
                    history = next;
                    records.push(record.clone());
                }
                Err(illegal) => {
                    prop_assert_eq!(illegal.seq, record.seq);
                    prop_assert_eq!(illegal.event, record.event.name());
                }
            }
            let gap = Record { seq: history.next_seq() + 1, ..record };
            prop_assert!(history.apply(&gap).is_err());
        }
        check_order(&plan, &records);
    }

    #[test]
    fn a_history_survives_serde(plan in plans(), turns in turns()) {
        let play = Play::to_rest(plan, &turns);
        let json = serde_json::to_string(&play.history).unwrap();
        prop_assert_eq!(serde_json::from_str::<H>(&json).unwrap(), play.history);
    }
}

#[test]
fn plans_that_make_no_sense_are_refused() {
    use Kind::{ForwardOnly, Pivot, Undoable};
    let plan = |kinds: &[Kind]| {
        Plan::new(kinds.iter().enumerate().map(|(index, kind)| work(index, *kind, 1)).collect()).map(|_| ())
    };
    assert_eq!(plan(&[]), Err(PlanError::Empty));
    assert_eq!(plan(&[Undoable, Pivot, ForwardOnly]), Ok(()));
    assert_eq!(plan(&[Undoable, ForwardOnly]), Err(PlanError::ForwardOnlyBeforePivot { name: "s1".to_owned() }));
    for late in [Pivot, Undoable] {
        let error = PlanError::NotForwardOnlyAfterPivot { name: "s1".to_owned(), pivot: "s0".to_owned() };
        assert_eq!(plan(&[Pivot, late]), Err(error));
    }
    let twice = Plan::new(vec![work(0, Undoable, 1), work(0, Undoable, 1)]);
    assert_eq!(twice, Err(PlanError::NameTwice { name: "s0".to_owned() }));
}

#[test]
fn a_journal_must_begin_with_its_start() {
    assert_eq!(
        H::replay(&[]).unwrap_err().to_string(),
        "event none (record 0) can't follow when the saga is not started"
    );
    let orphan = Record { seq: 0, at: zero(), event: Event::Finished };
    assert!(H::replay(&[orphan]).is_err());
}

/// What the history says of its stages, at each record of one saga that is cancelled in its second stage.
#[test]
fn the_history_of_the_stages() {
    use StageStatus::{Finished, Pending, Running, Undoing, Undone, Waiting};
    let mut play = Play::new(Plan::new(vec![work(0, Kind::Undoable, 1), work(1, Kind::Pivot, 2)]).unwrap());
    let later = zero() + TimeDelta::seconds(1);
    let failure = Event::StageFailed { stage: 1, attempt: 1, error: "e".to_owned(), retry_at: Some(later) };
    let steps: Vec<(Ev, [StageStatus; 2])> = vec![
        (Event::StageStarted { stage: 0, attempt: 1 }, [Running, Pending]),
        (Event::StageFinished { stage: 0, state: 1 }, [Finished, Pending]),
        (Event::StageStarted { stage: 1, attempt: 1 }, [Finished, Running]),
        (failure, [Finished, Waiting]),
        (Event::CancelRequested { reason: "r".to_owned() }, [Finished, Waiting]),
        (Event::UndoStarted { stage: 1, attempt: 1 }, [Finished, Undoing]),
        (Event::UndoFinished { stage: 1 }, [Finished, Undone]),
        (Event::UndoStarted { stage: 0, attempt: 1 }, [Undoing, Undone]),
        (Event::UndoFinished { stage: 0 }, [Undone, Undone]),
    ];
    for (event, expected) in steps {
        play.put(event);
        let found: Vec<_> = play.history.stages().iter().map(|stage| stage.status).collect();
        assert_eq!(found, expected, "{:?}", play.records.last());
    }
    let why = Cause::Cancelled { reason: "r".to_owned(), error: Some("e".to_owned()) };
    assert_eq!(decide(&play.history, &play.plan, zero()), Decision::Undone { why });
}
