//! A way in for those on this machine who ask as visitors do, and speak no TLS.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use domain::route::Host;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::report::{CertificateReport, Status};

/// An address of this machine that is asked in the clear and leads to a host's routes: the ingress's own, or, where that
/// would only send the request to HTTPS, one that hands on to HTTPS and is open until this is dropped.
#[derive(Debug)]
pub struct Entrance {
    address: SocketAddr,
    door: Option<AbortHandle>,
}

impl Entrance {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn open(host: &Host, status: &Status, certificates: &[CertificateReport]) -> io::Result<Self> {
        let redirects = status.settings.as_ref().is_some_and(|settings| settings.https_redirect);
        match status.https.filter(|_| redirects && certificates.iter().any(|c| c.covers(host))) {
            Some(https) => Self::through(reachable(https), host).await,
            None => Ok(Self { address: reachable(status.listen), door: None }),
        }
    }

    async fn through(https: SocketAddr, host: &Host) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let name = ServerName::try_from(host.as_str().to_owned()).map_err(io::Error::other)?;
        let tls = connector().map_err(io::Error::other)?;
        let door = tokio::spawn(async move {
            let mut visits = JoinSet::new();
            loop {
                match listener.accept().await {
                    Ok((visit, _)) => drop(visits.spawn(pass(visit, https, tls.clone(), name.clone()))),
                    Err(e) => {
                        tracing::warn!(error = %e, "can't take a connection");
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                }
                while visits.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, door: Some(door.abort_handle()) })
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        if let Some(door) = &self.door {
            door.abort();
        }
    }
}

/// An address to connect to for one that is listened on: `0.0.0.0` stands for every address of the machine.
pub(crate) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn pass(mut visit: TcpStream, https: SocketAddr, tls: TlsConnector, name: ServerName<'static>) {
    let passed = async {
        let mut secure = tls.connect(name, TcpStream::connect(https).await?).await?;
        copy_bidirectional(&mut visit, &mut secure).await
    };
    if let Err(e) = passed.await {
        tracing::debug!(error = %e, "a connection to the ingress's HTTPS ended");
    }
}

fn connector() -> Result<TlsConnector, Error> {
    let provider = Arc::new(default_provider());
    let any = AnyCertificate(provider.signature_verification_algorithms);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(any))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Who answers is known: the ingress itself told its address. What a visitor thinks of its certificate is not asked here;
/// it may be self-signed, or from an authority that this machine doesn't know.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
