//! The audit log: what is added, what is refused, and what is found when somebody gets past that.

use chrono::TimeDelta;
use domain::audit::{ActorKind, Anchor, Detail, Draft, Fault, Flaw, Hash, MacKey, Outcome, Record, Report, Via};
use sea_orm::ConnectionTrait;
use serde_json::json;
use store::audit::{self, Filter};
use store::transfer::{Import, Row, Snapshot, TABLES};
use store::{Kind, Store, StoreError, Tx};
use zeroize::Zeroizing;

use crate::database::Database;
use crate::fixture::{kept, now};

pub(crate) fn key() -> MacKey {
    MacKey::new(Zeroizing::new([1; 32]))
}

pub(crate) fn draft(n: u64) -> Draft {
    Draft {
        at: now() + TimeDelta::seconds(n as i64),
        actor: "usr_01hf7yat00000000000000000a".into(),
        actor_kind: ActorKind::Person,
        actor_name: "Zoë \u{1f6a2}".into(),
        token: Some("tok_01hf7yat00000000000000000b".parse().unwrap()),
        via: Via::Cli,
        address: Some("2001:db8::7".parse().unwrap()),
        request: Some("r\0".into()),
        operation: "variables.set".into(),
        app_id: Some("app_01hf7yat00000000000000000c".parse().unwrap()),
        app: Some("shop".parse().unwrap()),
        environment: Some("production".parse().unwrap()),
        target: Some(format!("V{n}")),
        outcome: Outcome::Done,
        of: None,
        detail: Detail::new(json!({ "n": n, "text": "\0 \u{1f6a2}\n" })),
    }
}

pub(crate) async fn add(tx: &Tx, count: u64) -> Vec<Record> {
    let mut records = Vec::new();
    for n in 1..=count {
        // Of an empty log the first record is that of a first start.
        records.push(audit::begin(tx, &[key()], draft(n)).await.unwrap());
    }
    records
}

async fn with(store: &Store, count: u64) -> Vec<Record> {
    let tx = store.write().await.unwrap();
    let records = add(&tx, count).await;
    tx.commit().await.unwrap();
    records
}

async fn verify(store: &Store) -> Result<Report, Fault> {
    audit::verify(store, &[key()], None).await.unwrap()
}

pub(crate) async fn pages(db: Database) {
    let store = db.open().await;
    assert_eq!(audit::head(&store).await.unwrap(), None);
    assert_eq!(verify(&store).await, Err(Fault { seq: 1, flaw: Flaw::Missing { next: None } }));
    // What is given up leaves no gap.
    let tx = store.write().await.unwrap();
    add(&tx, 2).await;
    drop(tx);
    let mut records = with(&store, 3).await;
    let tx = store.write().await.unwrap();
    let begun = Draft {
        actor: "system".into(),
        actor_kind: ActorKind::System,
        token: None,
        address: None,
        request: None,
        app_id: None,
        app: None,
        environment: None,
        target: None,
        outcome: Outcome::Begun,
        via: Via::Tick,
        operation: "retention.run".into(),
        detail: Detail::default(),
        ..draft(4)
    };
    let begun = audit::append(&tx, &[key()], begun).await.unwrap();
    let failed = Draft { outcome: Outcome::Failed, of: Some(begun.seq), ..begun.draft.clone() };
    records.push(begun);
    records.push(audit::append(&tx, &[key()], failed).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(records.iter().map(|r| r.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(records[0].draft.request.as_deref(), Some("r\u{fffd}"));
    assert_eq!(records[0].draft.at, kept() + TimeDelta::seconds(1));

    let last = audit::last(&store).await.unwrap().seq;
    let all = audit::after(&store, &Filter::default(), 0, last, 9).await.unwrap();
    assert_eq!(all, records, "they come back as they are");
    let some = audit::after(&store, &Filter::default(), 1, last - 1, 9).await.unwrap();
    assert_eq!(some, records[1..records.len() - 1], "and no more than there were");
    let report = Report { records: 5, head: records[4].hash, unchecked: 0 };
    assert_eq!(verify(&store).await, Ok(report));
    assert_eq!(audit::head(&store).await.unwrap().unwrap().end, records[4].link());
    let listed = async |filter: Filter, before| {
        let page = audit::list(&store, &filter, before, 2).await.unwrap();
        page.into_iter().map(|record| record.seq).collect::<Vec<_>>()
    };
    assert_eq!(listed(Filter::default(), None).await, [5, 4]);
    assert_eq!(listed(Filter::default(), Some(4)).await, [3, 2]);
    let first = &records[0].draft;
    for (filter, expected) in [
        (Filter { app: first.app_id.clone(), ..Default::default() }, vec![3, 2]),
        (Filter { actor: Some("system".into()), ..Default::default() }, vec![5, 4]),
        (Filter { operation: Some("retention.run".into()), ..Default::default() }, vec![5, 4]),
        (Filter { outcome: Some(Outcome::Begun), ..Default::default() }, vec![4]),
        (Filter { target: Some("V2".into()), ..Default::default() }, vec![2]),
        (Filter { since: Some(first.at), until: Some(records[2].draft.at), ..Default::default() }, vec![2, 1]),
        (Filter { actor: Some("usr_".into()), ..Default::default() }, vec![]),
    ] {
        assert_eq!(listed(filter.clone(), None).await, expected, "{filter:?}");
    }
    // Held against what was noted elsewhere.
    let anchored = async |anchor: Anchor| audit::verify(&store, &[key()], Some(anchor)).await.unwrap();
    assert!(anchored(Anchor(records[1].link())).await.is_ok());
    let other = Anchor(domain::audit::Link { seq: 2, hash: records[2].hash });
    assert_eq!(anchored(other).await, Err(Fault { seq: 2, flaw: Flaw::OtherAnchor }));
}

/// The database itself refuses to change what was written.
pub(crate) async fn refused_statements(db: &Database) {
    let raw = db.raw().await;
    let mut refused = vec!["UPDATE audit SET actor_name = 'x'", "DELETE FROM audit", "DELETE FROM audit_head"];
    if db.kind == Kind::Postgres {
        refused.extend(["TRUNCATE audit", "TRUNCATE audit_head"]);
    }
    for sql in refused {
        let error = raw.execute_unprepared(sql).await.unwrap_err().to_string();
        assert!(error.contains("the audit log is append-only"), "{sql}: {error}");
    }
    raw.close().await.unwrap();
}

pub(crate) async fn refusals(db: Database) {
    let store = db.open().await;
    let records = with(&store, 2).await;
    refused_statements(&db).await;
    assert_eq!(audit::after(&store, &Filter::default(), 0, 99, 9).await.unwrap(), records);
    assert!(verify(&store).await.is_ok());
    // A record that can't be written takes everything with it.
    store.close().await;
    let raw = db.raw().await;
    unlock(&db, &raw).await;
    let sql = match db.kind {
        Kind::Sqlite => {
            "CREATE TRIGGER broken BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END".to_owned()
        }
        Kind::Postgres => "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS \
                           $$ BEGIN RAISE EXCEPTION 'no room'; END $$; \
                           CREATE TRIGGER broken BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION no_room()"
            .to_owned(),
    };
    raw.execute_unprepared(&sql).await.unwrap();
    raw.close().await.unwrap();
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    crate::fixture::app(&tx, "shop").await;
    assert!(matches!(audit::append(&tx, &[key()], draft(3)).await, Err(StoreError::Internal(_))));
    assert!(tx.commit().await.is_err());
    assert_eq!(store::apps::list(&store, None, 9).await.unwrap(), []);
}

/// Whoever may change tables gets past the triggers.
async fn unlock(db: &Database, raw: &sea_orm::DatabaseConnection) {
    let drops: &[&str] = match db.kind {
        Kind::Sqlite => &["audit_is_not_changed", "audit_is_kept", "audit_head_is_kept"],
        Kind::Postgres => &["audit_is_kept ON audit", "audit_head_is_kept ON audit_head"],
    };
    for name in drops {
        raw.execute_unprepared(&format!("DROP TRIGGER {name}")).await.unwrap();
    }
}

/// A change of any column of any record is found, and the first such record named.
pub(crate) async fn altered(db: Database) {
    let store = db.open().await;
    with(&store, 4).await;
    let raw = db.raw().await;
    unlock(&db, &raw).await;
    let mut changes = vec![
        // What means the same is another text all the same.
        ("detail", "replace(detail, ':', ': ')".to_owned()),
        ("detail", "replace(detail, 'text', 'test')".to_owned()),
        ("detail", "'{}'".to_owned()),
        ("detail", "'['".to_owned()),
        ("at", "at + 1".to_owned()),
        ("of", "7".to_owned()),
        ("token", "NULL".to_owned()),
        ("outcome", "'failed'".to_owned()),
        ("address", "'2001:0db8::7'".to_owned()),
    ];
    let texts = [
        "actor",
        "actor_kind",
        "actor_name",
        "token",
        "via",
        "address",
        "request",
        "operation",
        "app_id",
        "app",
        "environment",
        "target",
        "outcome",
        "detail",
        "prev",
        "hash",
        "mac",
        "key",
    ];
    changes.extend(texts.map(|column| (column, format!("{column} || '0'"))));
    changes.extend(texts.map(|column| (column, "''".to_owned())));
    assert_eq!(columns(&db).await.len(), texts.len() + ["seq", "at", "of"].len(), "each column is tried");
    raw.execute_unprepared("CREATE TABLE before AS SELECT * FROM audit").await.unwrap();
    for (column, value) in &changes {
        // The last two, so that the first of them is named.
        let sql = format!("UPDATE audit SET \"{column}\" = {value} WHERE seq IN (3, 4)");
        raw.execute_unprepared(&sql).await.unwrap();
        let fault = verify(&store).await.unwrap_err();
        assert_eq!(fault.seq, 3, "{sql}: {fault}");
        for sql in ["DELETE FROM audit", "INSERT INTO audit SELECT * FROM before"] {
            raw.execute_unprepared(sql).await.unwrap();
        }
    }
    assert_eq!(verify(&store).await.map(|report| report.records), Ok(4));
    raw.execute_unprepared("UPDATE audit SET seq = 9 WHERE seq = 2").await.unwrap();
    assert_eq!(verify(&store).await, Err(Fault { seq: 2, flaw: Flaw::Missing { next: Some(3) } }));
    raw.execute_unprepared("UPDATE audit SET seq = 2 WHERE seq = 9").await.unwrap();
    // Removed, in the middle and at the end.
    raw.execute_unprepared("DELETE FROM audit WHERE seq = 4").await.unwrap();
    assert_eq!(verify(&store).await, Err(Fault { seq: 4, flaw: Flaw::Missing { next: None } }));
    raw.execute_unprepared("DELETE FROM audit WHERE seq = 2").await.unwrap();
    assert_eq!(verify(&store).await, Err(Fault { seq: 2, flaw: Flaw::Missing { next: Some(3) } }));
    raw.execute_unprepared("DELETE FROM audit").await.unwrap();
    assert_eq!(verify(&store).await, Err(Fault { seq: 1, flaw: Flaw::Missing { next: None } }));
    raw.close().await.unwrap();
}

async fn columns(db: &Database) -> Vec<String> {
    let mut names = Vec::new();
    let collect = |rows: Vec<Row>| {
        names = rows[0].keys().cloned().collect();
        Ok::<(), StoreError>(())
    };
    Snapshot::open(&db.url()).await.unwrap().rows("audit", collect).await.unwrap();
    names
}

/// A head that was altered stops nobody, and is not hidden by what comes after it.
pub(crate) async fn heads(db: Database) {
    for (change, seq, flaw) in [
        ("UPDATE audit_head SET mac = hash", 4, Flaw::AfterBreak),
        ("UPDATE audit_head SET hash = 'x'", 4, Flaw::AfterBreak),
        ("UPDATE audit_head SET seq = 2", 4, Flaw::AfterBreak),
        ("UPDATE audit_head SET seq = 99999", 4, Flaw::AfterBreak),
        ("UPDATE audit_head SET broken = 2", 4, Flaw::AfterBreak),
        ("UPDATE audit_head SET key = 'other'", 4, Flaw::AfterBreak),
        ("DELETE FROM audit_head", 4, Flaw::AfterBreak),
        // Cut off, with a head that fits but for the MAC.
        (
            "DELETE FROM audit WHERE seq = 3; \
             UPDATE audit_head SET seq = 2, hash = (SELECT hash FROM audit WHERE seq = 2)",
            3,
            Flaw::AfterBreak,
        ),
    ] {
        let db = Database::fresh(db.kind);
        let store = db.open().await;
        with(&store, 3).await;
        let raw = db.raw().await;
        unlock(&db, &raw).await;
        raw.execute_unprepared(change).await.unwrap();
        raw.close().await.unwrap();
        assert!(verify(&store).await.is_err(), "{change}");
        // The work goes on, and the trace stays however often.
        for _ in 0..2 {
            with(&store, 2).await;
            assert_eq!(verify(&store).await, Err(Fault { seq, flaw: flaw.clone() }), "{change}");
        }
    }
    // All of it gone, its head too: that is no log that was never begun.
    {
        let db = Database::fresh(db.kind);
        let store = db.open().await;
        with(&store, 3).await;
        let raw = db.raw().await;
        unlock(&db, &raw).await;
        raw.execute_unprepared("DELETE FROM audit; DELETE FROM audit_head").await.unwrap();
        raw.close().await.unwrap();
        assert_eq!(verify(&store).await, Err(Fault { seq: 1, flaw: Flaw::Missing { next: None } }));
        let tx = store.write().await.unwrap();
        audit::append(&tx, &[key()], draft(1)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(verify(&store).await, Err(Fault { seq: 1, flaw: Flaw::AfterBreak }));
    }
    // An old head of ours, put back with all that follows still there, or cut off.
    for cut in [false, true] {
        let db = Database::fresh(db.kind);
        let store = db.open().await;
        with(&store, 2).await;
        let old = audit::head(&store).await.unwrap().unwrap();
        with(&store, 2).await;
        let raw = db.raw().await;
        unlock(&db, &raw).await;
        let back = format!("UPDATE audit_head SET seq = 2, hash = '{}', mac = '{}'", old.end.hash, old.mac);
        raw.execute_unprepared(&back).await.unwrap();
        if cut {
            raw.execute_unprepared("DELETE FROM audit WHERE seq > 2").await.unwrap();
            // That is as if the last two had never been: only what was noted elsewhere can tell.
            assert_eq!(verify(&store).await.map(|report| report.records), Ok(2));
            let noted = Anchor(domain::audit::Link { seq: 4, hash: Hash::ZERO });
            let fault = audit::verify(&store, &[key()], Some(noted)).await.unwrap().unwrap_err();
            assert_eq!(fault, Fault { seq: 3, flaw: Flaw::Missing { next: None } });
        } else {
            assert_eq!(verify(&store).await, Err(Fault { seq: 3, flaw: Flaw::BehindHead }));
            with(&store, 1).await;
            assert_eq!(verify(&store).await, Err(Fault { seq: 5, flaw: Flaw::AfterBreak }));
        }
        raw.close().await.unwrap();
    }
    // With another key file nothing can be said about the MACs of before, but the log goes on.
    let store = db.open().await;
    with(&store, 2).await;
    let other = MacKey::new(Zeroizing::new([2; 32]));
    let tx = store.write().await.unwrap();
    audit::append(&tx, &[other], draft(3)).await.unwrap();
    tx.commit().await.unwrap();
    let fault = audit::verify(&store, &[MacKey::new(Zeroizing::new([2; 32])), key()], None).await.unwrap();
    assert_eq!(fault, Err(Fault { seq: 3, flaw: Flaw::AfterBreak }));
    // A head of a key that was in use before is no break.
    let db = Database::fresh(db.kind);
    let store = db.open().await;
    with(&store, 2).await;
    let keys = [MacKey::new(Zeroizing::new([2; 32])), key()];
    for n in 3..5 {
        let tx = store.write().await.unwrap();
        assert_eq!(audit::append(&tx, &keys, draft(n)).await.unwrap().key, keys[0].id());
        tx.commit().await.unwrap();
        let report = audit::verify(&store, &keys, None).await.unwrap().unwrap();
        assert_eq!((report.records, report.unchecked), (n, 0));
    }
}

/// Writers of several servers and a reader: no gap, no fork, and each look at it sees a whole log.
pub(crate) async fn many(db: Database) {
    let first = db.open().await;
    let second = if db.kind == Kind::Postgres { db.open().await } else { first.clone() };
    with(&first, 1).await;
    let writers: Vec<_> = (0..8_u64)
        .map(|n| {
            let store = if n % 2 == 0 { first.clone() } else { second.clone() };
            tokio::spawn(async move {
                for m in 0..80 {
                    let tx = store.write().await.unwrap();
                    audit::append(&tx, &[key()], draft(n * 100 + m)).await.unwrap();
                    // Some are given up.
                    if m % 7 != 0 {
                        tx.commit().await.unwrap();
                    }
                }
            })
        })
        .collect();
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        verify(&second).await.unwrap();
    }
    for writer in writers {
        writer.await.unwrap();
    }
    // More than a page.
    assert_eq!(verify(&first).await.map(|report| report.records), Ok(1 + 8 * (80 - 12)));
}

/// In a backup are the records and their head; in the database that is made of it they can't be changed either.
pub(crate) async fn restored(db: Database) {
    let store = db.open().await;
    let records = with(&store, 5).await;
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let snapshot = Snapshot::open(&db.url()).await.unwrap();
        let target = Database::fresh(kind);
        let import = Import::begin(&target.url(), snapshot.migrations()).await.unwrap();
        for table in TABLES {
            let mut rows = Vec::new();
            let collect = |batch| {
                rows.extend::<Vec<Row>>(batch);
                Ok::<(), StoreError>(())
            };
            snapshot.rows(table, collect).await.unwrap();
            if !rows.is_empty() {
                import.rows(table, &rows).await.unwrap();
            }
        }
        import.finish().await.unwrap();
        let copy = target.open().await;
        let expected = Report { records: 5, head: records[4].hash, unchecked: 0 };
        assert_eq!(verify(&copy).await, Ok(expected));
        refused_statements(&target).await;
        assert_eq!(with(&copy, 1).await[0].seq, 6);
        assert!(verify(&copy).await.is_ok());
    }
}
