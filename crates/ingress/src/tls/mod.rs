//! TLS on the clients' side: which certificate for which name, and the handshake within its time.

mod certificate;
mod files;
mod keyring;

use std::io;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::server::TlsStream;

pub use certificate::{BadCertificate, Details, MAX_CHAIN, MAX_KEY, inspect};
pub use files::Sealed;
pub(crate) use keyring::{Keyring, PutError, Resolver};

/// HTTP/2 as it is named in a handshake, RFC 9113 section 3.2.
const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";
/// A record of TLS 1.2 with the fatal alert `unrecognized_name`, RFC 6066 section 3: all versions read it.
const UNKNOWN_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// What handshakes have in common.
pub(crate) struct Tls {
    keyring: Arc<Keyring>,
    config: Arc<ServerConfig>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("no certificate for `{0}`")]
    UnknownName(String),
    #[error("the handshake took too long")]
    Late,
    #[error(transparent)]
    Failed(#[from] io::Error),
}

impl Tls {
    pub(crate) fn new(keyring: Arc<Keyring>) -> Result<Self, tokio_rustls::rustls::Error> {
        let resolver = Resolver { keyring: keyring.clone(), local: None };
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
        // Sessions are kept by the clients: nothing here grows with their number.
        config.ticketer = Ticketer::new()?;
        Ok(Self { keyring, config: Arc::new(config) })
    }

    /// A client that asks for a name without a certificate gets the alert that says so, and the connection ends.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
        limit: std::time::Duration,
    ) -> Result<TlsStream<TcpStream>, HandshakeError> {
        match timeout(limit, self.handshake(stream)).await {
            Ok(done) => done,
            Err(_) => Err(HandshakeError::Late),
        }
    }

    async fn handshake(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, HandshakeError> {
        let local = stream.local_addr().ok().map(|a| a.ip());
        let mut start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let name = start.client_hello().server_name().map(str::to_ascii_lowercase);
        if self.keyring.find(name.as_deref(), local).is_none() {
            start.io.write_all(&UNKNOWN_NAME).await?;
            start.io.shutdown().await?;
            return Err(HandshakeError::UnknownName(name.unwrap_or_default()));
        }
        let config = match name {
            Some(_) => self.config.clone(),
            // Rare: a client that connects to an address. The resolver must know which one it is.
            None => {
                let mut config = ServerConfig::clone(&self.config);
                config.cert_resolver = Arc::new(Resolver { keyring: self.keyring.clone(), local });
                Arc::new(config)
            }
        };
        Ok(start.into_stream(config).await?)
    }
}

/// Whether the client chose HTTP/2 in the handshake.
pub(crate) fn speaks_h2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(H2)
}
