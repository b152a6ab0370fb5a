//! Archives, and sending them as programs other than the CLI do.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use domain::UploadId;
use domain::deployment::Deployment;
use domain::source::Source;
use domain::upload::{Algorithm, Checksum};
use operations::client::CallError;
use operations::deployments::{Deploy, DeployRequest};
use operations::uploads::{Create, CreateRequest, Get, List, ListRequest, Upload, UploadRequest, content_path};
use secrecy::ExposeSecret;

use crate::Server;

/// Writes files into a folder; those that end in `.sh` are executable.
pub fn write_tree<P: AsRef<Path>, C: AsRef<[u8]>>(dir: &Path, files: impl IntoIterator<Item = (P, C)>) {
    for (path, content) in files {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let mode = if path.extension().is_some_and(|e| e == "sh") { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// The folder as a tar, made by the program `tar`.
pub fn tar(dir: &Path) -> Vec<u8> {
    made(Command::new("tar").args(["-cf", "-", "."]).current_dir(dir))
}

/// The folder as a zip with modes, made by Python.
pub fn zip(dir: &Path) -> Vec<u8> {
    const SCRIPT: &str = "
import os, sys, zipfile
with zipfile.ZipFile(sys.stdout.buffer, 'w', zipfile.ZIP_DEFLATED) as out:
    for top, _, names in os.walk('.'):
        for name in names: out.write(os.path.join(top, name))
";
    made(Command::new("python3").args(["-c", SCRIPT]).current_dir(dir))
}

pub fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}

fn made(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What the CLI takes of a file to know it again.
pub fn checksum(bytes: &[u8]) -> Checksum {
    Checksum::new(Algorithm::Blake3, blake3::hash(bytes).as_bytes())
}

impl Server {
    pub async fn announce(&self, bytes: &[u8]) -> Result<Upload, CallError> {
        let request = CreateRequest { name: "app.tar".to_owned(), size: bytes.len() as u64, digest: checksum(bytes) };
        self.client().call::<Create>(&request).await
    }

    /// Announces and sends all of it.
    pub async fn upload(&self, bytes: &[u8]) -> UploadId {
        let upload = self.announce(bytes).await.unwrap();
        let sent = self.client().send(&upload.id, 0, bytes.len() as u64, bytes.to_vec()).await.unwrap();
        assert!(sent.complete, "{sent:?}");
        upload.id
    }

    pub async fn upload_state(&self, upload: &UploadId) -> Result<Upload, CallError> {
        self.client().call::<Get>(&UploadRequest { upload: upload.clone() }).await
    }

    pub async fn uploads(&self) -> Vec<Upload> {
        self.client().call::<List>(&ListRequest { cursor: None, limit: 500 }).await.unwrap().items
    }

    /// Asks for a deployment of it to production.
    pub async fn deploy_upload(&self, app: &str, upload: &UploadId) -> Result<Deployment, CallError> {
        let request = DeployRequest {
            app: app.parse().unwrap(),
            environment: "production".parse().unwrap(),
            source: Some(Source::Archive { upload: upload.clone() }),
            reference: None,
            plan: None,
            tags: Vec::new(),
            metadata: Default::default(),
            priority: Default::default(),
            not_before: None,
            bypass_window: None,
        };
        self.client().call::<Deploy>(&request).await
    }

    /// A request of its own making for an upload's content.
    pub fn put(&self, upload: &UploadId, offset: u64) -> reqwest::RequestBuilder {
        let local = operations::local::read(&self.data()).unwrap();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        let url = format!("http://{}{}", self.api(), content_path(upload, offset));
        client.put(url).bearer_auth(local.token.expose_secret())
    }

    /// Files of uploads on the disk.
    pub fn upload_files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.data().join("uploads")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }
}
