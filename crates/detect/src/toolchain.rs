//! The programs on this machine that builds need.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What is installed. Facts, so that detection itself starts nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Toolchain {
    /// Version of `node`: `20.20.2`.
    pub node: Option<String>,
    pub npm: bool,
    pub yarn: bool,
    pub pnpm: bool,
    pub corepack: bool,
    /// Minor version of `python3`.
    pub python3: Option<u32>,
    /// Minor versions of Python 3 that are there as `python3.N`.
    pub python_minors: BTreeSet<u32>,
    pub cargo: bool,
    pub go: bool,
}

impl Toolchain {
    /// Asks the programs on `PATH`. Blocks for some 100 ms; do it once.
    pub fn probe() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        let has = |name: &str| folders.iter().any(|f| is_program(&f.join(name)));
        let python_minors = folders
            .iter()
            .filter_map(|f| f.read_dir().ok())
            .flat_map(|entries| entries.flatten())
            .filter_map(|e| e.file_name().to_str()?.strip_prefix("python3.")?.parse().ok())
            .filter(|minor| has(&format!("python3.{minor}")))
            .collect();
        let python3 = ask("python3", &["-c", "import sys; print(sys.version_info[1])"]);
        Self {
            node: ask("node", &["--version"]).map(|v| v.trim_start_matches('v').to_owned()),
            npm: has("npm"),
            yarn: has("yarn"),
            pnpm: has("pnpm"),
            corepack: has("corepack"),
            python3: python3.and_then(|minor| minor.parse().ok()),
            python_minors,
            cargo: has("cargo"),
            go: has("go"),
        }
    }
}

fn is_program(path: &std::path::Path) -> bool {
    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

fn ask(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !said.is_empty()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_is_there_while_its_tests_run() {
        let found = Toolchain::probe();
        assert!(found.cargo);
        if let Some(node) = found.node {
            assert!(node.starts_with(|c: char| c.is_ascii_digit()), "{node}");
        }
    }
}
