//! Probing: is an instance well?

mod ask;
mod http;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use domain::health::{HealthCheck, Judge, Observation, Probe, Verdict};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

pub use self::ask::ask;
use crate::environment;
use crate::error::ExecError;
use crate::exec::{Command, Executor, Line};
use crate::isolation::Sandbox;
use crate::log::Stream;

/// Between two looks at whether the app still runs, if the check's own interval is longer.
const LOOK: Duration = Duration::from_millis(100);

/// What a probe is aimed at.
#[derive(Clone)]
pub struct Target {
    /// `None` for components without a port.
    pub addr: Option<SocketAddr>,
    /// `Host` header of an HTTP probe.
    pub host: String,
    /// For command probes, as for the app itself; may hold secrets.
    pub directory: PathBuf,
    pub env: BTreeMap<String, String>,
    /// Names of variables in `env` whose values are not told.
    pub secrets: BTreeSet<String>,
    /// See [`Command::marker`].
    pub marker: String,
    pub sandbox: Option<Sandbox>,
    pub executor: Executor,
}

/// Why waiting for health ended without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotHealthy {
    /// The reason in one line.
    #[error("{0}")]
    Unhealthy(String),
    #[error("cancelled")]
    Cancelled,
}

/// One probe, within the check's timeout.
pub async fn observe(check: &HealthCheck, target: &Target) -> Observation {
    let limit = check.timeout.get();
    match (&check.probe, target.addr) {
        (Probe::Running, _) => Observation::Passed,
        (Probe::Command { command }, _) => ask_command(command, target, limit).await,
        (Probe::Http { .. } | Probe::Tcp, None) => {
            Observation::Failed("the component has no port, so this check can't reach it".to_owned())
        }
        (Probe::Http { path }, Some(addr)) => within(limit, addr, http::get(addr, &target.host, path)).await,
        (Probe::Tcp, Some(addr)) => within(limit, addr, connect(addr)).await,
    }
}

/// Probe until healthy. `exited` tells how the app has ended if it has (see
/// `ProcessRuntime::last_exit`); it is asked at least every 100 ms, also while a probe hangs.
/// `on_event` gets each observation, and the time since this began.
pub async fn wait_healthy(
    check: &HealthCheck,
    target: &Target,
    exited: impl Fn() -> Option<String> + Send,
    mut on_event: impl FnMut(&Observation, Duration) + Send,
    cancel: &CancellationToken,
) -> Result<(), NotHealthy> {
    let begin = Instant::now();
    let mut judge = Judge::default();
    let mut last: Option<String> = None;
    loop {
        let probe_begin = Instant::now();
        let left = check.grace.get().saturating_sub(begin.elapsed());
        let seen = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(NotHealthy::Cancelled),
            how = gone(&exited) => Observation::Exited(how),
            seen = timeout(left, observe(check, target)) => {
                // The end of the grace cut this probe short; what an earlier one saw says more.
                seen.unwrap_or_else(|_| Observation::Failed(last.take().unwrap_or_else(|| "no answer yet".to_owned())))
            }
        };
        if let Observation::Failed(why) = &seen {
            last = Some(why.clone());
        }
        on_event(&seen, begin.elapsed());
        match judge.observe(check, seen, begin.elapsed(), probe_begin.elapsed()) {
            // An app that ended while it was probed answered its last; one look more than the probe.
            Verdict::Healthy => match exited() {
                Some(how) => return Err(NotHealthy::Unhealthy(ended(how))),
                None => return Ok(()),
            },
            Verdict::Unhealthy(why) => return Err(NotHealthy::Unhealthy(why)),
            Verdict::Wait(wait) => tokio::select! {
                () = cancel.cancelled() => return Err(NotHealthy::Cancelled),
                // Looked at again, and told, by the next round.
                _ = gone(&exited) => {}
                () = sleep(wait) => {}
            },
        }
    }
}

/// Waits for the app's end.
async fn gone(exited: &(impl Fn() -> Option<String> + Send)) -> String {
    loop {
        if let Some(how) = exited() {
            return ended(how);
        }
        sleep(LOOK).await;
    }
}

fn ended(how: String) -> String {
    format!("the app has ended: {how}")
}

async fn within(limit: Duration, addr: SocketAddr, probe: impl Future<Output = Result<(), String>>) -> Observation {
    match timeout(limit, probe).await {
        Ok(Ok(())) => Observation::Passed,
        Ok(Err(why)) => Observation::Failed(why),
        Err(_) => Observation::Failed(format!("no answer from {addr} within {}s", limit.as_secs_f64())),
    }
}

async fn connect(addr: SocketAddr) -> Result<(), String> {
    TcpStream::connect(addr).await.map(drop).map_err(|e| format!("cannot connect to {addr}: {e}"))
}

async fn ask_command(command: &str, target: &Target, limit: Duration) -> Observation {
    let command = Command {
        command: command.to_owned(),
        directory: target.directory.clone(),
        env: target.env.clone(),
        limit,
        marker: target.marker.clone(),
        sandbox: target.sandbox.clone(),
    };
    let secrets = environment::redactor(&target.env, &target.secrets);
    let (mut said, mut complained) = (None, None);
    let keep_last = |line: Line| {
        let last = if line.stream == Stream::Stderr { &mut complained } else { &mut said };
        if !line.text.trim().is_empty() {
            *last = Some(secrets.clean(line.text.trim()).chars().take(200).collect::<String>());
        }
    };
    // The caller drops this future to cancel.
    let done = target.executor.run(&command, keep_last, &CancellationToken::new()).await;
    match (done, complained.or(said)) {
        (Ok(exit), _) if exit.success() => Observation::Passed,
        (Ok(exit), Some(last)) => Observation::Failed(format!("the check command ended with {exit}: {last}")),
        (Ok(exit), None) => Observation::Failed(format!("the check command ended with {exit}")),
        (Err(ExecError::TimedOut(limit)), _) => {
            Observation::Failed(format!("the check command did not end within {}s", limit.as_secs_f64()))
        }
        (Err(error), _) => Observation::Failed(error.to_string()),
    }
}
