//! Rows that go from one database to another.

use std::collections::BTreeMap;

use domain::event::EventKind;
use sea_orm::ConnectionTrait;
use store::transfer::{Import, LEFT_OUT, Row, Snapshot, TABLES, survey};
use store::{Constraint, DatabaseUrl, Kind, Store, StoreError, events, leases, sagas, tokens, variables};

use crate::database::Database;
use crate::fixture;

type Rows = BTreeMap<&'static str, Vec<Row>>;

async fn export(url: &DatabaseUrl) -> (Vec<String>, Rows) {
    let snapshot = Snapshot::open(url).await.unwrap();
    let mut all = Rows::new();
    for table in TABLES {
        let mut rows = Vec::new();
        let collect = |batch| {
            rows.extend::<Vec<Row>>(batch);
            Ok::<(), StoreError>(())
        };
        let count = snapshot.rows(table, collect).await.unwrap();
        assert_eq!(count, rows.len() as u64);
        all.insert(table, rows);
    }
    (snapshot.migrations().to_vec(), all)
}

async fn import(url: &DatabaseUrl, migrations: &[String], rows: &Rows) -> Result<(), StoreError> {
    let import = Import::begin(url, migrations).await?;
    for table in TABLES.iter().filter(|table| !rows[*table].is_empty()) {
        import.rows(table, &rows[table]).await?;
    }
    import.finish().await
}

/// Something in every table.
async fn fill(store: &Store) {
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let environment = fixture::environment(&tx, &app, "production").await;
    let (record, release) = fixture::serve(&tx, &app, &environment, &"d".repeat(64)).await;
    store::schedules::insert(&tx, &crate::schedules::schedule(&environment, "nightly")).await.unwrap();
    store::windows::insert(&tx, &crate::schedules::freeze(Some(&environment))).await.unwrap();
    store::bypasses::insert(&tx, &crate::schedules::bypass(record.deployment.id.clone())).await.unwrap();
    let failed = store::deployments::DeploymentUpdate {
        phase: Some(domain::phase::Phase::Failed),
        failure: Some(crate::deployments::failure()),
        release: Some((release.clone(), 1)),
        ..Default::default()
    };
    let ended = fixture::deployment(&tx, &environment).await.deployment.id;
    store::deployments::update(&tx, &ended, fixture::now(), failed).await.unwrap();
    let setting = domain::retention::Chosen::default();
    store::settings::set(&tx, Some(&app.id), store::settings::RETENTION, Some(&setting)).await.unwrap();
    store::data_keys::set(&tx, &environment.id, &[0, 1, 255]).await.unwrap();
    variables::set(&tx, &environment.id, "A", &[7; 40]).await.unwrap();
    let id = record.deployment.id.as_str();
    let fence = leases::acquire(&tx, leases::SERVER, "me").await.unwrap();
    sagas::create(&tx, id, "deploy", 1).await.unwrap();
    assert_eq!(fence, 1);
    let waits = fixture::deployment(&tx, &environment).await;
    store::queue::insert(&tx, &fixture::entry(&waits, 5)).await.unwrap();
    sagas::append(&tx, id, 0, 0, &[serde_json::json!({ "wörd": [1, null] })]).await.unwrap();
    let key = domain::instance::InstanceKey {
        environment: environment.id.clone(),
        deployment: record.deployment.id.clone(),
        release,
        generation: 1,
        component: fixture::name("web"),
        index: 0,
    };
    store::instances::insert_or_get(&tx, &key, Some(20_001)).await.unwrap();
    let token = crate::nouns::token("5");
    tokens::insert(&tx, &token).await.unwrap();
    crate::people::fill(&tx, &app).await;
    crate::approvals::fill(&tx, &environment, &waits.deployment.id).await;
    crate::notices::fill(&tx, &app).await;
    crate::audit::add(&tx, 3).await;
    let certificate = store::certificates::Certificate {
        id: fixture::id(),
        names: vec!["shop.example.org".into()],
        issuer: "Issuer".into(),
        fingerprint: "f".repeat(64),
        not_before: fixture::kept(),
        not_after: fixture::kept(),
        default: true,
        chain: "-----BEGIN CERTIFICATE-----".into(),
        wrapped: vec![1, 2],
        sealed: vec![3, 4],
        created_at: fixture::kept(),
    };
    store::certificates::insert(&tx, &certificate).await.unwrap();
    let answer = store::idempotency::Answer {
        owner: token.id.to_string(),
        key: "k".into(),
        operation: "apps.create".into(),
        request_digest: "x".into(),
        status: 200,
        response: serde_json::json!({}),
        created_at: fixture::kept(),
    };
    store::idempotency::insert(&tx, &answer).await.unwrap();
    // More than one batch.
    for n in 0..1100 {
        let event = EventKind::ServerStarted { version: format!("{n} Zoë \u{1f6a2}") };
        events::insert(&tx, Some(&app.name), None, None, &event, fixture::kept()).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// To both kinds of database, and from there they are the same again.
pub(crate) async fn there_and_back(db: Database) {
    let store = db.open().await;
    fill(&store).await;
    let (migrations, rows) = export(&db.url()).await;
    let empty: Vec<_> = rows.iter().filter(|(_, rows)| rows.is_empty()).map(|(table, _)| *table).collect();
    assert!(empty.is_empty(), "nothing is tried of {empty:?}");
    let latest = events::latest(&store).await.unwrap();
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let other = Database::fresh(kind);
        import(&other.url(), &migrations, &rows).await.unwrap();
        assert_eq!(export(&other.url()).await, (migrations.clone(), rows.clone()));
        // It goes on where the old one was.
        let other_store = other.open().await;
        let tx = other_store.write().await.unwrap();
        let event = EventKind::ServerStarted { version: "next".into() };
        assert_eq!(events::insert(&tx, None, None, None, &event, fixture::now()).await.unwrap(), latest + 1);
        assert_eq!(leases::acquire(&tx, leases::SERVER, "you").await.unwrap(), 2);
        tx.commit().await.unwrap();
        let again = import(&other.url(), &migrations, &rows).await.unwrap_err();
        assert!(matches!(again, StoreError::Conflict(Constraint::NotEmpty { .. })), "{again}");
    }
}

/// What is committed while somebody exports is not in the export, and is not held up.
pub(crate) async fn one_moment(db: Database) {
    let store = db.open().await;
    fill(&store).await;
    let snapshot = Snapshot::open(&db.url()).await.unwrap();
    let tx = store.write().await.unwrap();
    fixture::app(&tx, "later").await;
    tx.commit().await.unwrap();
    let mut names = Vec::new();
    let collect = |rows: Vec<Row>| {
        names.extend(rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()));
        Ok::<(), StoreError>(())
    };
    assert_eq!(snapshot.rows("apps", collect).await.unwrap(), 1);
    assert_eq!(names, ["shop"]);
    assert!(snapshot.rows("seaql_migrations", |_| Ok::<(), StoreError>(())).await.is_err());
}

/// Rows of an older version become those of this one; what does not fit leaves nothing behind.
pub(crate) async fn older_and_damaged(db: Database) {
    let store = db.open().await;
    fill(&store).await;
    let (migrations, mut rows) = export(&db.url()).await;

    let mut damaged = rows.clone();
    damaged.get_mut("events").unwrap()[3].insert("at".into(), "yesterday".into());
    let target = Database::fresh(db.kind);
    assert!(matches!(import(&target.url(), &migrations, &damaged).await, Err(StoreError::Corrupt { .. })));
    assert!(matches!(Snapshot::open(&target.url()).await, Err(StoreError::NotFound { .. })), "nothing is left of it");

    let newer: Vec<_> = migrations.iter().cloned().chain(["m9999_future".into()]).collect();
    assert!(matches!(import(&target.url(), &newer, &rows).await, Err(StoreError::Newer { .. })));
    assert!(matches!(import(&target.url(), &migrations[1..], &rows).await, Err(StoreError::Corrupt { .. })));

    // As the first version had them.
    for table in TABLES {
        let first: &[&str] = match table {
            "tokens" => &["id", "name", "prefix", "hash", "local", "created_at", "last_used_at", "revoked"],
            "apps" => &["id", "name", "source", "last_release", "created_at"],
            "environments" => &[
                "id",
                "app_id",
                "app",
                "name",
                "generation",
                "acting",
                "active_deployment",
                "active_generation",
                "active_release",
                "created_at",
            ],
            "sagas" => &["id", "name", "version", "fence", "seq", "finished", "cancel_requested"],
            "queue" | "schedules" | "windows" | "bypasses" => {
                rows.get_mut(table).unwrap().clear();
                continue;
            }
            "releases" => &[
                "id",
                "app_id",
                "number",
                "digest",
                "commit",
                "spec",
                "size",
                "files",
                "tags",
                "metadata",
                "snapshot",
                "created_at",
            ],
            "deployments" => {
                rows.get_mut(table).unwrap().iter_mut().for_each(|row| drop(row.remove("commit_sha")));
                continue;
            }
            "idempotency" => {
                for row in rows.get_mut(table).unwrap() {
                    let owner = row.remove("owner").unwrap();
                    row.insert("token_id".into(), owner);
                }
                continue;
            }
            "certificates" | "durations" | "failure_points" | "deployment_tags" | "settings" | "users"
            | "memberships" | "invitations" | "audit" | "audit_head" | "totp" | "recovery_codes" | "channels"
            | "mutes" | "inbox_marks" | "identities" | "approval_policies" | "approvals" | "approval_votes" => {
                rows.get_mut(table).unwrap().clear();
                continue;
            }
            _ => continue,
        };
        rows.get_mut(table).unwrap().iter_mut().for_each(|row| row.retain(|name, _| first.contains(&name.as_str())));
    }
    import(&target.url(), &migrations[..1], &rows).await.unwrap();
    let older = target.open().await;
    // What was under way waits for its turn, on whatever host comes first.
    let waiting = store::queue::list(&older, &Default::default(), None, 9).await.unwrap();
    assert_eq!(waiting.iter().map(|e| (e.host.as_str(), e.attempt)).collect::<Vec<_>>(), [("", 1)]);
    let token = tokens::list(&older).await.unwrap().remove(0);
    let everything = domain::access::Grants::everywhere(domain::access::Role::Owner);
    assert_eq!((token.expires_at, &token.grants, token.user), (None, &everything, None));
    let answer = store::idempotency::find(&older, token.id.as_str(), "k").await.unwrap();
    assert_eq!(answer.unwrap().owner, token.id.to_string());
}

/// Looking changes nothing and says what is there; every table that the migrations make is exported.
pub(crate) async fn surveys(db: Database) {
    let store = db.open().await;
    let before = survey(&db.url()).await.unwrap();
    assert_eq!((before.kind, before.newer, before.damage), (db.kind, None, None));
    assert_eq!(before.last_event, None);
    assert!(!before.migrations.is_empty() && !before.settings.is_empty());
    fill(&store).await;
    assert_eq!(survey(&db.url()).await.unwrap().last_event, Some(fixture::kept()));

    let raw = db.raw().await;
    let sql = match db.kind {
        Kind::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
        Kind::Postgres => {
            "SELECT table_name::text AS name FROM information_schema.tables WHERE table_schema = 'public'"
        }
    };
    let statement = sea_orm::Statement::from_string(raw.get_database_backend(), sql);
    let mut there: Vec<String> =
        raw.query_all_raw(statement).await.unwrap().iter().map(|row| row.try_get("", "name").unwrap()).collect();
    there.retain(|name| name != "seaql_migrations");
    there.sort();
    let mut exported = [&TABLES[..], &LEFT_OUT].concat();
    exported.sort_unstable();
    assert_eq!(there, exported, "TABLES in transfer.rs must list every table (or LEFT_OUT does), or backups lack it");
}
