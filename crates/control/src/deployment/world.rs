//! The services that the stages of a deployment act on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use detect::Toolchain;
use domain::instance::InstanceKey;
use domain::limits::Limits;
use domain::phase::Phase;
use domain::redact::Redactor;
use domain::spec::{AppSpec, Component, Serve};
use domain::{AppId, DeploymentId, EnvironmentId};
use forge::Git;
use runtime::{Executor, Host, InstanceSpec, LogLimits, Ports, ProcessRuntime, RestartPolicy, Sandbox, Sites};
use store::Store;
use tokio::sync::OnceCell;

use super::State;
use crate::counters::Counters;
use crate::environment::{Variables, identify};
use crate::layout::Layout;
use crate::output::{Outputs, Sink};
use crate::uploads::Uploads;
use crate::vault::Vault;

pub(crate) struct World {
    pub store: Store,
    pub vault: Vault,
    pub layout: Layout,
    pub runtime: ProcessRuntime,
    pub executor: Executor,
    pub host: Host,
    /// The most that a build command or an instance may ask for, and what it gets when it asks for nothing.
    pub most: Limits,
    pub sites: Sites,
    pub ingress: ingress::Client,
    pub ports: Ports,
    pub git: Git,
    pub uploads: Uploads,
    /// How large an archive may become.
    pub archives: forge::archive::Limits,
    pub outputs: Outputs,
    /// Apps answer at `<app>.<domain>`.
    pub domain: String,
    /// At which people call the server itself, so that no app may answer there: it would be sent their cookies.
    pub own_hosts: Vec<domain::route::Host>,
    pub counters: Arc<Counters>,
    pub toolchain: OnceCell<Toolchain>,
    /// How long processes are watched after the switch, at least: many crash at their first real request.
    pub watch: Duration,
    /// Takes a test's world down with it.
    #[cfg(test)]
    pub(crate) _guard: super::harness::Guard,
}

/// The usual [`World::watch`].
pub(crate) const WATCH: Duration = Duration::from_secs(1);

impl World {
    /// The programs on this machine, looked for once.
    pub(crate) async fn toolchain(&self) -> &Toolchain {
        self.toolchain
            .get_or_init(|| async { tokio::task::spawn_blocking(Toolchain::probe).await.unwrap_or_default() })
            .await
    }

    /// Where a deployment prints while it is in `phase`.
    pub(crate) fn sink(&self, deployment: &DeploymentId, phase: Phase, variables: Option<&Variables>) -> Sink {
        let redactor = variables.map(|v| Redactor::new(v.values())).unwrap_or_default();
        self.outputs.sink(deployment, phase.as_str(), Arc::new(redactor))
    }

    /// The variables of a release as they were when it was made.
    pub(crate) async fn release_variables(
        &self,
        environment: &EnvironmentId,
        release: &domain::ReleaseId,
    ) -> Result<Variables, crate::environment::VariablesError> {
        let sealed = store::releases::snapshot(&self.store, release).await?;
        Variables::open_snapshot(&self.store, &self.vault, environment, &sealed).await
    }

    /// Who an app's commands run as; `None` for the server's own user.
    pub(crate) async fn user(&self, app: &AppId) -> Result<Option<u32>, UserError> {
        let number = store::apps::user_number(&self.store, app).await?;
        Ok(self.host.user(number)?)
    }

    /// The complete description of an instance, to run as `user`.
    pub(crate) fn instance(
        &self,
        state: &State,
        component: &Component,
        key: &InstanceKey,
        port: Option<u16>,
        variables: &Variables,
        user: Option<u32>,
    ) -> Option<InstanceSpec> {
        let release = state.release.as_ref()?;
        let files = self.layout.release(&state.order.app, release.artifact());
        let peers = state.spec.as_ref().map(|spec| peer_urls(spec, state)).unwrap_or_default();
        let sandbox = self.host.sandbox(user, component.limits.or(self.most)).reading(&files);
        let mut spec = instance(files.join(&component.root), component, key, port, variables, peers, sandbox)?;
        identify(&mut spec.env, state.order.app_name.as_str());
        Some(spec)
    }
}

/// Why nobody knows who an app's commands are to run as.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UserError {
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// There are more apps than users.
    #[error("{0}; give the server more with --app-users")]
    Users(#[from] runtime::isolation::InvalidUsers),
}

/// `API_URL=http://127.0.0.1:20001` for each component that listens, so that its dependents find it.
fn peer_urls(spec: &AppSpec, state: &State) -> BTreeMap<String, String> {
    let listening = spec.components.iter().filter(|c| c.is_routed());
    listening
        .filter_map(|component| {
            let port = state.placements_of(&component.name).find_map(|p| p.port)?;
            let name = component.name.as_str().to_ascii_uppercase().replace('-', "_");
            Some((format!("{name}_URL"), format!("http://127.0.0.1:{port}")))
        })
        .collect()
}

fn instance(
    folder: std::path::PathBuf,
    component: &Component,
    key: &InstanceKey,
    port: Option<u16>,
    variables: &Variables,
    peers: BTreeMap<String, String>,
    sandbox: Sandbox,
) -> Option<InstanceSpec> {
    let Serve::Process { command, stop_timeout, .. } = &component.serve else { return None };
    let mut env = peers;
    env.extend(component.env.clone());
    env.extend(variables.to_map());
    crate::environment::complete(&mut env, &folder);
    env.insert("PLIMSOLL_RELEASE".to_owned(), key.release.to_string());
    env.insert("PLIMSOLL_COMPONENT".to_owned(), component.name.to_string());
    Some(InstanceSpec {
        key: key.clone(),
        command: command.clone(),
        directory: folder,
        port,
        env,
        secrets: variables.names().map(str::to_owned).collect(),
        stop_timeout: stop_timeout.get(),
        restart: RestartPolicy::default(),
        log: LogLimits::default(),
        sandbox: Some(sandbox),
    })
}
