//! Cancels, at each moment at which one can come.

use std::sync::Arc;
use std::time::Duration;

use saga::{Cancel, CancelRefused, Cause, EngineError, Event, Fence, JournalError, Outcome};

use crate::counted::{Counted, InTurn};
use crate::scripted::{Act, Error, Stand, id};

fn scripted(call: &str) -> Error {
    Error::Scripted(call.to_owned())
}

#[tokio::test]
async fn a_cancel_fires_the_token_and_is_journaled_once() {
    for (act, error) in [(Act::UntilCancel, Some(scripted("run b"))), (Act::IgnoreCancel, None)] {
        let stand = Stand::default();
        stand.world.script("run b", [act]);
        stand.start().await;
        let cancel = Cancel::new();
        let engine = stand.engine();
        let fence = Fence(1);
        let name = id();
        let run = engine.run(&name, fence, &cancel);
        let ask = async {
            stand.seen("run b").await;
            tokio::join!(cancel.request("first"), cancel.request("second"))
        };
        let (outcome, answers) = tokio::join!(run, ask);
        assert_eq!(answers, (Ok(()), Ok(())));
        let Outcome::Undone { why, .. } = outcome.unwrap() else { panic!() };
        assert_eq!(why, Cause::Cancelled { reason: "first".to_owned(), error });
        assert_eq!(stand.count(|event| matches!(event, Event::CancelRequested { .. })).await, 1);
        assert_eq!(stand.world.log(), ["run a", "run b", "undo b", "undo a"]);
        assert_eq!(cancel.request("again").await, Ok(()));
    }
}

/// A stage that was left in the middle of a write to the database once kept the journal, and so the whole server, waiting for ever.
#[tokio::test]
async fn a_cancel_does_not_wait_for_what_the_stage_holds() {
    let stand = Stand::default();
    stand.start().await;
    let turn = Arc::new(tokio::sync::Mutex::new(()));
    stand.world.script("run b", [Act::Hold(turn.clone())]);
    let engine = stand.engine_over(Arc::new(InTurn { inner: stand.journal.clone(), turn }), vec![]);
    let (cancel, name) = (Cancel::new(), id());
    let run = engine.run(&name, Fence(1), &cancel);
    let ask = async {
        stand.seen("run b").await;
        cancel.request("now").await
    };
    let both = tokio::time::timeout(Duration::from_secs(10), async { tokio::join!(run, ask) });
    let (outcome, answer) = both.await.expect("neither waits for the other");
    assert_eq!((outcome.unwrap().name(), answer), ("undone", Ok(())));
    assert_eq!(stand.world.log(), ["run a", "run b", "undo b", "undo a"]);
}

#[tokio::test]
async fn a_cancel_that_came_first_means_that_nothing_runs() {
    let stand = Stand::default();
    stand.start().await;
    let cancel = Cancel::new();
    cancel.place("changed my mind");
    let outcome = stand.engine().run(&id(), Fence(1), &cancel).await.unwrap();
    assert_eq!(outcome.name(), "undone");
    assert!(stand.world.log().is_empty());
    assert_eq!(stand.events().await, ["started", "cancel_requested", "undone"]);
}

#[tokio::test]
async fn a_cancel_between_two_stages_keeps_the_next_from_running() {
    // Write 1 ends `a` and starts `b`; write 3 ends the pivot and starts `f`.
    for (write, expected, log) in
        [(1, "undone", vec!["run a", "undo b", "undo a"]), (3, "done", vec!["run a", "run b", "run p", "run f"])]
    {
        let stand = Stand::default();
        stand.start().await;
        let cancel = Cancel::new();
        let journal = Counted::cancelling(stand.journal.clone(), write, cancel.clone());
        let engine = stand.engine_over(journal, vec![]);
        let outcome = engine.run(&id(), Fence(1), &cancel).await.unwrap();
        assert_eq!(outcome.name(), expected);
        assert_eq!(stand.world.log(), log);
    }
}

#[tokio::test]
async fn a_cancel_ends_a_wait() {
    let stand = Stand::default();
    stand.world.script("run a", [Act::Retry]);
    stand.start().await;
    let (cancel, engine, name) = (Cancel::new(), stand.engine(), id());
    let ask = async {
        loop {
            if stand.events().await.contains(&"stage_failed") {
                return cancel.request("enough").await;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let (outcome, answer) = tokio::join!(engine.run(&name, Fence(1), &cancel), ask);
    assert_eq!(answer, Ok(()));
    assert_eq!(outcome.unwrap().name(), "undone");
    assert_eq!(stand.world.log(), ["run a", "undo a"]);
}

#[tokio::test]
async fn a_cancel_during_the_pivot_undoes_it_and_one_after_it_is_refused() {
    let stand = Stand::default();
    stand.world.script("run p", [Act::IgnoreCancel]);
    stand.start().await;
    let (cancel, engine, name) = (Cancel::new(), stand.engine(), id());
    let ask = async {
        stand.seen("run p").await;
        cancel.request("now").await
    };
    let (outcome, answer) = tokio::join!(engine.run(&name, Fence(1), &cancel), ask);
    assert_eq!((answer, outcome.unwrap().name()), (Ok(()), "undone"));

    let mut stand = Stand::default();
    stand.state.limit_ms = Some(50);
    stand.world.script("run f", [Act::Hang]);
    stand.start().await;
    let (cancel, engine) = (Cancel::new(), stand.engine());
    let ask = async {
        stand.seen("run f").await;
        cancel.request("too late").await
    };
    let (outcome, answer) = tokio::join!(engine.run(&name, Fence(1), &cancel), ask);
    assert_eq!((answer, outcome.unwrap().name()), (Err(CancelRefused::PastPivot), "done"));
    assert_eq!(stand.count(|event| matches!(event, Event::CancelRequested { .. })).await, 0);
}

#[tokio::test]
async fn a_cancel_is_refused_once_undoing_or_ended() {
    let mut stand = Stand::default();
    stand.state.limit_ms = Some(50);
    stand.world.script("run b", [Act::Permanent]);
    stand.world.script("undo b", [Act::Hang]);
    stand.start().await;
    let (cancel, engine, name) = (Cancel::new(), stand.engine(), id());
    let ask = async {
        stand.seen("undo b").await;
        cancel.request("too late").await
    };
    let (outcome, answer) = tokio::join!(engine.run(&name, Fence(1), &cancel), ask);
    assert_eq!((answer, outcome.unwrap().name()), (Err(CancelRefused::AlreadyUndoing), "undone"));

    let cancel = Cancel::new();
    stand.engine().run(&id(), Fence(1), &cancel).await.unwrap();
    assert_eq!(cancel.request("too late").await, Err(CancelRefused::Ended));
}

#[tokio::test]
async fn a_cancel_that_could_not_be_journaled_is_answered_stopped() {
    let stand = Stand::default();
    stand.world.script("run a", [Act::UntilCancel]);
    stand.start().await;
    // Write 0 starts `a`; write 1 would be the cancel.
    let engine = stand.engine_over(Counted::new(stand.journal.clone(), 1), vec![]);
    let (cancel, name) = (Cancel::new(), id());
    let ask = async {
        stand.seen("run a").await;
        cancel.request("now").await
    };
    let (outcome, answer) = tokio::join!(engine.run(&name, Fence(1), &cancel), ask);
    assert!(matches!(outcome, Err(EngineError::Journal { source: JournalError::Unavailable(_), .. })));
    assert_eq!(answer, Err(CancelRefused::Stopped));
    // The same handle serves the run that resumes it.
    let engine = stand.engine();
    cancel.place("now really");
    let resumed = engine.run(&name, Fence(2), &cancel).await.unwrap();
    assert!(resumed.is_done(), "a request made to a stopped run is not kept: {resumed:?}");
}

#[tokio::test]
async fn an_accepted_cancel_outlives_the_process() {
    let stand = Stand::default();
    stand.world.script("run b", [Act::Hang]);
    stand.start().await;
    {
        let (cancel, engine, name) = (Cancel::new(), stand.engine(), id());
        let ask = async {
            stand.seen("run b").await;
            cancel.request("stop").await
        };
        tokio::select! {
            _ = engine.run(&name, Fence(1), &cancel) => panic!("it hangs"),
            answer = ask => assert_eq!(answer, Ok(())),
        }
    }
    let outcome = stand.run().await.unwrap();
    assert_eq!(outcome.name(), "undone");
    // `b` was not run again only to be undone.
    assert_eq!(stand.world.log(), ["run a", "run b", "undo b", "undo a"]);
}
