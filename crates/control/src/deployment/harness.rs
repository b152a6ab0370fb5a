//! The deployment sagas in the saga harness, with a real database, a real ingress and real
//! processes: whatever goes wrong, exactly one release serves afterwards, nothing is left
//! behind, and the outcome is what is seen from outside.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use chrono::Utc;
use domain::deployment::{Deployment, DeploymentKind, Metadata};
use domain::instance::InstanceState;
use domain::phase::Phase;
use domain::promotion::PromotionRecord;
use domain::release::{Release, promoted_digest};
use domain::route::{Host, PathPrefix};
use domain::source::Source;
use domain::{AppId, DeploymentId, EnvironmentId, ReleaseId};
use runtime::{Executor, Ports, ProcessRuntime, Sites, Supervisor};
use saga::harness::{Case, Fault, Harness};
use saga::{Cancel, Engine, Event, Fence, HistoryOf, Journal, Outcome, OutcomeOf, Record, Saga, SagaId, Step, Way};
use store::{DatabaseUrl, Store};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::journal::{StoreJournal, abandon};
use super::state::{Order, ReleaseRef};
use super::{Deploy, Deploying, Promotion, Rollback, State, World};
use crate::environment::data_key;
use crate::layout::Layout;
use crate::output::Outputs;
use crate::reconcile::correct_idle;
use crate::vault::Vault;

/// What a test's world leaves behind goes when the world does.
#[derive(Default)]
pub(crate) struct Guard {
    /// The data folder, and the runtime of the instances below it.
    inner: Option<(tempfile::TempDir, ProcessRuntime)>,
    ingress: CancellationToken,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.ingress.cancel();
        let Some((dir, runtime)) = self.inner.take() else { return };
        // A thread, as there is no waiting for a future in here.
        let cleaned = std::thread::spawn(move || {
            let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            tokio.block_on(runtime.clean(&BTreeSet::new()));
            drop(dir);
        });
        let _ = cleaned.join();
    }
}

/// What the cases of one test start from, by data folder.
static STARTS: LazyLock<Mutex<HashMap<PathBuf, Start>>> = LazyLock::new(Mutex::default);

#[derive(Clone)]
struct Start {
    state: State,
    /// What serves before.
    before: ReleaseId,
}

/// The product's binary, which supervises the processes; `make test` builds it first.
fn plimsoll() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let path = exe.parent().and_then(Path::parent).unwrap().join("plimsoll");
    assert!(path.exists(), "{} is missing: run `cargo build -p plimsoll` first", path.display());
    path
}

/// Answers everything with its version. Without what is slow to import: it is started a few thousand times.
const SERVE: &str = "
import _thread, os, socket
body = open('version').read()
text = f'HTTP/1.1 200 OK\\r\\nContent-Length: {len(body)}\\r\\nConnection: close\\r\\n\\r\\n{body}'.encode()
def answer(client):
    with client:
        if client.recv(65536):
            client.sendall(text)
server = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))
while True:
    _thread.start_new_thread(answer, server.accept()[:1])
";

/// Python itself: what stands on `PATH` may be a script that looks for it at each start.
fn python() -> String {
    let found = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    assert!(found.status.success(), "python3: {}", String::from_utf8_lossy(&found.stderr));
    String::from_utf8(found.stdout).unwrap().trim().to_owned()
}

/// A database in which nothing is yet: each world has a copy, as making the tables takes longer than most cases.
static EMPTY: OnceCell<Vec<u8>> = OnceCell::const_new();

async fn empty_database() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("empty.db");
    Store::open(&DatabaseUrl::sqlite(file.clone())).await.unwrap().close().await;
    std::fs::read(file).unwrap()
}

/// A repository with two versions of an app: a process with a release command, and a static part.
static REPOSITORY: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let git = |args: &[&str]| {
        let ran = Command::new("git").arg("-C").arg(dir.path()).args(args).output().unwrap();
        assert!(ran.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["config", "user.name", "test"]);
    git(&["config", "user.email", "test@localhost"]);
    write("serve.py", SERVE);
    std::fs::create_dir(dir.path().join("pages")).unwrap();
    write("pages/index.html", "<p>pages");
    let config = "[[smoke_tests]]\nname = \"it answers\"\ncomponent = \"web\"\n\
         [components.web]\nkind = \"procfile\"\nstart = \"exec PYTHON -I -S serve.py\"\nrelease = \"true\"\n\
         [components.web.health]\npath = \"/\"\ninterval = \"50ms\"\n\
         [components.pages]\nkind = \"static\"\nroot = \"pages\"\n[[components.pages.routes]]\npath = \"/pages\"\n";
    write("plimsoll.toml", &config.replace("PYTHON", &python()));
    for version in ["one", "two"] {
        write("version", version);
        git(&["add", "-A"]);
        git(&["commit", "-q", "-m", version]);
        git(&["tag", version]);
    }
    dir
});

/// Ports that no other world has at the same time, be it of this test (`lane`) or of one that runs beside it: two
/// worlds don't know of each other, and a port that both found free would be taken by one.
fn ports(lane: u16) -> Ports {
    static WORLDS: AtomicU16 = AtomicU16::new(0);
    // Below those that the system hands out by itself.
    let first = 30_000 + lane * 460 + WORLDS.fetch_add(1, Ordering::Relaxed) % 57 * 8;
    Ports::new(first..=first + 7)
}

/// A world in which version one serves, and a deployment of version two is recorded: from source, a rollback to it, or a
/// promotion from another environment.
pub(super) async fn world(kind: DeploymentKind, lane: u16) -> World {
    let stop = CancellationToken::new();
    let world = bare(lane, stop.clone()).await;
    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let options = ingress::Options::new(world.layout.ingress(), listen);
    std::fs::create_dir_all(world.layout.ingress()).unwrap();
    tokio::spawn(ingress::serve(options, stop.cancelled_owned()));
    for _ in 0..200 {
        if world.ingress.status().await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    prepare(world, kind).await
}

/// A world in which nothing is recorded and no ingress runs. Its end fires `stop`.
pub(super) async fn bare(lane: u16, stop: CancellationToken) -> World {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::prepare(dir.path()).unwrap();
    std::fs::write(layout.database(), EMPTY.get_or_init(empty_database).await).unwrap();
    let store = Store::open(&DatabaseUrl::sqlite(layout.database())).await.unwrap();
    let vault = Vault::open(&layout.key(), true).unwrap();
    let client = ingress::Client::new(layout.ingress());
    let supervisor = Supervisor { binary: plimsoll(), args: vec!["supervise".to_owned()] };
    let runtime = ProcessRuntime::new(layout.instances(), supervisor).unwrap();
    World {
        executor: Executor::new(layout.data()),
        host: runtime::Host::new(layout.data(), Some(runtime::Users::default()), &[]),
        most: Default::default(),
        sites: Sites::new(layout.sites()).unwrap(),
        ingress: client,
        ports: ports(lane),
        git: forge::Git::new(layout.repositories()),
        uploads: Default::default(),
        archives: Default::default(),
        outputs: Outputs::new(layout.clone()),
        domain: "localhost".to_owned(),
        own_hosts: vec!["localhost".parse().unwrap()],
        counters: Arc::default(),
        toolchain: OnceCell::new(),
        watch: Duration::from_millis(50),
        _guard: Guard { inner: Some((dir, runtime.clone())), ingress: stop },
        runtime,
        vault,
        layout,
        store,
    }
}

/// An app with the environments `production` and `staging`.
pub(super) async fn places(world: &World) -> (AppId, EnvironmentId, EnvironmentId) {
    let (app, environment) = (AppId::from_ulid(Ulid::generate()), EnvironmentId::from_ulid(Ulid::generate()));
    let tx = world.store.write().await.unwrap();
    let row = store::apps::App {
        id: app.clone(),
        name: "hello".parse().unwrap(),
        source: None,
        created_at: Utc::now(),
        concurrency: domain::queue::CONCURRENCY,
    };
    store::apps::insert(&tx, &row).await.unwrap();
    let staging = EnvironmentId::from_ulid(Ulid::generate());
    for (id, name) in [(&environment, "production"), (&staging, "staging")] {
        let row = store::environments::Environment {
            id: id.clone(),
            app_id: app.clone(),
            app: "hello".parse().unwrap(),
            name: name.parse().unwrap(),
            generation: 0,
            acting: None,
            active_deployment: None,
            active_generation: 0,
            active_release: None,
            created_at: Utc::now(),
            host: "here".to_owned(),
            running: None,
            supersede: Default::default(),
        };
        store::environments::insert(&tx, &row).await.unwrap();
    }
    tx.commit().await.unwrap();
    (app, environment, staging)
}

async fn prepare(world: World, kind: DeploymentKind) -> World {
    let (app, environment, staging) = places(&world).await;
    let world = Arc::new(world);
    let first = match kind {
        DeploymentKind::Deploy => None,
        DeploymentKind::Rollback => Some(record(&world, &app, &environment, "production", "two").await),
        DeploymentKind::Promotion => Some(record(&world, &app, &staging, "staging", "two").await),
    };
    if let Some(state) = first {
        run(&world, state).await;
    }
    let before = run(&world, record(&world, &app, &environment, "production", "one").await).await;
    let mut state = record(&world, &app, &environment, "production", "two").await;
    if kind == DeploymentKind::Promotion {
        let two = store::releases::find_by_number(&world.store, &app, 1).await.unwrap().unwrap();
        state = promotion(&world, state.order, two).await;
    }
    if kind == DeploymentKind::Rollback {
        let two = store::releases::find_by_number(&world.store, &app, 1).await.unwrap().unwrap();
        let (spec, commit) = (two.spec.clone(), two.commit.clone());
        let order = Order { kind, ..state.order };
        state = State::rollback(order, two.into(), spec, commit);
    }
    STARTS.lock().unwrap().insert(world.layout.data().to_owned(), Start { state, before: before.id });
    Arc::into_inner(world).expect("nothing else holds the world")
}

/// The state with which the handler accepts a promotion.
async fn promotion(world: &World, order: Order, release: Release) -> State {
    let tx = world.store.write().await.unwrap();
    let key = data_key(&tx, &world.vault, &order.environment).await.unwrap();
    tx.commit().await.unwrap();
    let digest = promoted_digest(&release.artifact, &BTreeMap::new(), &key.digest_key());
    let record = PromotionRecord {
        from: "staging".parse().unwrap(),
        release: release.id,
        number: release.number,
        forced: None,
        findings: Vec::new(),
    };
    let Release { artifact, size, files, spec, commit, .. } = release;
    let promotion = super::state::Promotion { record, artifact, size, files };
    let order = Order { kind: DeploymentKind::Promotion, source: None, promotion: Some(promotion), ..order };
    State::promotion(order, digest, None, spec, commit)
}

/// Records a deployment as the handler does.
pub(super) async fn record(world: &World, app: &AppId, environment: &EnvironmentId, name: &str, tag: &str) -> State {
    let id = DeploymentId::from_ulid(Ulid::generate());
    let source = Source::Git { url: REPOSITORY.path().display().to_string(), reference: Some(tag.to_owned()) };
    let tx = world.store.write().await.unwrap();
    let generation = store::environments::next_generation(&tx, environment).await.unwrap();
    let now = Utc::now();
    let deployment = Deployment {
        id: id.clone(),
        app: "hello".parse().unwrap(),
        environment: name.parse().unwrap(),
        kind: DeploymentKind::Deploy,
        generation,
        phase: Phase::Queued,
        progress: 0,
        source: Some(source.clone()),
        release: None,
        release_number: None,
        metadata: Metadata::default(),
        phases: Vec::new(),
        failure: None,
        cancelling: false,
        stuck: None,
        requested_by: "test".to_owned(),
        created_at: now,
        updated_at: now,
        finished_at: None,
    };
    let row = store::deployments::Record { app_id: app.clone(), environment_id: environment.clone(), deployment };
    store::deployments::insert(&tx, &row).await.unwrap();
    store::sagas::create(&tx, id.as_str(), <Deploy as saga::Saga>::NAME, 1).await.unwrap();
    tx.commit().await.unwrap();
    State::deploy(Order {
        kind: DeploymentKind::Deploy,
        deployment: id,
        app: app.clone(),
        app_name: "hello".parse().unwrap(),
        environment: environment.clone(),
        environment_name: name.parse().unwrap(),
        generation,
        source: Some(source),
        promotion: None,
        plan: None,
        approval: None,
        labels: domain::labels::Labels { tags: vec![tag.parse().unwrap()], ..Default::default() },
    })
}

/// Runs a deployment to its end over the real journal.
async fn run(world: &Arc<World>, state: State) -> ReleaseRef {
    let journal: Arc<dyn Journal<Deploy>> = Arc::new(StoreJournal::new(world.store.clone(), world.counters.clone()));
    let engine = Engine::<Deploy>::new(journal, world.clone(), Vec::new()).unwrap();
    let id = SagaId::new(state.order.deployment.as_str());
    engine.start(&id, Fence(0), state).await.unwrap();
    match engine.run(&id, Fence(0), &Cancel::new()).await.unwrap() {
        Outcome::Done(state) => state.release.unwrap(),
        other => panic!("it ended {}: {other:?}", other.name()),
    }
}

/// What the world must look like after an outcome.
async fn check(world: Arc<World>, outcome: OutcomeOf<Deploy>) -> Result<(), String> {
    let start = STARTS.lock().unwrap()[world.layout.data()].clone();
    let order = &start.state.order;
    let ours = match &outcome {
        Outcome::Done(_) => true,
        Outcome::Undone { .. } => false,
        Outcome::Stuck { stage, error, .. } => return Err(format!("stuck at {stage}: {error}")),
    };
    let host: Host = "hello.localhost".parse().unwrap();
    let pages: PathPrefix = "/pages".parse().unwrap();
    for path in [PathPrefix::root(), pages] {
        let seen = world.ingress.verify(&host, &path).await.map_err(|e| e.to_string())?;
        let expected =
            if ours { outcome.state().release.as_ref().map(|r| r.id.clone()) } else { Some(start.before.clone()) };
        if Some(&seen.release) != expected.as_ref() || seen.status != 200 {
            return Err(format!("{path} is served by {} with {}, not by {expected:?}", seen.release, seen.status));
        }
    }
    let running: BTreeSet<bool> = world
        .runtime
        .list()
        .into_iter()
        .filter(|s| s.key.environment == order.environment)
        .filter(|s| !matches!(s.state, InstanceState::Stopped { .. }))
        .map(|s| s.key.deployment == order.deployment)
        .collect();
    if running != BTreeSet::from([ours]) {
        return Err(format!("instances that run are ours: {running:?}, expected {ours}"));
    }
    if world.layout.workspace(&order.deployment).dir().exists() {
        return Err("the workspace is left".to_owned());
    }
    let environment = store::environments::get(&world.store, &order.environment).await.map_err(|e| e.to_string())?;
    if environment.acting.is_some() {
        return Err("the environment is still claimed".to_owned());
    }
    let folders = std::fs::read_dir(world.layout.app_releases(&order.app)).map_err(|e| e.to_string())?.count();
    let rows = store::releases::list(&world.store, &order.app, None, 10).await.map_err(|e| e.to_string())?;
    let artifacts: BTreeSet<_> = rows.iter().map(|r| &r.artifact).collect();
    if folders != artifacts.len() {
        return Err(format!("{folders} release folders, releases {rows:#?}"));
    }
    let expected =
        if order.promotion.is_some() { 2 + usize::from(ours) } else { 1 + usize::from(ours || folders == 2) };
    if rows.len() != expected {
        return Err(format!("{expected} releases expected: {rows:#?}"));
    }
    let ports = store::instances::list_by_environment(&world.store, &order.environment).await;
    let ports = ports.map_err(|e| e.to_string())?.iter().filter(|row| row.port.is_some()).count();
    if ports != 1 {
        return Err(format!("{ports} ports are taken, one instance runs"));
    }
    Ok(())
}

/// What the recorded deployment starts with.
pub(super) fn initial(world: &World) -> State {
    STARTS.lock().unwrap()[world.layout.data()].state.clone()
}

async fn put_through<G: Deploying>(
    kind: DeploymentKind,
    lane: u16,
    chosen: impl Fn(&Case) -> bool + Send + Sync + 'static,
) {
    LazyLock::force(&REPOSITORY);
    Harness::<G>::new(move || world(kind, lane), initial, check)
        .concurrency(4)
        .case_limit(Duration::from_secs(60))
        .only(chosen)
        .run()
        .await
        .assert_sound();
}

/// The undo of the cutover fails for good, and somebody abandons the deployment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_abandoned_leaves_nobody_without_answers() {
    LazyLock::force(&REPOSITORY);
    let world = Arc::new(world(DeploymentKind::Deploy, 3).await);
    let start = STARTS.lock().unwrap()[world.layout.data()].clone();
    let order = start.state.order.clone();
    let id = SagaId::new(order.deployment.as_str());
    let opening = saga::opening::<Deploy>(start.state.clone(), Utc::now()).unwrap();
    let mut history = HistoryOf::<Deploy>::open(&opening).unwrap();
    let mut records = vec![opening];
    let mut events = Vec::new();
    let mut state = start.state;
    for (stage, work) in <Deploy as Saga>::stages().iter().enumerate().take(10) {
        let cancel = CancellationToken::new();
        let step = Step { saga: id.clone(), stage: work.name(), attempt: 1, cancel };
        state = work.run(&world, state, &step).await.unwrap();
        events.push(Event::StageStarted { stage, attempt: 1 });
        events.push(Event::StageFinished { stage, state: state.clone() });
    }
    let error = super::fail::internal(Phase::HealthCheck, "no");
    events.extend([
        Event::StageStarted { stage: 10, attempt: 1 },
        Event::StageFailed { stage: 10, attempt: 1, error: error.clone(), retry_at: None },
        Event::UndoStarted { stage: 10, attempt: 1 },
        Event::UndoFinished { stage: 10 },
        Event::UndoStarted { stage: 9, attempt: 1 },
        Event::UndoFailed { stage: 9, attempt: 1, error: error.clone(), retry_at: None },
        Event::StuckAt { stage: 9, way: Way::Undo, error },
    ]);
    for event in events {
        let record = Record { seq: history.next_seq(), at: Utc::now(), event };
        history = history.apply(&record).unwrap();
        records.push(record);
    }
    let journal = StoreJournal::new(world.store.clone(), world.counters.clone());
    Journal::<Deploy>::append(&journal, &id, Fence(0), 0, &records, &history).await.unwrap();
    let failed = state.release.unwrap().id;
    serves(&world, &failed).await;

    // While it is stuck nobody corrects what it has made.
    correct_idle(&world, "here", &order.environment).await.unwrap();
    serves(&world, &failed).await;
    let tx = world.store.write().await.unwrap();
    assert!(abandon(&tx, &order.deployment, 0, "zoe").await.unwrap());
    tx.commit().await.unwrap();
    let ended = store::deployments::get(&world.store, &order.deployment).await.unwrap().deployment;
    assert_eq!((ended.phase, ended.stuck), (Phase::Failed, None));
    assert!(ended.failure.unwrap().message.contains("abandoned by zoe; not taken back: "));
    let environment = store::environments::get(&world.store, &order.environment).await.unwrap();
    assert_eq!(environment.acting, None, "the next one may act");
    serves(&world, &failed).await;
    for _ in 0..2 {
        correct_idle(&world, "here", &order.environment).await.unwrap();
        serves(&world, &start.before).await;
    }
    let next = record(&world, &order.app, &order.environment, "production", "two").await;
    let next = run(&world, next).await;
    serves(&world, &next.id).await;
    let instances = store::instances::list_by_environment(&world.store, &order.environment).await.unwrap();
    assert!(instances.iter().all(|row| row.key.deployment != order.deployment), "{instances:?}");
}

/// Both routes are answered by this release.
async fn serves(world: &World, release: &ReleaseId) {
    let host: Host = "hello.localhost".parse().unwrap();
    for path in [PathPrefix::root(), "/pages".parse().unwrap()] {
        let seen = world.ingress.verify(&host, &path).await.unwrap();
        assert_eq!((&seen.release, seen.status), (release, 200), "{path}");
    }
}

/// Whether the fault is a kill around a write of the journal.
fn is_kill(case: &Case) -> bool {
    matches!(case.fault, Fault::KillAtWrite { .. } | Fault::KillInRun { .. } | Fault::KillInUndo { .. })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_survives_every_fault() {
    put_through::<Deploy>(DeploymentKind::Deploy, 0, |case| !is_kill(case)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_survives_a_kill_at_every_write() {
    put_through::<Deploy>(DeploymentKind::Deploy, 1, is_kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_survives_everything() {
    put_through::<Rollback>(DeploymentKind::Rollback, 2, |_| true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_survives_everything() {
    put_through::<Promotion>(DeploymentKind::Promotion, 3, |_| true).await;
}
