//! Opening databases that are new, raced for, wrong, or out of reach.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use plimsoll_tests::postgres::Postgres;
use sea_orm::ConnectionTrait;
use store::{DatabaseUrl, Kind, Store, StoreError, apps};

use crate::crash::example;
use crate::database::Database;
use crate::fixture;

pub(crate) async fn racing_migrators(db: Database) {
    let opening: Vec<_> = (0..4)
        .map(|_| {
            let url = db.url();
            tokio::spawn(async move { Store::open(&url).await.unwrap() })
        })
        .collect();
    let mut stores = Vec::new();
    for store in opening {
        stores.push(store.await.unwrap());
    }
    works(&stores[0], "tasks").await;

    // The same from four processes.
    let db = Database::fresh(db.kind);
    let mut processes: Vec<_> = (0..4)
        .map(|_| {
            let mut process = example("store-writer");
            process.arg("open").env("STORE_URL", &db.url).stdin(Stdio::null());
            process.spawn().unwrap()
        })
        .collect();
    for process in &mut processes {
        assert!(process.wait().unwrap().success());
    }
    works(&db.open().await, "processes").await;
}

async fn works(store: &Store, text: &str) {
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, text).await;
    tx.commit().await.unwrap();
    assert_eq!(apps::list(store, None, 10).await.unwrap(), [app]);
}

pub(crate) async fn apps_without_users(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let first = fixture::app(&tx, "b-first").await;
    let second = fixture::app(&tx, "a-second").await;
    tx.commit().await.unwrap();
    store.close().await;
    // As it was before the migration.
    let raw = db.raw().await;
    for sql in [
        "DROP INDEX apps_user_number",
        "ALTER TABLE apps DROP COLUMN user_number",
        "DELETE FROM seaql_migrations WHERE version = 'm0002_app_users'",
    ] {
        raw.execute_unprepared(sql).await.unwrap();
    }
    raw.close().await.unwrap();
    let store = db.open().await;
    let mut users = Vec::new();
    for app in [&first, &second] {
        users.push(apps::user_number(&store, &app.id).await.unwrap());
    }
    users.sort_unstable();
    assert_eq!(users, [0, 1]);
    let tx = store.write().await.unwrap();
    let third = fixture::app(&tx, "third").await;
    assert_eq!(apps::user_number(&tx, &third.id).await.unwrap(), 2);
}

pub(crate) async fn newer_schema(db: Database) {
    let store = db.open().await;
    works(&store, "shop").await;
    store.close().await;
    // Opening it again loses nothing and changes nothing.
    let store = db.open().await;
    assert_eq!(apps::list(&store, None, 10).await.unwrap().len(), 1);
    store.close().await;

    let raw = db.raw().await;
    raw.execute_unprepared("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_future', 0)")
        .await
        .unwrap();
    let error = Store::open(&db.url()).await.unwrap_err();
    let StoreError::Newer { database, migration } = &error else { panic!("{error}") };
    assert_eq!((database, migration.as_str()), (&db.url().to_string(), "m9999_future"));
    assert!(error.to_string().contains("newer Plimsoll"));
    // It is as it was, and opens once the newer version's trace is gone.
    raw.execute_unprepared("DELETE FROM seaql_migrations WHERE version = 'm9999_future'").await.unwrap();
    raw.close().await.unwrap();
    assert_eq!(apps::list(&db.open().await, None, 10).await.unwrap().len(), 1);
}

pub(crate) async fn collation(db: Database) {
    let store = db.open().await;
    if db.kind == Kind::Postgres {
        let database = db.url.rsplit('/').next().unwrap();
        let sql = "SELECT count(*), count(*) FILTER (WHERE collation_name = 'C') FROM information_schema.columns \
                   WHERE table_schema = 'public' AND data_type = 'text'";
        let counts = Postgres::shared().sql(database, sql);
        let (all, bytewise) = counts.split_once('|').unwrap();
        assert_eq!(all, bytewise, "a text column follows the server's locale");
        assert!(all.parse::<u32>().unwrap() > 40);
    }
    let tx = store.write().await.unwrap();
    for text in ["a-a", "aa", "a1", "ab", "a-b"] {
        fixture::app(&tx, text).await;
    }
    let names: Vec<_> = apps::list(&tx, None, 9).await.unwrap().into_iter().map(|a| a.name).collect();
    assert!(names.is_sorted());
    assert_eq!(names.len(), 5);
}

async fn refused(url: &str) -> String {
    let error = Store::open(&url.parse::<DatabaseUrl>().unwrap()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    shown
}

#[tokio::test]
async fn files_that_can_not_be_used_are_refused_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| format!("sqlite:{}", dir.path().join(name).display());
    assert!(refused(&at("no/such/folder.db")).await.contains("check that the folder exists"));
    assert!(refused(&at(".")).await.contains("check that the folder exists"));
    std::fs::write(dir.path().join("notes.txt"), "These are notes, and no database at all. ".repeat(100)).unwrap();
    assert!(refused(&at("notes.txt")).await.contains("not a SQLite database"));
    assert_eq!(std::fs::read(dir.path().join("notes.txt")).unwrap().len(), 4100, "and left alone");
}

#[tokio::test]
async fn a_new_file_is_private() {
    let db = Database::fresh(Kind::Sqlite);
    let store = db.open().await;
    works(&store, "shop").await;
    let url = db.url();
    let path = url.path().unwrap();
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let mode = std::fs::metadata(&name).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name:?}");
    }
    store.close().await;
}

#[test]
fn postgres_out_of_reach_is_refused_with_advice() {
    let postgres = Postgres::shared();
    let good = postgres.create_database();
    let (password, port) = (postgres.password(), postgres.port().to_string());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = free.local_addr().unwrap().port();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let wrong = refused(&good.replace(password, "hunter2")).await;
        assert!(wrong.contains("check the user and the password"), "{wrong}");
        let missing = refused(&postgres.url("nowhere")).await;
        assert!(missing.contains("create the database") && !missing.contains(password), "{missing}");
        let plain = refused(&format!("{good}?sslmode=require")).await;
        assert!(plain.contains("sslmode"), "{plain}");
        drop(free);
        let nobody = refused(&good.replace(&port, &silent.to_string()).replace(password, "hunter2")).await;
        assert!(nobody.contains("check that the database server runs"), "{nobody}");
        // A reader never writes, and a server that refuses writes is understood.
        let store = Store::open(&good.parse().unwrap()).await.unwrap();
        let database = good.rsplit('/').next().unwrap();
        store.close().await;
        postgres.sql("postgres", &format!("ALTER DATABASE {database} SET default_transaction_read_only = on"));
        let read_only = refused(&good).await;
        assert!(read_only.contains("read-only"), "{read_only}");
    });
}

#[test]
fn a_postgres_that_dies_is_noticed() {
    let postgres = Postgres::start();
    let url: DatabaseUrl = postgres.create_database().parse().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = Store::open(&url).await.unwrap();
        let tx = store.write().await.unwrap();
        fixture::app(&tx, "shop").await;
        tokio::task::block_in_place(|| drop(postgres));
        let error = tx.commit().await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    });
}
