//! Which crate may see which. ARCHITECTURE.md draws the same arrows.

use std::collections::BTreeSet;
use std::path::Path;

use super::Finding;
use crate::metadata::{Metadata, Package};

/// A crate of ours, the crates of ours it may be built with, and those its tests may use besides.
struct Rule {
    name: &'static str,
    sees: &'static [&'static str],
    tests_see: &'static [&'static str],
}

const fn rule(name: &'static str, sees: &'static [&'static str], tests_see: &'static [&'static str]) -> Rule {
    Rule { name, sees, tests_see }
}

/// Siblings (store, runtime, ingress, forge, detect) never see each other: `control` brings them together.
const RULES: [Rule; 20] = [
    rule("domain", &[], &[]),
    rule("saga", &[], &[]),
    rule("operations", &["domain"], &[]),
    // Its tests run on a real PostgreSQL, which the whole-system tests know how to start.
    rule("store", &["domain", "saga"], &["tests"]),
    // Its tests say, and fail under CI, when the machine lacks what they are about.
    rule("runtime", &["domain"], &["tests"]),
    rule("ingress", &["domain"], &[]),
    rule("forge", &["domain"], &[]),
    rule("detect", &["domain"], &[]),
    rule("identity", &["domain"], &[]),
    // The only way to addresses that users name.
    rule("outgoing", &["domain"], &[]),
    rule("notify", &["domain", "outgoing"], &[]),
    rule(
        "control",
        &[
            "domain",
            "saga",
            "operations",
            "store",
            "runtime",
            "ingress",
            "forge",
            "detect",
            "identity",
            "outgoing",
            "notify",
        ],
        &[],
    ),
    // A leaf beside `control`: what carries the tools out is given to it.
    rule("mcp", &["domain", "operations"], &[]),
    rule("server", &["domain", "operations", "control", "mcp"], &[]),
    // Files, and nothing else; the binary hands them to the server.
    rule("ui", &[], &[]),
    // Wiring: the binary plays every role, and its CLI looks at the repository it is called in.
    rule("plimsoll", &["domain", "operations", "mcp", "server", "control", "runtime", "ingress", "forge", "ui"], &[]),
    // From outside: through the contract, and with a look at the files of a data folder.
    rule("tests", &["domain", "operations"], &["runtime", "ingress", "store"]),
    // The real engine and the real queue, over a model of everything else.
    rule("simulation", &[], &["domain", "saga"]),
    rule("xtask", &["domain", "mcp", "server"], &[]),
    // Measures parts alone, beside the whole.
    rule("bench", &["domain", "saga", "operations", "store", "ingress", "tests"], &[]),
];

/// Packages that only these crates name as a dependency; a trailing `*` stands for any end.
const ONLY_IN: [(&str, &[&str]); 11] = [
    ("sea-orm*", &["store"]),
    ("sqlx*", &["store"]),
    ("nixpacks", &["detect"]),
    ("axum*", &["server"]),
    ("rmcp*", &["mcp"]),
    // Passwords are hashed by `identity`, behind its limits; `control` has it for the passphrase of backups.
    ("argon2", &["identity", "control"]),
    ("jsonwebtoken", &["identity"]),
    ("totp-rs", &["identity"]),
    ("openidconnect", &["identity"]),
    ("reqwest", &["operations", "control", "forge", "outgoing", "plimsoll", "tests"]),
    ("lettre", &["notify"]),
];

/// Packages that must not be in what a crate is built with, however far away.
const NEVER_BELOW: [(&str, &[&str]); 12] = [
    ("domain", &["tokio", "hyper", "reqwest", "axum", "sea-orm", "sqlx"]),
    ("saga", &["sea-orm", "sqlx", "axum", "hyper", "reqwest"]),
    ("operations", &["sea-orm", "sqlx", "sqlx-core", "axum", "axum-core"]),
    ("runtime", &["sea-orm", "axum", "nixpacks"]),
    ("ingress", &["sea-orm", "axum", "nixpacks"]),
    ("forge", &["sea-orm", "axum", "nixpacks"]),
    ("store", &["axum", "nixpacks"]),
    ("mcp", &["axum", "sea-orm", "nixpacks"]),
    ("detect", &["sea-orm", "axum"]),
    ("identity", &["sea-orm", "axum", "hyper"]),
    ("outgoing", &["sea-orm", "axum"]),
    ("notify", &["sea-orm", "axum"]),
];

/// The name in the rules: the package's without our prefix.
fn short(name: &str) -> &str {
    name.strip_prefix("plimsoll-").unwrap_or(name)
}

pub(super) fn check(metadata: &Metadata, root: &Path) -> Vec<Finding> {
    let ours: BTreeSet<&str> = metadata.ours().map(|(_, package)| package.name.as_str()).collect();
    let mut findings = Vec::new();
    for (id, package) in metadata.ours() {
        let at = Manifest::of(package, root);
        let name = short(&package.name);
        match RULES.iter().find(|rule| rule.name == name) {
            Some(rule) => {
                let own = |names: &BTreeSet<String>| {
                    names.iter().filter(|n| ours.contains(n.as_str())).cloned().collect::<Vec<_>>()
                };
                for seen in own(&package.dependencies) {
                    if !rule.sees.contains(&short(&seen)) {
                        findings.push(at.finding(&seen, format!("{name} must not see {}", short(&seen)), ARROW));
                    }
                }
                for seen in own(&package.dev_dependencies) {
                    if seen != package.name
                        && !rule.sees.contains(&short(&seen))
                        && !rule.tests_see.contains(&short(&seen))
                    {
                        findings.push(at.finding(
                            &seen,
                            format!("the tests of {name} must not see {}", short(&seen)),
                            ARROW,
                        ));
                    }
                }
            }
            None => findings.push(at.finding(
                &package.name,
                format!("{name} has no arrows"),
                "Add it to RULES in xtask/src/tidy/arrows.rs and to ARCHITECTURE.md",
            )),
        }
        for (pattern, allowed) in ONLY_IN {
            for banned in package.dependencies.union(&package.dev_dependencies).filter(|d| matches(pattern, d)) {
                if !allowed.contains(&name) {
                    findings.push(at.finding(
                        banned,
                        format!("{name} must not depend on {banned}"),
                        format!("Only {} may: go through it", allowed.join(", ")),
                    ));
                }
            }
        }
        for (_, banned) in NEVER_BELOW.iter().filter(|(of, _)| *of == name) {
            if let Some(way) = metadata.way_to(id, banned) {
                findings.push(at.finding(
                    &way[1],
                    format!("{name} is built with {}", way.join(" → ")),
                    "Drop that dependency or the feature that brings it in",
                ));
            }
        }
    }
    findings
}

const ARROW: &str = "Move the code to where both may see it, or change the design on purpose: ARCHITECTURE.md and xtask/src/tidy/arrows.rs";

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |prefix| name.starts_with(prefix))
}

struct Manifest {
    path: String,
    text: String,
}

impl Manifest {
    fn of(package: &Package, root: &Path) -> Self {
        let path = package.manifest.strip_prefix(root).unwrap_or(&package.manifest).display().to_string();
        Self { path, text: std::fs::read_to_string(&package.manifest).unwrap_or_default() }
    }

    /// A finding at the line that names `dependency`, by its package's or its crate's name.
    fn finding(&self, dependency: &str, what: String, remedy: impl Into<String>) -> Finding {
        let names = |line: &str| {
            [dependency, short(dependency)]
                .iter()
                .any(|name| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', ' ', '='])))
        };
        let line = self.text.lines().position(names).map_or(1, |n| n + 1);
        Finding::new(&self.path, line, what, remedy)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A workspace of packages, each with dependencies and dev-dependencies; names with a prefix are ours.
    fn workspace(packages: &[(&str, &[&str], &[&str])]) -> Metadata {
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<String>>();
        let mut metadata = Metadata::default();
        for (name, normal, dev) in packages {
            let package = Package {
                name: (*name).to_owned(),
                ours: name.starts_with("plimsoll") || *name == "xtask",
                dependencies: set(normal),
                dev_dependencies: set(dev),
                manifest: format!("/w/crates/{name}/Cargo.toml").into(),
                ..Package::default()
            };
            metadata.packages.insert((*name).to_owned(), package);
            metadata.built_with.insert((*name).to_owned(), normal.iter().map(|n| (*n).to_owned()).collect());
        }
        metadata
    }

    fn found(packages: &[(&str, &[&str], &[&str])]) -> Vec<String> {
        check(&workspace(packages), Path::new("/w")).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn the_design_itself_is_in_order() {
        let fine: [(&str, &[&str], &[&str]); 6] = [
            ("plimsoll-domain", &["serde"], &["proptest"]),
            ("plimsoll-saga", &["tokio"], &[]),
            ("plimsoll-store", &["plimsoll-domain", "sea-orm"], &["plimsoll-store"]),
            ("plimsoll-detect", &["plimsoll-domain", "nixpacks"], &[]),
            ("plimsoll-control", &["plimsoll-store", "plimsoll-saga", "plimsoll-detect", "plimsoll-domain"], &[]),
            ("plimsoll-tests", &["plimsoll-operations", "reqwest"], &["plimsoll-store"]),
        ];
        assert_eq!(found(&fine), Vec::<String>::new());
    }

    #[test]
    fn wrong_arrows_are_found() {
        let domain: (&str, &[&str], &[&str]) = ("plimsoll-domain", &[], &[]);
        let store: (&str, &[&str], &[&str]) = ("plimsoll-store", &[], &[]);
        for (packages, expected) in [
            (&[("plimsoll-runtime", &["plimsoll-store"][..], &[][..]), store][..], "runtime must not see store"),
            (&[("plimsoll-saga", &["plimsoll-domain"], &[]), domain], "saga must not see domain"),
            (&[("plimsoll-forge", &[], &["plimsoll-store"]), store], "the tests of forge must not see store"),
            (&[("plimsoll-server", &["plimsoll-store"], &[]), store], "server must not see store"),
            (&[("plimsoll-new", &[], &[])], "new has no arrows"),
            (&[("plimsoll-control", &["sea-orm"], &[])], "control must not depend on sea-orm"),
            (&[("plimsoll-control", &[], &["sqlx-core"])], "control must not depend on sqlx-core"),
            (&[("plimsoll-forge", &["nixpacks"], &[])], "forge must not depend on nixpacks"),
            (&[("plimsoll-control", &["axum"], &[])], "control must not depend on axum"),
            (
                &[("plimsoll-domain", &["serde"], &[]), ("serde", &["tokio"], &[])],
                "domain is built with plimsoll-domain → serde → tokio",
            ),
            (
                &[("plimsoll-operations", &["x"], &[]), ("x", &["axum-core"], &[])],
                "operations is built with plimsoll-operations → x → axum-core",
            ),
        ] {
            let what = found(packages);
            assert!(what.iter().any(|found| found == expected), "{expected}: {what:?}");
        }
    }

    #[test]
    fn a_finding_points_at_the_line_of_the_manifest() {
        let manifest = Manifest {
            path: "m".to_owned(),
            text: "[dependencies]\nstored = \"1\"\nstore.workspace = true\n".to_owned(),
        };
        assert_eq!(manifest.finding("plimsoll-store", String::new(), "").line, 3);
        assert_eq!(manifest.finding("absent", String::new(), "").line, 1);
    }
}
