//! `plimsoll down`: stops everything of a data folder: server, ingress and apps.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use operations::{Error, ErrorKind};
use runtime::{Executor, ProcessRuntime, Supervisor};
use serde_json::json;

use super::Context;
use crate::confirm::confirm;
use crate::connection::data_folder;
use crate::failure::Failure;
use crate::pidfile::{self, Identity};

const EXAMPLES: &str = "\
Examples:
  plimsoll down                          the server of this machine, and its apps
  plimsoll down --data .demo/data --yes";

/// The server ends its running steps, the ingress the requests in flight.
const GRACE: Duration = Duration::from_secs(40);
const AFTER_KILL: Duration = Duration::from_secs(5);

/// Stop the server of a data folder with its ingress and all its apps.
///
/// `Ctrl-C` in `plimsoll server` stops the server alone: apps keep serving. This stops everything. Nothing is deleted:
/// the next `plimsoll server` with the same folder starts what was active.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let data = data_folder(&context.globals)?;
    let data = data.canonicalize().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::from(Error::not_found(format!("there is no data folder {}", data.display())))
                .hint("Name one with --data DIR")
        }
        _ => Failure::file("open", &data, &e),
    })?;
    confirm(args.yes, &format!("Stopping the server, the ingress and all apps of {}", data.display()))?;
    let server = stop_server(&data).await?;
    // What the server was building with, if it could not end it itself.
    Executor::new(&data).sweep_all_except(&BTreeSet::new()).await;
    let ingress = stop_ingress(&data.join("ingress")).await?;
    let instances = stop_instances(data.join("instances")).await?;
    if context.out.json {
        return context
            .out
            .document(&json!({ "data": data, "server": server, "ingress": ingress, "instances": instances }));
    }
    let mut stopped: Vec<String> = Vec::new();
    stopped.extend(server.then(|| "the server".to_owned()));
    stopped.extend(ingress.then(|| "the ingress".to_owned()));
    match instances {
        0 => {}
        1 => stopped.push("1 app process".to_owned()),
        n => stopped.push(format!("{n} app processes")),
    }
    match stopped.is_empty() {
        true => context.out.line(format!("nothing runs with {}", data.display())),
        false => context.out.line(format!("stopped {}", stopped.join(", "))),
    }
}

/// Whether there was one; with PostgreSQL there may be several.
async fn stop_server(data: &Path) -> Result<bool, Failure> {
    let servers = pidfile::all_running(data);
    // All at once: none is to go on with what another one leaves.
    let ends = futures::future::join_all(servers.iter().map(|server| end(server, "the server"))).await;
    ends.into_iter().collect::<Result<(), Failure>>()?;
    if !servers.is_empty() {
        pidfile::remove(data);
    }
    Ok(!servers.is_empty())
}

async fn stop_ingress(dir: &Path) -> Result<bool, Failure> {
    if !dir.is_dir() {
        return Ok(false);
    }
    // Only the ingress of this folder answers on the folder's socket, so the pid is its own.
    let Ok(status) = ingress::Client::new(dir).status().await else {
        return Ok(false);
    };
    match i32::try_from(status.pid).ok().and_then(Identity::of) {
        Some(process) => {
            end(&process, "the ingress").await?;
            Ok(true)
        }
        None => Ok(false),
    }
}

/// How many were stopped. Their logs stay.
async fn stop_instances(dir: PathBuf) -> Result<usize, Failure> {
    if !dir.is_dir() {
        return Ok(0);
    }
    let binary = std::env::current_exe().map_err(|e| Failure::file("find", Path::new("plimsoll"), &e))?;
    let failed = |e: &dyn std::fmt::Display| Failure::from(Error::new(ErrorKind::Internal, e.to_string()));
    let runtime =
        ProcessRuntime::new(dir, Supervisor { binary, args: vec!["supervise".to_owned()] }).map_err(|e| failed(&e))?;
    let running: Vec<String> = runtime
        .list()
        .into_iter()
        .filter(|instance| !matches!(instance.state, domain::instance::InstanceState::Stopped { .. }))
        .map(|instance| instance.key.name())
        .collect();
    let ends = futures::future::join_all(running.iter().map(|name| runtime.stop(name))).await;
    for ended in ends {
        ended.map_err(|e| failed(&e))?;
    }
    Ok(running.len())
}

/// TERM, then KILL when it takes too long.
async fn end(process: &Identity, what: &str) -> Result<(), Failure> {
    for (signal, limit) in [(Signal::SIGTERM, GRACE), (Signal::SIGKILL, AFTER_KILL)] {
        process.signal(signal);
        let until = Instant::now() + limit;
        while Instant::now() < until {
            if !process.is_alive() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Err(Error::new(ErrorKind::Internal, format!("{what} (process {}) does not end", process.pid))
        .hint("It may belong to another user: run this as that user")
        .into())
}
