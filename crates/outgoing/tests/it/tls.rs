//! TLS: the certificate must be good for the name, whatever address it leads to.

use std::sync::Arc;

use outgoing::{ClientConfig, Outgoing, OutgoingError};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto};

use crate::support::{Receiver, get, ok, outgoing, read_head, resolver};

const NAME: &str = "receiver.example.org";

/// A receiver with a certificate for [`NAME`], and the trust in who signed it.
async fn receiver() -> (Receiver, ClientConfig) {
    let mut root = CertificateParams::new([]).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_key = KeyPair::generate().unwrap();
    let root_certificate = root.self_signed(&root_key).unwrap();
    let issuer = Issuer::new(root, root_key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([NAME.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();

    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let receiver = Receiver::with("127.0.0.1", move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            read_head(&mut stream).await;
            let _ = stream.write_all(ok("sealed").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await;

    let mut roots = RootCertStore::empty();
    roots.add(root_certificate.der().clone()).unwrap();
    let trust = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (receiver, trust)
}

fn leading_here() -> Outgoing {
    outgoing(&["127.0.0.1"]).with_lookup(resolver(vec![vec!["127.0.0.1"]]).0)
}

#[tokio::test]
async fn a_good_certificate_is_believed_at_the_pinned_address() {
    let (receiver, trust) = receiver().await;
    let outgoing = leading_here().with_tls(trust);
    let answer = get(&outgoing, &format!("https://{NAME}:{}/", receiver.port())).await.unwrap();
    assert_eq!(answer.body.as_ref(), b"sealed");
    outgoing.connect_tls(NAME, receiver.port()).await.unwrap();
}

#[tokio::test]
async fn a_certificate_for_another_name_or_of_a_stranger_is_not() {
    let (receiver, trust) = receiver().await;
    let port = receiver.port();
    for (outgoing, name) in [(leading_here().with_tls(trust), "other.example.org"), (leading_here(), NAME)] {
        let error = get(&outgoing, &format!("https://{name}:{port}/")).await.unwrap_err();
        assert!(matches!(error, OutgoingError::Unreachable { .. }), "{error:?}");
        assert!(error.to_string().contains("certificate"), "{error}");
        let error = outgoing.connect_tls(name, port).await.unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}
