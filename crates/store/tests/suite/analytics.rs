//! Counts of how deployments went.

use chrono::{DateTime, TimeDelta, Utc};
use domain::analytics::{Analytics, Window, report};
use domain::deployment::{DeploymentKind, Metadata, PhaseTimes};
use domain::failure::{Cause, Failure};
use domain::phase::Phase;
use domain::source::Commit;
use sea_orm::ConnectionTrait;
use store::analytics::Scope;
use store::deployments::{self, DeploymentUpdate};
use store::environments::{self, Environment};
use store::{Store, Tx, apps};

use crate::database::Database;
use crate::fixture::{self, kept};

/// A deployment that was asked for at `kept`, and ended a minute later in `end`, after 50 seconds of building.
struct Past {
    kind: DeploymentKind,
    end: Phase,
    cause: Option<Cause>,
    commit: Option<char>,
    /// Days after `kept`.
    day: i64,
}

const GOOD: Past = Past { kind: DeploymentKind::Deploy, end: Phase::Active, cause: None, commit: Some('a'), day: 0 };

async fn past(tx: &Tx, environment: &Environment, past: Past) -> domain::DeploymentId {
    let generation = environments::next_generation(tx, &environment.id).await.unwrap();
    let mut record = fixture::new_deployment(environment, generation);
    let from = kept() + TimeDelta::days(past.day);
    let at = |seconds| from + TimeDelta::seconds(seconds);
    (record.deployment.kind, record.deployment.created_at) = (past.kind, at(0));
    deployments::insert(tx, &record).await.unwrap();
    let times = |phase, from, to| PhaseTimes { phase, started_at: at(from), finished_at: Some(at(to)) };
    let commit = past.commit.map(|digit| Commit {
        sha: digit.to_string().repeat(40),
        summary: String::new(),
        author: String::new(),
        time: (kept() - TimeDelta::hours(1)).timestamp(),
    });
    let failure = past.cause.map(|cause| Failure {
        phase: Phase::Building,
        cause,
        message: String::new(),
        output: Vec::new(),
        hint: String::new(),
        smoke_tests: Vec::new(),
    });
    let phases = vec![times(Phase::Queued, 0, 10), times(Phase::Building, 10, 60), times(past.end, 60, 60)];
    let steps = match past.end {
        Phase::Active | Phase::RolledBack => vec![Phase::HealthCheck, past.end],
        end => vec![Phase::Building, end],
    };
    for phase in steps {
        let update = DeploymentUpdate {
            phase: Some(phase),
            metadata: Some(Metadata { commit: commit.clone(), switched_at: Some(at(50)), ..Metadata::default() }),
            phases: Some(phases.clone()),
            failure: failure.clone(),
            ..DeploymentUpdate::default()
        };
        deployments::update(tx, &record.deployment.id, at(60), update).await.unwrap();
    }
    record.deployment.id
}

async fn figures(store: &Store, scope: &Scope, since: DateTime<Utc>) -> Analytics {
    let counted = store::analytics::counted(store, scope, since).await.unwrap();
    // Day by day it is the same.
    let by_day = store::analytics::counted_by_day(store, scope, since).await.unwrap();
    let all = |counted: Vec<domain::analytics::Counted>| {
        let window = Window { since, until: since + TimeDelta::days(30) };
        report(window, counted, Vec::new())
    };
    assert_eq!(all(counted.clone()), all(by_day.iter().map(|(_, counted)| *counted).collect()));
    assert!(by_day.iter().all(|(day, _)| *day >= domain::analytics::day_of(since)));
    let failures = store::analytics::failures(store, scope, since).await.unwrap();
    report(Window { since, until: since + TimeDelta::days(30) }, counted, failures)
}

/// What `fill` has made of production.
fn check(production: &Analytics, last_failed: &domain::DeploymentId) {
    let changes = production.changes;
    assert_eq!((changes.total, changes.active, changes.failed, changes.rolled_back), (7, 3, 2, 1));
    assert_eq!((changes.superseded, production.rollbacks.active), (1, 1));
    assert_eq!(changes.success_rate, Some(0.5));
    assert_eq!(production.failures.len(), 2, "{:?}", production.failures);
    assert_eq!((production.failures[0].cause, production.failures[0].count), (Cause::Build, 2));
    assert_eq!(&production.failures[0].last, last_failed);
    let building = production.phases.iter().find(|p| p.phase == Phase::Building).unwrap();
    assert_eq!((building.good.count, building.failed.count), (4, 3));
    assert!((building.good.p50_ms.unwrap() / 50_000.0 - 1.0).abs() < 0.05, "{building:?}");
    let dora = production.dora;
    assert_eq!((dora.deployments, dora.lead_time.count), (3, 2), "a commit is new once");
    // One was taken back by itself, one rolled back.
    assert_eq!((dora.failed_changes, dora.change_failure_rate), (2, Some(0.5)));
    assert!((dora.time_to_restore.p95_ms.unwrap() / 10_000.0 - 1.0).abs() < 0.05, "{dora:?}");
}

async fn fill(tx: &Tx, production: &Environment, staging: &Environment) -> domain::DeploymentId {
    let failed = || Past { end: Phase::Failed, cause: Some(Cause::Build), ..GOOD };
    past(tx, production, GOOD).await;
    past(tx, production, failed()).await;
    let last = past(tx, production, failed()).await;
    past(tx, production, GOOD).await;
    past(tx, production, Past { end: Phase::RolledBack, cause: Some(Cause::Verification), ..GOOD }).await;
    past(tx, production, Past { cause: Some(Cause::Superseded), end: Phase::Failed, ..GOOD }).await;
    past(tx, production, Past { commit: Some('b'), ..GOOD }).await;
    past(tx, production, Past { kind: DeploymentKind::Rollback, commit: None, ..GOOD }).await;
    past(tx, staging, Past { day: 40, ..GOOD }).await;
    last
}

pub(crate) async fn counts(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let production = fixture::environment(&tx, &app, "production").await;
    let staging = fixture::environment(&tx, &app, "staging").await;
    let last = fill(&tx, &production, &staging).await;
    tx.commit().await.unwrap();

    let of = |environment: &Environment| Scope::Environments(vec![environment.id.clone()]);
    check(&figures(&store, &of(&production), kept()).await, &last);
    assert_eq!(figures(&store, &of(&staging), kept()).await.changes.total, 1);
    let both = Scope::Environments(vec![production.id.clone(), staging.id.clone()]);
    let (both, all) = (figures(&store, &both, kept()).await, figures(&store, &Scope::All, kept()).await);
    assert_eq!((both.changes.total, &both), (8, &all));
    let later = figures(&store, &Scope::All, kept() + TimeDelta::days(1)).await;
    assert_eq!((later.changes.total, later.failures.len()), (1, 0), "from that day on");
    assert_eq!(figures(&store, &Scope::Environments(Vec::new()), kept()).await.changes.total, 0);

    // What an environment's counts were goes with it, and stays in the sum.
    let tx = store.write().await.unwrap();
    environments::delete(&tx, &staging.id).await.unwrap();
    apps::purge(&tx, &app.id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(figures(&store, &of(&production), kept()).await.changes.total, 0);
    assert_eq!(figures(&store, &Scope::All, kept()).await, all);
}

/// The migration counts what the ends of deployments would have.
pub(crate) async fn backfill(db: Database) {
    let store = db.open().await;
    let tx = store.write().await.unwrap();
    let app = fixture::app(&tx, "shop").await;
    let production = fixture::environment(&tx, &app, "production").await;
    let staging = fixture::environment(&tx, &app, "staging").await;
    let last = fill(&tx, &production, &staging).await;
    tx.commit().await.unwrap();
    let all = figures(&store, &Scope::All, kept()).await;
    let found = deployments::list(&store, &commit("aaaaaaa"), None, 50).await.unwrap();
    store.close().await;

    let raw = db.raw().await;
    for table in ["durations", "failure_points", "deployment_tags"] {
        raw.execute_unprepared(&format!("DROP TABLE {table}")).await.unwrap();
    }
    for name in [
        "commit_sha_id",
        "requested_by_id",
        "app_id_phase_id",
        "environment_id_phase_id",
        "open_all",
        "open_app",
        "open_environment",
    ] {
        raw.execute_unprepared(&format!("DROP INDEX deployments_{name}")).await.unwrap();
    }
    for sql in [
        "ALTER TABLE deployments DROP COLUMN commit_sha",
        "DELETE FROM seaql_migrations WHERE version = 'm0013_analytics'",
    ] {
        raw.execute_unprepared(sql).await.unwrap();
    }
    raw.close().await.unwrap();

    let store = db.open().await;
    assert_eq!(figures(&store, &Scope::All, kept()).await, all);
    check(&figures(&store, &Scope::Environments(vec![production.id]), kept()).await, &last);
    assert_eq!(deployments::list(&store, &commit("aaaaaaa"), None, 50).await.unwrap(), found);
}

fn commit(digits: &str) -> deployments::Filter {
    deployments::Filter { search: Some(digits.to_owned()), ..Default::default() }
}
