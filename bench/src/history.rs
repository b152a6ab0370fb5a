//! Lists, searches and figures over a long past.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use domain::access::Sees;
use domain::analytics::{Window, report};
use domain::deployment::{Deployment, DeploymentKind, Metadata, PhaseTimes};
use domain::failure::{Cause, Failure};
use domain::phase::Phase;
use domain::queue::{Priority, rank};
use domain::release::Digest;
use domain::source::Commit;
use domain::spec::AppSpec;
use domain::{AppId, DeploymentId, EnvironmentId, ReleaseId};
use plimsoll_tests::postgres::Postgres;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use store::analytics::Scope;
use store::deployments::{self, Filter, Record};
use store::transfer::{Import, Row, Snapshot, TABLES};
use store::{DatabaseUrl, Store, StoreError, apps, environments, queue, releases};
use ulid::Ulid;

use crate::figure::{Figure, Goal, quantile};
use crate::{Outcome, table};

const APPS: usize = 10_000;
const DEPLOYMENTS: usize = 1_000_000;
/// As many of them are of one app.
const OF_ONE: usize = 100_000;
const RELEASES: usize = 5;
/// The newest, which wait.
const QUEUED: usize = 1000;
/// Before the tables that the past is counted in.
const COUNTED: &str = "m0013_analytics";
/// Of each question.
const TIMES: usize = 60;
const GOAL: Goal = Goal::Below(50.0);

/// 1,000,000 deployments of 10,000 apps, a tenth of them of one app: each question 60 times, with other words each time.
pub(crate) async fn run() -> Outcome {
    let dir = tempfile::Builder::new()
        .prefix("plimsoll-bench-")
        .tempdir_in(plimsoll_tests::server::binary().parent().unwrap())
        .map_err(|e| e.to_string())?;
    let template = template(&DatabaseUrl::sqlite(dir.path().join("template"))).await.map_err(|e| e.to_string())?;
    let mut figures = Vec::new();
    let sqlite = DatabaseUrl::sqlite(dir.path().join("db"));
    figures.extend(measure("SQLite", &sqlite, &template, || ()).await.map_err(|e| e.to_string())?);
    let postgres = Postgres::start();
    let url = postgres.create_database();
    let name = url.rsplit('/').next().unwrap().to_owned();
    let url: DatabaseUrl = url.parse().map_err(|e| format!("{e}"))?;
    // As it does by itself after a while.
    let analyze = || drop(postgres.sql(&name, "ANALYZE"));
    figures.extend(measure("PostgreSQL", &url, &template, analyze).await.map_err(|e| e.to_string())?);
    Ok(figures)
}

async fn measure(
    name: &str,
    url: &DatabaseUrl,
    template: &Template,
    settled: impl FnOnce(),
) -> Result<Vec<Figure>, StoreError> {
    eprintln!("  {name}: writing {DEPLOYMENTS} deployments …");
    let began = Instant::now();
    let (past, migrated) = fill(url, template).await?;
    eprintln!("  {name}: written and counted in {:.0} s", began.elapsed().as_secs_f64());
    settled();
    let store = Store::open(url).await?;
    let mut figures =
        vec![Figure::new(format!("{name}: counting and indexing the past, once"), migrated, "s", Goal::Shown)];
    figures.extend(lists(name, &store, &past).await?);
    figures.extend(queue(name, &store, &past).await?);
    figures.extend(sums(name, &store, &past).await?);
    store.close().await;
    // It takes long enough for somebody to want to see the first half.
    table::print(&figures);
    Ok(figures)
}

/// Asks `TIMES` times and gives p50 and p99, of which the latter has the goal.
async fn ask<'a>(
    what: String,
    goal: Goal,
    question: impl Fn(usize) -> futures::future::LocalBoxFuture<'a, Result<usize, StoreError>>,
) -> Result<[Figure; 2], StoreError> {
    let mut took = Vec::new();
    let mut found = 0;
    for n in 0..TIMES + 3 {
        let began = Instant::now();
        found += question(n).await?;
        // The first ones warm up.
        if n >= 3 {
            took.push(began.elapsed().as_secs_f64() * 1000.0);
        }
    }
    if found == 0 {
        eprintln!("  {what}: nothing was found");
    }
    Ok([
        Figure::new(format!("{what}, p50"), quantile(&took, 0.5), "ms", Goal::Shown),
        Figure::new(format!("{what}, p99"), quantile(&took, 0.99), "ms", goal),
    ])
}

async fn lists(name: &str, store: &Store, past: &Past) -> Result<Vec<Figure>, StoreError> {
    use futures::FutureExt;
    let pick = |n: usize| (n * 7919 + 13) % DEPLOYMENTS;
    let app = |n: usize| Some(past.apps[(n * 31) % (APPS - 1) + 1].0.clone());
    let one = || Some(past.apps[0].0.clone());
    let one_environment = || Some(past.apps[0].1.clone());
    let ago = |days: i64| Some(past.end - TimeDelta::days(days));
    let none = Filter::default;
    let search = |word: String| Filter { search: Some(word), ..Filter::default() };
    type Question<'a> = (&'a str, Box<dyn Fn(usize) -> (Filter, Option<DeploymentId>) + 'a>);
    let questions: Vec<Question<'_>> = vec![
        ("newest page", Box::new(|_| (none(), None))),
        ("page somewhere", Box::new(|n| (none(), Some(past.id(pick(n)))))),
        ("of an app", Box::new(|n| (Filter { app: app(n), ..none() }, None))),
        ("of the large app, page somewhere", Box::new(|n| (Filter { app: one(), ..none() }, Some(past.id(pick(n)))))),
        ("of its environment", Box::new(|_| (Filter { environment: one_environment(), ..none() }, None))),
        ("failed", Box::new(|n| (Filter { phase: Some(Phase::Failed), ..none() }, Some(past.id(pick(n)))))),
        (
            "a rare phase of the large app",
            Box::new(|_| (Filter { app: one(), phase: Some(Phase::RolledBack), ..none() }, None)),
        ),
        (
            "no such phase in its environment",
            Box::new(|_| (Filter { environment: one_environment(), phase: Some(Phase::Migrating), ..none() }, None)),
        ),
        ("not ended", Box::new(|_| (Filter { open: true, ..none() }, None))),
        (
            "not ended, in its environment",
            Box::new(|_| (Filter { open: true, environment: one_environment(), ..none() }, None)),
        ),
        ("asked for by", Box::new(|n| (Filter { requested_by: Some(by(n * 3)), ..none() }, None))),
        (
            "asked for by, of the large app",
            Box::new(|n| (Filter { app: one(), requested_by: Some(by(n * 3)), ..none() }, None)),
        ),
        (
            "asked for by, of an app",
            Box::new(|n| (Filter { app: app(n), requested_by: Some(by(n * 3)), ..none() }, None)),
        ),
        (
            "asked for by most, in a phase that none is in",
            Box::new(|_| (Filter { requested_by: Some(by(0)), phase: Some(Phase::Migrating), ..none() }, None)),
        ),
        (
            "asked for by nobody of that name, failed",
            Box::new(|_| (Filter { requested_by: Some("nobody".into()), phase: Some(Phase::Failed), ..none() }, None)),
        ),
        (
            "between two days",
            Box::new(|n| {
                let day = (n * 11 % 600) as i64;
                (Filter { since: ago(day + 1), until: ago(day), ..none() }, None)
            }),
        ),
        (
            "failed between two days, of the large app",
            Box::new(|n| {
                let day = (n * 11 % 600) as i64;
                let (since, until) = (ago(day + 1), ago(day));
                (Filter { since, until, app: one(), phase: Some(Phase::Failed), ..none() }, None)
            }),
        ),
        ("search: id", Box::new(|n| (search(past.id(pick(n)).to_string()[..14].to_owned()), None))),
        ("search: commit", Box::new(|n| (search(sha(pick(n))[..7].to_owned()), None))),
        (
            "search: commit, of the large app",
            Box::new(|n| (Filter { app: one(), ..search(sha(n)[..12].to_owned()) }, None)),
        ),
        ("search: tag of one release", Box::new(|n| (search(format!("v{}.{}", n * 100 + 1, n % RELEASES)), None))),
        ("search: tag of a third of all", Box::new(|n| (search("stable".into()), Some(past.id(pick(n)))))),
        ("search: the same, of an app", Box::new(|n| (Filter { app: app(n), ..search("stable".into()) }, None))),
        ("search: the same, of the large app", Box::new(|_| (Filter { app: one(), ..search("stable".into()) }, None))),
        (
            "search: tag of one release, of another app",
            Box::new(|n| (Filter { app: one(), ..search(format!("v{}.{}", n * 100 + 1, n % RELEASES)) }, None)),
        ),
        ("search: nothing", Box::new(|_| (search("fffffffffffffff".into()), None))),
    ];
    let mut figures = Vec::new();
    for (what, question) in &questions {
        let asked = ask(format!("{name}: deployments, {what}"), GOAL, |n| {
            let (filter, before) = question(n);
            async move { Ok(deployments::list(store, &filter, before.as_ref(), 51).await?.len()) }.boxed_local()
        });
        figures.extend(asked.await?);
    }
    let page = ask(format!("{name}: apps, a page"), GOAL, |n| {
        let after = past.apps[n * 97 % APPS].2.parse().ok();
        async move { Ok(apps::list(store, after.as_ref(), 51).await?.len()) }.boxed_local()
    });
    figures.extend(page.await?);
    let found = ask(format!("{name}: apps, search"), GOAL, |n| {
        let part = format!("{:03}", n * 17 % 1000);
        async move { Ok(apps::list_named(store, &Sees::All, Some(&part), None, 51).await?.len()) }.boxed_local()
    });
    figures.extend(found.await?);
    Ok(figures)
}

/// Pages of the queue, and the place of one in it.
async fn queue(name: &str, store: &Store, past: &Past) -> Result<Vec<Figure>, StoreError> {
    use futures::FutureExt;
    type Question<'a> = (&'a str, Box<dyn Fn(usize) -> (queue::Filter, Option<queue::Place>) + 'a>);
    let none = queue::Filter::default;
    let place = |n: usize| Some(past.place(DEPLOYMENTS - QUEUED + n * 13 % QUEUED));
    let (app, environment) = (past.apps[0].0.clone(), past.apps[0].1.clone());
    let questions: Vec<Question<'_>> = vec![
        ("first page", Box::new(|_| (none(), None))),
        ("page somewhere", Box::new(|n| (none(), place(n)))),
        (
            "of the large app, page somewhere",
            Box::new(|n| (queue::Filter { app: Some(app.clone()), ..none() }, place(n / 2))),
        ),
        (
            "of its environment",
            Box::new(|_| (queue::Filter { environment: Some(environment.clone()), ..none() }, None)),
        ),
    ];
    let mut figures = Vec::new();
    for (what, question) in &questions {
        let asked = ask(format!("{name}: queue, {what}"), GOAL, |n| {
            let (filter, after) = question(n);
            async move { Ok(queue::list(store, &filter, after.as_ref(), 51).await?.len()) }.boxed_local()
        });
        figures.extend(asked.await?);
    }
    let ahead = ask(format!("{name}: queue, place of one"), GOAL, |n| {
        let id = past.id(DEPLOYMENTS - QUEUED + n * 13 % QUEUED);
        async move {
            let entry = queue::find(store, &id).await?.ok_or_else(|| StoreError::Internal(format!("{id} waits")))?;
            Ok(queue::ahead(store, &none(), &entry).await? as usize)
        }
        .boxed_local()
    });
    figures.extend(ahead.await?);
    Ok(figures)
}

async fn sums(name: &str, store: &Store, past: &Past) -> Result<Vec<Figure>, StoreError> {
    use futures::FutureExt;
    let mut figures = Vec::new();
    // The goal is one of lists; these add up a row of each day and each length of time.
    let all = [("of all, 30 days", Scope::All, 30), ("of all, a year", Scope::All, 365)];
    let one = Scope::Environments(vec![past.apps[0].1.clone()]);
    for (what, scope, days) in all.into_iter().chain([("of the large app, two years", one, 730)]) {
        let since = past.end - TimeDelta::days(days);
        let scope = &scope;
        let asked = ask(format!("{name}: analytics {what}"), Goal::Shown, |_| {
            async move {
                let counted = store::analytics::counted(store, scope, since).await?;
                let failures = store::analytics::failures(store, scope, since).await?;
                let made = report(Window { since, until: Utc::now() }, counted, failures);
                Ok(made.changes.total as usize)
            }
            .boxed_local()
        });
        figures.extend(asked.await?);
    }
    let open = ask(format!("{name}: count of those not ended"), GOAL, |_| {
        async move { Ok(deployments::count_open(store).await?.len()) }.boxed_local()
    });
    figures.extend(open.await?);
    Ok(figures)
}

/// One row of each table as the store writes it, to be copied with other values.
struct Template {
    migrations: Vec<String>,
    rows: BTreeMap<&'static str, Row>,
}

async fn template(url: &DatabaseUrl) -> Result<Template, StoreError> {
    let store = Store::open(url).await?;
    let tx = store.write().await?;
    let at = Utc::now();
    let id = || Ulid::from_parts(1, 1);
    let app = apps::App { id: AppId::from_ulid(id()), name: name("x"), source: None, created_at: at, concurrency: 2 };
    apps::insert(&tx, &app).await?;
    let environment = environments::Environment {
        id: EnvironmentId::from_ulid(id()),
        app_id: app.id.clone(),
        app: app.name.clone(),
        name: name("production"),
        generation: 0,
        acting: None,
        active_deployment: None,
        active_generation: 0,
        active_release: None,
        created_at: at,
        host: "bench".to_owned(),
        running: None,
        supersede: Default::default(),
    };
    environments::insert(&tx, &environment).await?;
    let release = releases::NewRelease {
        id: ReleaseId::from_ulid(id()),
        app_id: app.id.clone(),
        digest: Digest("d".repeat(64)),
        artifact: Digest("d".repeat(64)),
        promoted_from: None,
        commit: None,
        spec: AppSpec { builds: vec![], build_limits: Default::default(), components: vec![], smoke_tests: vec![] },
        size: 1,
        files: 1,
        tags: vec![],
        metadata: BTreeMap::new(),
        snapshot: vec![1; 100],
        created_at: at,
    };
    releases::insert_or_get(&tx, &release).await?;
    let record = Record {
        app_id: app.id.clone(),
        environment_id: environment.id.clone(),
        deployment: deployment(0, at, &app.name.to_string(), 1),
    };
    deployments::insert(&tx, &record).await?;
    let entry = queue::Entry {
        deployment: record.deployment.id.clone(),
        app: app.id.clone(),
        environment: environment.id.clone(),
        host: environment.host.clone(),
        priority: Priority::Normal,
        rank: 0,
        not_before: None,
        enqueued_at: at,
        attempt: 1,
        held: false,
    };
    queue::insert(&tx, &entry).await?;
    tx.commit().await?;
    store.close().await;

    let snapshot = Snapshot::open(url).await?;
    let migrations = snapshot.migrations().iter().take_while(|name| *name != COUNTED).cloned().collect();
    let mut rows = BTreeMap::new();
    for table in TABLES {
        let take = |batch: Vec<Row>| {
            rows.extend(batch.into_iter().next().map(|row| (table, row)));
            Ok::<(), StoreError>(())
        };
        snapshot.rows(table, take).await?;
    }
    // What has come since.
    for (table, column) in [("deployments", "commit_sha"), ("releases", "files_gone_at"), ("queue", "held")] {
        rows.get_mut(table).unwrap().remove(column);
    }
    Ok(Template { migrations, rows })
}

/// What was written, for questions about it.
struct Past {
    end: DateTime<Utc>,
    /// Apps with their environments and names; the first is the large one.
    apps: Vec<(AppId, EnvironmentId, String)>,
    began: DateTime<Utc>,
}

/// Between two deployments: a million in two years.
const STEP_MS: i64 = 63_000;

impl Past {
    fn id(&self, n: usize) -> DeploymentId {
        id(n, self.at(n))
    }

    /// Of one that waits.
    fn place(&self, n: usize) -> queue::Place {
        queue::Place { rank: rank(self.at(n), None, Priority::Normal), deployment: self.id(n) }
    }

    fn at(&self, n: usize) -> DateTime<Utc> {
        self.began + TimeDelta::milliseconds(STEP_MS * n as i64)
    }

    /// The app of the nth deployment.
    fn app(n: usize) -> usize {
        let every = DEPLOYMENTS / OF_ONE;
        if n.is_multiple_of(every) { 0 } else { 1 + (n * 7) % (APPS - 1) }
    }
}

fn id(n: usize, at: DateTime<Utc>) -> DeploymentId {
    DeploymentId::from_ulid(Ulid::from_parts(at.timestamp_millis() as u64, n as u128))
}

fn sha(n: usize) -> String {
    let mut rng = SmallRng::seed_from_u64(n as u64);
    format!("{:016x}{:016x}{:08x}", rng.random::<u64>(), rng.random::<u64>(), rng.random::<u32>())
}

fn by(n: usize) -> String {
    match n % 10 {
        0..=5 => "ci".to_owned(),
        _ => format!("person-{}", n % 97),
    }
}

fn name(text: &str) -> domain::Name {
    text.parse().unwrap()
}

fn deployment(n: usize, at: DateTime<Utc>, app: &str, generation: u64) -> Deployment {
    let phase = match n % 100 {
        _ if n + QUEUED >= DEPLOYMENTS => Phase::Queued,
        0..=89 => Phase::Active,
        90..=95 => Phase::Failed,
        96..=98 => Phase::Cancelled,
        _ => Phase::RolledBack,
    };
    let mut rng = SmallRng::seed_from_u64(n as u64);
    let mut times = Vec::new();
    let mut now = at;
    let passed = [Phase::Queued, Phase::PullingSource, Phase::Building, Phase::CopyingFiles, Phase::HealthCheck];
    for phase in passed {
        let next = now + TimeDelta::milliseconds(rng.random_range(5..20_000));
        times.push(PhaseTimes { phase, started_at: now, finished_at: Some(next) });
        now = next;
    }
    times.push(PhaseTimes { phase, started_at: now, finished_at: Some(now) });
    let failure = matches!(phase, Phase::Failed | Phase::RolledBack).then(|| Failure {
        phase: passed[n % 5],
        cause: [Cause::Build, Cause::HealthCheck, Cause::Limit][n % 3],
        message: "the build command ended with the exit code 1".into(),
        output: vec!["npm error code ELIFECYCLE".into(); 5],
        hint: "see the output".into(),
        smoke_tests: Vec::new(),
    });
    let commit = Commit {
        sha: sha(n),
        summary: "Make it faster".into(),
        author: "Zoë <zoe@example.org>".into(),
        time: at.timestamp() - 3600,
    };
    Deployment {
        id: id(n, at),
        app: name(app),
        environment: name("production"),
        kind: if n % 50 == 7 { DeploymentKind::Rollback } else { DeploymentKind::Deploy },
        generation,
        phase,
        progress: 100,
        source: None,
        release: None,
        release_number: None,
        metadata: Metadata {
            commit: Some(commit),
            urls: vec![format!("http://{app}.localhost")],
            ..Metadata::default()
        },
        phases: times,
        failure,
        cancelling: false,
        stuck: None,
        requested_by: by(n),
        created_at: at,
        updated_at: now,
        finished_at: phase.is_end().then_some(now),
    }
}

/// Writes it all, and has it counted; how many seconds the latter took.
async fn fill(url: &DatabaseUrl, template: &Template) -> Result<(Past, f64), StoreError> {
    let end = Utc::now();
    let began = end - TimeDelta::milliseconds(STEP_MS * DEPLOYMENTS as i64);
    let ulid = |n: usize| Ulid::from_parts(began.timestamp_millis() as u64, n as u128);
    let apps = (0..APPS).map(|n| (AppId::from_ulid(ulid(n)), EnvironmentId::from_ulid(ulid(n)), format!("app-{n:05}")));
    let past = Past { end, apps: apps.collect(), began };
    let release = |app: usize, n: usize| ReleaseId::from_ulid(ulid(app * RELEASES + n)).to_string();
    let import = Import::begin(url, &template.migrations).await?;
    let copy = |table: &str, values: Value| {
        let mut row = template.rows[table].clone();
        row.extend(values.as_object().unwrap().clone());
        row
    };

    let rows = |table: &'static str, of: Box<dyn Fn(usize) -> Value + '_>| -> Vec<Row> {
        (0..APPS).map(|n| copy(table, of(n))).collect()
    };
    let made = began.timestamp_micros();
    let row = |n: usize| json!({ "id": past.apps[n].0, "name": past.apps[n].2, "user_number": n, "created_at": made });
    import.rows("apps", &rows("apps", Box::new(row))).await?;
    let mut all = Vec::new();
    for app in 0..APPS {
        for n in 0..RELEASES {
            let mut tags = vec![format!("v{app}.{n}")];
            tags.extend((app % 3 == 0).then(|| "stable".to_owned()));
            all.push(copy(
                "releases",
                json!({
                    "id": release(app, n), "app_id": past.apps[app].0, "number": n + 1, "digest": format!("{n:064}"),
                    "tags": serde_json::to_string(&tags).unwrap(), "created_at": made,
                }),
            ));
        }
    }
    import.rows("releases", &all).await?;
    let row = |n: usize| {
        let (app, environment, name) = &past.apps[n];
        json!({ "id": environment, "app_id": app, "app": name, "created_at": made, "generation": DEPLOYMENTS })
    };
    import.rows("environments", &rows("environments", Box::new(row))).await?;
    let mut generations = vec![0_u64; APPS];
    let mut batch = Vec::new();
    let mut waiting = Vec::new();
    for n in 0..DEPLOYMENTS {
        let app = Past::app(n);
        generations[app] += 1;
        let (app_id, environment_id, name) = &past.apps[app];
        let d = deployment(n, past.at(n), name, generations[app]);
        let json = |value: Value| value.to_string();
        batch.push(copy(
            "deployments",
            json!({
                "id": d.id, "app_id": app_id, "environment_id": environment_id, "app": name, "environment": "production",
                "kind": d.kind, "generation": d.generation, "phase": d.phase, "progress": 100,
                "release_id": release(app, n % RELEASES), "release_number": n % RELEASES + 1,
                "metadata": json(json!(d.metadata)), "phases": json(json!(d.phases)),
                "failure": d.failure.map(|failure| json(json!(failure))), "requested_by": d.requested_by,
                "created_at": d.created_at.timestamp_micros(), "updated_at": d.updated_at.timestamp_micros(),
                "finished_at": d.finished_at.map(|at| at.timestamp_micros()),
            }),
        ));
        if d.phase == Phase::Queued {
            let (place, at) = (past.place(n), past.at(n).timestamp_micros());
            waiting.push(copy(
                "queue",
                json!({
                    "deployment_id": place.deployment, "app_id": app_id, "environment_id": environment_id,
                    "rank": place.rank, "enqueued_at": at,
                }),
            ));
        }
        if batch.len() == 5000 || n + 1 == DEPLOYMENTS {
            import.rows("deployments", &batch).await?;
            batch.clear();
        }
    }
    import.rows("queue", &waiting).await?;
    let counting = Instant::now();
    import.finish().await?;
    Ok((past, counting.elapsed().as_secs_f64()))
}
