//! Licences of everything that is linked in, and of what the pages of the web interface are made of: permissive ones, or a listed
//! exception.

use serde_json::Value;
use spdx::{Expression, ParseMode};

use super::{Finding, Source};
use crate::metadata::Metadata;

/// They ask for a notice at most.
const PERMISSIVE: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

/// Package, its licence as found by reading it, and why it may stay.
const EXCEPTIONS: [(&str, &str, &str); 2] = [
    // Copyleft by file: it binds changes of its own files, and we change none. nixpacks brings it in.
    ("colored", "MPL-2.0", "unchanged, below nixpacks"),
    // Its manifest names a file alone; the file is the three-clause BSD licence.
    ("fuchsia-cprng", "", "BSD-3-Clause by its LICENSE file; for another system, below nixpacks"),
];

pub(super) fn check(metadata: &Metadata) -> Vec<Finding> {
    metadata
        .packages
        .values()
        .filter_map(|package| {
            let licence = package.license.as_deref().unwrap_or_default();
            let excepted = EXCEPTIONS.iter().any(|(name, known, _)| *name == package.name && *known == licence);
            let fault = fault(licence).filter(|_| !excepted)?;
            Some(Finding::new(
                "Cargo.lock",
                1,
                format!("{} {} {fault}", package.name, package.version),
                "Use another crate; or read its licence, and if it is permissive list it in xtask/src/tidy/licences.rs with the reason",
            ))
        })
        .collect()
}

/// What npm brings into the pages. Vite writes their licences into a file beside them, which the binary serves as well. What only
/// builds and tests the pages goes to nobody.
pub(super) fn check_pages(sources: &[Source]) -> Vec<Finding> {
    let Some(lock) = sources.iter().find(|source| source.path == PAGES) else {
        return vec![Finding::new(PAGES, 1, "is missing", "Commit it: it pins what the pages are made of")];
    };
    let finding = |line, what, remedy: &str| Finding::new(PAGES, line, what, remedy);
    let read: Value = match serde_json::from_str(&lock.text) {
        Ok(read) => read,
        Err(e) => {
            return vec![finding(e.line(), format!("can't be read: {e}"), "Make it anew: `npm install` in `web`")];
        }
    };
    let packages = read["packages"].as_object().into_iter().flatten();
    packages
        // The first one, without a path, is the interface itself.
        .filter(|(path, package)| !path.is_empty() && package["dev"] != true)
        .filter_map(|(path, package)| {
            let fault = fault(package["license"].as_str().unwrap_or_default())?;
            let line = lock.text.lines().position(|line| line.contains(&format!("\"{path}\""))).map_or(1, |at| at + 1);
            let name = path.rsplit("node_modules/").next().unwrap_or(path);
            Some(finding(line, format!("{name} {fault}"), "Use another package: this one would be in the binary"))
        })
        .collect()
}

const PAGES: &str = "web/package-lock.json";

/// Why a licence expression is not acceptable.
fn fault(licence: &str) -> Option<String> {
    if licence.is_empty() {
        return Some("names no licence".to_owned());
    }
    // Old manifests write `MIT/Apache-2.0` for OR.
    match Expression::parse_mode(licence, ParseMode::LAX) {
        Err(e) => Some(format!("has a licence expression that can't be read, `{licence}`: {}", e.reason)),
        Ok(expression) => {
            let permissive =
                expression.evaluate(|asked| asked.license.id().is_some_and(|id| PERMISSIVE.contains(&id.name)));
            (!permissive).then(|| format!("is licensed `{licence}`, which is not permissive"))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::metadata::Package;

    #[test]
    fn permissive_expressions_pass() {
        for licence in [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "Apache-2.0 / MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "MIT OR Apache-2.0 OR LGPL-2.1-or-later",
            "Apache-2.0 WITH LLVM-exception OR MIT",
            "ISC AND (Apache-2.0 OR ISC)",
        ] {
            assert_eq!(fault(licence), None, "{licence}");
        }
    }

    #[test]
    fn copyleft_unknown_and_missing_licences_fail() {
        for licence in [
            "GPL-3.0",
            "GPL-2.0-or-later",
            "AGPL-3.0-only",
            "LGPL-2.1",
            "MIT AND GPL-3.0-only",
            "MPL-2.0",
            "BUSL-1.1",
            "SSPL-1.0",
            "LicenseRef-Ours",
            "",
            "whatever it is",
        ] {
            assert!(fault(licence).is_some(), "{licence}");
        }
    }

    #[test]
    fn only_what_is_in_the_pages_must_be_permissive() {
        let check = |text: &str| {
            let found = check_pages(&[Source { path: PAGES.to_owned(), text: text.to_owned() }]);
            found.into_iter().map(|finding| (finding.line, finding.what)).collect::<Vec<_>>()
        };
        let lock = |react: &str| {
            format!(
                "{{\"packages\": {{\n\"\": {{}},\n\"node_modules/axe\": {{\"license\": \"MPL-2.0\", \"dev\": true}},\n\
                 \"node_modules/a/node_modules/@b/c\": {{{react}}}\n}}}}"
            )
        };
        assert_eq!(check(&lock("\"license\": \"MIT\"")), []);
        let found = check(&lock("\"license\": \"MPL-2.0\""));
        assert_eq!(found, [(4, "@b/c is licensed `MPL-2.0`, which is not permissive".to_owned())]);
        assert_eq!(check(&lock("")), [(4, "@b/c names no licence".to_owned())]);
        assert!(check("{").iter().all(|(_, what)| what.contains("can't be read")));
        assert_eq!(check_pages(&[]).len(), 1);
    }

    #[test]
    fn an_exception_is_for_one_package_under_one_licence() {
        let check_one = |name: &str, licence: &str| {
            let package = Package { name: name.to_owned(), license: Some(licence.to_owned()), ..Package::default() };
            check(&Metadata { packages: [("id".to_owned(), package)].into(), ..Metadata::default() }).len()
        };
        assert_eq!(check_one("colored", "MPL-2.0"), 0);
        assert_eq!(check_one("colored", "GPL-3.0"), 1);
        assert_eq!(check_one("coloured", "MPL-2.0"), 1);
    }
}
