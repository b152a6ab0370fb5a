//! Many at the same time.

use std::time::Duration;

use domain::EnvironmentId;
use domain::event::EventKind;
use store::apps::App;
use store::{Constraint, Session, Store, StoreError, apps, environments, events, variables};

use crate::database::Database;
use crate::fixture::{self, id, kept, name};

pub(crate) async fn transactions(db: Database) {
    let store = db.open().await;
    let mut changes = store.changes();
    let before = *changes.borrow_and_update();
    let tx = store.write().await.unwrap();
    fixture::app(&tx, "dropped").await;
    drop(tx);
    assert_eq!(apps::find(&store, &name("dropped")).await.unwrap(), None);
    assert!(!changes.has_changed().unwrap());

    // A statement that fails spoils the whole, also when the caller goes on.
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "spoiled").await;
    let nowhere: EnvironmentId = id();
    let error = variables::set(&tx, &nowhere, "A", b"x").await.unwrap_err();
    assert_eq!(error, StoreError::Conflict(Constraint::Reference));
    assert!(matches!(tx.commit().await, Err(StoreError::Internal(_))));
    assert_eq!(apps::find(&store, &app.name).await.unwrap(), None);

    // So does one that was given up before its answer came.
    for _ in 0..100 {
        let tx = store.write().await.unwrap();
        let app = App { id: id(), name: name("given-up"), source: None, created_at: kept(), concurrency: 2 };
        let given_up = tokio::time::timeout(Duration::ZERO, apps::insert(&tx, &app)).await.is_err();
        if given_up {
            assert!(matches!(tx.commit().await, Err(StoreError::Internal(_))));
            break;
        }
    }
    assert_eq!(apps::find(&store, &name("given-up")).await.unwrap(), None);

    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "kept").await;
    // Reads do not wait for the writer.
    assert_eq!(reads(&store).await, 0);
    assert_eq!(reads(&tx).await, 1);
    // Writers do, and a waiting one can give up.
    assert!(tokio::time::timeout(Duration::from_millis(20), store.write()).await.is_err());
    tx.commit().await.unwrap();
    assert_eq!(apps::find(&store, &app.name).await.unwrap(), Some(app));
    assert!(changes.has_changed().unwrap());
    assert!(*changes.borrow_and_update() > before);

    // A task that is aborted in the middle leaves nothing, and lets others write.
    for n in 0..20 {
        let theirs = store.clone();
        let task = tokio::spawn(async move {
            loop {
                let tx = theirs.write().await.unwrap();
                fixture::app(&tx, "half").await;
                tokio::task::yield_now().await;
                drop(tx);
            }
        });
        tokio::time::sleep(Duration::from_millis(n)).await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        let tx = store.write().await.unwrap();
        fixture::app(&tx, &format!("after-{n}")).await;
        tx.commit().await.unwrap();
    }
    assert_eq!(apps::find(&store, &name("half")).await.unwrap(), None);
    assert_eq!(apps::list(&store, None, 99).await.unwrap().len(), 21);
}

async fn reads(session: &impl Session) -> usize {
    apps::list(session, None, 10).await.unwrap().len()
}

pub(crate) async fn many_writers(db: Database) {
    // Two servers at once, as at a change of versions.
    let stores = [db.open().await, db.open().await];
    let tx = stores[0].write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let env = fixture::environment(&tx, &app, "production").await;
    tx.commit().await.unwrap();
    let writers: Vec<_> = (0..64)
        .map(|n| {
            let (store, env) = (stores[n % 2].clone(), env.clone());
            tokio::spawn(async move {
                let mut mine = Vec::new();
                for _ in 0..4 {
                    let tx = store.write().await.unwrap();
                    // Reads, decides and writes: the shape that fails when writers do not take turns.
                    let before = environments::get(&tx, &env.id).await.unwrap().generation;
                    let record = fixture::deployment(&tx, &env).await;
                    assert_eq!(record.deployment.generation, before + 1);
                    tx.commit().await.unwrap();
                    mine.push(record.deployment.generation);
                }
                mine
            })
        })
        .collect();
    let mut all = Vec::new();
    for writer in writers {
        let mine = writer.await.unwrap();
        assert!(mine.is_sorted());
        all.extend(mine);
    }
    all.sort_unstable();
    assert_eq!(all, (1..=256).collect::<Vec<u64>>());
    assert_eq!(environments::get(&stores[1], &env.id).await.unwrap().generation, 256);
}

pub(crate) async fn follower(db: Database) {
    const EACH: usize = 12;
    let stores = [db.open().await, db.open().await];
    let following = tokio::spawn(follow(stores[0].clone(), 16 * EACH));
    let writers: Vec<_> = (0..16)
        .map(|n| {
            let store = stores[n % 2].clone();
            tokio::spawn(async move {
                for i in 0..EACH {
                    let tx = store.write().await.unwrap();
                    if i % 3 == 0 {
                        // Takes a cursor that nobody will see.
                        events::insert(&tx, None, None, None, &EventKind::AppDeleted, kept()).await.unwrap();
                        drop(tx);
                        let tx = store.write().await.unwrap();
                        write_event(tx, n, i).await;
                        continue;
                    }
                    tokio::task::yield_now().await;
                    write_event(tx, n, i).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let seen =
        tokio::time::timeout(Duration::from_secs(60), following).await.expect("the follower missed an event").unwrap();
    let all = events::list(&stores[1], &Default::default(), 0, 10_000).await.unwrap();
    assert_eq!(seen, all, "each once, in order");
}

async fn write_event(tx: store::Tx, writer: usize, n: usize) {
    let kind = EventKind::ServerStarted { version: format!("{writer}.{n}") };
    events::insert(&tx, None, None, None, &kind, kept()).await.unwrap();
    // Time for another server to take a higher cursor and to commit first, if it could.
    tokio::time::sleep(Duration::from_millis((writer % 4) as u64)).await;
    tx.commit().await.unwrap();
}

/// Reads what comes after the last cursor it saw, until it has seen `count`.
async fn follow(store: Store, count: usize) -> Vec<domain::event::Event> {
    let mut changes = store.changes();
    let mut seen = Vec::new();
    while seen.len() < count {
        changes.borrow_and_update();
        let after = seen.last().map_or(0, |e: &domain::event::Event| e.cursor);
        seen.extend(events::list(&store, &Default::default(), after, 7).await.unwrap());
        // Half of the commits are another server's, of which nothing is heard.
        let _ = tokio::time::timeout(Duration::from_millis(2), changes.changed()).await;
    }
    seen
}
