//! The harness passes a sound saga and catches each kind of fault in an unsound one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use saga::harness::{Case, Course, Fault, Harness, Report};
use saga::{Failure, Kind, Outcome, OutcomeOf, Saga, Stage, Step};
use serde::{Deserialize, Serialize};

// What is wrong with a shop.
const NOTHING: u8 = 0;
/// Charging twice takes the money twice.
const CHARGES_TWICE: u8 = 1;
const RESERVATION_STAYS: u8 = 2;
/// The undo goes by the state's output, which an interrupted stage never had the time to return.
const UNDO_TRUSTS_THE_STATE: u8 = 3;
const UNDO_WORKS_ONCE: u8 = 4;
const RESERVES_ONCE: u8 = 5;
const PIVOT_HAS_NO_UNDO: u8 = 6;
const RECEIPT_IS_NOT_JOURNALED: u8 = 7;
const HANGS_WHEN_REPEATED: u8 = 8;
/// The pivot fails when it finds its own parcel.
const SHIPS_ONCE: u8 = 9;

#[derive(Default)]
struct Shop(Mutex<BTreeMap<&'static str, u32>>);

impl Shop {
    fn set(&self, name: &'static str) -> bool {
        self.0.lock().unwrap().insert(name, 1).is_none()
    }
    fn add(&self, name: &'static str) {
        *self.0.lock().unwrap().entry(name).or_default() += 1;
    }
    fn take(&self, name: &'static str) -> bool {
        self.0.lock().unwrap().remove(name).is_some()
    }
    fn text(&self) -> String {
        format!("{:?}", self.0.lock().unwrap())
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    receipt: Option<String>,
    #[serde(skip)]
    forgotten: Option<String>,
}

struct Order<const BUG: u8>;

impl<const BUG: u8> Saga for Order<BUG> {
    type World = Shop;
    type State = State;
    type Error = String;
    const NAME: &'static str = "order";
    const VERSION: u32 = 1;

    fn stages() -> Vec<Box<dyn Stage<Self>>> {
        vec![Box::new(Reserve), Box::new(Charge), Box::new(Ship), Box::new(Notify)]
    }
    fn timed_out(stage: &str, _limit: Duration) -> String {
        format!("{stage} timed out")
    }
    fn panicked(stage: &str, message: String) -> String {
        format!("{stage}: {message}")
    }
}

struct Reserve;
struct Charge;
struct Ship;
struct Notify;

#[async_trait]
impl<const BUG: u8> Stage<Order<BUG>> for Reserve {
    fn name(&self) -> &'static str {
        "reserve"
    }
    async fn run(&self, shop: &Shop, state: State, _: &Step) -> Result<State, Failure<String>> {
        let new = shop.set("reservation");
        tokio::task::yield_now().await;
        match BUG {
            RESERVES_ONCE if !new => Err(Failure::permanent("reserved already".to_owned())),
            HANGS_WHEN_REPEATED if !new => std::future::pending().await,
            _ => Ok(state),
        }
    }
    async fn undo(&self, shop: &Shop, _: &State) -> Result<(), Failure<String>> {
        if BUG != RESERVATION_STAYS {
            shop.take("reservation");
        }
        Ok(())
    }
}

#[async_trait]
impl<const BUG: u8> Stage<Order<BUG>> for Charge {
    fn name(&self) -> &'static str {
        "charge"
    }
    async fn run(&self, shop: &Shop, mut state: State, _: &Step) -> Result<State, Failure<String>> {
        if BUG == CHARGES_TWICE {
            shop.add("payment");
        } else {
            shop.set("payment");
        }
        state.receipt = Some("payment".to_owned());
        state.forgotten = state.receipt.clone();
        Ok(state)
    }
    async fn undo(&self, shop: &Shop, state: &State) -> Result<(), Failure<String>> {
        let receipt = if BUG == RECEIPT_IS_NOT_JOURNALED { &state.forgotten } else { &state.receipt };
        if matches!(BUG, UNDO_TRUSTS_THE_STATE | RECEIPT_IS_NOT_JOURNALED) && receipt.is_none() {
            return Ok(());
        }
        if !shop.take("payment") && BUG == UNDO_WORKS_ONCE {
            return Err(Failure::permanent("no payment to give back".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl<const BUG: u8> Stage<Order<BUG>> for Ship {
    fn name(&self) -> &'static str {
        "ship"
    }
    fn kind(&self) -> Kind {
        Kind::Pivot
    }
    async fn run(&self, shop: &Shop, state: State, _: &Step) -> Result<State, Failure<String>> {
        if !shop.set("parcel") && BUG == SHIPS_ONCE {
            return Err(Failure::permanent("there is a parcel already".to_owned()));
        }
        Ok(state)
    }
    async fn undo(&self, shop: &Shop, _: &State) -> Result<(), Failure<String>> {
        if BUG != PIVOT_HAS_NO_UNDO {
            shop.take("parcel");
        }
        Ok(())
    }
}

#[async_trait]
impl<const BUG: u8> Stage<Order<BUG>> for Notify {
    fn name(&self) -> &'static str {
        "notify"
    }
    fn kind(&self) -> Kind {
        Kind::ForwardOnly
    }
    async fn run(&self, shop: &Shop, state: State, _: &Step) -> Result<State, Failure<String>> {
        shop.set("letter");
        Ok(state)
    }
}

fn harness<const BUG: u8>() -> Harness<Order<BUG>> {
    Harness::new(
        || async { Shop::default() },
        |_| State::default(),
        |shop: Arc<Shop>, outcome: OutcomeOf<Order<BUG>>| async move {
            let expected = match outcome {
                Outcome::Done(_) => "{\"letter\": 1, \"parcel\": 1, \"payment\": 1, \"reservation\": 1}",
                Outcome::Undone { .. } => "{}",
                Outcome::Stuck { .. } => return Err("stuck".to_owned()),
            };
            let found = shop.text();
            if found == expected { Ok(()) } else { Err(format!("the shop holds {found}")) }
        },
    )
    .case_limit(Duration::from_secs(2))
    .concurrency(8)
}

fn found(report: &Report, case: impl Fn(&Case) -> bool) -> bool {
    report.failures.iter().any(|failure| case(&failure.case))
}

#[tokio::test]
async fn a_sound_saga_passes_every_case() {
    let report = harness::<NOTHING>().observe(|shop| async move { shop.text() }).run().await;
    report.assert_sound();
    // 1 straight; 4 stages × before, after × fail, cancel; 4 × (twice, 2 kills); 3 undos × (twice, 2 kills);
    // before and after each write: 6 straight, 8 for the failure, 9 for the cancel.
    assert_eq!(report.cases, 1 + 16 + 12 + 9 + 2 * (6 + 8 + 9));
}

#[tokio::test]
async fn an_effect_that_adds_up_is_caught() {
    let report = harness::<CHARGES_TWICE>().run().await;
    assert!(found(&report, |case| case.fault == Fault::RunTwice { stage: "charge".to_owned() }));
    assert!(found(&report, |case| matches!(case.fault, Fault::KillAtWrite { .. })));
    assert!(found(&report, |case| matches!(&case.fault, Fault::KillInRun { stage, .. } if stage == "charge")));
}

#[tokio::test]
async fn a_missing_undo_is_caught() {
    let report = harness::<RESERVATION_STAYS>().run().await;
    for stage in ["reserve", "charge", "ship"] {
        assert!(found(&report, |case| matches!(&case.course, Course::Fail { stage: at, .. } if at == stage)));
        assert!(found(&report, |case| matches!(&case.course, Course::Cancel { stage: at, .. } if at == stage)));
    }
    let report = harness::<PIVOT_HAS_NO_UNDO>().run().await;
    assert!(found(&report, |case| matches!(&case.course, Course::Fail { stage, .. } if stage == "ship")));
}

#[tokio::test]
async fn an_undo_that_goes_by_a_lost_output_is_caught() {
    let report = harness::<UNDO_TRUSTS_THE_STATE>().run().await;
    assert!(found(&report, |case| matches!(&case.course, Course::Fail { stage, .. } if stage == "charge")));
    assert!(!found(&report, |case| case.course == Course::Straight), "{report}");
}

#[tokio::test]
async fn an_undo_that_works_once_is_caught() {
    let report = harness::<UNDO_WORKS_ONCE>().run().await;
    assert!(found(&report, |case| case.fault == Fault::UndoTwice { stage: "charge".to_owned() }));
}

#[tokio::test]
async fn a_stage_that_does_not_adopt_what_it_finds_is_caught() {
    let report = harness::<RESERVES_ONCE>().run().await;
    assert!(found(&report, |case| case.fault == Fault::RunTwice { stage: "reserve".to_owned() }));
    let report = harness::<SHIPS_ONCE>().run().await;
    assert!(found(&report, |case| matches!(case.fault, Fault::KillAtWrite { .. })));
}

#[tokio::test]
async fn a_state_that_serde_loses_is_caught() {
    let report = harness::<RECEIPT_IS_NOT_JOURNALED>().run().await;
    // Without a kill everything is in memory and all is well, but for the stage that fails itself.
    assert!(found(&report, |case| matches!(&case.course, Course::Fail { stage, .. } if stage == "ship")
        && matches!(case.fault, Fault::KillAtWrite { .. })));
}

#[tokio::test]
async fn a_stage_that_hangs_is_caught() {
    let report = harness::<HANGS_WHEN_REPEATED>().case_limit(Duration::from_millis(200)).run().await;
    let failure = report.failures.iter().find(|failure| failure.problem.contains("did not come to rest")).unwrap();
    assert!(!failure.journal.is_empty());
}

#[tokio::test]
async fn a_failure_can_be_replayed_from_its_description() {
    let harness = harness::<CHARGES_TWICE>();
    let report = harness.run().await;
    let text = report.to_string();
    let json = text.lines().find_map(|line| line.trim().strip_prefix("replay: ")).unwrap();
    let case: Case = serde_json::from_str(json).unwrap();
    assert_eq!(harness.replay(case.clone()).await.unwrap_err().case, case);
}

#[tokio::test]
async fn worlds_that_differ_by_the_fault_are_caught_though_the_check_is_blind() {
    let blind = |_: Arc<Shop>, _: OutcomeOf<Order<CHARGES_TWICE>>| async { Ok(()) };
    let harness = Harness::<Order<CHARGES_TWICE>>::new(|| async { Shop::default() }, |_| State::default(), blind);
    assert!(harness.run().await.is_sound());
    let harness = Harness::<Order<CHARGES_TWICE>>::new(|| async { Shop::default() }, |_| State::default(), blind);
    let report = harness.observe(|shop| async move { shop.text() }).run().await;
    assert!(found(&report, |case| case.fault == Fault::RunTwice { stage: "charge".to_owned() }));
}

#[tokio::test]
async fn a_part_of_the_cases_can_be_chosen() {
    let cancels = |case: &Case| matches!(case.course, Course::Cancel { .. });
    let report = harness::<NOTHING>().only(cancels).run().await;
    // Beside the 8 cancels: the straight run and the failure whose writes are counted.
    assert_eq!(report.cases, 8 + 2 + 2 * 9);
    report.assert_sound();
    let report = harness::<RESERVATION_STAYS>().only(cancels).run().await;
    assert!(found(&report, cancels));
}
