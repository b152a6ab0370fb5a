//! Documents that keep their promises: links lead somewhere, crates have a page, the change log knows the version.

use std::path::{Component, Path, PathBuf};

use super::{Finding, Source};

/// Links of Markdown files to files that are not there. `exists` takes a path from the root.
pub(super) fn links(source: &Source, exists: &dyn Fn(&Path) -> bool) -> Vec<Finding> {
    // Pages that an example app is made of are linked as its build lays them out.
    let of_an_app = source.path.starts_with("examples/") && !source.path.ends_with("/README.md");
    if !source.path.ends_with(".md") || of_an_app {
        return Vec::new();
    }
    let folder = Path::new(&source.path).parent().unwrap_or(Path::new(""));
    let mut findings = Vec::new();
    let mut in_code = false;
    for (n, line) in source.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in targets(line) {
            let fine = plain(&folder.join(&target)).is_some_and(|path| exists(&path));
            if !fine {
                findings.push(Finding::new(
                    &source.path,
                    n + 1,
                    format!("the link to `{target}` leads nowhere"),
                    "Correct the path; it is relative to the file it stands in",
                ));
            }
        }
    }
    findings
}

/// Files that a line links to: `[text](path#part)` and `[name]: path`, without addresses and parts of the same page.
fn targets(line: &str) -> Vec<String> {
    let inline =
        line.match_indices("](").filter_map(|(at, _)| line[at + 2..].split_once(')').map(|(target, _)| target));
    let defined = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target);
    inline
        .chain(defined)
        .map(|target| target.trim().trim_matches(['<', '>']))
        .filter_map(|target| target.split([' ', '#']).next())
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"))
        .map(str::to_owned)
        .collect()
}

/// The path without `.` and `..`; none if it leaves the workspace.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if out.pop() => {}
            Component::Normal(name) => out.push(name),
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(out)
}

/// Each crate begins with a page that says what it is for.
pub(super) fn crate_pages(sources: &[Source]) -> Vec<Finding> {
    let is_root = |path: &str| {
        let Some((folder, file)) = path.rsplit_once("/src/") else { return false };
        let member =
            folder.starts_with("crates/") && folder.matches('/').count() == 1 || matches!(folder, "tests" | "xtask");
        // A library's page speaks for its binary too.
        let speaks =
            file == "lib.rs" || file == "main.rs" && !sources.iter().any(|s| s.path == format!("{folder}/src/lib.rs"));
        member && speaks
    };
    // A page of its own file is as good.
    let has_page = |text: &str| text.starts_with("//! ") || text.starts_with("#![doc = include_str!(");
    sources
        .iter()
        .filter(|source| is_root(&source.path) && !has_page(&source.text))
        .map(|source| {
            Finding::new(
                &source.path,
                1,
                "the crate has no page",
                "Begin the file with `//! ` and what the crate is for",
            )
        })
        .collect()
}

/// The change log has an entry for the version that is being worked on.
pub(super) fn changelog(sources: &[Source], version: &str) -> Vec<Finding> {
    let known = |text: &str| {
        let heading = |line: &str| {
            line.strip_prefix("## ").is_some_and(|title| title.trim_start_matches('[').starts_with(version))
        };
        text.lines().any(heading)
    };
    match sources.iter().find(|source| source.path == "CHANGELOG.md") {
        Some(log) if known(&log.text) => Vec::new(),
        _ => vec![Finding::new(
            "CHANGELOG.md",
            1,
            format!("there is no entry for version {version}"),
            format!("Add `## {version}` and what changed for users"),
        )],
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let exists = |path: &Path| ["README.md", "docs/guide.md", "crates"].contains(&path.to_str().unwrap());
        let text = "[a](guide.md#part) [b](../README.md) [c](#here) [d](https://x/y)\n\
            [e](missing.md)\n[f]: ../crates\n[g]: gone.md\n[h](../../out.md)\n```\n[i](code.md)\n```\n[j](<none.md>)\n";
        let found: Vec<_> =
            links(&source("docs/index.md", text), &exists).into_iter().map(|f| (f.line, f.what)).collect();
        let nowhere = |line, target| (line, format!("the link to `{target}` leads nowhere"));
        assert_eq!(
            found,
            [nowhere(2, "missing.md"), nowhere(4, "gone.md"), nowhere(5, "../../out.md"), nowhere(9, "none.md")]
        );
        assert_eq!(links(&source("a.rs", "[e](missing.md)"), &exists), []);
        assert_eq!(links(&source("examples/x/pages/a.md", "[e](missing.md)"), &exists), []);
        assert_eq!(links(&source("examples/x/README.md", "[e](missing.md)"), &exists).len(), 1);
    }

    #[test]
    fn crates_without_a_page_are_found() {
        let sources = [
            source("crates/a/src/lib.rs", "//! A page.\n"),
            source("crates/b/src/lib.rs", "mod x;\n"),
            source("crates/e/src/lib.rs", "#![doc = include_str!(\"../README.md\")]\n"),
            source("crates/c/src/main.rs", "fn main() {}\n"),
            source("crates/a/src/main.rs", "fn main() {}\n"),
            source("crates/a/src/other.rs", "mod x;\n"),
            source("examples/d/src/main.rs", "fn main() {}\n"),
            source("xtask/src/main.rs", "// Not a page.\n"),
        ];
        let found: Vec<_> = crate_pages(&sources).into_iter().map(|finding| finding.file).collect();
        assert_eq!(found, ["crates/b/src/lib.rs", "crates/c/src/main.rs", "xtask/src/main.rs"]);
    }

    #[test]
    fn the_change_log_must_know_the_version() {
        for (text, fine) in
            [("# Log\n\n## 0.1.0\n", true), ("## [0.1.0] - today\n", true), ("## 0.0.9\n", false), ("0.1.0\n", false)]
        {
            assert_eq!(changelog(&[source("CHANGELOG.md", text)], "0.1.0").is_empty(), fine, "{text}");
        }
        assert_eq!(changelog(&[], "0.1.0").len(), 1);
    }
}
