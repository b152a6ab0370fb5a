//! The files of the ingress's folder, and how a file is replaced so that a crash leaves the old one or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

pub(crate) const LOCK: &str = "lock";
pub(crate) const CONTROL_SOCKET: &str = "control.sock";
/// A control socket that has not got its name yet.
pub(crate) const NEW_SOCKET: &str = "control.new";
pub(crate) const TABLE: &str = "routes.json";
pub(crate) const TABLE_COPY: &str = "routes.previous.json";
pub(crate) const TABLE_DAMAGED: &str = "routes.damaged.json";
pub(crate) const POLICY: &str = "policy.json";
pub(crate) const STATS: &str = "stats.json";
pub(crate) const PROCESS: &str = "process.json";
pub(crate) const SECRET: &str = "verify.secret";
pub(crate) const CERTIFICATES: &str = "certificates";
pub(crate) const LOG: &str = "ingress.log";
pub(crate) const OLD_LOG: &str = "ingress.log.1";

/// Makes the folder if need be, for its owner alone.
pub(crate) fn create_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
}

/// Replaces `dir/name` with `content`, mode 0600. When it returns the new content is on the disk.
pub(crate) fn replace(dir: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&temporary, dir.join(name))?;
    File::open(dir)?.sync_all()
}

/// The same, but the new content may be lost with the machine's power.
pub(crate) fn put(dir: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    fs::rename(&temporary, dir.join(name))
}
