//! TLS and HTTP/2, with certificates made here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::CertificateId;
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ingress::{CertificateError, Limits, Options, Sealed, Settings};
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs::default_provider};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme, crypto::verify_tls12_signature,
    crypto::verify_tls13_signature,
};
use ulid::Ulid;

use crate::support::*;

pub(crate) fn certificate(names: &[&str], default: bool) -> Sealed {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    Sealed { chain: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem().into(), default }
}

pub(crate) fn id(n: u128) -> CertificateId {
    CertificateId::from_ulid(Ulid::from_parts(9, n))
}

/// Takes any certificate, but checks that its key signed: the test looks at which one it got.
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

/// A handshake as a browser makes it. An address as `name` is not told to the server.
pub(crate) async fn handshake(
    address: SocketAddr,
    name: &str,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(default_provider());
    let any = AnyCertificate(provider.signature_verification_algorithms);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(any))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Which certificate a client gets that asks for `name`; `Err` is what the handshake failed with.
async fn shown(address: SocketAddr, name: &str) -> Result<CertificateDer<'static>, String> {
    let stream = handshake(address, name, &["http/1.1"]).await.map_err(|e| e.to_string())?;
    Ok(stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned())
}

fn der(sealed: &Sealed) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(sealed.chain.as_bytes()).unwrap()
}

pub(crate) fn secure() -> Options {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = Settings { https_listen: Some(address), ..Settings::from(address) };
    Options::new("", settings)
}

/// One request in HTTP/1.1 on a connection of its own.
async fn get_http1(address: SocketAddr, host: &str) -> (StatusCode, String) {
    let stream = handshake(address, host, &["http/1.1"]).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("/").header("host", host).body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status();
    (status, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

type H2 = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

async fn http2<S>(stream: S) -> (H2, tokio::task::JoinHandle<hyper::Result<()>>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    (sender, tokio::spawn(connection))
}

async fn ask(sender: &H2, request: Request<Full<Bytes>>) -> (StatusCode, Version, String) {
    let mut sender = sender.clone();
    sender.ready().await.unwrap();
    let response = sender.send_request(request).await.unwrap();
    let (status, version) = (response.status(), response.version());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, version, String::from_utf8_lossy(&body).into_owned())
}

fn h2_get(scheme: &str, path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("{scheme}://{HOST}{path}")).body(Full::default()).unwrap()
}

#[tokio::test]
async fn each_name_gets_its_own_certificate_and_an_unknown_one_an_alert() {
    let ingress = Ingress::start_as(secure()).await;
    let https = ingress.https();
    let origin = Origin::named("v1").await;
    ingress.route(1, &[origin.address]).await;
    assert!(shown(https, HOST).await.unwrap_err().contains("UnrecognisedName"), "nothing is there yet");

    let (exact, wildcard) = (certificate(&["a.example.org", HOST], false), certificate(&["*.example.org"], false));
    ingress.client.put_certificate(&id(1), exact.clone()).await.unwrap();
    ingress.client.put_certificate(&id(2), wildcard.clone()).await.unwrap();
    ingress.client.put_certificate(&id(2), wildcard.clone()).await.unwrap();
    assert_eq!(shown(https, "a.example.org").await.unwrap(), der(&exact));
    assert_eq!(shown(https, "A.Example.ORG").await.unwrap(), der(&exact));
    assert_eq!(shown(https, "b.example.org").await.unwrap(), der(&wildcard));
    for unknown in ["example.org", "x.b.example.org", "unknown.test", "127.0.0.1"] {
        let alert = shown(https, unknown).await.unwrap_err();
        assert!(alert.contains("UnrecognisedName"), "{unknown}: {alert}");
    }
    assert_eq!(get_http1(https, HOST).await, (StatusCode::OK, "v1".to_owned()));

    let default = certificate(&["fallback.test"], true);
    ingress.client.put_certificate(&id(3), default.clone()).await.unwrap();
    assert_eq!(shown(https, "unknown.test").await.unwrap(), der(&default));
    assert_eq!(shown(https, "127.0.0.1").await.unwrap(), der(&default));
    ingress.client.remove_certificate(&id(3)).await.unwrap();
    assert!(shown(https, "unknown.test").await.is_err());

    // Renewed: valid for longer, under an id of its own.
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["a.example.org".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(4097, 1, 1);
    let renewed =
        Sealed { chain: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem().into(), default: false };
    ingress.client.put_certificate(&id(4), renewed.clone()).await.unwrap();
    assert_eq!(shown(https, "a.example.org").await.unwrap(), der(&renewed));
    assert_eq!(shown(https, HOST).await.unwrap(), der(&exact), "its other name stays");
}

#[tokio::test]
async fn a_bad_certificate_takes_down_its_own_name_alone() {
    let temp = tempfile::tempdir().unwrap();
    let options = || Options { dir: temp.path().to_owned(), ..secure() };
    let ingress = Ingress::start_as(options()).await;
    let names = ["a.example.org", "b.example.org", "c.example.org"];
    let all: Vec<Sealed> = names.iter().map(|name| certificate(&[name], false)).collect();
    for (n, certificate) in (1..).zip(&all) {
        ingress.client.put_certificate(&id(n), certificate.clone()).await.unwrap();
    }
    let mixed = Sealed { key: all[0].key.clone(), ..all[1].clone() };
    let refused = ingress.client.put_certificate(&id(9), mixed).await.unwrap_err();
    assert!(matches!(&refused, CertificateError::Unusable(why) if why.contains("another certificate")), "{refused}");
    ingress.stop().await;

    // The disk has eaten one, in the middle of its key.
    let file = temp.path().join(format!("certificates/{}.json", id(2)));
    let mut content = std::fs::read(&file).unwrap();
    let at = content.len() - 100;
    content[at] ^= 1;
    std::fs::write(&file, content).unwrap();
    let ingress = Ingress::start_as(options()).await;
    let https = ingress.https();
    assert_eq!(shown(https, names[0]).await.unwrap(), der(&all[0]));
    assert_eq!(shown(https, names[2]).await.unwrap(), der(&all[2]));
    assert!(shown(https, names[1]).await.unwrap_err().contains("UnrecognisedName"));
    let degraded = ingress.client.status().await.unwrap().degraded.unwrap();
    assert!(degraded.contains(id(2).as_str()) && degraded.contains("checksum"), "{degraded}");
    let report = ingress.client.certificates().await.unwrap();
    let faulty: Vec<_> = report.iter().filter(|c| c.fault.is_some()).map(|c| &c.id).collect();
    assert_eq!((report.len(), faulty), (3, vec![&id(2)]));

    ingress.client.put_certificate(&id(2), all[1].clone()).await.unwrap();
    assert_eq!(shown(https, names[1]).await.unwrap(), der(&all[1]));
    assert_eq!(ingress.client.status().await.unwrap().degraded, None);
}

#[tokio::test]
async fn http2_and_http1_over_tls_tell_the_app_the_same() {
    let ingress = Ingress::start_as(secure()).await;
    let origin = Origin::echo().await;
    ingress.route(1, &[origin.address]).await;
    ingress.client.put_certificate(&id(1), certificate(&[HOST], false)).await.unwrap();
    let https = ingress.https();

    let (status, seen) = get_http1(https, HOST).await;
    assert_eq!(status, 200);
    for line in ["GET / HTTP", &format!("host: {HOST}"), "x-forwarded-proto: https", "x-forwarded-for: 127.0.0.1"] {
        assert!(seen.contains(line.strip_suffix(" HTTP").unwrap_or(line)), "{line} in {seen}");
    }

    let stream = handshake(https, HOST, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, _) = http2(stream).await;
    let request = Request::post(format!("https://{HOST}/path?q=1"))
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("x-forwarded-proto", "http")
        .body(Full::from("body"))
        .unwrap();
    let (status, version, seen) = ask(&sender, request).await;
    assert_eq!((status, version), (StatusCode::OK, Version::HTTP_2));
    for line in ["POST /path?q=1", &format!("host: {HOST}"), "cookie: a=1; b=2", "x-forwarded-proto: https", "\n\nbody"]
    {
        assert!(seen.contains(line), "{line} in {seen}");
    }
    assert_eq!(seen.matches("cookie:").count(), 1, "{seen}");
    assert_eq!(seen.matches("x-forwarded-proto").count(), 1, "{seen}");

    // An old client that negotiates nothing.
    let plain = handshake(https, HOST, &[]).await.unwrap();
    assert_eq!(plain.get_ref().1.alpn_protocol(), None);
    // One that knows neither gets the alert for that.
    let neither = handshake(https, HOST, &["spdy/3"]).await.unwrap_err();
    assert!(neither.to_string().contains("NoApplicationProtocol"), "{neither}");
}

/// 400 requests on four HTTP/2 connections and four HTTP/1.1 ones, during a cutover.
#[tokio::test(flavor = "multi_thread")]
async fn http2_and_http1_are_served_side_by_side_through_a_cutover() {
    let ingress = Ingress::start_as(secure()).await;
    let (old, new) = (Origin::named("v1").await, Origin::named("v2").await);
    ingress.route(1, &[old.address]).await;
    ingress.client.put_certificate(&id(1), certificate(&[HOST], false)).await.unwrap();
    let (https, plain) = (ingress.https(), ingress.address);
    let mut clients = tokio::task::JoinSet::new();
    for n in 0..4 {
        clients.spawn(async move {
            // In the clear by prior knowledge, and over TLS.
            let (sender, _connection) = match n % 2 {
                0 => http2(TcpStream::connect(plain).await.unwrap()).await,
                _ => http2(handshake(https, HOST, &["h2"]).await.unwrap()).await,
            };
            let scheme = if n % 2 == 0 { "http" } else { "https" };
            let asked = (0..50).map(|k| ask(&sender, h2_get(scheme, if k % 10 == 0 { "/slow" } else { "/" })));
            futures::future::join_all(asked)
                .await
                .into_iter()
                .map(|(status, _, body)| (status.as_u16(), body))
                .collect()
        });
        clients.spawn(async move {
            let mut raw = Raw::connect(plain).await;
            let mut seen: Vec<(u16, String)> = vec![];
            for _ in 0..50 {
                let answer = raw.get("/").await;
                seen.push((answer.status, answer.text()));
            }
            seen
        });
    }
    ingress.route(2, &[new.address]).await;
    let mut count = 0;
    while let Some(seen) = clients.join_next().await {
        for (status, body) in seen.unwrap() {
            assert!(status == 200 && (body == "v1" || body == "v2"), "{status} {body}");
            count += 1;
        }
    }
    assert_eq!(count, 400);
    assert_eq!(get_http1(https, HOST).await.1, "v2");
}

#[tokio::test]
async fn plain_requests_are_sent_to_https_if_the_host_has_a_certificate() {
    let mut options = secure();
    options.settings.https_redirect = true;
    let ingress = Ingress::start_as(options).await;
    let origin = Origin::named("v1").await;
    ingress.route(1, &[origin.address]).await;
    assert_eq!(ingress.get("/").await.status, 200, "no certificate yet");
    ingress.client.put_certificate(&id(1), certificate(&[HOST], false)).await.unwrap();
    let answer = ingress.get("/a/b?c=d").await;
    assert_eq!(answer.status, 308);
    assert_eq!(answer.header("location"), Some(&*format!("https://{HOST}:{}/a/b?c=d", ingress.https().port())));
    assert_eq!(ingress.get("/.well-known/acme-challenge/x").await.status, 200);
    assert_eq!(get_http1(ingress.https(), HOST).await.1, "v1");
    // The control plane still gets its proof.
    let verified = ingress.client.verify(&HOST.parse().unwrap(), &"/".parse().unwrap()).await.unwrap();
    assert_eq!((verified.status, verified.release), (200, release(1)));

    // Who speaks no TLS has an entrance to what visitors reach, for as long as it is held open.
    let echo = Origin::echo().await;
    ingress.route(2, &[echo.address]).await;
    let entrance = ingress.client.entrance(&HOST.parse().unwrap()).await.unwrap();
    let door = entrance.address();
    let mut raw = Raw::connect(door).await;
    for path in ["/", "/again"] {
        let answer = raw.get(path).await;
        assert!(answer.status == 200 && answer.text().contains("x-forwarded-proto: https"), "{answer:?}");
    }
    drop(entrance);
    until(|| async { TcpStream::connect(door).await.is_err().then_some(()) }).await;
    let open = ingress.client.entrance(&"other.localhost".parse().unwrap()).await.unwrap();
    assert_eq!(open.address(), ingress.address, "nobody is sent to HTTPS without a certificate");
}

#[tokio::test]
async fn silent_and_broken_handshakes_end_and_others_are_served() {
    let limits = Limits { handshake: Duration::from_millis(300), ..Limits::default() };
    let ingress = Ingress::start_as(Options { limits, ..secure() }).await;
    let origin = Origin::named("v1").await;
    ingress.route(1, &[origin.address]).await;
    ingress.client.put_certificate(&id(1), certificate(&[HOST], false)).await.unwrap();
    let begun = Instant::now();
    let mut silent = Raw::connect(ingress.https()).await;
    let mut half = Raw::connect(ingress.https()).await;
    half.send([22, 3, 1, 2, 0, 1, 0]).await;
    let mut plain = Raw::connect(ingress.https()).await;
    plain.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    assert_eq!(get_http1(ingress.https(), HOST).await.0, 200);
    assert!(silent.is_closed().await && half.is_closed().await);
    assert!(begun.elapsed() >= Duration::from_millis(250));
    // An alert at most, no answer.
    let mut rest = vec![];
    let _ = tokio::time::timeout(Duration::from_secs(60), plain.stream.read_to_end(&mut rest)).await.unwrap();
    assert!(!rest.starts_with(b"HTTP"), "{rest:?}");
}

#[tokio::test]
async fn an_http2_connection_that_is_idle_is_closed_in_order() {
    let limits = Limits { idle: Duration::from_millis(300), ..Limits::default() };
    let ingress = Ingress::with(limits).await;
    let origin = Origin::named("v1").await;
    ingress.route(1, &[origin.address]).await;
    let (sender, connection) = http2(TcpStream::connect(ingress.address).await.unwrap()).await;
    assert_eq!(ask(&sender, h2_get("http", "/")).await.2, "v1");
    tokio::time::timeout(Duration::from_secs(60), connection).await.unwrap().unwrap().unwrap();

    // One that sends the preface and nothing else.
    let mut raw = TcpStream::connect(ingress.address).await.unwrap();
    raw.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut rest = vec![];
    // Sooner than it would be left for giving no sign of life.
    let ended = tokio::time::timeout(Duration::from_secs(25), raw.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "still open after {} bytes", rest.len());
}

#[tokio::test]
async fn http2_has_limits() {
    let ingress = Ingress::with(Limits { streams: 5, ..Limits::default() }).await;
    let origin = Origin::named("v1").await;
    ingress.route(1, &[origin.address]).await;
    let (sender, _connection) = http2(TcpStream::connect(ingress.address).await.unwrap()).await;
    // More than may be open at a time: the client has been told by then, and the rest wait for their turn.
    assert_eq!(ask(&sender, h2_get("http", "/")).await.0, StatusCode::OK);
    let asked = (0..30).map(|_| ask(&sender, h2_get("http", "/slow")));
    assert!(futures::future::join_all(asked).await.iter().all(|(status, _, body)| *status == 200 && body == "v1"));

    let large = Request::get(format!("http://{HOST}/")).header("x", "a".repeat(40 << 10)).body(Full::default());
    let mut other = sender.clone();
    let refused = other.send_request(large.unwrap()).await;
    assert!(refused.as_ref().map_or(true, |r| r.status() == 431), "{refused:?}");

    let disagreeing = Request::get(format!("http://{HOST}/")).header("host", "other.test").body(Full::default());
    assert_eq!(ask(&sender, disagreeing.unwrap()).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(ask(&sender, h2_get("http", "/")).await.0, StatusCode::OK, "the connection goes on");
}

/// A frame of HTTP/2, RFC 9113 section 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags][..], &stream.to_be_bytes()[..], payload].concat()
}

/// Kind, flags and payload of the next one; none at the end of the connection.
async fn next_frame(connection: &mut TcpStream) -> Option<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    connection.read_exact(&mut head).await.ok()?;
    let [a, b, c, kind, flags, ..] = head;
    let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap()];
    connection.read_exact(&mut payload).await.ok()?;
    Some((kind, flags, payload))
}

/// How a client begins.
fn preface() -> Vec<u8> {
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[])].concat()
}

/// The head of a request: `GET` and `http` are in the table of RFC 7541, of `:path` and `:authority` the names.
fn head(path: &str) -> Vec<u8> {
    let mut head = vec![0x82, 0x86];
    for (name, text) in [(4, path), (1, HOST)] {
        head.extend([name, u8::try_from(text.len()).unwrap()]);
        head.extend(text.as_bytes());
    }
    head
}

/// Asks for `/slow` 500 times, with `then` after each request. The code of the GOAWAY with which the connection ends.
async fn flood(address: SocketAddr, then: fn(u32) -> Vec<u8>) -> Option<u32> {
    let (mut all, head) = (preface(), head("/slow"));
    for stream in (1..1000).step_by(2) {
        all.extend(frame(1, 5, stream, &head));
        all.extend(then(stream));
    }
    let mut connection = TcpStream::connect(address).await.unwrap();
    // In one piece, so that nothing is answered in between. It may be ended before all of it is sent.
    let _ = connection.write_all(&all).await;
    while let Some((kind, _, payload)) = next_frame(&mut connection).await {
        if kind == 7 {
            return Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
    }
    None
}

/// Asks ten times in each round, and takes back what is not among the `kept` once that was accepted. It acknowledges nothing.
/// In which rounds it was told to leave, and was closed.
async fn take_back(address: SocketAddr, kept: usize, flags: u8) -> (Option<u32>, Option<u32>) {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(&preface()).await.unwrap();
    let mut told = None;
    for round in 0..200 {
        let streams: Vec<u32> = (0..10).map(|n| (round * 10 + n) * 2 + 1).collect();
        let (answered, taken_back) = streams.split_at(kept);
        let mut asked: Vec<u8> = answered.iter().flat_map(|stream| frame(1, 5, *stream, &head("/"))).collect();
        asked.extend(taken_back.iter().flat_map(|stream| frame(1, flags, *stream, &head("/slow"))));
        asked.extend(frame(6, 0, 0, &[0; 8]));
        let _ = connection.write_all(&asked).await;
        let (mut ponged, mut ended) = (false, 0);
        while !ponged || ended < kept {
            let Some((kind, flags, _)) = next_frame(&mut connection).await else { return (told, Some(round)) };
            match (kind, flags & 1) {
                (0 | 1, 1) => ended += 1,
                (6, 1) => ponged = true,
                (7, _) => told = told.or(Some(round)),
                _ => {}
            }
        }
        let resets: Vec<u8> = taken_back.iter().flat_map(|stream| frame(3, 0, *stream, &8_u32.to_be_bytes())).collect();
        let _ = connection.write_all(&resets).await;
    }
    (told, None)
}

/// Streams that a client opens and takes back at once (CVE-2023-44487), or makes us reset (CVE-2025-8671), are more work for
/// us than for it.
#[tokio::test]
async fn a_flood_of_streams_that_are_reset_ends_its_own_connection_alone() {
    const ENHANCE_YOUR_CALM: u32 = 11;
    let ingress = Ingress::start().await;
    let origin = Origin::named("v1").await;
    ingress.route(1, &[origin.address]).await;
    let (neighbour, _connection) = http2(TcpStream::connect(ingress.address).await.unwrap()).await;
    type Flood = fn(u32) -> Vec<u8>;
    let floods: [(&str, Flood); 2] = [
        ("taken back", |stream| frame(3, 0, stream, &8_u32.to_be_bytes())),
        ("a window larger than there may be", |stream| frame(8, 0, stream, &0x7fff_ffff_u32.to_be_bytes())),
    ];
    for (how, then) in floods {
        let ended = tokio::time::timeout(Duration::from_secs(60), flood(ingress.address, then));
        let (ended, slow, new) = tokio::join!(ended, ask(&neighbour, h2_get("http", "/slow")), ingress.get("/"));
        assert_eq!(ended, Ok(Some(ENHANCE_YOUR_CALM)), "{how}");
        assert_eq!((slow.2.as_str(), new.status), ("v1", 200), "{how}");
    }
}

/// Less at once than a flood, but for ever: CVE-2023-44487 by who waits until a request is with the app.
#[tokio::test]
async fn who_takes_back_most_of_what_it_asks_for_leaves_and_who_lets_be_answered_stays() {
    let ingress = Ingress::start().await;
    let origin = Origin::named("v1").await;
    ingress.route(1, &[origin.address]).await;
    for (what, flags) in [("requests", 5), ("requests whose bodies never come", 4)] {
        let ended = tokio::time::timeout(Duration::from_secs(300), take_back(ingress.address, 0, flags)).await;
        // It takes no leave by itself: it is closed after as many again.
        assert!(matches!(ended, Ok((Some(50..), Some(50..)))), "{what}: {ended:?}");
    }
    let stays = tokio::time::timeout(Duration::from_secs(300), take_back(ingress.address, 6, 5)).await;
    assert_eq!(stays, Ok((None, None)));
    assert_eq!(ingress.get("/").await.status, 200);
}
