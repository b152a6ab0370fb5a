//! The control plane: handlers of the operations, the deployment saga, reconcilers.

pub mod caller;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;

use domain::DeploymentId;
use domain::event::Event;
use futures::Stream;
use operations::logs::LogLine;
use operations::{Error, Operation};
use secrecy::SecretString;

pub use caller::{Caller, Handle, IdempotencyKey};

/// How to run the control plane.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder of everything Plimsoll keeps.
    pub data: PathBuf,
    /// `postgres://…`; SQLite in the data folder when absent.
    pub database: Option<SecretString>,
    /// Where the ingress listens.
    pub ingress: SocketAddr,
    /// Apps answer at `<app>.<domain>`.
    pub domain: String,
    /// The `plimsoll` binary, for the ingress and the supervisors.
    pub binary: PathBuf,
    /// Deployments at work at the same time.
    pub workers: usize,
}

/// The control plane of one server.
#[derive(Clone)]
pub struct Control {}

/// A running control plane, and what is told once.
pub struct Started {
    pub control: Control,
    /// Made at the very first start; shown once, stored hashed.
    pub first_token: Option<SecretString>,
}

pub type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Error>> + Send>>;

/// A line of an environment's log, and the cursor after it.
pub struct CursorLine {
    pub cursor: String,
    pub line: LogLine,
}

impl Control {
    pub async fn start(_options: Options) -> Result<Started, Error> {
        Err(Error::internal())
    }

    /// Tells clients on this machine where the API listens: writes `local.json` with a fresh token, and the pointer.
    pub async fn announce(&self, _url: &str) -> Result<(), Error> {
        Err(Error::internal())
    }

    /// Stops taking work, lets running steps end at their next journal write, withdraws the announcement.
    /// Apps and ingress go on.
    pub async fn shutdown(&self) {}

    /// Who holds this token.
    pub async fn authenticate(&self, _token: &str) -> Result<Caller, Error> {
        Err(Error::internal())
    }

    /// The recorded response of an earlier request with the caller's idempotency key; an error if it was another request.
    pub async fn replay<O: Operation>(&self, _caller: &Caller) -> Result<Option<O::Response>, Error> {
        Err(Error::internal())
    }

    /// Events after a cursor, for ever.
    pub async fn follow_events(&self, _request: operations::events::ListRequest) -> Result<Messages<Event>, Error> {
        Err(Error::internal())
    }

    /// Output of a deployment after a line; ends when the deployment has ended and all is told.
    pub async fn follow_output(&self, _id: &DeploymentId, _after: Option<u64>) -> Result<Messages<LogLine>, Error> {
        Err(Error::internal())
    }

    /// Lines of an environment: `limit` of history (or all after a cursor), then new ones for ever.
    pub async fn follow_logs(&self, _request: operations::logs::ReadRequest) -> Result<Messages<CursorLine>, Error> {
        Err(Error::internal())
    }

    /// May requests be sent here? Says why not.
    pub async fn ready(&self) -> Result<(), Error> {
        Err(Error::internal())
    }
}

impl<O: Operation> Handle<O> for Control {
    async fn handle(&self, _: &Caller, _: O::Request) -> Result<O::Response, Error> {
        Err(Error::internal())
    }
}
