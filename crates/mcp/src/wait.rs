//! `deployments_wait`: looks until a deployment has ended, for some seconds at most.

use std::time::{Duration, Instant};

use domain::DeploymentId;
use domain::deployment::Deployment;
use operations::{Error, Operation, deployments};
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RoleServer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::refusal::Refusal;
use crate::{Call, Contract, Gate};

pub(crate) const NAME: &str = "deployments_wait";

/// Below the minute after which most clients give a call up.
const LONGEST: u32 = 50;
const USUAL: u32 = 25;
/// Between two looks, at first and at most.
const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// Id of the deployment (`dep_…`).
    deployment: DeploymentId,
    /// How long to wait, 1 to 50.
    #[serde(default = "usual")]
    #[schemars(range(min = 1, max = 50))]
    timeout_seconds: u32,
}

fn usual() -> u32 {
    USUAL
}

/// How it stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Waited {
    /// Nothing more will happen: `phase` of the deployment is `active`, `failed`, `cancelled` or `rolled_back`.
    ended: bool,
    /// What to do next.
    next: String,
    deployment: Deployment,
}

/// Who waits, and how to tell them how it goes.
pub(crate) struct Waiter<'a> {
    pub(crate) contract: &'a dyn Contract,
    pub(crate) gate: &'a Gate,
    pub(crate) from: http::Extensions,
    pub(crate) peer: Peer<RoleServer>,
    /// The client wants to be told.
    pub(crate) token: Option<ProgressToken>,
    /// The client doesn't wait any more.
    pub(crate) gone: CancellationToken,
}

impl Waiter<'_> {
    /// Waits as `request` says, and returns a [`Waited`]. Nothing of the deployment depends on it.
    pub(crate) async fn wait(&self, request: Map<String, Value>) -> Result<Value, Refusal> {
        let request: Request = read(request)?;
        let deadline = Instant::now() + Duration::from_secs(u64::from(request.timeout_seconds));
        let (mut pause, mut told) = (SHORT, None);
        loop {
            let found = self.look(&request.deployment).await;
            let left = deadline.saturating_duration_since(Instant::now());
            match found {
                Ok(deployment) => {
                    let over = deployment.phase.is_end() || deployment.stuck.is_some();
                    if over || left.is_zero() || self.gone.is_cancelled() {
                        return told_as(deployment);
                    }
                    self.tell(&deployment, &mut told).await;
                }
                // It passes by itself, such as a restart of the server.
                Err(error) if error.code == operations::ErrorKind::Unavailable && !left.is_zero() => {}
                Err(error) => return Err(error.into()),
            }
            tokio::select! {
                () = tokio::time::sleep(pause.min(left)) => {}
                () = self.gone.cancelled() => {}
            }
            pause = (pause * 3 / 2).min(LONG);
        }
    }

    async fn look(&self, deployment: &DeploymentId) -> Result<Deployment, Error> {
        let request = Map::from_iter([("deployment".to_owned(), json!(deployment))]);
        let operation = deployments::Get::NAME;
        let call = Call { operation, request, key: None, from: self.from.clone() };
        let found = self.contract.call(call).await?;
        serde_json::from_value(found).map_err(|error| {
            tracing::error!(%error, "a deployment can't be read");
            Error::internal()
        })
    }

    /// Tells a client that asked for it, when there is something new. Progress only grows, as the protocol demands.
    async fn tell(&self, deployment: &Deployment, told: &mut Option<(u8, String)>) {
        let Some(token) = &self.token else { return };
        let message = match &deployment.metadata.waiting_for {
            Some(what) => format!("{}: waiting for {what}", deployment.phase),
            None => deployment.phase.to_string(),
        };
        let message = self.gate.text(&message);
        if told.as_ref().is_some_and(|(progress, _)| *progress >= deployment.progress) {
            return;
        }
        let progress = ProgressNotificationParam::new(token.clone(), f64::from(deployment.progress))
            .with_total(100.0)
            .with_message(message.clone());
        if let Err(error) = self.peer.notify_progress(progress).await {
            tracing::debug!(%error, "progress was not told");
        }
        *told = Some((deployment.progress, message));
    }
}

fn read(request: Map<String, Value>) -> Result<Request, Refusal> {
    let request: Request = serde_path_to_error::deserialize(Value::Object(request))
        .map_err(|error| Refusal::arguments(format!("`{}`: {}", error.path(), error.inner())))?;
    if !(1..=LONGEST).contains(&request.timeout_seconds) {
        return Err(Refusal::arguments(format!(
            "`timeout_seconds` must be 1 to {LONGEST}, not {}",
            request.timeout_seconds
        ))
        .hint("Call again as often as needed: the deployment goes on meanwhile"));
    }
    Ok(request)
}

fn told_as(deployment: Deployment) -> Result<Value, Refusal> {
    let ended = deployment.phase.is_end();
    let next = match (&deployment.failure, &deployment.stuck) {
        _ if deployment.stuck.is_some() => {
            "It is stuck: tell `stuck` to the person you work for; `deployments_resume` tries again, `deployments_abandon` ends it as it is".to_owned()
        }
        _ if !ended => format!("It goes on by itself. Call `{NAME}` again to wait on"),
        (Some(failure), _) => format!("{}. `deployments_output` has all of its output", failure.hint),
        (None, _) => "Nothing: it has ended".to_owned(),
    };
    serde_json::to_value(Waited { ended, next, deployment }).map_err(|error| {
        tracing::error!(%error, "a deployment can't be written as JSON");
        Error::internal().into()
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_bounded() {
        let with = |seconds: Value| {
            let mut request = Map::from_iter([("deployment".to_owned(), json!("dep_01jd0000000000000000000000"))]);
            request.insert("timeout_seconds".to_owned(), seconds);
            read(request)
        };
        assert_eq!(with(json!(50)).unwrap().timeout_seconds, 50);
        for bad in [json!(0), json!(51), json!(-1), json!(4_000_000_000_u64), json!("5"), Value::Null] {
            assert_eq!(with(bad.clone()).unwrap_err().code, "invalid_arguments", "{bad}");
        }
    }
}
