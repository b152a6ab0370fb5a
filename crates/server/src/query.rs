//! Query strings, strictly: what is not well-formed is refused, never guessed at.

use operations::Error;

/// Names and values in order. `+` is a space; percent escapes must be whole and decode to UTF-8.
pub(crate) fn pairs(query: &str) -> Result<Vec<(String, String)>, Error> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

fn decode(text: &str) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => match (rest.next().and_then(digit), rest.next().and_then(digit)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => {
                    return Err(Error::invalid(format!("the query has a broken escape in `{}`", shown(text)))
                        .hint("`%` is followed by two hexadecimal digits; a `%` itself is written `%25`"));
                }
            },
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| {
        Error::invalid(format!("the query is not UTF-8 in `{}`", shown(text)))
            .hint("Encode text as UTF-8 before percent-encoding it")
    })
}

fn digit(byte: u8) -> Option<u8> {
    // A hexadecimal digit is below 16.
    char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_forms_encode() {
        let read = pairs("a=1&b=x+y%21&&c&d=%C3%A9&a=2").unwrap();
        let expected = [("a", "1"), ("b", "x y!"), ("c", ""), ("d", "é"), ("a", "2")];
        assert_eq!(read, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert_eq!(pairs("").unwrap(), []);
    }

    #[test]
    fn refuses_broken_escapes_and_foreign_encodings() {
        for (bad, why) in
            [("a=%", "escape"), ("a=%4", "escape"), ("a=%zz", "escape"), ("%ff=1", "UTF-8"), ("a=%C3", "UTF-8")]
        {
            let error = pairs(bad).unwrap_err();
            assert!(error.detail.contains(why), "{bad}: {}", error.detail);
            assert!(error.hint.is_some());
        }
    }
}
