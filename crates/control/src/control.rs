//! The control plane of one server: what it holds, how it starts and stops.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use domain::EnvironmentId;
use domain::event::EventKind;
use domain::limits::Limits;
use ingress::{EnsureError, Holder};
use operations::Error;
use runtime::{Executor, Host, Ports, ProcessRuntime, Sites, Supervisor, Users};
use secrecy::{ExposeSecret, SecretString};
use store::{DatabaseUrl, Store};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::deployment::World;
use crate::deployment::runner::Runner;
use crate::deployment::world::WATCH;
use crate::error::{io_error, store_error};
use crate::layout::Layout;
use crate::output::Outputs;
use crate::slots::Slots;
use crate::turns::Turns;
use crate::uploads::{UploadLimits, Uploads};
use crate::vault::Vault;
use crate::{reconcile, tokens};

/// How to run the control plane.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder of everything Plimsoll keeps.
    pub data: PathBuf,
    /// `postgres://…`; SQLite in the data folder when absent.
    pub database: Option<SecretString>,
    /// Where the ingress listens, and how.
    pub ingress: ingress::Settings,
    /// Apps answer at `<app>.<domain>`.
    pub domain: String,
    /// The `plimsoll` binary, for the ingress and the supervisors.
    pub binary: PathBuf,
    /// Deployments at work at the same time.
    pub workers: usize,
    /// Users that apps run as when the server is root; `None` to run them as the server.
    pub app_users: Option<Users>,
    /// Folders that all apps may use, as far as permissions go.
    pub app_paths: Vec<PathBuf>,
    /// The most that a build command or an instance may ask for, and what it gets when it asks for nothing.
    pub most: Limits,
    /// Proxies in front of the ingress, whose word about clients is passed on to apps.
    pub trusted_proxies: Vec<ingress::Network>,
    /// How much may wait to be deployed.
    pub uploads: UploadLimits,
    /// How large an archive may become.
    pub archives: forge::archive::Limits,
}

/// The control plane of one server.
#[derive(Clone)]
pub struct Control {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) world: Arc<World>,
    pub(crate) runner: Runner,
    /// Holds the ingress's listening sockets, in case it dies.
    pub(crate) holder: Arc<Holder>,
    /// Whoever has it may start or replace the ingress, or bring it certificates.
    pub(crate) ingress_turn: tokio::sync::Mutex<()>,
    /// Environments of which somebody runs the smoke tests by hand.
    pub(crate) smoke_tests: Turns<EnvironmentId>,
    pub(crate) options: Options,
    pub(crate) started_at: DateTime<Utc>,
    /// Fires when the server stops; followers and reconcilers end with it.
    pub(crate) stopping: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// What [`Control::announce`] wrote, to be withdrawn.
    pub(crate) announced: Mutex<Option<crate::announce::Announcement>>,
    /// Held as long as the server works on the folder.
    _lock: File,
}

/// A running control plane, and what is told once.
pub struct Started {
    pub control: Control,
    /// Made at the very first start; shown once, stored hashed.
    pub first_token: Option<SecretString>,
}

impl Control {
    /// Takes the data folder, brings the world to what the database says, and goes on with every
    /// deployment that had not ended.
    pub async fn start(options: Options) -> Result<Started, Error> {
        crate::backup::refuse_incomplete(&options.data)?;
        let layout = Layout::prepare(&options.data).map_err(|e| io_error("make the data folder", &options.data, &e))?;
        let lock = lock(&layout)?;
        let database = database(&options, &layout)?;
        let store = Store::open(&database).await.map_err(store_error)?;
        let fresh = !store::tokens::any(&store).await.map_err(store_error)?;
        let vault = Vault::open(&layout.key(), fresh).map_err(|e| Error::unavailable(e.to_string()))?;
        let holder = Holder::new(layout.ingress());
        let ingress = find_ingress(&holder, &layout, &options).await?;
        ingress
            .configure(ingress::Policy { trusted_proxies: options.trusted_proxies.clone() })
            .await
            .map_err(|e| Error::unavailable(format!("the ingress did not take its policy: {e}")))?;

        let fence = {
            let tx = store.write().await.map_err(store_error)?;
            let holder = format!("{}@{}", std::process::id(), layout.data().display());
            let fence = store::leases::acquire(&tx, store::leases::SERVER, &holder).await.map_err(store_error)?;
            let started = EventKind::ServerStarted { version: crate::VERSION.to_owned() };
            store::events::insert(&tx, None, None, None, &started, Utc::now()).await.map_err(store_error)?;
            tx.commit().await.map_err(store_error)?;
            fence
        };
        let first_token = if fresh { Some(tokens::first(&store).await?) } else { None };

        let host = host(&options, &layout);
        let supervisor = Supervisor { binary: options.binary.clone(), args: vec!["supervise".to_owned()] };
        let file = |e: runtime::FileError| Error::unavailable(e.to_string());
        let world = Arc::new(World {
            vault,
            runtime: ProcessRuntime::new(layout.instances(), supervisor).map_err(file)?,
            executor: Executor::new(layout.data()),
            host,
            most: options.most,
            sites: Sites::new(layout.sites()).map_err(file)?,
            ingress,
            ports: Ports::default(),
            git: forge::Git::new(layout.repositories()),
            uploads: Uploads::new(options.uploads.clone()),
            archives: options.archives.clone(),
            outputs: Outputs::new(layout.clone()),
            domain: options.domain.clone(),
            slots: Slots::new(options.workers),
            counters: Arc::default(),
            toolchain: OnceCell::new(),
            watch: WATCH,
            #[cfg(test)]
            _guard: Default::default(),
            layout,
            store,
        });
        let stopping = CancellationToken::new();
        let tasks = TaskTracker::new();
        let runner = Runner::new(world.clone(), fence, tasks.clone(), stopping.clone())?;
        let inner = Arc::new(Inner {
            world,
            runner,
            holder,
            ingress_turn: tokio::sync::Mutex::default(),
            smoke_tests: Turns::default(),
            options,
            started_at: Utc::now(),
            stopping,
            tasks,
            announced: Mutex::new(None),
            _lock: lock,
        });

        reconcile::boot(&inner).await?;
        inner.world.counters.passed();
        inner.runner.resume_all().await?;
        inner.tasks.spawn(reconcile::run(Arc::downgrade(&inner), inner.stopping.clone()));
        inner.tasks.spawn(reconcile::ingress::run(Arc::downgrade(&inner), inner.stopping.clone()));
        Ok(Started { control: Self { inner }, first_token })
    }

    /// Stops taking work, lets running steps be dropped between two journal writes, withdraws the
    /// announcement. Apps and ingress go on.
    pub async fn shutdown(&self) {
        self.inner.stopping.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.withdraw();
    }

    /// Ready when the server must stop because another one has taken over its database.
    pub async fn taken_over(&self) {
        self.inner.stopping.cancelled().await;
    }
}

/// What keeps apps apart here. Said once when it is less than it could be.
fn host(options: &Options, layout: &Layout) -> Host {
    let host = Host::new(layout.data(), options.app_users, &options.app_paths);
    for fact in host.facts().report().iter().filter(|fact| !fact.applies) {
        tracing::warn!("isolation: {}: {}", fact.name, fact.detail);
    }
    tracing::info!(landlock = host.facts().landlock, users = host.facts().users, "isolation of apps");
    host
}

/// The ingress that runs, or a new one. One that has another version of the program or other settings is replaced; if
/// that fails, it is better than none.
async fn find_ingress(holder: &Holder, layout: &Layout, options: &Options) -> Result<ingress::Client, Error> {
    let wanted = &options.ingress;
    let error = match holder.ensure(&options.binary, wanted.clone()).await {
        Ok(client) => return Ok(client),
        Err(error) => error,
    };
    if let EnsureError::NotReplaced { .. } = &error {
        let client = ingress::Client::new(layout.ingress());
        let is_there = |s: &ingress::Status| s.listen == wanted.listen && s.https == wanted.https_listen;
        if client.status().await.is_ok_and(|status| is_there(&status)) {
            tracing::error!("{error}; `plimsoll ingress restart` tries again");
            return Ok(client);
        }
    }
    Err(Error::conflict(error.to_string())
        .hint("choose another address with --ingress-listen or --ingress-https-listen"))
}

/// One server works on a data folder.
fn lock(layout: &Layout) -> Result<File, Error> {
    let path = layout.lock();
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|e| io_error("open", &path, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Error::conflict(format!("another server works on {}", layout.data().display()))
                .hint("stop it first, or give this one a folder of its own with --data"))
        }
        Err(TryLockError::Error(e)) => Err(io_error("lock", &path, &e)),
    }
}

fn database(options: &Options, layout: &Layout) -> Result<DatabaseUrl, Error> {
    database_url(options.database.as_ref(), layout)
}

/// The database of a data folder.
pub(crate) fn database_url(given: Option<&SecretString>, layout: &Layout) -> Result<DatabaseUrl, Error> {
    match given {
        None => Ok(DatabaseUrl::sqlite(layout.database())),
        Some(url) => url.expose_secret().parse().map_err(|e: store::InvalidUrl| Error::invalid(e.to_string())),
    }
}
