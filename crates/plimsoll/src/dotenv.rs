//! `.env` files: `NAME=value` by line, with `export`, comments and quotes.

use operations::Error;

/// The variables of a file in order. Values stay out of errors: they are secrets.
///
/// Unquoted values end at ` #`; in double quotes `\n`, `\t`, `\"`, `\\` and `\$` are
/// replaced and the value may span lines; in single quotes everything stands for itself.
/// There is no expansion of `$NAME`.
pub(crate) fn parse(text: &str, file: &str) -> Result<Vec<(String, String)>, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut variables = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let number = text[..text.len() - rest.len()].matches('\n').count() + 1;
        let wrong = |what: &str, column: usize| Error::invalid(what).at(file, number, column);
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            rest = after;
            continue;
        }
        let assignment = trimmed.strip_prefix("export ").unwrap_or(trimmed);
        let Some((name, _)) = assignment.split_once('=') else {
            return Err(wrong("expected NAME=value", 1));
        };
        let name = name.trim();
        if !is_name(name) {
            return Err(wrong("the name of a variable has letters, digits and `_`, and no digit first", 1));
        }
        // The value begins after the first `=` of this line, and may end in a later one.
        let start = line.find('=').map_or(line.len(), |at| at + 1);
        let value = rest[start..].trim_start_matches([' ', '\t']);
        let (value, remaining) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let (value, remaining) =
                    quoted(&value[1..], quote).ok_or_else(|| wrong("the quote is never closed", start + 1))?;
                let (tail, after) = remaining.split_once('\n').unwrap_or((remaining, ""));
                let tail = tail.trim();
                if !(tail.is_empty() || tail.starts_with('#')) {
                    return Err(wrong("something follows the closing quote", start + 1));
                }
                (value, after)
            }
            _ => (unquoted(&line[start..]).to_owned(), after),
        };
        variables.push((name.to_owned(), value));
        rest = remaining;
    }
    Ok(variables)
}

/// Letters, digits and `_`, no digit first.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn unquoted(text: &str) -> &str {
    let end = text.find(" #").or_else(|| text.find("\t#")).unwrap_or(text.len());
    text[..end].trim()
}

/// The value up to the closing quote, and what follows it.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((value, &text[at + 1..])),
            '\\' if quote == '"' => match chars.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                c @ ('"' | '\\' | '$') => value.push(c),
                other => value.extend(['\\', other]),
            },
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        let text = "\u{feff}# a comment\nA=1\nexport B = two words # remark\n\nC=\"x\\ny #no\\\"\"\nD='$A \\n'\nE=\nF=a=b#c\r\nPEM=\"one\ntwo\" # key\nG=ä\n";
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "x\ny #no\""),
            ("D", "$A \\n"),
            ("E", ""),
            ("F", "a=b#c"),
            ("PEM", "one\ntwo"),
            ("G", "ä"),
        ];
        let read = parse(text, ".env").unwrap();
        let read: Vec<_> = read.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn errors_name_the_line_and_never_the_value() {
        for (text, line) in
            [("A=1\nsecret", 2), ("2A=secret", 1), ("A=\n\nB=\"secret", 3), ("A='secret' secret", 1), ("A B=secret", 1)]
        {
            let error = parse(text, ".env").unwrap_err();
            assert_eq!(error.location.as_ref().unwrap().line, line, "{text:?}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
