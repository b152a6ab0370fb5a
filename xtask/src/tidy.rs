//! The conventions that are checked by code. Each check takes what it judges as a
//! value and returns findings, so that its tests show it failing.

mod arrows;
mod documents;
mod licences;
mod text;

use std::fmt;
use std::path::Path;
use std::process::Command;

use crate::metadata::Metadata;

/// Something that must change: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// From the root of the workspace.
    file: String,
    line: usize,
    what: String,
    remedy: String,
}

impl Finding {
    fn new(file: impl Into<String>, line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { file: file.into(), line, what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}\n    {}", self.file, self.line, self.what, self.remedy)
    }
}

/// A file of the repository, and its text.
pub(crate) struct Source {
    path: String,
    text: String,
}

/// Runs every check and reports all findings.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let metadata = Metadata::read(root)?;
    let paths = tracked(root)?;
    let sources = read(root, &paths);
    let version = metadata.ours().map(|(_, package)| package.version.clone()).next().unwrap_or_default();

    let mut findings = Vec::new();
    findings.extend(arrows::check(&metadata, root));
    findings.extend(licences::check(&metadata));
    findings.extend(licences::check_pages(&sources));
    for source in &sources {
        findings.extend(text::check(source));
        findings.extend(documents::links(source, &|path| root.join(path).exists()));
    }
    findings.extend(documents::crate_pages(&sources));
    findings.extend(documents::changelog(&sources, &version));
    findings.sort();

    if findings.is_empty() {
        println!("tidy: {} files and {} packages are in order", sources.len(), metadata.packages.len());
        return Ok(());
    }
    let shown: Vec<_> = findings.iter().map(Finding::to_string).collect();
    Err(format!("{}\ntidy: {} findings", shown.join("\n"), findings.len()))
}

/// Every file that git keeps or would keep.
fn tracked(root: &Path) -> Result<Vec<String>, String> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .map_err(|e| format!("can't run git: {e}"))?;
    if !output.status.success() {
        return Err(format!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let mut paths: Vec<_> =
        String::from_utf8_lossy(&output.stdout).split('\0').filter(|p| !p.is_empty()).map(str::to_owned).collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// The files among them that are text; git still lists some that were just deleted.
fn read(root: &Path, paths: &[String]) -> Vec<Source> {
    paths
        .iter()
        .filter_map(|path| Some(Source { path: path.clone(), text: std::fs::read_to_string(root.join(path)).ok()? }))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_where_what_and_what_to_do() {
        let finding = Finding::new("a/b.rs", 3, "too long", "split it");
        assert_eq!(finding.to_string(), "a/b.rs:3: too long\n    split it");
    }

    #[test]
    fn new_files_are_seen_before_they_are_committed_and_ignored_ones_are_not() {
        let root = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            assert!(Command::new("git").args(arguments).current_dir(root.path()).status().unwrap().success())
        };
        git(&["init", "--quiet"]);
        for (path, text) in [(".gitignore", "/out\n"), ("out", "x"), ("ä b.md", "x"), ("binary", "x")] {
            std::fs::write(root.path().join(path), text).unwrap();
        }
        std::fs::write(root.path().join("binary"), [0xff, 0xfe]).unwrap();
        let paths = tracked(root.path()).unwrap();
        assert_eq!(paths, [".gitignore", "binary", "ä b.md"]);
        let texts: Vec<_> = read(root.path(), &paths).into_iter().map(|source| source.path).collect();
        assert_eq!(texts, [".gitignore", "ä b.md"]);
    }
}
