//! The engine over a scripted saga.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use saga::{
    Cancel, CancelRefused, Cause, EngineError, Event, Fence, HistoryOf, Journal, JournalError, Outcome, Progress,
    Remedy, SagaId, StageStatus, Way,
};
use tokio_util::sync::CancellationToken;

use crate::counted::{Counted, Late};
use crate::scripted::{Act, Error, G, Scripted, Stand, id};

fn scripted(call: &str) -> Error {
    Error::Scripted(call.to_owned())
}

#[tokio::test]
async fn a_straight_run_costs_two_writes_more_than_stages() {
    let stand = Stand::default();
    let journal = Counted::new(stand.journal.clone(), usize::MAX);
    let engine = stand.engine_over(journal.clone(), vec![]);
    engine.start(&id(), Fence(1), stand.state.clone()).await.unwrap();
    let outcome = engine.run(&id(), Fence(1), &Cancel::new()).await.unwrap();
    assert_eq!(outcome.state().done, ["a", "b", "p", "f"]);
    assert!(outcome.is_done());
    assert_eq!(journal.writes.load(Ordering::SeqCst), 4 + 2);
    assert_eq!(stand.world.log(), ["run a", "run b", "run p", "run f"]);
}

#[tokio::test]
async fn a_retry_waits_and_then_goes_on() {
    let stand = Stand::default();
    stand.world.script("run b", [Act::Retry, Act::Retry]);
    let begun = Instant::now();
    assert!(stand.run_from_start().await.is_done());
    assert!(begun.elapsed() >= Duration::from_millis(300));
    let history = stand.engine().history(&id()).await.unwrap();
    assert_eq!(history.stages()[1].attempts, 3);
    assert_eq!(history.stages()[1].error, None);
}

#[tokio::test]
async fn a_wait_survives_a_restart() {
    let stand = Stand::default();
    stand.world.script("run a", [Act::Retry]);
    stand.start().await;
    let engine = stand.engine();
    let (cancel, name) = (Cancel::new(), id());
    {
        let failed = async {
            while !stand.events().await.contains(&"stage_failed") {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        // Dropped in the middle of the backoff.
        tokio::select! {
            _ = engine.run(&name, Fence(1), &cancel) => panic!("it did not wait"),
            () = failed => {}
        }
    }
    let history = engine.history(&id()).await.unwrap();
    let Progress::Backoff { until, attempt: 2, .. } = *history.progress() else { panic!("{:?}", history.progress()) };
    assert!(stand.run().await.unwrap().is_done());
    let restarted = stand
        .records()
        .await
        .iter()
        .find(|record| matches!(record.event, Event::StageStarted { stage: 0, attempt: 2 }))
        .map(|record| record.at)
        .unwrap();
    assert!(restarted >= until, "{restarted} is before {until}");
}

#[tokio::test]
async fn a_failure_undoes_every_started_stage_last_first() {
    let stand = Stand::default();
    stand.world.script("run p", [Act::Permanent]);
    stand.world.script("undo b", [Act::Retry]);
    let outcome = stand.run_from_start().await;
    let why = Cause::Failed { stage: 2, name: "p".to_owned(), error: scripted("run p") };
    assert!(matches!(outcome, Outcome::Undone { why: found, .. } if found == why));
    assert_eq!(stand.world.log(), ["run a", "run b", "run p", "undo p", "undo b", "undo b", "undo a"]);
}

#[tokio::test]
async fn attempts_run_out() {
    let stand = Stand::default();
    stand.world.script("run a", [Act::Retry, Act::Retry, Act::Retry, Act::Retry]);
    assert_eq!(stand.run_from_start().await.name(), "undone");
    assert_eq!(stand.world.log(), ["run a", "run a", "run a", "undo a"]);
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_dropped_and_retried() {
    let mut stand = Stand::default();
    stand.state.limit_ms = Some(20);
    stand.world.script("run b", [Act::Hang]);
    stand.world.script("run p", [Act::Hang, Act::Hang, Act::Hang]);
    stand.world.script("undo p", [Act::Hang]);
    let Outcome::Undone { why, .. } = stand.run_from_start().await else { panic!() };
    assert_eq!(why.error(), Some(&Error::TimedOut("p".to_owned())));
    assert_eq!(stand.world.log().iter().filter(|call| *call == "undo p").count(), 2);
}

#[tokio::test]
async fn a_panic_is_a_permanent_failure() {
    let stand = Stand::default();
    stand.world.script("run b", [Act::Panic]);
    let Outcome::Undone { why, .. } = stand.run_from_start().await else { panic!() };
    assert_eq!(why.error(), Some(&Error::Panicked("run b panics".to_owned())));
}

#[tokio::test]
async fn a_panic_in_an_undo_is_an_undo_that_gave_up() {
    let stand = Stand::default();
    stand.world.script("run b", [Act::Permanent]);
    stand.world.script("undo a", [Act::Panic]);
    let outcome = stand.run_from_start().await;
    let Outcome::Stuck { stage, way: Way::Undo, error, why, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((stage.as_str(), error), ("a", Error::Panicked("undo a panics".to_owned())));
    assert_eq!(why.unwrap().error(), Some(&scripted("run b")));
}

#[tokio::test]
async fn a_stage_after_the_pivot_gets_stuck_and_an_operator_retries_or_abandons() {
    for (remedy, calls, done) in [(Remedy::Retry, 4, 4), (Remedy::Abandon, 3, 3)] {
        let stand = Stand::default();
        stand.world.script("run f", [Act::Retry, Act::Retry, Act::Retry]);
        let outcome = stand.run_from_start().await;
        assert!(matches!(&outcome, Outcome::Stuck { stage, way: Way::Forward, why: None, .. } if stage == "f"));
        // Stuck is a place of rest.
        let before = stand.records().await.len();
        assert_eq!(stand.run().await.unwrap(), outcome);
        assert_eq!(stand.records().await.len(), before);

        stand.engine().unstick(&id(), Fence(1), remedy, "ops").await.unwrap();
        let outcome = stand.run().await.unwrap();
        assert!(outcome.is_done(), "{outcome:?}");
        assert_eq!(outcome.state().done.len(), done);
        assert_eq!(stand.world.log().iter().filter(|call| *call == "run f").count(), calls);
        let history = stand.engine().history(&id()).await.unwrap();
        let (by, status) = match remedy {
            Remedy::Retry => (None, StageStatus::Finished),
            Remedy::Abandon => (Some("ops"), StageStatus::Skipped),
        };
        assert_eq!((history.abandoned_by(), history.stages()[3].status), (by, status));
        let again = stand.engine().unstick(&id(), Fence(1), remedy, "ops").await;
        assert_eq!(again.unwrap_err(), EngineError::NotStuck { id: id() });
    }
}

#[tokio::test]
async fn an_undo_gets_stuck_and_an_operator_retries_or_abandons() {
    for (remedy, by, status) in
        [(Remedy::Retry, None, StageStatus::Undone), (Remedy::Abandon, Some("ops"), StageStatus::UndoSkipped)]
    {
        let stand = Stand::default();
        stand.world.script("run p", [Act::Permanent]);
        stand.world.script("undo b", [Act::Retry, Act::Retry]);
        assert_eq!(stand.run_from_start().await.name(), "stuck");
        stand.engine().unstick(&id(), Fence(1), remedy, "ops").await.unwrap();
        let outcome = stand.run().await.unwrap();
        assert!(matches!(outcome, Outcome::Undone { why: Cause::Failed { stage: 2, .. }, .. }));
        // Read back from the journal, which keeps who said so.
        let history = stand.engine().history(&id()).await.unwrap();
        let all: Vec<_> = history.stages()[..3].iter().map(|stage| stage.status).collect();
        assert_eq!((history.abandoned_by(), all), (by, vec![status, status, StageStatus::Undone]));
        assert_eq!(stand.world.log().contains(&"undo a".to_owned()), remedy == Remedy::Retry);
    }
}

#[tokio::test]
async fn a_write_that_fails_stops_the_run_before_the_next_effect() {
    // Writes of a straight run without its start: a; a+b; b+p; p+f; f+end.
    let expected: [&[&str]; 5] =
        [&[], &["run a"], &["run a", "run b"], &["run a", "run b", "run p"], &["run a", "run b", "run p", "run f"]];
    for (write, calls) in expected.into_iter().enumerate() {
        let stand = Stand::default();
        stand.start().await;
        let engine = stand.engine_over(Counted::new(stand.journal.clone(), write), vec![]);
        let stopped = engine.run(&id(), Fence(1), &Cancel::new()).await;
        assert!(matches!(stopped, Err(EngineError::Journal { source: JournalError::Unavailable(_), .. })));
        assert_eq!(stand.world.log(), calls);
        assert!(stand.run().await.unwrap().is_done());
    }
}

/// A run is dropped while the journal still writes for it, and the next one has read the journal by then.
#[tokio::test]
async fn a_write_that_comes_late_is_seen_by_reading_again() {
    for write in 0..5 {
        let stand = Stand::default();
        stand.start().await;
        let journal = Late::new(stand.journal.clone(), write);
        let engine = stand.engine_over(journal.clone(), vec![]);
        let (cancel, name) = (Cancel::new(), id());
        tokio::select! {
            _ = engine.run(&name, Fence(1), &cancel) => panic!("its write was answered"),
            () = journal.is_sent.notified() => {}
        }
        let before = stand.world.log();
        let refused = engine.run(&name, Fence(1), &cancel).await;
        assert!(
            matches!(refused, Err(EngineError::Journal { source: JournalError::Conflict { .. }, .. })),
            "{refused:?}"
        );
        assert_eq!(stand.world.log(), before, "no effect began in between");
        assert!(engine.run(&name, Fence(1), &cancel).await.unwrap().is_done());
        assert_eq!(stand.world.log(), ["run a", "run b", "run p", "run f"], "what was written late is not done again");
    }
}

#[tokio::test]
async fn a_new_owner_fences_the_old_one_before_its_first_effect() {
    let stand = Stand::default();
    stand.world.script("run a", [Act::UntilCancel]);
    stand.start().await;
    let (cancel, old, new, name) = (Cancel::new(), stand.engine(), stand.engine(), id());
    let take_over = async {
        stand.seen("run a").await;
        let outcome = new.run(&name, Fence(2), &Cancel::new()).await.unwrap();
        // The old owner still sits in its stage; now let it go on.
        (outcome, cancel.request("wake").await)
    };
    let (old_result, (outcome, answer)) = tokio::join!(old.run(&name, Fence(1), &cancel), take_over);
    assert!(outcome.is_done());
    assert_eq!(answer, Err(CancelRefused::Stopped));
    let fenced = JournalError::Fenced { held: Fence(1), current: Fence(2) };
    assert_eq!(old_result.unwrap_err(), EngineError::Journal { id: id(), source: fenced });
}

#[tokio::test]
async fn a_stage_that_kills_the_process_each_time_is_given_up() {
    let stand = Stand::default();
    stand.world.script("run b", vec![Act::Hang; 10]);
    stand.start().await;
    let mut outcome = None;
    for _ in 0..10 {
        let engine = stand.engine().max_interruptions(2);
        let cancel = Cancel::new();
        let name = id();
        tokio::select! {
            result = engine.run(&name, Fence(1), &cancel) => {
                outcome = Some(result.unwrap());
                break;
            }
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
    }
    let Some(Outcome::Undone { why, .. }) = outcome else { panic!("{outcome:?}") };
    let message = "the process ended 3 times while this ran".to_owned();
    assert_eq!(why.error(), Some(&Error::Panicked(message)));
    assert_eq!(stand.world.log().iter().filter(|call| *call == "run b").count(), 3);
}

#[tokio::test]
async fn only_known_sagas_are_resumed() {
    let stand = Stand::default();
    let unknown = stand.run().await.unwrap_err();
    assert_eq!(unknown, EngineError::Unknown { id: id() });
    stand.start().await;
    let twice = stand.engine().start(&id(), Fence(1), stand.state.clone()).await.unwrap_err();
    assert_eq!(twice, EngineError::AlreadyStarted { id: id() });

    let newer =
        saga::Engine::<Scripted<2>>::new(Arc::new(stand.journal.clone()), Arc::clone(&stand.world), vec![]).unwrap();
    let refused = newer.run(&id(), Fence(1), &Cancel::new()).await.unwrap_err();
    assert!(matches!(refused, EngineError::WrongVersion { found: 1, known: 2, .. }), "{refused}");
    assert!(stand.world.log().is_empty());
}

#[tokio::test]
async fn changed_stages_and_other_sagas_are_refused() {
    for (change, expected) in [("name", "is a other, not a scripted"), ("stages", "was started with the stages")] {
        let stand = Stand::default();
        let mut first = saga::opening::<G>(stand.state.clone(), chrono::Utc::now()).unwrap();
        if let Event::Started { name, stages, .. } = &mut first.event {
            match change {
                "name" => *name = "other".to_owned(),
                _ => stages.swap(0, 1),
            }
        }
        let after = HistoryOf::<G>::open(&first).unwrap();
        Journal::<G>::append(&stand.journal, &id(), Fence(1), 0, &[first], &after).await.unwrap();
        let refused = stand.run().await.unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
}

#[tokio::test]
async fn the_stages_before_and_after_the_current_one() {
    let stand = Stand::default();
    stand.world.script("run b", [Act::Hang]);
    stand.start().await;
    let engine = stand.engine();
    let (cancel, name) = (Cancel::new(), id());
    tokio::select! {
        _ = engine.run(&name, Fence(1), &cancel) => panic!("it hangs"),
        () = stand.seen("run b") => {}
    }
    let history = engine.history(&id()).await.unwrap();
    let name = |stage: Option<&saga::StageRecord<Error>>| stage.map(|stage| stage.name.clone());
    assert_eq!(name(history.previous_stage()).as_deref(), Some("a"));
    assert_eq!(name(history.current_stage()).as_deref(), Some("b"));
    assert_eq!(name(history.next_stage()).as_deref(), Some("p"));
}

/// The engine's futures can be spawned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_sagas_run_at_once_on_one_engine() {
    let stand = Stand::default();
    let engine = Arc::new(stand.engine());
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let (engine, id) = (Arc::clone(&engine), SagaId::new(format!("saga-{number}")));
            tokio::spawn(async move {
                engine.start(&id, Fence(1), Default::default()).await.unwrap();
                engine.run(&id, Fence(1), &Cancel::new()).await.unwrap().is_done()
            })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap());
    }
    assert_eq!(stand.world.log().len(), 200);
}

/// What a stage has spawned ends with the attempt, whether it succeeded, took too long or was dropped with the run.
#[tokio::test]
async fn the_token_fires_when_an_attempt_is_over() {
    let mut stand = Stand::default();
    stand.state.limit_ms = Some(30);
    stand.world.script("run b", [Act::Hang]);
    stand.start().await;
    let (engine, cancel, name) = (stand.engine(), Cancel::new(), id());
    tokio::select! {
        _ = engine.run(&name, Fence(1), &cancel) => panic!("it hangs"),
        fired = async { stand.seen("run b").await; stand.world.tokens()[1].is_cancelled() } => assert!(!fired),
    }
    let fired = |tokens: &[CancellationToken]| tokens.iter().all(CancellationToken::is_cancelled);
    let tokens = stand.world.tokens();
    assert!(tokens.len() == 2 && fired(&tokens));
    stand.world.script("run b", [Act::Hang]);
    assert!(stand.run().await.unwrap().is_done());
    let tokens = stand.world.tokens();
    assert!(tokens.len() == 6 && fired(&tokens));
}
