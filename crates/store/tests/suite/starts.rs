//! Many that are started, and many that add to their journals, in one transaction.

use std::collections::BTreeSet;

use domain::deployment::DeploymentKind;
use domain::event::EventKind;
use domain::failure::{Cause, Failure};
use domain::phase::Phase;
use domain::queue::Priority;
use domain::{DeploymentId, ServerId};
use serde_json::json;
use store::advances::{Advance, Change};
use store::appends::{Append, End};
use store::deployments::DeploymentUpdate;
use store::{Constraint, Store, StoreError, Tx, apps, beats, deployments, environments, events, queue, sagas, starts};

use crate::database::Database;
use crate::fixture::{self, id, kept};

/// More than one statement takes, and no power of two.
const MANY: usize = 300;

/// Deployments that wait, each in an environment of its own.
async fn waiting(store: &Store, count: usize) -> Vec<queue::Entry> {
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let mut entries = Vec::new();
    for n in 0..count {
        let environment = fixture::environment(&tx, &app, &format!("e{n}")).await;
        let record = fixture::deployment(&tx, &environment).await;
        let saga = record.deployment.id.to_string();
        sagas::create(&tx, &saga, "deploy", 1).await.unwrap();
        sagas::append(&tx, &saga, 0, 0, &[json!({ "of": n, "text": "\u{0}" })]).await.unwrap();
        let entry = queue::Entry {
            deployment: record.deployment.id,
            app: app.id.clone(),
            environment: environment.id,
            host: "here".into(),
            priority: Priority::Normal,
            rank: (count - n) as i64,
            not_before: None,
            enqueued_at: kept(),
            attempt: 1,
            held: false,
        };
        queue::insert(&tx, &entry).await.unwrap();
        entries.push(entry);
    }
    tx.commit().await.unwrap();
    entries
}

/// What comes of these when they meet behind another write.
async fn all_at_once(store: &Store, asked: Vec<Append>, before: Tx) -> Vec<Result<(), StoreError>> {
    let write = |append: Append| {
        let store = store.clone();
        tokio::spawn(async move { store.append_together(append, None).await })
    };
    let writers: Vec<_> = asked.into_iter().map(write).collect();
    before.commit().await.unwrap();
    let mut results = Vec::new();
    for writer in writers {
        results.push(writer.await.unwrap());
    }
    results
}

pub(crate) async fn together(db: Database) {
    let store = db.open().await;
    let entries = waiting(&store, MANY).await;
    let ids: Vec<DeploymentId> = entries.iter().map(|entry| entry.deployment.clone()).collect();
    let server: ServerId = id();
    let tx = store.write().await.unwrap();
    let ready = starts::ready(&tx, &ids).await.unwrap();
    assert!(ready.iter().map(|ready| &ready.entry).eq(entries.iter().rev()), "lower ranks first");
    assert!(ready.iter().all(|r| r.kind == DeploymentKind::Deploy && r.running.is_none() && r.generation == r.newest));
    // One has ended by another way, and one is wanted to.
    sagas::finish(&tx, ids[7].as_str()).await.unwrap();
    sagas::request_cancel(&tx, ids[8].as_str(), "ann").await.unwrap();
    let started = starts::start(&tx, &server, &entries, kept()).await.unwrap();
    tx.commit().await.unwrap();

    let others = ids.iter().filter(|id| **id != ids[7]);
    assert!(started.iter().map(|started| &started.deployment).eq(others), "in the order in which they were given");
    for (n, started) in (0..).filter(|n| *n != 7).zip(&started) {
        assert_eq!(started.journal, [json!({ "of": n, "text": "\u{0}" })]);
        assert_eq!((started.fence, started.cancel_by.as_deref()), (1, (n == 8).then_some("ann")));
    }
    let driven: BTreeSet<String> = sagas::of_owner(&store, &server).await.unwrap().into_iter().map(|s| s.id).collect();
    assert_eq!(driven.len(), MANY - 1);
    assert_eq!(queue::count(&store, &queue::Filter::default()).await.unwrap(), 0);
    assert_eq!(environments::busy(&store).await.unwrap().len(), MANY - 1);
    assert_eq!(starts::ready(&store, &ids).await.unwrap(), []);
    let facts = queue::facts_of(&store, &entries[0].app).await.unwrap();
    assert_eq!((facts.running as usize, facts.last_started), (MANY - 1, kept().timestamp_micros()));

    // One at a time in an environment.
    let tx = store.write().await.unwrap();
    let environment = environments::get(&tx, &entries[0].environment).await.unwrap();
    let next = fixture::deployment(&tx, &environment).await.deployment.id;
    sagas::create(&tx, next.as_str(), "deploy", 1).await.unwrap();
    let entry = queue::Entry { deployment: next, ..entries[0].clone() };
    let busy = starts::start(&tx, &server, &[entry], kept()).await.unwrap_err();
    assert_eq!(busy, StoreError::Conflict(Constraint::EnvironmentBusy { by: ids[0].clone() }));
    assert_eq!(apps::find(&tx, &fixture::name("shop")).await.unwrap().unwrap().concurrency, 2);
}

/// What another server has taken makes room for what is behind it.
pub(crate) async fn outrun(db: Database) {
    let store = db.open().await;
    let entries = waiting(&store, MANY).await;
    let ids: Vec<DeploymentId> = entries.iter().map(|entry| entry.deployment.clone()).collect();
    let (gone, left) = ids.split_at(MANY / 2);
    let tx = store.write().await.unwrap();
    starts::start(&tx, &id(), &entries[..gone.len()], kept()).await.unwrap();
    tx.commit().await.unwrap();

    for most in [0, 1, left.len() - 1, left.len(), MANY] {
        let ready = starts::first_ready(&store, &ids, most).await.unwrap();
        assert!(ready.len() >= most.min(left.len()), "{most}: {}", ready.len());
        assert!(ready.iter().all(|ready| left.contains(&ready.entry.deployment)), "{most}");
    }
    assert_eq!(starts::first_ready(&store, gone, MANY).await.unwrap(), []);
}

pub(crate) async fn appends(db: Database) {
    let store = db.open().await;
    let entries = waiting(&store, MANY).await;
    let server: ServerId = id();
    let tx = store.write().await.unwrap();
    starts::start(&tx, &server, &entries, kept()).await.unwrap();
    for entry in &entries {
        environments::claim(&tx, &entry.environment, &entry.deployment, MANY as u64).await.unwrap();
    }
    // They meet while somebody else writes.
    let append = |n: usize, fence: u64, seq: u64| {
        let End { environment, deployment } =
            End { environment: entries[n].environment.clone(), deployment: entries[n].deployment.clone() };
        let saga = deployment.to_string();
        // Every third ends with it.
        let end = n.is_multiple_of(3).then_some(End { environment, deployment });
        Append { saga, fence, seq, records: vec![json!(n), json!("\u{0}")], end, advance: None }
    };
    let mut asked: Vec<Append> = (0..MANY).map(|n| append(n, 1, 1)).collect();
    let refused = [append(1, 0, 1), append(2, 1, 7), append(4, 1, 1), Append { saga: "x".into(), ..append(5, 1, 1) }];
    asked.extend(refused);
    let results = all_at_once(&store, asked, tx).await;
    // Of two for one saga one is right, whichever came first.
    let both = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(both, MANY);
    let sequence = |actual| StoreError::Conflict(Constraint::SagaSequence { expected: actual, actual: 3 });
    assert!(matches!(results[MANY], Err(StoreError::Fenced { by: 1, .. })), "{:?}", results[MANY]);
    assert!(matches!(results[MANY + 1], Err(StoreError::Conflict(Constraint::SagaSequence { expected: 7, .. }))));
    assert!(results[4] == Err(sequence(1)) || results[MANY + 2] == Err(sequence(1)));
    assert!(matches!(results[MANY + 3], Err(StoreError::NotFound { .. })));
    for (n, entry) in entries.iter().enumerate() {
        let saga = sagas::get(&store, entry.deployment.as_str()).await.unwrap();
        assert_eq!((saga.seq, saga.finished), (3, n.is_multiple_of(3)));
        let acting = environments::get(&store, &entry.environment).await.unwrap().acting;
        assert_eq!(acting.is_none(), saga.finished, "who has ended acts no more");
        let journal = sagas::load(&store, &saga.id).await.unwrap();
        assert_eq!(journal[1..], [(1, json!(n)), (2, json!("\u{0}"))]);
    }
    assert_eq!(environments::busy(&store).await.unwrap().len(), MANY - MANY / 3);
    // What follows an addition is one with it.
    let rest: store::Work = Box::new(|_| Box::pin(async { Err(StoreError::Internal("no".into())) }));
    let failed = store.append_together(Append { seq: 3, ..append(1, 1, 3) }, Some(rest)).await;
    assert_eq!(failed, Err(StoreError::Internal("no".into())));
    assert_eq!(sagas::get(&store, entries[1].deployment.as_str()).await.unwrap().seq, 3);
}

/// What additions mean is written with them, one alone as many together; and nothing of it where the addition is refused.
pub(crate) async fn advances(db: Database) {
    let store = db.open().await;
    let entries = waiting(&store, MANY).await;
    let server: ServerId = id();
    let append = |n: usize, fence: u64, seq: u64, to: Phase| {
        let deployment = entries[n].deployment.clone();
        let from = if seq == 1 { Phase::Queued } else { Phase::PullingSource };
        let change = Change {
            deployment: deployment.clone(),
            from,
            update: DeploymentUpdate {
                phase: Some(to),
                progress: Some(to.progress()),
                stuck: Some(Some(format!("why {n}"))),
                failure: (n.is_multiple_of(2)).then(|| failure(n)),
                ..DeploymentUpdate::default()
            },
            at: kept(),
        };
        let told = EventKind::PhaseChanged { phase: to, progress: to.progress() };
        let events = vec![told, EventKind::DeploymentStuck { phase: to, message: n.to_string() }];
        let advance = Advance {
            app: fixture::name("shop"),
            environment: fixture::name(&format!("e{n}")),
            change,
            events,
            at: kept(),
        };
        let end =
            to.is_end().then(|| End { environment: entries[n].environment.clone(), deployment: deployment.clone() });
        Append {
            saga: deployment.to_string(),
            fence,
            seq,
            records: vec![json!(n), json!("two")],
            end,
            advance: Some(advance),
        }
    };

    // Alone.
    let mut commits = store.changes();
    commits.borrow_and_update();
    store.append_together(append(0, 0, 1, Phase::PullingSource), None).await.unwrap();
    assert!(commits.has_changed().unwrap(), "those who follow the events hear of it");
    let first = deployments::get(&store, &entries[0].deployment).await.unwrap().deployment;
    assert_eq!((first.phase, first.stuck.as_deref()), (Phase::PullingSource, Some("why 0")));
    assert_eq!(sagas::load(&store, first.id.as_str()).await.unwrap()[1..], [(1, json!(0)), (2, json!("two"))]);
    let refused = store.append_together(append(0, 7, 3, Phase::Building), None).await;
    assert!(matches!(refused, Err(StoreError::Fenced { by: 0, .. })), "{refused:?}");
    let mut twice = append(1, 0, 1, Phase::PullingSource);
    twice.seq = 2;
    let refused = store.append_together(twice, None).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(Constraint::SagaSequence { expected: 2, actual: 1 }))),
        "{refused:?}"
    );
    let illegal = store.append_together(append(0, 0, 3, Phase::Queued), None).await;
    assert!(matches!(illegal, Err(StoreError::IllegalPhase { .. })), "{illegal:?}");
    let mut gone = append(2, 0, 1, Phase::PullingSource);
    gone.advance.as_mut().unwrap().change.deployment = id();
    let missing = store.append_together(gone, None).await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })), "{missing:?}");
    // None of them has left a transaction open, or written anything.
    assert_eq!(events::list(&store, &events::Filter::default(), 0, 99).await.unwrap().len(), 2);
    for n in [1, 2] {
        assert_eq!(sagas::get(&store, entries[n].deployment.as_str()).await.unwrap().seq, 1);
        assert_eq!(deployments::get(&store, &entries[n].deployment).await.unwrap().deployment.phase, Phase::Queued);
    }

    // Together, with one that is refused; every third ends.
    let tx = store.write().await.unwrap();
    starts::start(&tx, &server, &entries, kept()).await.unwrap();
    for entry in &entries {
        assert!(beats::set_stalled(&tx, &entry.deployment, Some("silent")).await.unwrap());
    }
    let to = |n: usize| if n.is_multiple_of(3) { Phase::Failed } else { Phase::Building };
    let mut asked: Vec<Append> = (1..MANY).map(|n| append(n, 1, 1, to(n))).collect();
    asked.push(append(0, 0, 3, Phase::Building));
    let mut results = all_at_once(&store, asked, tx).await;
    assert!(matches!(results.pop(), Some(Err(StoreError::Fenced { by: 1, .. }))));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    for (n, entry) in entries.iter().enumerate().skip(1) {
        let deployment = deployments::get(&store, &entry.deployment).await.unwrap().deployment;
        assert_eq!((deployment.phase, deployment.stuck), (to(n), Some(format!("why {n}"))));
        assert_eq!(deployment.failure, n.is_multiple_of(2).then(|| failure(n)));
        assert_eq!(deployment.finished_at, to(n).is_end().then(kept));
        let filter = events::Filter { deployment: Some(entry.deployment.clone()), ..Default::default() };
        let told = events::list(&store, &filter, 0, 9).await.unwrap();
        let names: Vec<_> = told.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(names, ["phase_changed", "deployment_stuck"], "in their order");
        assert_eq!((told[0].app.clone(), told[0].at), (Some(fixture::name("shop")), kept()));
    }
    let ended = (1..MANY).filter(|n| to(*n).is_end()).count();
    assert_eq!(environments::busy(&store).await.unwrap().len(), MANY - ended);
    assert_eq!(beats::count_stalled(&store).await.unwrap() as usize, MANY - ended, "signs of life go with the end");
}

fn failure(n: usize) -> Failure {
    Failure {
        phase: Phase::PullingSource,
        cause: Cause::Internal,
        message: format!("failure {n}"),
        output: Vec::new(),
        hint: String::new(),
        smoke_tests: Vec::new(),
    }
}
