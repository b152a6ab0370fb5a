//! The services that the stages of a deployment act on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use detect::Toolchain;
use domain::instance::InstanceKey;
use domain::phase::Phase;
use domain::spec::{AppSpec, Component, Serve};
use domain::{DeploymentId, EnvironmentId};
use forge::Git;
use runtime::{Executor, InstanceSpec, LogLimits, Ports, ProcessRuntime, RestartPolicy, Sites};
use store::Store;
use tokio::sync::OnceCell;

use super::State;
use crate::environment::Variables;
use crate::layout::Layout;
use crate::output::{Outputs, Sink};
use crate::redact::Redactor;
use crate::slots::Slots;
use crate::vault::Vault;

pub(crate) struct World {
    pub store: Store,
    pub vault: Vault,
    pub layout: Layout,
    pub runtime: ProcessRuntime,
    pub executor: Executor,
    pub sites: Sites,
    pub ingress: ingress::Client,
    pub ports: Ports,
    pub git: Git,
    pub outputs: Outputs,
    /// Apps answer at `<app>.<domain>`.
    pub domain: String,
    pub slots: Slots,
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

    /// The complete description of an instance.
    pub(crate) fn instance(
        &self,
        state: &State,
        component: &Component,
        key: &InstanceKey,
        port: Option<u16>,
        variables: &Variables,
    ) -> Option<InstanceSpec> {
        let release = state.release.as_ref()?;
        let folder = self.layout.release(&state.order.app, &release.digest).join(&component.root);
        let peers = state.spec.as_ref().map(|spec| peer_urls(spec, state)).unwrap_or_default();
        instance(folder, component, key, port, variables, peers)
    }
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
        stop_timeout: stop_timeout.get(),
        restart: RestartPolicy::default(),
        log: LogLimits::default(),
    })
}
