//! Programs that builds and sources need, where the server looks for them.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nix::unistd::{AccessFlags, access};

use super::{Finding, Surroundings};

/// For sources in git repositories, which is most of them.
const NEEDED: [&str; 2] = ["git", "sh"];
/// For apps of their kind.
const USEFUL: [&str; 6] = ["node", "npm", "python3", "go", "cargo", "ssh"];

pub(super) fn check(around: &Surroundings) -> Vec<Finding> {
    let path = around.proc_file("environ").and_then(path_of).unwrap_or_default();
    let folders: Vec<PathBuf> =
        path.split(|b| *b == b':').map(|part| PathBuf::from(std::ffi::OsStr::from_bytes(part))).collect();
    let find = |name: &str| {
        folders.iter().map(|dir| dir.join(name)).find(|file| file.is_file() && access(file, AccessFlags::X_OK).is_ok())
    };
    let mut findings = Vec::new();
    for name in NEEDED {
        findings.push(match find(name) {
            Some(path) => Finding::ok(name, path.display().to_string()),
            None => {
                Finding::failed(name, "not in the server's PATH", format!("Install {name}, or add its folder to PATH"))
            }
        });
    }
    for name in USEFUL {
        findings.push(match find(name) {
            Some(path) => Finding::ok(name, path.display().to_string()),
            None => Finding::skipped(name, "not in the server's PATH; only apps of its kind need it"),
        });
    }
    findings
}

/// `PATH` of a process's environment; the other variables are nobody's business.
fn path_of(environ: Vec<u8>) -> Option<Vec<u8>> {
    environ.split(|b| *b == 0).find_map(|entry| entry.strip_prefix(b"PATH=")).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_path_is_taken() {
        assert_eq!(path_of(b"SECRET=PATH=/x\0PATH=/bin:/usr/bin\0".to_vec()), Some(b"/bin:/usr/bin".to_vec()));
        assert_eq!(path_of(b"XPATH=/x\0".to_vec()), None);
    }
}
