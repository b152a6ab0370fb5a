//! Which deployments that wait a newer one of the same source ends.

use domain::DeploymentId;
use domain::deployment::{Deployment, Metadata};
use domain::release::Digest;
use domain::source::Source;
use store::deployments::Record;
use store::environments::Environment;
use store::supersede::{Newer, newer, older};
use store::{Tx, deployments, environments, queue};

use crate::database::Database;
use crate::fixture::{self, entry, id, kept};

/// One that waits behind those before it.
async fn waits(tx: &Tx, environment: &Environment, source: &Source, metadata: &Metadata) -> Record {
    let generation = environments::next_generation(tx, &environment.id).await.unwrap();
    let mut record = fixture::new_deployment(environment, generation);
    record.deployment.source = Some(source.clone());
    record.deployment.metadata = metadata.clone();
    deployments::insert(tx, &record).await.unwrap();
    queue::insert(tx, &entry(&record, generation.cast_signed())).await.unwrap();
    record
}

/// However a source is written for what is ordered, planned or asked about, the database means what the domain does.
pub(crate) async fn sources(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let production = fixture::environment(&tx, &app, "production").await;
    let directory = Source::Directory { path: "/srv/shop".into() };
    let approved = Metadata { approval: Some(id()), ..Metadata::default() };
    let mut all = vec![
        (directory.clone(), Metadata::default()),
        (directory, approved),
        (Source::Directory { path: "/srv/shop2".into() }, Metadata::default()),
        (Source::Archive { upload: id() }, Metadata::default()),
        (Source::Archive { upload: id() }, Metadata::default()),
    ];
    let sha = "0123456789abcdef0123456789abcdef01234567";
    for url in ["https://git.test/shop", "https://git.test/shop2", "/srv/Zoë's \"own\"\\shop"] {
        for name in [None, Some("main"), Some("main2"), Some("100%_\"\\"), Some(sha)] {
            let git = |name: Option<&str>| Source::Git { url: url.to_owned(), reference: name.map(str::to_owned) };
            let reference = name.map(str::to_owned);
            let plan = Some(Digest("aa".to_owned()));
            all.push((git(name), Metadata::default()));
            all.push((git(Some(sha)), Metadata { plan, reference: reference.clone(), ..Metadata::default() }));
            all.push((git(Some(sha)), Metadata { approval: Some(id()), reference, ..Metadata::default() }));
        }
    }
    let mut records = Vec::new();
    for (source, metadata) in all.iter().chain(&all) {
        records.push(waits(&tx, &production, source, metadata).await);
    }
    let last = records.last().unwrap().deployment.generation;
    for record in &records {
        let (asked, own) = (record.deployment.asked().unwrap(), record.deployment.generation);
        let same = records.iter().map(|record| &record.deployment).filter(|d| d.asked().as_ref() == Some(&asked));
        let same: Vec<&Deployment> = same.collect();
        for generation in [own, last + 1] {
            let by = Newer { environment: &production.id, generation, asked: &asked, held: false };
            let found = older(&tx, &by, 1000).await.unwrap();
            let expected = same.iter().filter(|d| d.generation < generation).map(|d| d.id.clone());
            assert_eq!(found, expected.collect::<Vec<DeploymentId>>(), "{asked:?} before {generation}");
        }
        let expected = same.iter().rfind(|d| d.generation > own && d.metadata.plan.is_none()).map(|d| d.generation);
        let found = newer(&tx, &production.id, &asked, own).await.unwrap();
        assert_eq!(found, expected, "{asked:?} after {own}");
    }
    tx.commit().await.unwrap();
}

/// So many at most and the first ones first; not what has a time of its own, nor what is elsewhere.
pub(crate) async fn waiting(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let production = fixture::environment(&tx, &app, "production").await;
    let staging = fixture::environment(&tx, &app, "staging").await;
    let source = Source::Directory { path: "/srv/shop".into() };
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(waits(&tx, &production, &source, &Metadata::default()).await.deployment.id);
    }
    waits(&tx, &staging, &source, &Metadata::default()).await;
    queue::set_rank(&tx, &ids[4], 0).await.unwrap();
    queue::reschedule(&tx, &ids[1], Some(kept()), 2).await.unwrap();
    for held in [3, 5] {
        queue::set_held(&tx, &ids[held], true).await.unwrap();
    }
    let found = async |generation: u64, held: bool, most: u64| {
        let newer = Newer { environment: &production.id, generation, asked: &source, held };
        let ended = older(&tx, &newer, most).await.unwrap();
        ended.iter().map(|one| ids.iter().position(|id| id == one).unwrap()).collect::<Vec<usize>>()
    };
    assert_eq!(found(7, false, 100).await, [4, 0, 2, 3, 5], "by rank, but for one that was ordered for later");
    assert_eq!(found(7, false, 2).await, [4, 0]);
    assert!(found(7, false, 0).await.is_empty());
    assert_eq!(found(5, false, 100).await, [0, 2, 3], "older ones alone");
    assert_eq!(found(7, true, 100).await, [3, 5], "what waits for approval ends what does so, too");

    let after = async |generation: u64| newer(&tx, &production.id, &source, generation).await.unwrap();
    assert_eq!(after(1).await, Some(3), "not what waits for approval, and from the end of the queue");
    assert_eq!(after(3).await, Some(5), "what was moved to the front is newer all the same");
    assert_eq!(after(5).await, None);
    tx.commit().await.unwrap();
}
