//! What several checks need, looked at once.

use std::net::SocketAddr;
use std::path::PathBuf;

use control::inspect::{self, Survey};
use ingress::Status;
use operations::client::CallError;
use operations::diagnosis::{Diagnose, DiagnoseRequest, Diagnoses};
use operations::local::{self, Local};
use operations::server::{Info, InfoRequest, ServerInfo};
use operations::{Client, Error};
use secrecy::SecretString;

use crate::pidfile;

/// Addresses that a server would listen on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listen {
    pub(crate) api: SocketAddr,
    pub(crate) ingress: SocketAddr,
}

pub(crate) struct Surroundings {
    /// It may not be there.
    pub(crate) data: PathBuf,
    pub(crate) listen: Listen,
    /// Process of the server of this folder, if it runs.
    pub(crate) server: Option<i32>,
    pub(crate) local: Option<Local>,
    /// What the server answered; `None` when none runs.
    pub(crate) info: Option<Result<ServerInfo, CallError>>,
    /// How it is with deployments that have not ended; `None` when the server can't be asked.
    pub(crate) diagnoses: Option<Diagnoses>,
    pub(crate) ingress: Option<Status>,
    /// `None` when there is no database yet.
    pub(crate) survey: Option<Result<Survey, Error>>,
}

impl Surroundings {
    pub(crate) async fn look(data: PathBuf, database: Option<SecretString>, listen: Listen) -> Self {
        let local = local::read(&data).ok();
        let info = match &local {
            Some(local) => Some(info(local).await),
            None => None,
        };
        let diagnoses = match (&local, &info) {
            (Some(local), Some(Ok(_))) => diagnoses(local).await,
            _ => None,
        };
        let ingress_dir = data.join("ingress");
        let ingress = match ingress_dir.is_dir() {
            true => ingress::Client::new(&ingress_dir).status().await.ok(),
            false => None,
        };
        let survey = inspect::database(&data, database.as_ref()).await;
        Self { server: pidfile::running(&data).map(|p| p.pid), data, listen, local, info, diagnoses, ingress, survey }
    }

    /// A file of the server's process in `/proc`, else of this one: limits and paths are its own.
    pub(crate) fn proc_file(&self, name: &str) -> Option<Vec<u8>> {
        let of_server = self.server.and_then(|pid| std::fs::read(format!("/proc/{pid}/{name}")).ok());
        of_server.or_else(|| std::fs::read(format!("/proc/self/{name}")).ok())
    }
}

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

async fn diagnoses(local: &Local) -> Option<Diagnoses> {
    let client = Client::new(&local.url, &local.token).ok()?;
    // An older server does not know the operation.
    let request = DiagnoseRequest { limit: QUEUED };
    tokio::time::timeout(PATIENCE, client.call::<Diagnose>(&request)).await.ok()?.ok()
}

/// Deployments that wait for their turn, of which people are told.
const QUEUED: u32 = 20;

async fn info(local: &Local) -> Result<ServerInfo, CallError> {
    let client = Client::new(&local.url, &local.token)?;
    // Whoever has the address by now may take the connection and say nothing.
    tokio::time::timeout(PATIENCE, client.call::<Info>(&InfoRequest {})).await.unwrap_or_else(|_| {
        let reason = format!("no answer within {} s", PATIENCE.as_secs());
        Err(CallError::Unreachable { url: local.url.clone(), reason })
    })
}
