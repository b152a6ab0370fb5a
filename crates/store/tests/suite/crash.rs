//! Writers that are killed.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use domain::event::EventKind;
use sea_orm::ConnectionTrait;
use store::{Kind, apps, environments, events};

use crate::database::Database;

/// An example program of this package, which cargo builds with the tests.
pub(crate) fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(
        program.exists(),
        "{} is missing: run the tests with `cargo nextest run`, which builds it",
        program.display()
    );
    Command::new(program)
}

fn killed_writers_leave_whole_transactions(kind: Kind) {
    let db = Database::fresh(kind);
    let mut told = 0;
    for round in 0..6 {
        let mut writer = example("store-writer");
        writer.arg("write").env("STORE_URL", &db.url).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut writer = writer.spawn().unwrap();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        // It is somewhere in a transaction by then, a different place in each round.
        for _ in 0..(3 + round * 5) {
            told = lines.next().expect("the writer ended by itself").unwrap().parse::<u64>().unwrap();
        }
        writer.kill().unwrap();
        assert!(!writer.wait().unwrap().success());
        for line in lines {
            told = line.unwrap().parse().unwrap_or(told);
        }
        tokio::runtime::Runtime::new().unwrap().block_on(check(&db, told));
    }
}

/// Each app has its one environment and its event, and whatever was reported as committed is there.
async fn check(db: &Database, told: u64) {
    if db.kind == Kind::Sqlite {
        let row = db.raw().await.query_one_raw(statement("PRAGMA integrity_check")).await.unwrap().unwrap();
        assert_eq!(row.try_get_by_index::<String>(0).unwrap(), "ok");
        let broken = db.raw().await.query_all_raw(statement("PRAGMA foreign_key_check")).await.unwrap();
        assert!(broken.is_empty());
    }
    let store = db.open().await;
    let apps = apps::list(&store, None, 100_000).await.unwrap();
    let environments = environments::list_all(&store).await.unwrap();
    let events = events::list(&store, &Default::default(), 0, 100_000).await.unwrap();
    let count = apps.len() as u64;
    // The one that was going on when the kill came may have been committed but not reported.
    assert!((told..=told + 1).contains(&count), "{told} were reported, {count} are there");
    assert!(told > 0);
    let names: Vec<_> = apps.iter().map(|app| app.name.clone()).collect();
    assert_eq!(environments.iter().map(|e| e.app.clone()).collect::<Vec<_>>(), names);
    let mut told_of: Vec<_> =
        events.into_iter().inspect(|e| assert_eq!(e.kind, EventKind::AppCreated)).filter_map(|e| e.app).collect();
    told_of.sort();
    assert_eq!(told_of, names);
    store.close().await;
}

fn statement(sql: &str) -> sea_orm::Statement {
    sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, sql)
}

#[test]
fn sqlite_survives_killed_writers() {
    killed_writers_leave_whole_transactions(Kind::Sqlite);
}

#[test]
fn postgres_survives_killed_writers() {
    killed_writers_leave_whole_transactions(Kind::Postgres);
}
