//! The control plane of one server: what it holds, how it starts and stops.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::EnvironmentId;
use domain::guide::Library;
use domain::limits::Limits;
use ingress::{EnsureError, Holder};
use operations::Error;
use runtime::{Executor, Host, Ports, ProcessRuntime, Sites, Supervisor, Users};
use secrecy::{ExposeSecret, SecretString};
use store::{DatabaseUrl, Kind, Store};
use tokio::sync::OnceCell;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::cluster::{self, Folder, Member, lock_folder};
use crate::deployment::World;
use crate::deployment::runner::Runner;
use crate::deployment::world::WATCH;
use crate::error::{io_error, store_error};
use crate::layout::Layout;
use crate::output::Outputs;
use crate::overview::{KnownRoutes, Looping};
use crate::sign_in::{self, SignIns};
use crate::turns::Turns;
use crate::uploads::{UploadLimits, Uploads};
use crate::vault::Vault;
use crate::{audit, dispatch, forecast, notices, reconcile, retention, stalls, tick, tokens};

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
    pub trusted_proxies: Vec<domain::network::Network>,
    /// How much may wait to be deployed.
    pub uploads: UploadLimits,
    /// How large an archive, or the checkout of a repository, may become.
    pub archives: forge::archive::Limits,
    /// What this machine is called among those of one database; its own id when absent.
    pub host: Option<String>,
    /// A server whose heart stands still for so long is taken for dead. Whole seconds.
    pub lease: Duration,
    /// Where this server's API answers, for people and for other servers.
    pub url: String,
    /// Names and addresses at which people call this server, besides those of the machine itself: no app answers at them.
    pub names: Vec<domain::route::Host>,
    /// Where people reach the web interface, without a slash at its end: links in notices begin with it.
    pub public_url: Option<String>,
    /// Networks that addresses which users name may lead into although they are not public.
    pub allow_outgoing: Vec<domain::network::Network>,
    /// Agents may only look.
    pub mcp_read_only: bool,
    /// The guides that the binary has with it, as JSON: a list of [`domain::guide::Guide`].
    pub guides: &'static str,
}

/// What browsers take for one place with this server: cookies know no ports.
fn own_hosts(names: &[domain::route::Host]) -> Vec<domain::route::Host> {
    ["localhost", "127.0.0.1"].into_iter().filter_map(|host| host.parse().ok()).chain(names.iter().cloned()).collect()
}

/// In which the database has to answer a server that stops, or is taken to be away.
const PROBE: Duration = Duration::from_secs(2);
/// What has not come to rest by then at a stop ends with the process, which is as safe as a kill.
const GRACE: Duration = Duration::from_secs(5);

/// The usual [`Options::lease`].
pub const LEASE: Duration = Duration::from_secs(10);

/// The control plane of one server.
#[derive(Clone)]
pub struct Control {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) world: Arc<World>,
    pub(crate) runner: Runner,
    pub(crate) sign_ins: SignIns,
    /// This server among others.
    pub(crate) member: Arc<Member>,
    /// When somebody was last refused something.
    pub(crate) refusals: crate::audit::Refusals,
    /// What was foreseen of the queue a moment ago.
    pub(crate) foreseen: crate::forecast::Kept,
    /// Holds the ingress's listening sockets, in case it dies.
    pub(crate) holder: Arc<Holder>,
    /// Whoever has it may start or replace the ingress, or bring it certificates.
    pub(crate) ingress_turn: tokio::sync::Mutex<()>,
    /// Logs that somebody follows.
    pub(crate) hub: crate::hub::Hub,
    /// Calls to addresses that users name, once somebody has named one.
    pub(crate) outgoing: OnceCell<outgoing::Outgoing>,
    /// Environments of which somebody runs the smoke tests by hand.
    pub(crate) smoke_tests: Turns<EnvironmentId>,
    /// Instances of this machine that end again and again, by name, as the reconciler last saw them.
    pub(crate) looping: Mutex<BTreeMap<String, Looping>>,
    /// The ingress's table as it was last fetched.
    pub(crate) routes: KnownRoutes,
    /// Read when somebody first asks for them.
    pub(crate) guides: OnceLock<Library>,
    pub(crate) options: Options,
    pub(crate) started_at: DateTime<Utc>,
    /// Fires when the server stops; followers and reconcilers end with it.
    pub(crate) stopping: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// Whether the database answered when the server was about to stop.
    answers: OnceCell<bool>,
    /// What [`Control::announce`] wrote, to be withdrawn.
    pub(crate) announced: Mutex<Option<crate::announce::Announcement>>,
    /// It beats as long as this is held.
    _heart: DropGuard,
    /// Held as long as the server works on the folder.
    _lock: File,
}

/// A running control plane, and what is told once.
pub struct Started {
    pub control: Control,
    /// Made at the very first start; shown once, stored hashed.
    pub first_token: Option<SecretString>,
    /// Of the invitation to own the server, made at the very first start; shown once, stored hashed.
    pub first_invitation: Option<SecretString>,
}

impl Inner {
    /// Instances of this machine that end again and again, by name.
    pub(crate) fn looping(&self) -> BTreeMap<String, Looping> {
        self.looping.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes down what the reconciler sees now.
    pub(crate) fn set_looping(&self, now: BTreeMap<String, Looping>) {
        *self.looping.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

impl Control {
    /// Takes the data folder, becomes one of the servers of the database, brings the world to what that says if no other
    /// server of this machine does, and goes on with every deployment that nobody drives.
    pub async fn start(options: Options) -> Result<Started, Error> {
        crate::backup::refuse_incomplete(&options.data)?;
        let layout = Layout::prepare(&options.data).map_err(|e| io_error("make the data folder", &options.data, &e))?;
        let database = database(&options, &layout)?;
        let lock = lock_folder(&layout, database.kind())?;
        // Until this server is one of them, no other one starts on the folder.
        let folder = Folder::open(&layout).await?;
        let store = Store::open(&database).await.map_err(store_error)?;
        cluster::tell_time(&store).await.map_err(store_error)?;
        let fresh = !store::tokens::any(&store).await.map_err(store_error)?;
        let vault = Vault::open(&layout.key(), fresh).map_err(|e| Error::unavailable(e.to_string()))?;
        let holder = Holder::new(layout.ingress());
        let cluster::Joined { member, alone } = cluster::join(&store, &layout, &options, &folder, &vault).await?;
        let (member, stopping, tasks) = (Arc::new(member), CancellationToken::new(), TaskTracker::new());
        // Before all that takes its time, and until this is dropped: others who see no heartbeat for a lease would end this server.
        let heart = CancellationToken::new();
        if store.kind() == Kind::Postgres {
            tokio::spawn(cluster::beat(member.clone(), store.clone(), heart.clone()));
        }
        let heart = heart.drop_guard();
        let ingress = match prepare_ingress(&member, &holder, &layout, &options).await {
            Ok(ingress) => ingress,
            Err(e) => {
                member.leave(&store).await;
                return Err(e);
            }
        };
        let audit_keys = audit::keys(&vault);
        let first_token = if fresh { tokens::first(&store, &audit_keys).await? } else { None };
        let first_invitation = if first_token.is_some() { sign_in::first(&store, &audit_keys).await? } else { None };

        let host = host(&options, &layout);
        let supervisor = Supervisor { binary: options.binary.clone(), args: vec!["supervise".to_owned()] };
        let file = |e: runtime::FileError| Error::unavailable(e.to_string());
        let sign_ins = SignIns::new(&vault, options.public_url.clone());
        let world = Arc::new(World {
            vault,
            runtime: ProcessRuntime::new(layout.instances(), supervisor).map_err(file)?,
            executor: Executor::new(layout.data()),
            host,
            most: options.most,
            sites: Sites::new(layout.sites()).map_err(file)?,
            ingress,
            ports: Ports::default(),
            git: forge::Git::new(layout.repositories()).with_size(options.archives.clone()),
            uploads: Uploads::new(options.uploads.clone()),
            archives: options.archives.clone(),
            outputs: Outputs::new(layout.clone()),
            domain: options.domain.clone(),
            own_hosts: own_hosts(&options.names),
            counters: Arc::default(),
            toolchain: OnceCell::new(),
            watch: WATCH,
            #[cfg(test)]
            _guard: Default::default(),
            layout,
            store,
        });
        let runner = Runner::new(world.clone(), options.workers, tasks.clone(), stopping.clone())?;
        let inner = Arc::new(Inner {
            world,
            runner,
            sign_ins,
            member,
            refusals: Default::default(),
            foreseen: Default::default(),
            holder,
            ingress_turn: tokio::sync::Mutex::default(),
            hub: Default::default(),
            outgoing: OnceCell::new(),
            smoke_tests: Turns::default(),
            looping: Mutex::default(),
            routes: Default::default(),
            guides: OnceLock::new(),
            options,
            started_at: store::clock::now(),
            stopping,
            tasks,
            answers: OnceCell::new(),
            announced: Mutex::new(None),
            _heart: heart,
            _lock: lock,
        });

        if inner.member.has_duty() {
            if alone {
                reconcile::sweep(&inner).await;
            }
            reconcile::boot(&inner).await?;
        }
        inner.world.counters.passed();
        drop(folder);
        let (weak, stopping) = (|| Arc::downgrade(&inner), &inner.stopping);
        inner.tasks.spawn(reconcile::run(weak(), stopping.clone()));
        inner.tasks.spawn(reconcile::ingress::run(weak(), stopping.clone()));
        inner.tasks.spawn(dispatch::run(weak(), stopping.clone()));
        inner.tasks.spawn(cluster::lead(weak(), stopping.clone()));
        inner.tasks.spawn(tick::run(weak(), stopping.clone()));
        inner.tasks.spawn(stalls::beat(weak(), stopping.clone()));
        inner.tasks.spawn(stalls::watch(weak(), stopping.clone()));
        inner.tasks.spawn(retention::keep(weak(), stopping.clone()));
        inner.tasks.spawn(notices::run(weak(), stopping.clone()));
        inner.tasks.spawn(forecast::keep(weak(), stopping.clone()));
        inner.tasks.spawn(audit::anchors(weak(), stopping.clone()));
        if inner.world.store.kind() == Kind::Postgres {
            inner.tasks.spawn(cluster::watch(weak(), stopping.clone()));
        }
        let control = Self { inner };
        control.tell_audit_head().await?;
        Ok(Started { control, first_token, first_invitation })
    }

    /// Whether agents may only look: see [`Options::mcp_read_only`].
    pub fn mcp_read_only(&self) -> bool {
        self.inner.options.mcp_read_only
    }

    /// Whether a server that is about to stop can count on its database; said within two seconds. Asked once: a stop does
    /// not wait for it to come back.
    pub async fn database_answers(&self) -> bool {
        *self.inner.answers.get_or_init(|| self.store().answers(PROBE)).await
    }

    /// Stops taking work, lets running steps be dropped between two journal writes, withdraws the
    /// announcement, and hands everything over to the servers that stay. Apps and ingress go on.
    ///
    /// It takes some seconds at most. Where the database is away, or something does not come to rest, nothing is handed over:
    /// this is then like a kill, and the others find the lock file free, or the lease run out, once the process is gone.
    pub async fn shutdown(&self) {
        self.inner.stopping.cancel();
        self.inner.tasks.close();
        let at_rest = tokio::time::timeout(GRACE, self.inner.tasks.wait()).await.is_ok();
        self.withdraw();
        if !at_rest {
            tracing::warn!(left = self.inner.tasks.len(), "not all came to rest; it ends with the process");
        } else if !self.database_answers().await {
            tracing::warn!("the database is away, so that it is not told that this server stops; its lease runs out");
        } else {
            self.inner.member.leave(self.store()).await;
        }
    }
}

/// The ingress of the machine. Who has the duty looks after it; others only use it.
async fn prepare_ingress(
    member: &Member,
    holder: &Holder,
    layout: &Layout,
    options: &Options,
) -> Result<ingress::Client, Error> {
    if !member.has_duty() {
        return Ok(ingress::Client::new(layout.ingress()));
    }
    let ingress = find_ingress(holder, layout, options).await?;
    ingress
        .configure(ingress::Policy { trusted_proxies: options.trusted_proxies.clone() })
        .await
        .map_err(|e| Error::unavailable(format!("the ingress did not take its policy: {e}")))?;
    Ok(ingress)
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

fn database(options: &Options, layout: &Layout) -> Result<DatabaseUrl, Error> {
    database_url(options.database.as_ref(), layout)
}

/// A data folder that is there, and its database.
pub(crate) fn existing(data: &Path, database: Option<&SecretString>) -> Result<(Layout, DatabaseUrl), Error> {
    let layout = match Layout::at(data) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(Error::not_found(format!("there is no data folder {}", data.display()))
                .hint("name the server's with --data DIR"));
        }
        other => other.map_err(|e| io_error("open the data folder", data, &e))?,
    };
    let url = database_url(database, &layout)?;
    if url.path().is_some_and(|path| !path.exists()) {
        return Err(Error::not_found(format!("there is no database in {}", layout.data().display()))
            .hint("if the server uses PostgreSQL, give its address with --database-url-file"));
    }
    Ok((layout, url))
}

/// The database of a data folder.
pub(crate) fn database_url(given: Option<&SecretString>, layout: &Layout) -> Result<DatabaseUrl, Error> {
    match given {
        None => Ok(DatabaseUrl::sqlite(layout.database())),
        Some(url) => url.expose_secret().parse().map_err(|e: store::InvalidUrl| Error::invalid(e.to_string())),
    }
}
