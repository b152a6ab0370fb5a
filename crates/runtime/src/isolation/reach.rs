//! Which folders a command needs beyond its own, and which of them others may not enter. Decisions alone, on facts that
//! are asked for one by one.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Variables whose values are files or folders that programs read.
const PATHS: [&str; 12] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "PIP_FIND_LINKS",
    "PYENV_ROOT",
    "RUSTUP_HOME",
    "NVM_DIR",
    "JAVA_HOME",
    "GOROOT",
];
/// Everybody may read them anyway.
const SYSTEM: [&str; 8] = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt", "/etc", "/nix"];

/// Folders outside of the system's own that hold programs the server would find, with what those need: for
/// `~/.pyenv/shims` all of pyenv, for `/srv/node/bin` all of `/srv/node`; of a home, or of Cargo's folder with its tokens,
/// only the programs.
pub(super) fn toolchains(variable: impl Fn(&str) -> Option<String>, home: Option<&Path>) -> Vec<PathBuf> {
    let mut found = BTreeSet::new();
    let path = variable("PATH").unwrap_or_default();
    for folder in std::env::split_paths(&path).filter(|p| p.is_absolute()) {
        found.insert(with_what_it_needs(&folder, home));
        found.extend(targets(&folder, home));
    }
    for name in PATHS {
        let values = variable(name).unwrap_or_default();
        found.extend(values.split_whitespace().map(PathBuf::from).filter(|p| p.is_absolute()));
    }
    if let Some(home) = home {
        found.insert(home.join(".rustup"));
    }
    // Nobody gets the whole disk, or all of a folder at its top.
    let is_needed =
        |path: &PathBuf| path.components().count() > 2 && path.exists() && !SYSTEM.iter().any(|s| path.starts_with(s));
    let real: BTreeSet<PathBuf> =
        found.iter().flat_map(|p| [Some(p.clone()), p.canonicalize().ok()]).flatten().collect();
    let real: Vec<PathBuf> = real.into_iter().filter(is_needed).filter(|p| Some(p.as_path()) != home).collect();
    // What lies in another one is there already.
    let inside = |path: &PathBuf| real.iter().any(|other| other != path && path.starts_with(other));
    real.iter().filter(|p| !inside(p)).cloned().collect()
}

fn with_what_it_needs(folder: &Path, home: Option<&Path>) -> PathBuf {
    let parent = folder.parent().filter(|parent| {
        let programs = folder.file_name().is_some_and(|n| n == "bin" || n == "shims" || n == "sbin");
        let private = [".cargo", ".local"].iter().any(|n| parent.ends_with(n));
        programs && !private && Some(*parent) != home
    });
    parent.unwrap_or(folder).to_owned()
}

/// What links among the programs lead to.
fn targets(folder: &Path, home: Option<&Path>) -> Vec<PathBuf> {
    if SYSTEM.iter().any(|s| folder.starts_with(s)) {
        return Vec::new();
    }
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let links = entries.filter(|e| e.file_type().is_ok_and(|kind| kind.is_symlink())).take(1000);
    let targets: BTreeSet<PathBuf> =
        links.filter_map(|e| Some(e.path().canonicalize().ok()?.parent()?.to_owned())).collect();
    targets.iter().map(|target| with_what_it_needs(target, home)).collect()
}

/// The outermost folders on the way to the granted ones that others may not enter, and `own`, which are always replaced.
pub(super) fn bases(granted: &[&PathBuf], passable: impl Fn(&Path) -> bool, own: &[&Path]) -> Vec<PathBuf> {
    let mut bases: BTreeSet<PathBuf> = own.iter().map(|path| path.to_path_buf()).collect();
    for path in granted {
        let mut way: Vec<&Path> = path.ancestors().skip(1).filter(|p| p.parent().is_some()).collect();
        way.reverse();
        bases.extend(way.into_iter().find(|folder| !passable(folder)).map(Path::to_owned));
    }
    let all = bases.clone();
    bases.retain(|base| !all.iter().any(|other| other != base && base.starts_with(other)));
    bases.into_iter().collect()
}

/// Anybody may go through it.
pub(super) fn is_passable(folder: &Path) -> bool {
    folder.metadata().is_ok_and(|m| m.permissions().mode() & 0o001 != 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_closed_folder_is_replaced() {
        let granted =
            ["/root/.pyenv", "/root/.local/share/plimsoll/releases/a/b", "/srv/x", "/tmp/data/w"].map(PathBuf::from);
        let granted: Vec<&PathBuf> = granted.iter().collect();
        let closed = ["/root", "/root/.local/share/plimsoll", "/tmp/data"].map(PathBuf::from);
        let passable = |p: &Path| !closed.iter().any(|c| c == p);
        assert_eq!(bases(&granted, passable, &[]), ["/root", "/tmp/data"].map(PathBuf::from));
        let own = ["/tmp", "/dev/shm"].map(Path::new);
        assert_eq!(bases(&granted, passable, &own), ["/dev/shm", "/root", "/tmp"].map(PathBuf::from));
        assert_eq!(bases(&granted, |_| true, &[]), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_home_gives_its_programs_and_keeps_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        for folder in [".cargo/bin", ".pyenv/shims", ".rustup", "bin", ".nvm/v20/bin", ".local/bin", "tool/bin"] {
            std::fs::create_dir_all(home.join(folder)).unwrap();
        }
        std::fs::write(home.join("tool/bin/uv"), "").unwrap();
        std::os::unix::fs::symlink(home.join("tool/bin/uv"), home.join(".local/bin/uv")).unwrap();
        let path = [".cargo/bin", ".pyenv/shims", "bin", ".nvm/v20/bin", ".local/bin"]
            .map(|f| home.join(f).display().to_string())
            .join(":");
        let variable = |name: &str| (name == "PATH").then(|| format!("{path}:/usr/bin:/sbin:relative"));
        let found = toolchains(variable, Some(&home));
        let want = [".cargo/bin", ".local/bin", ".nvm/v20", ".pyenv", ".rustup", "bin", "tool"].map(|f| home.join(f));
        assert_eq!(found, want);
    }
}
