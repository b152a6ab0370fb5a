//! Where things are in the data folder.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use domain::release::Digest;
use domain::{AppId, DeploymentId, ServerId, UploadId};

/// The data folder. Everything Plimsoll keeps is below it, readable by its own user alone.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    data: PathBuf,
}

impl Layout {
    /// Makes the folder and its subfolders where they are missing.
    pub(crate) fn prepare(data: &Path) -> io::Result<Self> {
        let make = |dir: &Path| std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        make(data)?;
        let layout = Self { data: data.canonicalize()? };
        for dir in [
            layout.workspaces(),
            layout.releases(),
            layout.outputs(),
            layout.caches(),
            layout.uploads(),
            layout.servers(),
        ] {
            make(&dir)?;
        }
        Ok(layout)
    }

    /// One that is there, as it is.
    pub(crate) fn at(data: &Path) -> io::Result<Self> {
        Ok(Self { data: data.canonicalize()? })
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }
    /// Held by the servers that work on this folder: by one alone with SQLite, shared with PostgreSQL.
    pub(crate) fn lock(&self) -> PathBuf {
        self.data.join("server.lock")
    }
    /// What the folder is called among the hosts of a database.
    pub(crate) fn host(&self) -> PathBuf {
        self.data.join("host")
    }
    /// Held by a server that starts.
    pub(crate) fn starting(&self) -> PathBuf {
        self.data.join("starting.lock")
    }
    /// Held by the server that looks after instances and ingress.
    pub(crate) fn duty(&self) -> PathBuf {
        self.data.join("duty.lock")
    }
    pub(crate) fn servers(&self) -> PathBuf {
        self.data.join("servers")
    }
    /// Held by one server for as long as it lives.
    pub(crate) fn server_lock(&self, server: &ServerId) -> PathBuf {
        self.servers().join(format!("{server}.lock"))
    }
    pub(crate) fn database(&self) -> PathBuf {
        self.data.join("plimsoll.db")
    }
    pub(crate) fn key(&self) -> PathBuf {
        self.data.join("master.key")
    }
    pub(crate) fn local(&self) -> PathBuf {
        self.data.join(operations::local::FILE)
    }
    pub(crate) fn ingress(&self) -> PathBuf {
        self.data.join("ingress")
    }
    pub(crate) fn instances(&self) -> PathBuf {
        self.data.join("instances")
    }
    pub(crate) fn sites(&self) -> PathBuf {
        self.data.join("sites")
    }
    pub(crate) fn repositories(&self) -> PathBuf {
        self.data.join("repositories")
    }
    pub(crate) fn caches(&self) -> PathBuf {
        self.data.join("cache")
    }
    /// What builds of an app keep between deployments.
    pub(crate) fn cache(&self, app: &AppId) -> PathBuf {
        self.caches().join(app.as_str())
    }
    pub(crate) fn workspaces(&self) -> PathBuf {
        self.data.join("workspaces")
    }
    /// Folder of one deployment at work.
    pub(crate) fn workspace(&self, deployment: &DeploymentId) -> Workspace {
        Workspace { dir: self.workspaces().join(deployment.as_str()) }
    }
    pub(crate) fn releases(&self) -> PathBuf {
        self.data.join("releases")
    }
    pub(crate) fn app_releases(&self, app: &AppId) -> PathBuf {
        self.releases().join(app.as_str())
    }
    /// The files of a release; the folder exists whole or not at all.
    pub(crate) fn release(&self, app: &AppId, digest: &Digest) -> PathBuf {
        self.app_releases(app).join(digest.as_str())
    }
    pub(crate) fn uploads(&self) -> PathBuf {
        self.data.join("uploads")
    }
    /// What has arrived of a file.
    pub(crate) fn upload(&self, upload: &UploadId) -> PathBuf {
        self.uploads().join(upload.as_str())
    }
    pub(crate) fn outputs(&self) -> PathBuf {
        self.data.join("outputs")
    }
    pub(crate) fn output(&self, deployment: &DeploymentId) -> PathBuf {
        self.outputs().join(format!("{deployment}.ndjson"))
    }
}

/// What a deployment works in; gone when it has ended.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    dir: PathBuf,
}

impl Workspace {
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
    pub(crate) fn source(&self) -> PathBuf {
        self.dir.join("source")
    }
    /// The environment's variables as they were when the deployment looked, sealed.
    pub(crate) fn snapshot(&self) -> PathBuf {
        self.dir.join("environment.sealed")
    }
    /// `HOME` of build and release commands.
    pub(crate) fn home(&self) -> PathBuf {
        self.dir.join("home")
    }
    /// Their `TMPDIR`, and `/tmp` where they have a view of their own.
    pub(crate) fn temp(&self) -> PathBuf {
        self.dir.join("tmp")
    }
}

/// Removes a folder and everything in it, read-only folders included, however deep a build has made it; a missing one is fine.
pub(crate) fn remove_dir(dir: &Path) -> io::Result<()> {
    runtime::isolation::remove_tree(dir)
}
