//! Cookies as browsers send them: RFC 6265, section 4.2.

/// The value of a cookie of this name, of 1 to `longest` bytes, in the lines of a request's `Cookie` headers. None where there are
/// two of the name: one of them somebody else has planted.
pub fn find<'a>(lines: impl IntoIterator<Item = &'a str>, name: &str, longest: usize) -> Option<&'a str> {
    let pairs = lines.into_iter().flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(found, _)| *found == name).map(|(_, value)| value);
    let (value, None) = (found.next()?, found.next()) else { return None };
    (1..=longest).contains(&value.len()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_taken_when_there_is_one_of_the_name() {
        for (lines, found) in [
            (&["a=1"][..], Some("1")),
            (&["b=2; a=1;c=3"], Some("1")),
            (&["b=2", "a=1"], Some("1")),
            (&["a=1=2"], Some("1=2")),
            (&[";;=;x; =;a=1"], Some("1")),
            (&["a=1; a=1"], None),
            (&["a=1", "a=2"], None),
            (&["a="], None),
            (&["a=12345"], None),
            (&["A=1", "aa=1", "a"], None),
            (&[], None),
        ] {
            assert_eq!(find(lines.iter().copied(), "a", 4), found, "{lines:?}");
        }
    }
}
