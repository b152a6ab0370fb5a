//! Addresses to which somebody is sent once they have signed in: paths of this server, and nothing else.

/// Bytes of one.
pub const LONGEST: usize = 1024;

/// What is one, but for its length, as a regular expression of JSON schemas.
pub const PATTERN: &str = r"^/([!-.0-\[\]-~][!-\[\]-~]*)?$";

/// Whether a browser takes it for a path here, and for nothing else.
pub fn is_own(next: &str) -> bool {
    next.len() <= LONGEST
        && next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn only_pages_of_ours_come_next() {
        let pattern = Regex::new(PATTERN).unwrap();
        for good in ["/", "/apps/shop?tab=1#L3", "/a//b", "/@x", "/%2F%2Fevil.example"] {
            assert!(is_own(good) && pattern.is_match(good), "{good}");
        }
        for bad in [
            "",
            "apps",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\n",
            "/a b",
            "/ä",
        ] {
            assert!(!is_own(bad) && !pattern.is_match(bad), "{bad:?}");
        }
        assert!(!is_own(&format!("/{}", "a".repeat(LONGEST))));
    }
}
