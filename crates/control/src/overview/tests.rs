#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::ApprovalId;
use domain::access::Role;
use domain::approval::{ApprovalKind, ApprovalState, Verdict};
use domain::channel::ChannelKind;
use domain::deployment::{DeploymentKind, Metadata};
use domain::failure::Failure;
use domain::id::{Id, Kind};
use domain::instance::InstanceKey;
use domain::release::Digest;
use domain::spec::AppSpec;
use domain::stall::Signs;
use store::approvals::Vote;
use store::releases::NewRelease;
use store::{DatabaseUrl, Store};

use super::*;

fn id<K: Kind>() -> Id<K> {
    Id::from_ulid(ulid::Ulid::generate())
}

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-11-21T{text}:00Z").parse().unwrap()
}

fn record(app_id: &AppId, environment: &Environment, phase: Phase) -> Record {
    let deployment = Deployment {
        id: id(),
        app: environment.app.clone(),
        environment: environment.name.clone(),
        kind: DeploymentKind::Deploy,
        generation: 1,
        phase,
        progress: 40,
        source: None,
        release: None,
        release_number: None,
        metadata: Metadata::default(),
        phases: vec![],
        failure: None,
        cancelling: false,
        stuck: None,
        requested_by: "ada".into(),
        created_at: at("10:00"),
        updated_at: at("10:00"),
        finished_at: None,
    };
    Record { app_id: app_id.clone(), environment_id: environment.id.clone(), deployment }
}

fn environment(app: &App, name: &str) -> Environment {
    Environment {
        id: id(),
        app_id: app.id.clone(),
        app: app.name.clone(),
        name: name.parse().unwrap(),
        generation: 1,
        acting: None,
        active_deployment: None,
        active_generation: 0,
        active_release: None,
        created_at: at("09:00"),
        host: "here".to_owned(),
        running: None,
        supersede: Default::default(),
    }
}

fn app(name: &str) -> App {
    App { id: id(), name: name.parse().unwrap(), source: None, created_at: at("09:00"), concurrency: 2 }
}

/// An app with two environments: one that serves, and one in which the last deployment has failed.
async fn fill(store: &Store, n: usize) -> App {
    let tx = store.write().await.unwrap();
    let app = app(&format!("app-{n:03}"));
    store::apps::insert(&tx, &app).await.unwrap();
    let new = NewRelease {
        id: id(),
        app_id: app.id.clone(),
        digest: Digest("d".to_owned()),
        artifact: Digest("d".to_owned()),
        promoted_from: None,
        commit: None,
        spec: AppSpec { builds: vec![], build_limits: Default::default(), components: vec![], smoke_tests: vec![] },
        size: 0,
        files: 0,
        tags: vec![],
        metadata: Default::default(),
        snapshot: vec![],
        created_at: at("09:00"),
    };
    let release = store::releases::insert_or_get(&tx, &new).await.unwrap().0;
    let production = environment(&app, "production");
    store::environments::insert(&tx, &production).await.unwrap();
    let serving = record(&app.id, &production, Phase::Queued);
    let (serving_id, generation) = (&serving.deployment.id, serving.deployment.generation);
    store::deployments::insert(&tx, &serving).await.unwrap();
    store::environments::claim(&tx, &production.id, serving_id, generation).await.unwrap();
    store::environments::activate(&tx, &production.id, serving_id, &release.id, generation).await.unwrap();
    let key = InstanceKey {
        environment: production.id.clone(),
        release: release.id.clone(),
        deployment: serving_id.clone(),
        generation,
        component: "web".parse().unwrap(),
        index: 0,
    };
    store::instances::insert_or_get(&tx, &key, None).await.unwrap();
    let staging = environment(&app, "staging");
    store::environments::insert(&tx, &staging).await.unwrap();
    let mut failed = record(&app.id, &staging, Phase::Failed);
    failed.deployment.finished_at = Some(at("10:01"));
    store::deployments::insert(&tx, &failed).await.unwrap();
    tx.commit().await.unwrap();
    app
}

fn question(environment: &Environment, asked: &str) -> Approval {
    Approval {
        id: id(),
        kind: ApprovalKind::Deployment,
        deployment: id(),
        app_id: environment.app_id.clone(),
        app: environment.app.clone(),
        environment_id: environment.id.clone(),
        environment: environment.name.clone(),
        subject: "commit:0123#1".to_owned(),
        subject_note: "0123: faster".to_owned(),
        requester: "ci".to_owned(),
        requester_person: None,
        requester_name: "ci".to_owned(),
        required: 1,
        role: Role::Admin,
        state: ApprovalState::Pending,
        why: None,
        created_at: at(asked),
        expires_at: at("12:00"),
        decided_at: None,
    }
}

fn channel(failing_since: Option<DateTime<Utc>>) -> Channel {
    Channel {
        id: id(),
        app: None,
        kind: ChannelKind::Webhook,
        name: "on call".to_owned(),
        settings: Default::default(),
        wrapped: vec![],
        sealed: vec![],
        topics: BTreeSet::new(),
        environments: vec![],
        enabled: true,
        failing_since,
        created_by: "ada".to_owned(),
        created_at: at("09:00"),
    }
}

#[tokio::test]
async fn ones_own_votes_and_channels_are_told_and_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&DatabaseUrl::sqlite(dir.path().join("db"))).await.unwrap();
    let counted = Arc::new(AtomicU64::new(0));
    let counts = counted.clone();
    store.watch_reads(move || {
        counts.fetch_add(1, Ordering::Relaxed);
    });
    let (shop, blog) = (fill(&store, 0).await, fill(&store, 1).await);
    let (ann, zoe): (UserId, UserId) = (id(), id());
    let tx = store.write().await.unwrap();
    let place = environment(&shop, "production");
    let open = question(&place, "10:00");
    let hers = Approval { requester_person: Some(zoe.clone()), ..question(&place, "10:00") };
    let voted = question(&place, "10:00");
    let over = Approval { expires_at: at("10:30"), ..question(&place, "10:00") };
    let decided = Approval { state: ApprovalState::Refused, ..question(&place, "10:00") };
    let grave = Approval { role: Role::Owner, ..question(&place, "10:00") };
    for approval in [&open, &hers, &voted, &over, &decided, &grave] {
        store::approvals::insert(&tx, approval).await.unwrap();
    }
    let vote = Vote {
        user: zoe.clone(),
        name: "Zoe".to_owned(),
        verdict: Verdict::Approve,
        comment: None,
        subject: voted.subject.clone(),
        via: "web".to_owned(),
        at: at("10:01"),
        counts: true,
    };
    store::approvals::vote(&tx, &voted.id, &vote).await.unwrap();
    let of = |app: &App, failing: &str| Channel {
        app: Some((app.id.clone(), app.name.clone())),
        ..channel(Some(at(failing)))
    };
    let (of_shop, of_blog, of_server) = (of(&shop, "10:00"), of(&blog, "10:01"), channel(Some(at("10:05"))));
    for channel in [&of_shop, &of_blog, &of_server, &channel(None)] {
        store::channels::insert(&tx, channel).await.unwrap();
    }
    tx.commit().await.unwrap();

    let told = async |person: &UserId, role: Role, sets_up: Sees| {
        let grants = Grants { everywhere: None, apps: BTreeMap::from([(shop.id.clone(), role)]) };
        counted.store(0, Ordering::Relaxed);
        let Own { votes, channels } = own(&store, Some((person, &grants)), &sets_up, at("10:31")).await.unwrap();
        assert_eq!(counted.load(Ordering::Relaxed), 2, "statements");
        let votes: BTreeSet<ApprovalId> = votes.into_iter().map(|approval| approval.id).collect();
        (votes, channels.into_iter().map(|channel| channel.id).collect::<Vec<_>>())
    };
    let only_shop = || Sees::Only(BTreeSet::from([shop.id.clone()]));
    let ids = |all: &[&Approval]| all.iter().map(|approval| approval.id.clone()).collect::<BTreeSet<_>>();
    assert_eq!(told(&zoe, Role::Admin, only_shop()).await, (ids(&[&open]), vec![of_shop.id.clone()]));
    let all = vec![of_shop.id.clone(), of_blog.id.clone(), of_server.id.clone()];
    assert_eq!(told(&ann, Role::Owner, Sees::All).await, (ids(&[&open, &hers, &voted, &grave]), all));
    let nothing = (BTreeSet::new(), Vec::new());
    assert_eq!(told(&zoe, Role::Deployer, Sees::Only(BTreeSet::new())).await, nothing);
    // Of many, what ends first.
    let tx = store.write().await.unwrap();
    for _ in 0..MOST_NEEDS + 5 {
        store::approvals::insert(&tx, &Approval { expires_at: at("11:00"), ..question(&place, "10:00") })
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let (votes, _) = told(&zoe, Role::Admin, only_shop()).await;
    assert!(votes.len() == MOST_NEEDS && !votes.contains(&open.id), "{votes:?}");
}

#[tokio::test]
async fn a_page_costs_the_same_number_of_statements_whatever_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&DatabaseUrl::sqlite(dir.path().join("db"))).await.unwrap();
    let counted = Arc::new(AtomicU64::new(0));
    let counts = counted.clone();
    store.watch_reads(move || {
        counts.fetch_add(1, Ordering::Relaxed);
    });
    let cost = async |sees: Sees| {
        counted.store(0, Ordering::Relaxed);
        let found = gather(&store, &sees, None, 50).await.unwrap();
        (counted.load(Ordering::Relaxed), found)
    };
    let mut apps = vec![fill(&store, 0).await];
    let (one, found) = cost(Sees::All).await;
    assert_eq!((found.apps.len(), found.environments.len(), found.unhealed.len()), (1, 2, 1));
    assert!((5..=16).contains(&one), "{one} statements");
    for n in 1..=40 {
        apps.push(fill(&store, n).await);
    }
    let (many, found) = cost(Sees::All).await;
    assert_eq!(many, one);
    assert_eq!((found.apps.len(), found.environments.len(), found.unhealed.len()), (41, 82, 41));
    assert_eq!((found.records.len(), found.instances.len(), found.marks.len()), (41, 41, 41));
    let serving = found.environments.iter().filter_map(|environment| active(environment, &found)).count();
    assert_eq!(serving, 41);
    let some: BTreeSet<AppId> = apps.iter().take(30).map(|app| app.id.clone()).collect();
    let (few, found) = cost(Sees::Only(some.clone())).await;
    assert_eq!(few, one);
    assert_eq!((found.apps.len(), found.unhealed.len()), (30, 30));
    assert!(found.unhealed.iter().all(|record| some.contains(&record.app_id)));
}

#[test]
fn the_worst_comes_first_and_what_healed_or_is_hidden_not_at_all() {
    let (shop, blog) = (app("shop"), app("blog"));
    let (production, staging) = (environment(&shop, "production"), environment(&shop, "staging"));
    let work = |deployment: Deployment, stalled: Option<&str>| AtWork {
        signs: Signs { phase: deployment.phase, step_at: at("10:00"), beat_at: None, output_at: None, waits: false },
        record: Record { app_id: shop.id.clone(), environment_id: production.id.clone(), deployment },
        stalled: stalled.map(str::to_owned),
    };
    let plain = record(&shop.id, &production, Phase::Building).deployment;
    let stuck = Deployment { stuck: Some("the disk is full".into()), ..plain.clone() };
    let failure = |cause, message: &str| Failure {
        phase: Phase::Building,
        cause,
        message: message.to_owned(),
        output: vec![],
        hint: String::new(),
        smoke_tests: vec![],
    };
    let failed = |cause, ended: &str| {
        let mut failed = record(&shop.id, &staging, Phase::Failed);
        failed.deployment.failure = Some(failure(cause, "npm ci ended with 1"));
        failed.deployment.finished_at = Some(at(ended));
        failed
    };
    let looping = |of: &App, since: &str| Looping {
        app_id: of.id.clone(),
        app: of.name.clone(),
        environment: "production".parse().unwrap(),
        last_exit: "exit status 1".to_owned(),
        since: at(since),
    };
    let loops = BTreeMap::from([
        ("a".to_owned(), looping(&shop, "11:00")),
        ("b".to_owned(), looping(&shop, "10:30")),
        ("c".to_owned(), looping(&blog, "11:00")),
    ]);
    let certificate = |state, names: &str| Certificate {
        id: id(),
        names: vec![names.to_owned()],
        issuer: String::new(),
        fingerprint: String::new(),
        not_before: at("00:00"),
        not_after: at("23:00"),
        default: false,
        state,
        warning: Some("it ends soon".to_owned()),
        created_at: at("00:00"),
    };
    let sees = Sees::Only(BTreeSet::from([shop.id.clone()]));
    let found = needs(
        &[work(plain.clone(), None), work(plain, Some("no output")), work(stuck, None)],
        &[failed(Cause::Build, "10:45"), failed(Cause::Superseded, "10:50")],
        &loops,
        vec![certificate(CertificateState::Serving, "a.example"), certificate(CertificateState::Expiring, "b.example")],
        Own { votes: vec![question(&production, "10:20")], channels: vec![channel(Some(at("10:10"))), channel(None)] },
        &sees,
    );
    let told: Vec<&str> = found
        .iter()
        .map(|need| match need {
            Need::Stuck(_) => "stuck",
            Need::CrashLoop { .. } => "loop",
            Need::Failed(_) => "failed",
            Need::Certificate { .. } => "certificate",
            Need::Stalled(_) => "stalled",
            Need::Approval { .. } => "approval",
            Need::Channel { .. } => "channel",
        })
        .collect();
    assert_eq!(told, ["failed", "loop", "stuck", "certificate", "approval", "channel", "stalled"]);
    let Need::CrashLoop { app, instances, at: since, .. } = &found[1] else { panic!("{found:?}") };
    assert_eq!((app.as_str(), *instances, *since), ("shop", 2, at("10:30")));
    let Need::Failed(trouble) = &found[0] else { panic!("{found:?}") };
    assert_eq!((trouble.why.as_str(), trouble.at), ("npm ci ended with 1", at("10:45")));
}

#[test]
fn what_is_at_work_is_told_by_environment() {
    let shop = app("shop");
    let production = environment(&shop, "production");
    let record = record(&shop.id, &production, Phase::Building);
    let signs = Signs { phase: Phase::Building, step_at: at("10:00"), beat_at: None, output_at: None, waits: false };
    let found = at_work(&[AtWork { record, signs, stalled: None }]);
    let working = &found[&production.id];
    assert_eq!((working.phase, working.progress, working.stuck), (Phase::Building, 40, false));
}
