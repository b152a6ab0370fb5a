//! What the kernel offers, and what of the isolation of apps applies for it.

use super::Finding;

const VERSION: &str = "kernel";
/// With everything that Plimsoll can't do without: pidfds, and signals through them.
const OLDEST: (u32, u32) = (5, 4);

pub(super) fn check() -> Vec<Finding> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut findings = vec![version(release.trim())];
    findings.extend(runtime::isolation::facts().report().into_iter().map(isolation));
    findings
}

/// What protects apps from each other; all of it works without, and less well.
fn isolation(fact: runtime::isolation::Fact) -> Finding {
    match fact.applies {
        true => Finding::ok(fact.name, fact.detail),
        false => Finding::warning(fact.name, fact.detail, "See the runbook: isolation of apps"),
    }
}

fn version(release: &str) -> Finding {
    match parse(release) {
        None => Finding::skipped(VERSION, format!("`{release}` is no version that is understood")),
        Some(found) if found < OLDEST => Finding::failed(
            VERSION,
            format!("Linux {release}"),
            format!("Plimsoll needs Linux {}.{} or newer", OLDEST.0, OLDEST.1),
        ),
        Some(_) => Finding::ok(VERSION, format!("Linux {release}")),
    }
}

fn parse(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn old_kernels_are_told() {
        assert_eq!(version("6.1.0-23-amd64").status, Status::Ok);
        assert_eq!(version("5.10-rc1").status, Status::Ok);
        assert_eq!(version("4.19.0").status, Status::Failed);
        assert_eq!(version("").status, Status::Skipped);
    }
}
