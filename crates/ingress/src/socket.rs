//! The control socket. Its path may be at most 107 bytes long for the kernel; for longer ones the folder is
//! opened and the socket named through `/proc/self/fd`.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::files::{CONTROL_SOCKET, NEW_SOCKET};

/// `sun_path` without its final zero.
const MAX_PATH: usize = 107;

pub(crate) async fn connect(dir: &Path) -> io::Result<UnixStream> {
    let name = ShortPath::of(dir, CONTROL_SOCKET)?;
    UnixStream::connect(&name.path).await
}

/// Binds the socket with mode 0600, in place of another process's, dead or about to end. The caller owns the folder.
pub(crate) fn bind(dir: &Path) -> io::Result<UnixListener> {
    let name = ShortPath::of(dir, NEW_SOCKET)?;
    match fs::remove_file(dir.join(NEW_SOCKET)) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    let listener = UnixListener::bind(&name.path)?;
    // Until here the folder's mode 0700 alone keeps others out.
    fs::set_permissions(dir.join(NEW_SOCKET), fs::Permissions::from_mode(0o600))?;
    // There is no instant without a socket of that name, and who connects to it finds somebody who listens.
    fs::rename(dir.join(NEW_SOCKET), dir.join(CONTROL_SOCKET))?;
    Ok(listener)
}

/// A path to the socket that fits; it is valid as long as this value lives.
struct ShortPath {
    path: PathBuf,
    _folder: Option<File>,
}

impl ShortPath {
    fn of(dir: &Path, socket: &str) -> io::Result<Self> {
        let path = dir.join(socket);
        if path.as_os_str().as_bytes().len() <= MAX_PATH {
            return Ok(Self { path, _folder: None });
        }
        if !cfg!(target_os = "linux") {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} is longer than {MAX_PATH} bytes; use a shorter data folder", path.display()),
            ));
        }
        let folder = File::open(dir)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{socket}", folder.as_raw_fd()));
        Ok(Self { path, _folder: Some(folder) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn works_in_folders_with_long_names() {
        let temp = tempfile::tempdir().unwrap();
        for dir in [temp.path().join("short"), temp.path().join("l".repeat(200)).join("m".repeat(100))] {
            fs::create_dir_all(&dir).unwrap();
            let listener = bind(&dir).unwrap();
            let (client, server) = tokio::join!(connect(&dir), listener.accept());
            assert!(client.is_ok() && server.is_ok());
            assert_eq!(fs::metadata(dir.join(CONTROL_SOCKET)).unwrap().permissions().mode() & 0o777, 0o600);
            drop(listener);
            // A dead process's socket is in the way of nobody.
            bind(&dir).unwrap();
        }
    }
}
