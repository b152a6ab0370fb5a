//! Proof of who answers: a request with the folder's secret is answered with the release that served it.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use domain::route::{Host, PathPrefix};
use domain::{DeploymentId, ReleaseId};
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use rand::Rng;
use tokio::net::TcpStream;

use crate::entrance::reachable;
use crate::files;

pub(crate) static VERIFY: HeaderName = HeaderName::from_static("plimsoll-verify");
pub(crate) static RELEASE: HeaderName = HeaderName::from_static("plimsoll-release");
pub(crate) static DEPLOYMENT: HeaderName = HeaderName::from_static("plimsoll-deployment");

/// The secret of a folder. It has no `Debug`, so that it can't end up in a log.
pub(crate) struct Secret(String);

impl Secret {
    /// In time that doesn't depend on where they differ.
    pub(crate) fn is(&self, offered: &[u8]) -> bool {
        blake3::hash(self.0.as_bytes()) == blake3::hash(offered)
    }
}

pub(crate) fn read_secret(dir: &Path) -> io::Result<Secret> {
    let text = fs::read_to_string(dir.join(files::SECRET))?;
    let valid = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if valid { Ok(Secret(text)) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "damaged secret file")) }
}

/// The folder's secret, made at the first start and again if its file is damaged.
pub(crate) fn secret(dir: &Path) -> io::Result<Secret> {
    if let Ok(secret) = read_secret(dir) {
        return Ok(secret);
    }
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    let text = bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    files::replace(dir, files::SECRET, text.as_bytes())?;
    Ok(Secret(text))
}

/// What a verifying request learnt.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) release: Option<ReleaseId>,
    pub(crate) deployment: Option<DeploymentId>,
}

/// One GET on a connection of its own. The body is left unread.
pub(crate) async fn request(listen: SocketAddr, host: &Host, path: &PathPrefix, secret: &Secret) -> io::Result<Answer> {
    let stream = TcpStream::connect(reachable(listen)).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let mut token = HeaderValue::from_str(&secret.0).map_err(io::Error::other)?;
    token.set_sensitive(true);
    let request = Request::get(path.as_str())
        .header(header::HOST, host.as_str())
        .header(header::USER_AGENT, "plimsoll")
        .header(header::CONNECTION, "close")
        .header(&VERIFY, token)
        .body(Empty::<bytes::Bytes>::new())
        .map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await;
    connection.abort();
    let response = response.map_err(io::Error::other)?;
    Ok(Answer {
        status: response.status().as_u16(),
        release: parsed(response.headers(), &RELEASE),
        deployment: parsed(response.headers(), &DEPLOYMENT),
    })
}

fn parsed<T: std::str::FromStr>(headers: &HeaderMap, name: &HeaderName) -> Option<T> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}
