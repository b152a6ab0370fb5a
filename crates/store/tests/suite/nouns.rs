//! Apps, variables, instances, tokens, idempotency keys.

use chrono::TimeDelta;
use domain::AppId;
use domain::access::{Grants, Role};
use domain::event::EventKind;
use domain::instance::InstanceKey;
use domain::source::Source;
use serde_json::json;
use store::idempotency::Answer;
use store::tokens::Token;
use store::{
    Constraint, StoreError, apps, data_keys, deployments, environments, events, idempotency, instances, releases,
    sagas, tokens, variables,
};

use crate::database::Database;
use crate::fixture::{self, id, kept, name, now};

pub(crate) async fn apps(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let source = Source::Git { url: "https://git.example/shop.git".into(), reference: Some("main".into()) };
    let app =
        apps::App { id: id(), name: name("shop"), source: Some(source.clone()), created_at: now(), concurrency: 2 };
    apps::insert(&tx, &app).await.unwrap();
    let stored = apps::App { created_at: kept(), ..app.clone() };
    // A transaction sees its own writes, and others see them after the commit.
    assert_eq!(apps::find(&tx, &app.name).await.unwrap(), Some(stored.clone()));
    assert_eq!(apps::find(&store, &app.name).await.unwrap(), None);
    tx.commit().await.unwrap();
    assert_eq!(apps::find(&store, &app.name).await.unwrap(), Some(stored.clone()));
    assert_eq!(apps::get(&store, &app.id).await.unwrap(), stored);
    let missing: AppId = id();
    let error = apps::get(&store, &missing).await.unwrap_err();
    assert_eq!(error.to_string(), format!("app `{missing}` does not exist"));

    let tx = store.write().await.unwrap();
    let twice = apps::App { id: id(), ..app.clone() };
    let taken = StoreError::Conflict(Constraint::AppName { name: "shop".into() });
    assert_eq!(apps::insert(&tx, &twice).await.unwrap_err(), taken);
    // A conflict leaves the transaction usable, on both databases.
    let moved = Source::Directory { path: "/srv/shop".into() };
    apps::set_source(&tx, &app.id, Some(&moved)).await.unwrap();
    assert_eq!(apps::get(&tx, &app.id).await.unwrap().source, Some(moved));
    apps::set_source(&tx, &app.id, None).await.unwrap();
    assert_eq!(apps::get(&tx, &app.id).await.unwrap().source, None);
    assert!(matches!(apps::set_source(&tx, &missing, None).await, Err(StoreError::NotFound { .. })));

    for text in ["a-b", "ab", "a", "b2", "b-2", "zz", "a1"] {
        fixture::app(&tx, text).await;
    }
    tx.commit().await.unwrap();
    // Each has a user of its own; a transaction that was given up has taken none.
    let mut users = std::collections::BTreeSet::new();
    for app in apps::list(&store, None, 100).await.unwrap() {
        users.insert(apps::user_number(&store, &app.id).await.unwrap());
    }
    assert_eq!(users, (0..8).collect());
    assert!(matches!(apps::user_number(&store, &missing).await, Err(StoreError::NotFound { .. })));
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = apps::list(&store, after.as_ref(), 3).await.unwrap();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after = Some(last.name.clone());
        seen.extend(page.into_iter().map(|app| app.name.to_string()));
    }
    assert_eq!(seen, ["a", "a-b", "a1", "ab", "b-2", "b2", "shop", "zz"]);

    let tx = store.write().await.unwrap();
    let environment = fixture::environment(&tx, &app, "production").await;
    let left = StoreError::Conflict(Constraint::EnvironmentsLeft { app: "shop".into() });
    assert_eq!(apps::delete(&tx, &app.id).await.unwrap_err(), left);
    environments::delete(&tx, &environment.id).await.unwrap();
    apps::delete(&tx, &app.id).await.unwrap();
    assert!(matches!(apps::delete(&tx, &app.id).await, Err(StoreError::NotFound { .. })));
    tx.commit().await.unwrap();
    assert_eq!(apps::find(&store, &app.name).await.unwrap(), None);
}

pub(crate) async fn purge(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let (app, other) = (fixture::app(&tx, "shop").await, fixture::app(&tx, "blog").await);
    for app in [&app, &other] {
        let environment = fixture::environment(&tx, app, "production").await;
        let (record, release) = fixture::serve(&tx, app, &environment, "aa").await;
        variables::set(&tx, &environment.id, "KEY", b"sealed").await.unwrap();
        data_keys::set(&tx, &environment.id, b"wrapped").await.unwrap();
        sagas::create(&tx, record.deployment.id.as_str(), "deploy", 1).await.unwrap();
        instances::insert_or_get(&tx, &key(&record, release), None).await.unwrap();
        let about = (Some(&app.name), Some(&environment.name), Some(&record.deployment.id));
        events::insert(&tx, about.0, about.1, about.2, &EventKind::AppCreated, kept()).await.unwrap();
    }
    apps::purge(&tx, &app.id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(apps::list(&store, None, 10).await.unwrap(), std::slice::from_ref(&other));
    assert_eq!(environments::list_all(&store).await.unwrap().len(), 1);
    assert_eq!(sagas::open(&store).await.unwrap().len(), 1);
    assert_eq!(instances::list_all(&store).await.unwrap().len(), 1);
    assert_eq!(releases::list(&store, &app.id, None, 9).await.unwrap(), []);
    assert_eq!(releases::list(&store, &other.id, None, 9).await.unwrap().len(), 1);
    assert_eq!(deployments::list(&store, &Default::default(), None, 9).await.unwrap().len(), 1);
    let of_purged = events::Filter { app: Some(app.name.clone()), ..Default::default() };
    assert_eq!(events::list(&store, &of_purged, 0, 9).await.unwrap().len(), 1);
}

pub(crate) async fn variables_and_data_keys(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let (one, two) = (fixture::environment(&tx, &app, "one").await.id, fixture::environment(&tx, &app, "two").await.id);
    for (name, value) in [("b", &b"1"[..]), ("B", b"2"), ("a_b", b"3"), ("aB", b"\0\xff")] {
        variables::set(&tx, &one, name, value).await.unwrap();
    }
    variables::set(&tx, &one, "B", b"new").await.unwrap();
    variables::set(&tx, &two, "B", b"other").await.unwrap();
    assert_eq!(data_keys::find(&tx, &one).await.unwrap(), None);
    data_keys::set(&tx, &one, b"first").await.unwrap();
    data_keys::set(&tx, &one, b"\0second").await.unwrap();
    assert!(variables::unset(&tx, &one, "b").await.unwrap());
    assert!(!variables::unset(&tx, &one, "b").await.unwrap());
    tx.commit().await.unwrap();
    let listed = variables::list(&store, &one).await.unwrap();
    let pairs: Vec<_> = listed.iter().map(|v| (v.name.as_str(), v.sealed.as_slice())).collect();
    assert_eq!(pairs, [("B", &b"new"[..]), ("aB", b"\0\xff"), ("a_b", b"3")]);
    assert_eq!(variables::list(&store, &two).await.unwrap().len(), 1);
    assert_eq!(data_keys::find(&store, &one).await.unwrap().as_deref(), Some(&b"\0second"[..]));
    assert_eq!(data_keys::find(&store, &two).await.unwrap(), None);
    assert_eq!(data_keys::list(&store).await.unwrap(), [(one.clone(), b"\0second".to_vec())]);
    assert!(!format!("{listed:?}").contains("110"), "sealed bytes are not shown");

    let tx = store.write().await.unwrap();
    environments::delete(&tx, &one).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(variables::list(&store, &one).await.unwrap(), []);
    assert_eq!(data_keys::find(&store, &one).await.unwrap(), None);
    let tx = store.write().await.unwrap();
    let missing = variables::set(&tx, &one, "A", b"x").await.unwrap_err();
    assert_eq!(missing, StoreError::Conflict(Constraint::Reference));
}

fn key(record: &deployments::Record, release: domain::ReleaseId) -> InstanceKey {
    InstanceKey {
        environment: record.environment_id.clone(),
        deployment: record.deployment.id.clone(),
        release,
        generation: record.deployment.generation,
        component: name("web"),
        index: 0,
    }
}

pub(crate) async fn instances(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let environment = fixture::environment(&tx, &app, "production").await;
    let first = fixture::deployment(&tx, &environment).await;
    let second = fixture::deployment(&tx, &environment).await;
    let release = fixture::release(&tx, &app, "aa").await.id;
    let web = key(&first, release.clone());
    let web1 = InstanceKey { index: 1, ..web.clone() };
    let worker = InstanceKey { component: name("worker"), ..key(&second, release.clone()) };

    let made = instances::insert_or_get(&tx, &web, Some(65_535)).await.unwrap();
    assert_eq!(made, instances::Instance { key: web.clone(), port: Some(65_535), retired: false });
    // Asked again, it keeps its port.
    assert_eq!(instances::insert_or_get(&tx, &web, Some(20_000)).await.unwrap(), made);
    let taken = instances::insert_or_get(&tx, &web1, Some(65_535)).await.unwrap_err();
    assert_eq!(taken, StoreError::Conflict(Constraint::Port { port: 65_535 }));
    instances::insert_or_get(&tx, &web1, Some(20_000)).await.unwrap();
    instances::insert_or_get(&tx, &worker, None).await.unwrap();
    instances::retire(&tx, &web.name()).await.unwrap();
    instances::retire(&tx, &web.name()).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(instances::ports(&store).await.unwrap(), [20_000, 65_535]);
    let all = instances::list_by_environment(&store, &environment.id).await.unwrap();
    assert_eq!(all.iter().map(|i| i.key.clone()).collect::<Vec<_>>(), [web.clone(), web1.clone(), worker.clone()]);
    assert_eq!(all, instances::list_all(&store).await.unwrap());
    assert!(all[0].retired && !all[1].retired);
    let of_second = instances::list_by_deployment(&store, &second.deployment.id).await.unwrap();
    assert_eq!(of_second, [instances::Instance { key: worker, port: None, retired: false }]);

    let tx = store.write().await.unwrap();
    assert!(instances::delete(&tx, &web.name()).await.unwrap());
    assert!(!instances::delete(&tx, &web.name()).await.unwrap());
    assert!(matches!(instances::retire(&tx, &web.name()).await, Err(StoreError::NotFound { .. })));
    assert_eq!(instances::ports(&tx).await.unwrap(), [20_000]);
    let other = InstanceKey { index: 2, ..web };
    assert_eq!(instances::insert_or_get(&tx, &other, Some(65_535)).await.unwrap().port, Some(65_535));
    tx.commit().await.unwrap();
}

pub(crate) fn token(hash: &str) -> Token {
    Token {
        id: id(),
        name: "ci".into(),
        prefix: "plim_abc".into(),
        hash: hash.repeat(64),
        local: false,
        created_at: kept(),
        last_used_at: None,
        revoked: false,
        expires_at: None,
        user: None,
        grants: Grants::everywhere(Role::Owner),
        created_by: "admin".into(),
        maker: None,
    }
}

pub(crate) async fn tokens(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    assert!(!tokens::any(&tx).await.unwrap());
    let local = tokens::replace_local(&tx, &token("1")).await.unwrap();
    assert!(local.local);
    assert!(!tokens::any(&tx).await.unwrap(), "the local one is made at every start");
    let ci = token("2");
    tokens::insert(&tx, &ci).await.unwrap();
    let again = Token { id: id(), ..ci.clone() };
    assert_eq!(tokens::insert(&tx, &again).await.unwrap_err(), StoreError::Conflict(Constraint::TokenHash));
    tokens::touch(&tx, &ci.id, now()).await.unwrap();
    tx.commit().await.unwrap();

    let found = tokens::find_by_hash(&store, &ci.hash).await.unwrap().unwrap();
    assert_eq!(found, Token { last_used_at: Some(kept()), ..ci.clone() });
    assert_eq!(tokens::find_by_hash(&store, &"9".repeat(64)).await.unwrap(), None);
    assert!(!format!("{found:?}").contains(&ci.hash));

    let tx = store.write().await.unwrap();
    let next = tokens::replace_local(&tx, &token("3")).await.unwrap();
    assert_eq!(next.id, local.id);
    let elsewhere = Token { created_by: "another host".into(), ..token("4") };
    let elsewhere = tokens::replace_local(&tx, &elsewhere).await.unwrap();
    assert_ne!(elsewhere.id, next.id, "each host has its own");
    assert_eq!(tokens::find_by_hash(&tx, &local.hash).await.unwrap(), None);
    assert_eq!(tokens::find_by_hash(&tx, &next.hash).await.unwrap(), Some(next.clone()));
    tokens::revoke(&tx, &ci.id).await.unwrap();
    assert!(tokens::find_by_hash(&tx, &ci.hash).await.unwrap().unwrap().revoked);
    assert!(tokens::any(&tx).await.unwrap());
    assert_eq!(tokens::list(&tx).await.unwrap().len(), 3);
    assert!(matches!(tokens::touch(&tx, &id(), now()).await, Err(StoreError::NotFound { .. })));
    tx.commit().await.unwrap();
}

pub(crate) async fn idempotency(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let (one, two) = (token("1"), token("2"));
    tokens::insert(&tx, &one).await.unwrap();
    tokens::insert(&tx, &two).await.unwrap();
    let answer = |token: &Token, days: i64| Answer {
        owner: token.id.to_string(),
        key: "k-1".into(),
        operation: "apps.create".into(),
        request_digest: "aa".into(),
        status: 201,
        response: json!({"name": "shop \u{0}", "n": 9_007_199_254_740_993_u64, "list": [null, 1.5]}),
        created_at: kept() + TimeDelta::days(days),
    };
    idempotency::insert(&tx, &answer(&one, 0)).await.unwrap();
    // Whoever asks need not be a token.
    idempotency::insert(&tx, &Answer { owner: "usr_1".into(), ..answer(&two, 2) }).await.unwrap();
    idempotency::insert(&tx, &answer(&two, 2)).await.unwrap();
    let used = idempotency::insert(&tx, &Answer { status: 500, ..answer(&one, 1) }).await.unwrap_err();
    assert_eq!(used, StoreError::Conflict(Constraint::IdempotencyKey));
    tx.commit().await.unwrap();
    assert_eq!(idempotency::find(&store, one.id.as_str(), "k-1").await.unwrap(), Some(answer(&one, 0)));
    assert_eq!(idempotency::find(&store, one.id.as_str(), "k-2").await.unwrap(), None);
    let tx = store.write().await.unwrap();
    assert_eq!(idempotency::purge(&tx, kept() + TimeDelta::days(1)).await.unwrap(), 1);
    assert_eq!(idempotency::find(&tx, one.id.as_str(), "k-1").await.unwrap(), None);
    assert_eq!(idempotency::find(&tx, two.id.as_str(), "k-1").await.unwrap(), Some(answer(&two, 2)));
    tx.commit().await.unwrap();
}
