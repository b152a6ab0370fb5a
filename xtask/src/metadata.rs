//! What `cargo metadata` says about the packages, as far as the checks need it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

#[derive(Debug, Clone, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) manifest: PathBuf,
    /// One of the workspace's own.
    pub(crate) ours: bool,
    /// Names of packages in `[dependencies]` and `[build-dependencies]`.
    pub(crate) dependencies: BTreeSet<String>,
    pub(crate) dev_dependencies: BTreeSet<String>,
}

/// Packages by their ids, and which packages each is built with (tests apart).
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    pub(crate) packages: BTreeMap<String, Package>,
    pub(crate) built_with: BTreeMap<String, Vec<String>>,
}

impl Metadata {
    pub(crate) fn read(root: &Path) -> Result<Self, String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--format-version", "1", "--locked"])
            .current_dir(root)
            .output()
            .map_err(|e| format!("can't run cargo metadata: {e}"))?;
        if !output.status.success() {
            return Err(format!("cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr)));
        }
        let value = serde_json::from_slice(&output.stdout).map_err(|e| format!("cargo metadata is unreadable: {e}"))?;
        Ok(Self::parse(&value))
    }

    pub(crate) fn parse(value: &Value) -> Self {
        let members: BTreeSet<&str> = items(&value["workspace_members"]).filter_map(Value::as_str).collect();
        let packages = items(&value["packages"])
            .map(|package| {
                let id = text(&package["id"]);
                let named = |dev: bool| {
                    items(&package["dependencies"])
                        .filter(|d| (d["kind"] == "dev") == dev)
                        .map(|d| text(&d["name"]))
                        .collect()
                };
                let package = Package {
                    name: text(&package["name"]),
                    version: text(&package["version"]),
                    license: package["license"].as_str().map(str::to_owned),
                    manifest: text(&package["manifest_path"]).into(),
                    ours: members.contains(id.as_str()),
                    dependencies: named(false),
                    dev_dependencies: named(true),
                };
                (id, package)
            })
            .collect();
        let built_with = items(&value["resolve"]["nodes"])
            .map(|node| {
                let needed = items(&node["deps"])
                    .filter(|dep| items(&dep["dep_kinds"]).any(|kind| kind["kind"] != "dev"))
                    .map(|dep| text(&dep["pkg"]))
                    .collect();
                (text(&node["id"]), needed)
            })
            .collect();
        Self { packages, built_with }
    }

    pub(crate) fn ours(&self) -> impl Iterator<Item = (&String, &Package)> {
        self.packages.iter().filter(|(_, package)| package.ours)
    }

    /// The shortest way from package `id` to one with a name in `banned`, as names.
    pub(crate) fn way_to(&self, id: &str, banned: &[&str]) -> Option<Vec<String>> {
        let name = |id: &str| self.packages.get(id).map_or_else(|| id.to_owned(), |package| package.name.clone());
        let mut queue = std::collections::VecDeque::from([vec![id]]);
        let mut seen = BTreeSet::from([id]);
        while let Some(way) = queue.pop_front() {
            let here = *way.last()?;
            for next in self.built_with.get(here).into_iter().flatten() {
                if !seen.insert(next) {
                    continue;
                }
                let mut longer = way.clone();
                longer.push(next);
                if banned.contains(&name(next).as_str()) {
                    return Some(longer.into_iter().map(name).collect());
                }
                queue.push_back(longer);
            }
        }
        None
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_of_dependencies_are_told_apart() {
        let dep = |pkg: &str, kind: Value| json!({ "pkg": pkg, "dep_kinds": [{ "kind": kind }] });
        let metadata = Metadata::parse(&json!({
            "workspace_members": ["a"],
            "packages": [
                { "id": "a", "name": "a", "version": "1.0.0", "license": "MIT", "manifest_path": "/x/Cargo.toml", "dependencies": [
                    { "name": "b", "kind": null }, { "name": "c", "kind": "build" }, { "name": "d", "kind": "dev" } ] },
                { "id": "b1", "name": "b", "version": "1.0.0", "license": null, "manifest_path": "", "dependencies": [] },
                { "id": "e1", "name": "e", "version": "1.0.0", "license": null, "manifest_path": "", "dependencies": [] },
            ],
            "resolve": { "nodes": [
                { "id": "a", "deps": [dep("b1", Value::Null), dep("d1", json!("dev"))] },
                { "id": "b1", "deps": [dep("e1", json!("build"))] },
            ] },
        }));
        let (id, a) = metadata.ours().next().unwrap();
        assert_eq!(a.dependencies, ["b", "c"].map(str::to_owned).into());
        assert_eq!(a.dev_dependencies, ["d".to_owned()].into());
        assert_eq!(metadata.way_to(id, &["e"]).unwrap(), ["a", "b", "e"]);
        assert_eq!(metadata.way_to(id, &["d1"]), None, "tests apart");
    }
}
