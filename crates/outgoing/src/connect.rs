//! Connections for protocols other than HTTP, and what is trusted in TLS.

use std::sync::Arc;

use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, crypto};

use crate::error::root;
use crate::resolve::{Target, shown};
use crate::{Outgoing, OutgoingError};

/// The certificates that the system trusts.
pub(crate) fn trust() -> Result<ClientConfig, OutgoingError> {
    let trust = |e: tokio_rustls::rustls::Error| OutgoingError::Trust { reason: e.to_string() };
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(trust)?
        .with_platform_verifier()
        .map_err(trust)?;
    Ok(config.with_no_client_auth())
}

impl Outgoing {
    /// A connection without encryption, to begin one by STARTTLS with.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, OutgoingError> {
        self.reach(host, self.target(host, port).await?).await
    }

    /// The same for what stays without encryption: only where an operator allowed each address by name.
    pub async fn connect_plain(&self, host: &str, port: u16) -> Result<TcpStream, OutgoingError> {
        let target = self.target(host, port).await?;
        if !target.allowed {
            return Err(OutgoingError::Plain { host: shown(host) });
        }
        self.reach(host, target).await
    }

    /// A connection with TLS; the certificate must be good for `host`.
    pub async fn connect_tls(&self, host: &str, port: u16) -> Result<TlsStream<TcpStream>, OutgoingError> {
        let stream = self.connect(host, port).await?;
        self.encrypt(host, stream).await
    }

    /// Begins TLS on a connection to `host`.
    pub async fn encrypt(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, OutgoingError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|e| OutgoingError::Malformed { reason: format!("`{}` is no host ({e})", shown(host)) })?;
        self.within(host, async {
            let connected = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await;
            connected.map_err(|e| OutgoingError::Unreachable { host: shown(host), reason: root(&e) })
        })
        .await
    }

    async fn reach(&self, host: &str, target: Target) -> Result<TcpStream, OutgoingError> {
        self.within(host, async {
            let connected = TcpStream::connect(target.addresses.as_slice()).await;
            connected.map_err(|e| OutgoingError::Unreachable { host: shown(host), reason: e.to_string() })
        })
        .await
    }

    async fn within<T>(
        &self,
        host: &str,
        work: impl Future<Output = Result<T, OutgoingError>>,
    ) -> Result<T, OutgoingError> {
        let limit = self.limits.connect;
        let slow = |_| Err(OutgoingError::Slow { host: shown(host), limit, what: "be connected to" });
        tokio::time::timeout(limit, work).await.unwrap_or_else(slow)
    }
}
