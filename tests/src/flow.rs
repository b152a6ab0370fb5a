//! What people do with a server, in one call each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use domain::DeploymentId;
use domain::deployment::Deployment;
use domain::event::{Event, EventKind};
use domain::instance::InstanceState;
use domain::phase::Phase;
use domain::source::Source;
use operations::client::CallError;
use operations::deployments::{Cancel, Deploy, DeployRequest, DeploymentRequest, Get, Rollback, RollbackRequest};
use operations::environments::Environment;
use operations::releases::ReleaseStatus;
use operations::variables::Value;
use operations::{Error, apps, environments, events, releases, variables};

use crate::{Server, http, processes, wait_for};

/// Of any deployment in a test. A debug build on a busy machine takes its time.
const LIMIT: Duration = Duration::from_secs(150);

impl Server {
    pub async fn create_app(&self, name: &str, source: Source) -> apps::App {
        let request = apps::CreateRequest { name: name.parse().unwrap(), source: Some(source) };
        self.client().call::<apps::Create>(&request).await.unwrap()
    }

    /// The app's own source as it is now, to production.
    pub async fn deploy(&self, app: &str) -> Deployment {
        self.try_deploy(app, None).await.unwrap()
    }

    pub async fn try_deploy(&self, app: &str, reference: Option<&str>) -> Result<Deployment, CallError> {
        let request = DeployRequest {
            app: app.parse().unwrap(),
            environment: "production".parse().unwrap(),
            source: None,
            reference: reference.map(str::to_owned),
            plan: None,
            tags: Vec::new(),
            metadata: BTreeMap::new(),
            priority: Default::default(),
            not_before: None,
            bypass_window: None,
        };
        self.client().call::<Deploy>(&request).await
    }

    /// Deploys, and follows to the end.
    pub async fn deploy_to_end(&self, app: &str) -> Deployment {
        let started = self.deploy(app).await;
        self.end(&started.id).await
    }

    /// Deploys what must become active.
    pub async fn deploy_well(&self, app: &str) -> Deployment {
        active(self.deploy_to_end(app).await)
    }

    pub async fn rollback(&self, app: &str, release: Option<u32>) -> Result<Deployment, CallError> {
        let request = RollbackRequest {
            app: app.parse().unwrap(),
            environment: "production".parse().unwrap(),
            release,
            tag: None,
            priority: Default::default(),
        };
        self.client().call::<Rollback>(&request).await
    }

    pub async fn cancel(&self, id: &DeploymentId) -> Result<Deployment, CallError> {
        self.client().call::<Cancel>(&DeploymentRequest { deployment: id.clone() }).await
    }

    pub async fn deployment(&self, id: &DeploymentId) -> Deployment {
        self.client().call::<Get>(&DeploymentRequest { deployment: id.clone() }).await.unwrap()
    }

    /// The deployment once it has ended.
    ///
    /// # Panics
    /// When it got stuck or does not end.
    pub async fn end(&self, id: &DeploymentId) -> Deployment {
        wait_for("the end of a deployment", LIMIT, async || {
            let deployment = self.deployment(id).await;
            assert!(deployment.stuck.is_none(), "it is stuck: {deployment:#?}");
            deployment.phase.is_end().then_some(deployment)
        })
        .await
    }

    /// Waits until a deployment is in `phase` or beyond; says where it is.
    pub async fn reach(&self, id: &DeploymentId, phase: Phase) -> Phase {
        wait_for(phase.as_str(), LIMIT, async || {
            let now = self.deployment(id).await.phase;
            (now >= phase).then_some(now)
        })
        .await
    }

    pub async fn environment(&self, app: &str) -> Environment {
        let request =
            environments::EnvironmentRequest { app: app.parse().unwrap(), environment: "production".parse().unwrap() };
        self.client().call::<environments::Get>(&request).await.unwrap()
    }

    pub async fn releases(&self, app: &str) -> Vec<ReleaseStatus> {
        let request = releases::ListRequest { app: app.parse().unwrap(), served_in: None, cursor: None, limit: 500 };
        self.client().call::<releases::List>(&request).await.unwrap().items
    }

    /// All events of a deployment, in order.
    pub async fn events(&self, id: &DeploymentId) -> Vec<Event> {
        let request =
            events::ListRequest { app: None, environment: None, deployment: Some(id.clone()), after: None, limit: 500 };
        self.client().call::<events::List>(&request).await.unwrap().items
    }

    /// The phases that a deployment's events tell of, in order, its end included.
    pub async fn phases(&self, id: &DeploymentId) -> Vec<Phase> {
        let events = self.events(id).await;
        let mut phases: Vec<Phase> = events
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::DeploymentQueued { .. } => Some(Phase::Queued),
                EventKind::PhaseChanged { phase, .. } | EventKind::DeploymentFinished { phase, .. } => Some(*phase),
                _ => None,
            })
            .collect();
        phases.dedup();
        phases
    }

    pub async fn set_variables(&self, app: &str, variables: &[(&str, &str)]) {
        let request = variables::SetRequest {
            app: app.parse().unwrap(),
            environment: "production".parse().unwrap(),
            variables: variables.iter().map(|(k, v)| ((*k).to_owned(), Value::from((*v).to_owned()))).collect(),
        };
        self.client().call::<variables::Set>(&request).await.unwrap();
    }

    /// What the app's production environment answers to a GET of `path`.
    pub async fn get(&self, app: &str, path: &str) -> Result<(u16, String), String> {
        http::get(self.ingress(), &host(app), path).await
    }

    /// # Panics
    /// When the answer is not 200 with `body`.
    pub async fn assert_serves(&self, app: &str, path: &str, body: &str) {
        assert_eq!(self.get(app, path).await, Ok((200, body.to_owned())), "{app}{path}");
    }

    /// Waits until no deployment of the app's production environment has anything left to do: one that is active
    /// still has to stop what served before.
    pub async fn settle(&self, app: &str) {
        let data = self.data();
        wait_for("the version before to be gone", Duration::from_secs(60), async || {
            let environment = self.environment(app).await;
            let active = environment.active.map(|active| active.deployment);
            let others = environment.instances.iter().filter(|instance| {
                Some(&instance.key.deployment) != active.as_ref()
                    && matches!(instance.state, InstanceState::Running { .. })
            });
            (environment.in_progress.is_empty() && others.count() == 0 && names(&data.join("workspaces")).is_empty())
                .then_some(())
        })
        .await;
    }

    /// Pids of the app's processes by component: those of the active deployment.
    pub async fn pids(&self, app: &str) -> BTreeMap<String, i32> {
        let environment = self.environment(app).await;
        let active = environment.active.map(|active| active.deployment);
        environment
            .instances
            .iter()
            .filter(|instance| Some(&instance.key.deployment) == active.as_ref())
            .filter_map(|instance| match instance.state {
                InstanceState::Running { pid, .. } => Some((instance.key.component.to_string(), pid)),
                _ => None,
            })
            .collect()
    }

    /// The release that the ingress's table on the disk sends the app's production environment to.
    pub async fn routed_release(&self, app: &str) -> Option<String> {
        let id = self.environment(app).await.id;
        // A line that vouches for the next, and the table.
        let file = fs::read_to_string(self.data().join("ingress/routes.json")).ok()?;
        let table: serde_json::Value = serde_json::from_str(file.split_once('\n').unwrap().1).unwrap();
        let environments = table["environments"].as_array().unwrap();
        let routes = environments.iter().find(|e| e["environment"] == id.as_str())?;
        Some(routes["release"].as_str().unwrap().to_owned())
    }

    /// Nothing of a deployment that did not become active is there: no workspace, process, instance, route or
    /// release folder that no release has.
    pub async fn assert_nothing_left(&self, app: &str, id: &DeploymentId) {
        let data = self.data();
        let request = apps::GetRequest { app: app.parse().unwrap() };
        let detail = self.client().call::<apps::Get>(&request).await.unwrap();
        let releases = data.join("releases").join(detail.app.id.as_str());
        // The ends of processes are asked for before the outcome is told, and take their moment in the kernel.
        let left = wait_until_empty(async || {
            let folders = names(&data.join("workspaces")).into_iter().chain(names(&data.join("instances")));
            let mut left: Vec<String> = folders.filter(|name| name.contains(id.as_str())).collect();
            left.extend(processes::marked(id.as_str()).into_iter().map(|p| format!("process {p:?}")));
            let known = self.releases(app).await;
            let kept: BTreeSet<String> = known.iter().map(|r| r.release.digest.to_string()).collect();
            left.extend(self.routed_release(app).await.filter(|routed| {
                // After a cutover that was taken back the routes bear its number, and lead where they led before.
                !known.iter().any(|r| r.release.id.as_str() == routed && !r.active_in.is_empty())
            }));
            let folders = names(&releases).into_iter();
            left.extend(folders.filter(|name| !kept.contains(name)).map(|name| format!("release folder {name}")));
            left
        })
        .await;
        assert!(left.is_empty(), "{id} left behind: {left:#?}");
    }
}

/// Host of an app's production environment.
pub fn host(app: &str) -> String {
    format!("{app}.localhost")
}

/// # Panics
/// When the deployment did not become active.
pub fn active(deployment: Deployment) -> Deployment {
    assert_eq!(deployment.phase, Phase::Active, "{deployment:#?}");
    deployment
}

/// The problem document of a call that was refused.
///
/// # Panics
/// When it was not.
pub fn refused<T: std::fmt::Debug>(result: Result<T, CallError>) -> Error {
    match result {
        Err(CallError::Refused(error)) => error,
        other => panic!("expected a refusal, not {other:?}"),
    }
}

async fn wait_until_empty(mut look: impl AsyncFnMut() -> Vec<String>) -> Vec<String> {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        let left = look().await;
        if left.is_empty() || std::time::Instant::now() > deadline {
            return left;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
