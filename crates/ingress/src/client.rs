//! How the control plane talks to the ingress.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::route::{Host, PathPrefix};
use domain::{CertificateId, DeploymentId, EnvironmentId, Name};
use tokio::time::{Instant, sleep, timeout};

use crate::entrance::Entrance;
use crate::policy::Policy;
use crate::protocol::{self, Request, Response};
use crate::report::{CertificateReport, CutoverReport, Drained, Stats, Status, Verified};
use crate::route::{EnvironmentRoutes, Gate, Target};
use crate::table::{Refused, RouteTable};
use crate::tls::Sealed;
use crate::{socket, verify};

/// Time for a request that needs no gate and no drain.
const LIMIT: Duration = Duration::from_secs(10);
/// How often a drain is asked for again that was not answered.
const ASKED_AGAIN: u32 = 3;
/// Until a process that has moved is asked for again.
const MOVED: Duration = Duration::from_millis(5);

/// Talks to the ingress of one directory. Cheap to make and to clone: each call opens a connection of its own.
#[derive(Debug, Clone)]
pub struct Client {
    dir: PathBuf,
}

/// The ingress did not answer, so what it did is unknown. Every request may be repeated.
#[derive(Debug, thiserror::Error)]
#[error("the ingress in {} does not answer: {source}", dir.display())]
pub struct Unavailable {
    pub dir: PathBuf,
    pub source: io::Error,
}

/// Why a table is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The ingress could not make the change durable, for instance as the disk is full. Nothing changed.
    #[error("the ingress could not keep the change: {0}")]
    Failed(String),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a certificate is not served, or still is.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("the ingress can't serve the certificate: {0}")]
    Unusable(String),
    /// The ingress could not make the change durable, for instance as the disk is full. Nothing changed.
    #[error("the ingress could not keep the change: {0}")]
    Failed(String),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why traffic goes where it went. After `Unavailable` it may have been switched: repeat the cutover, or look at the table.
#[derive(Debug, thiserror::Error)]
pub enum CutoverError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the ingress can't reach `{component}` at {upstream}: {reason}")]
    GateFailed { component: Name, upstream: String, reason: String },
    /// The ingress could not make the change durable, for instance as the disk is full. Nothing changed.
    #[error("the ingress could not keep the change: {0}")]
    Failed(String),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why it is unknown who answers.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The request through the listening socket failed.
    #[error("no answer for {host}{path} through {listen}: {source}")]
    Request { host: Host, path: PathPrefix, listen: std::net::SocketAddr, source: io::Error },
    /// An answer came that names no release: no route leads to one.
    #[error("the answer for {host}{path} (status {status}) came from no release")]
    NoRelease { host: Host, path: PathPrefix, status: u16 },
}

impl Client {
    /// A client for the ingress that runs (or will run) with `dir`.
    pub fn new(dir: impl AsRef<Path>) -> Self {
        Self { dir: dir.as_ref().to_owned() }
    }

    /// Checks generation and conflicts without any change.
    pub async fn prepare(&self, routes: &EnvironmentRoutes) -> Result<(), ChangeError> {
        match self.ask(Request::Prepare { routes: routes.clone() }, LIMIT).await? {
            Response::Done => Ok(()),
            other => Err(self.change_error(other)),
        }
    }

    /// Runs the gates, then switches: `Ok` means that every request from now on is served by `routes`, also
    /// after a crash. Repeating it is harmless.
    pub async fn cutover(&self, routes: EnvironmentRoutes) -> Result<CutoverReport, CutoverError> {
        let limit = LIMIT + gate_time(&routes);
        match self.ask(Request::Cutover { routes }, limit).await? {
            Response::Cutover(report) => Ok(report),
            Response::Refused(refused) => Err(refused.into()),
            Response::GateFailed { component, upstream, reason } => {
                Err(CutoverError::GateFailed { component, upstream, reason })
            }
            Response::Failed(reason) => Err(CutoverError::Failed(reason)),
            other => Err(self.unexpected(&other).into()),
        }
    }

    /// Waits until no request is in flight to what `deployment` routed to and what is routed no longer, or until
    /// `limit` has passed. Then connections that switched protocols are closed (a WebSocket with a close frame), as
    /// what they lead to is about to be stopped.
    ///
    /// Of a deployment that was superseded or removed, these are all its requests. Of one that took its cutover
    /// back (and so decided the current routes as well), they are the requests to its own release.
    pub async fn drain(&self, deployment: &DeploymentId, limit: Duration) -> Result<Drained, Unavailable> {
        let begun = Instant::now();
        let mut again = ASKED_AGAIN;
        loop {
            let left = limit.saturating_sub(begun.elapsed());
            let drain = Request::Drain { deployment: deployment.clone(), limit: left };
            match self.ask(drain, left + LIMIT).await {
                Ok(Response::Drained(drained)) => return Ok(drained),
                Ok(other) => return Err(self.unexpected(&other)),
                // Who was asked may have given its place to another process meanwhile, which counts the same requests.
                Err(_) if again > 0 => {
                    again -= 1;
                    sleep(Duration::from_millis(100)).await;
                }
                Err(gone) => return Err(gone),
            }
        }
    }

    /// Stops serving an environment. A deployment of this generation or an older one can't bring it back.
    pub async fn remove(&self, environment: &EnvironmentId, generation: u64) -> Result<(), ChangeError> {
        match self.ask(Request::Remove { environment: environment.clone(), generation }, LIMIT).await? {
            Response::Done => Ok(()),
            other => Err(self.change_error(other)),
        }
    }

    /// The table that is served now.
    pub async fn table(&self) -> Result<RouteTable, Unavailable> {
        match self.ask(Request::Table, LIMIT).await? {
            Response::Table(table) => Ok(table),
            other => Err(self.unexpected(&other)),
        }
    }

    pub async fn status(&self) -> Result<Status, Unavailable> {
        match self.ask(Request::Status, LIMIT).await? {
            Response::Status(status) => Ok(status),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Requests, errors and latencies by release.
    pub async fn stats(&self) -> Result<Stats, Unavailable> {
        match self.ask(Request::Stats, LIMIT).await? {
            Response::Stats(stats) => Ok(stats),
            other => Err(self.unexpected(&other)),
        }
    }

    /// What holds for the whole ingress, in effect from now on and after each restart.
    pub async fn configure(&self, policy: Policy) -> Result<(), ChangeError> {
        match self.ask(Request::Configure { policy }, LIMIT).await? {
            Response::Done => Ok(()),
            other => Err(self.change_error(other)),
        }
    }

    /// Counts what another process of the same folder counted.
    pub(crate) async fn absorb(&self, stats: Stats) -> Result<(), Unavailable> {
        match self.ask(Request::Absorb { stats }, LIMIT).await? {
            Response::Done => Ok(()),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Asks the process to stop as if by TERM: it closes the listening socket, lets requests finish, and exits.
    pub async fn stop(&self) -> Result<(), Unavailable> {
        match self.ask(Request::Stop, LIMIT).await? {
            Response::Done => Ok(()),
            other => Err(self.unexpected(&other)),
        }
    }

    /// One real GET through the listening socket (at most 10 s), answered with the release that served it.
    /// The response's status is for the caller to judge.
    pub async fn verify(&self, host: &Host, path: &PathPrefix) -> Result<Verified, VerifyError> {
        let listen = self.status().await?.listen;
        let secret = verify::read_secret(&self.dir).map_err(|e| self.unavailable(e))?;
        let request = verify::request(listen, host, path, &secret);
        let failed = |source| VerifyError::Request { host: host.clone(), path: path.clone(), listen, source };
        let answer = match timeout(LIMIT, request).await {
            Ok(answer) => answer.map_err(failed)?,
            Err(_) => {
                return Err(failed(io::Error::new(io::ErrorKind::TimedOut, "no answer within 10 s")));
            }
        };
        match (answer.release, answer.deployment) {
            (Some(release), Some(deployment)) => Ok(Verified { status: answer.status, release, deployment }),
            _ => Err(VerifyError::NoRelease { host: host.clone(), path: path.clone(), status: answer.status }),
        }
    }

    /// Where a request in the clear reaches what visitors of `host` reach, also if they are all sent to HTTPS.
    pub async fn entrance(&self, host: &Host) -> Result<Entrance, Unavailable> {
        let (status, certificates) = (self.status().await?, self.certificates().await?);
        Entrance::open(host, &status, &certificates).await.map_err(|e| self.unavailable(e))
    }

    /// Certificates in the ingress's folder, with what is wrong with them.
    pub async fn certificates(&self) -> Result<Vec<CertificateReport>, Unavailable> {
        match self.ask(Request::Certificates, LIMIT).await? {
            Response::Certificates(all) => Ok(all),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Serves a certificate, from now on and after any crash. Repeating it is harmless.
    pub async fn put_certificate(&self, id: &CertificateId, certificate: Sealed) -> Result<(), CertificateError> {
        match self.ask(Request::PutCertificate { id: id.clone(), certificate }, LIMIT).await? {
            Response::Done => Ok(()),
            Response::Unusable(reason) => Err(CertificateError::Unusable(reason)),
            Response::Failed(reason) => Err(CertificateError::Failed(reason)),
            other => Err(self.unexpected(&other).into()),
        }
    }

    /// Serves it no longer; one that is not there is fine.
    pub async fn remove_certificate(&self, id: &CertificateId) -> Result<(), CertificateError> {
        match self.ask(Request::RemoveCertificate { id: id.clone() }, LIMIT).await? {
            Response::Done => Ok(()),
            Response::Failed(reason) => Err(CertificateError::Failed(reason)),
            other => Err(self.unexpected(&other).into()),
        }
    }

    async fn ask(&self, request: Request, limit: Duration) -> Result<Response, Unavailable> {
        let conversation = async {
            loop {
                let mut io = socket::connect(&self.dir).await?;
                protocol::send(&mut io, &request).await?;
                match protocol::receive(&mut io).await? {
                    // One process takes another's place; the next one answers in a moment.
                    Response::Moved => tokio::time::sleep(MOVED).await,
                    response => return Ok(response),
                }
            }
        };
        match timeout(limit, conversation).await {
            Ok(response) => response.map_err(|e| self.unavailable(e)),
            Err(_) => Err(self.unavailable(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no answer within {} s", limit.as_secs()),
            ))),
        }
    }

    fn change_error(&self, response: Response) -> ChangeError {
        match response {
            Response::Refused(refused) => refused.into(),
            Response::Failed(reason) => ChangeError::Failed(reason),
            other => self.unexpected(&other).into(),
        }
    }

    fn unexpected(&self, response: &Response) -> Unavailable {
        let reason = match response {
            Response::Failed(reason) => reason.clone(),
            _ => "it gave an answer to another question".to_owned(),
        };
        self.unavailable(io::Error::other(reason))
    }

    fn unavailable(&self, source: io::Error) -> Unavailable {
        Unavailable { dir: self.dir.clone(), source }
    }
}

/// The longest that the gates of `routes` can take; they run side by side.
fn gate_time(routes: &EnvironmentRoutes) -> Duration {
    let gates = routes.routes.iter().filter_map(|r| match &r.target {
        Target::Upstreams { gate: Gate::Http { timeout, .. }, .. } => Some(*timeout),
        Target::Upstreams { gate: Gate::Tcp, .. } => Some(crate::gate::TCP_LIMIT),
        _ => None,
    });
    gates.max().unwrap_or_default()
}
