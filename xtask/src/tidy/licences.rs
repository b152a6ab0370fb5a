//! Licences of everything that is linked in: permissive ones, or a listed exception.

use spdx::{Expression, ParseMode};

use super::Finding;
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
