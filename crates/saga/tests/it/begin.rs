//! The first step of a saga, written by whoever takes it.

use saga::{Begun, Cancel, Fence, Journal, RecordOf};

use crate::scripted::{Error, G, Stand, id};

type Taken = Begun<<G as saga::Saga>::State, Error>;

/// What was begun, as it was written under epoch 2.
async fn taken(stand: &Stand) -> Taken {
    stand.start().await;
    let journal = stand.records().await;
    let begun = stand.engine().begin(&id(), &journal).unwrap();
    let records: Vec<RecordOf<G>> = begun.records().cloned().collect();
    assert_eq!((records.len(), records[0].seq, records[0].event.name()), (1, 1, "stage_started"));
    Journal::<G>::append(&stand.journal, &id(), Fence(2), 1, &records, begun.after()).await.unwrap();
    begun
}

#[tokio::test]
async fn what_was_begun_goes_on_without_another_write_before_its_effect() {
    let stand = Stand::default();
    let begun = taken(&stand).await;
    let outcome = stand.engine().run_begun(&id(), Fence(2), begun, &Cancel::new()).await.unwrap();
    assert_eq!(outcome.state().done, ["a", "b", "p", "f"]);
    assert_eq!(stand.world.log(), ["run a", "run b", "run p", "run f"]);
    assert!(!stand.events().await.contains(&"interrupted"));
}

/// Who takes over makes the journal its own first: the one before may be in the middle of the effect.
#[tokio::test]
async fn what_was_begun_and_not_run_is_interrupted() {
    let stand = Stand::default();
    drop(taken(&stand).await);
    assert!(stand.engine().run(&id(), Fence(3), &Cancel::new()).await.unwrap().is_done());
    assert_eq!(stand.events().await[..3], ["started", "stage_started", "interrupted"]);
    let journal = stand.records().await;
    let again = stand.engine().begin(&id(), &journal).unwrap();
    assert_eq!(again.records().len(), 0, "only what has not begun begins");
}

#[tokio::test]
async fn a_cancel_that_was_there_before_has_no_effect_begin() {
    let stand = Stand::default();
    let begun = taken(&stand).await;
    let cancel = Cancel::new();
    cancel.place("not wanted");
    let outcome = stand.engine().run_begun(&id(), Fence(2), begun, &cancel).await.unwrap();
    assert_eq!(outcome.name(), "undone");
    assert!(!stand.world.log().iter().any(|call| call.starts_with("run")), "{:?}", stand.world.log());
}
