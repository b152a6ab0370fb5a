//! What client and process say to each other over the control socket: one request and one response for each
//! connection, each a length (4 bytes, big-endian) and that many bytes of JSON.

use std::io;
use std::time::Duration;

use domain::{CertificateId, DeploymentId, EnvironmentId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::connection::Scheme;
use crate::policy::Policy;
use crate::report::{CertificateReport, CutoverReport, Drained, Stats, Status};
use crate::route::{EnvironmentRoutes, millis};
use crate::table::{Refused, RouteTable};
use crate::tls::Sealed;

/// Both sides send it, and refuse another one.
pub(crate) const VERSION: u32 = 1;

const MAX_FRAME: usize = 64 << 20;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Envelope<T> {
    pub(crate) version: u32,
    pub(crate) message: T,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Request {
    Status,
    Table,
    Stats,
    Prepare {
        routes: EnvironmentRoutes,
    },
    Cutover {
        routes: EnvironmentRoutes,
    },
    Remove {
        environment: EnvironmentId,
        generation: u64,
    },
    Drain {
        deployment: DeploymentId,
        #[serde(with = "millis")]
        limit: Duration,
    },
    /// Takes effect at once and holds from now on.
    Configure {
        policy: Policy,
    },
    /// What the sender counted, to be counted here.
    Absorb {
        stats: Stats,
    },
    Stop,
    /// Serve a certificate.
    PutCertificate {
        id: CertificateId,
        certificate: Sealed,
    },
    RemoveCertificate {
        id: CertificateId,
    },
    Certificates,
    /// Another process wants this one's place; the connection goes on as `handover` says.
    TakeOver,
    /// Somebody wants to hold the listening sockets as long as the connection stays open.
    Hold,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "is", content = "of", rename_all = "snake_case")]
pub(crate) enum Response {
    Done,
    Status(Status),
    Table(RouteTable),
    Stats(Stats),
    Cutover(CutoverReport),
    Drained(Drained),
    Refused(Refused),
    GateFailed {
        component: domain::Name,
        upstream: String,
        reason: String,
    },
    /// The process could not do it, for a reason of its own such as a full disk. Nothing changed.
    Failed(String),
    Certificates(Vec<CertificateReport>),
    /// The certificate can't be served.
    Unusable(String),
    /// Another process has taken over or is about to: ask again.
    Moved,
    /// The sockets follow, and the folder's lock if `lock`.
    Sockets {
        schemes: Vec<Scheme>,
        lock: bool,
    },
}

pub(crate) async fn send<T: Serialize>(io: &mut (impl AsyncWrite + Unpin), message: T) -> io::Result<()> {
    let body = serde_json::to_vec(&Envelope { version: VERSION, message })?;
    let length = u32::try_from(body.len()).map_err(|_| invalid("message of more than 4 GiB"))?;
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&body);
    io.write_all(&frame).await?;
    io.flush().await
}

pub(crate) async fn receive<T: DeserializeOwned>(io: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let length = io.read_u32().await? as usize;
    if length > MAX_FRAME {
        return Err(invalid("message too long"));
    }
    // Memory grows with what arrives, not with what the length claims.
    let mut body = Vec::new();
    io.take(length as u64).read_to_end(&mut body).await?;
    if body.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // The version first, as another version's message may have another shape.
    let envelope: Envelope<serde_json::Value> = serde_json::from_slice(&body).map_err(|e| unreadable(&e))?;
    if envelope.version != VERSION {
        return Err(invalid(&format!(
            "the other side speaks version {}, this one version {VERSION}",
            envelope.version
        )));
    }
    serde_json::from_value(envelope.message).map_err(|e| unreadable(&e))
}

/// Never the kind of error that stands for a connection that was closed, as JSON which ends too early would otherwise be.
fn unreadable(error: &serde_json::Error) -> io::Error {
    invalid(&format!("the other side is not understood: {error}"))
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
