//! Secrets that are planted, and the search for them in whatever was said.

use std::fs;
use std::path::Path;

use regex::bytes::Regex;

use crate::server::files_below;

/// Planted secrets, in each form in which they might come out again.
pub struct Canaries {
    pattern: Regex,
}

impl Canaries {
    pub fn new(secrets: &[&str]) -> Self {
        let forms: Vec<String> = secrets.iter().flat_map(|secret| forms(secret)).collect();
        Self { pattern: Regex::new(&forms.join("|")).unwrap() }
    }

    /// Codes of a few digits, which are in many a time or number by chance: where one is quoted, or called what it is.
    pub fn of_codes(codes: &[&str]) -> Self {
        let codes = codes.iter().map(|code| regex::escape(code)).collect::<Vec<_>>().join("|");
        let called = r"(?:code|totp|otp|factor|password|secret|proof|typed)\W{0,12}";
        Self { pattern: Regex::new(&format!("(?i)(?:[\"'`]|{called})(?:{codes})\\b")).unwrap() }
    }

    /// The first one that is in `said`, as it stands there.
    pub fn found_in(&self, said: &[u8]) -> Option<String> {
        let found = self.pattern.find(said)?;
        let (from, to) = (found.start().saturating_sub(60), (found.end() + 20).min(said.len()));
        Some(String::from_utf8_lossy(&said[from..to]).into_owned())
    }
}

/// What was said, and where.
#[derive(Default)]
pub struct Told(Vec<(String, Vec<u8>)>);

impl Told {
    pub fn add(&mut self, place: impl Into<String>, said: impl Into<Vec<u8>>) {
        self.0.push((place.into(), said.into()));
    }

    /// Every file below `dir` but those below `except`; a place's name is searched, too.
    pub fn add_files(&mut self, dir: &Path, except: &Path) {
        for path in files_below(dir).into_iter().filter(|path| !path.starts_with(except)) {
            // One that has gone meanwhile says nothing.
            self.add(path.display().to_string(), fs::read(&path).unwrap_or_default());
        }
    }

    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(place, _)| place.as_str())
    }

    /// What was said at the places whose names contain `place`.
    pub fn at(&self, place: &str) -> String {
        let there = self.0.iter().filter(|(name, _)| name.contains(place));
        there.map(|(_, said)| String::from_utf8_lossy(said)).collect()
    }

    /// Whether `words` were said at a place whose name ends with `end`.
    pub fn has_said(&self, end: &str, words: &str) -> bool {
        let mut there = self.0.iter().filter(|(name, _)| name.ends_with(end));
        there.any(|(_, said)| String::from_utf8_lossy(said).contains(words))
    }

    /// Where a canary is, and what stands around it.
    pub fn leaks(&self, canaries: &Canaries) -> Vec<String> {
        let leak = |(place, said): &(String, Vec<u8>)| {
            let found = canaries.found_in(said).or_else(|| canaries.found_in(place.as_bytes()))?;
            Some(format!("{place}: {found}"))
        };
        self.0.iter().filter_map(leak).collect()
    }
}

/// Patterns of a secret as it is, in JSON, in JSON within JSON, in URLs, in hexadecimal and in base64.
fn forms(secret: &str) -> Vec<String> {
    let mut plain = vec![secret.to_owned()];
    for depth in 0..2 {
        let escaped = json(&plain[depth]);
        plain.push(escaped);
    }
    // Many programs leave only ASCII.
    let ascii: Vec<String> = plain[1..].iter().map(|text| only_ascii(text)).collect();
    plain.extend(ascii.iter().map(|text| json(text)));
    plain.extend(ascii);
    plain.extend(base64(secret.as_bytes()));
    let mut forms: Vec<String> = plain.iter().map(|text| regex::escape(text)).collect();
    let any_case = [hex(secret.as_bytes()), percent(secret), percent(secret).replace("%20", "+")];
    forms.extend(any_case.iter().map(|text| format!("(?i:{})", regex::escape(text))));
    forms.sort();
    forms.dedup();
    forms
}

/// As it stands between the quotes of a JSON string.
fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

fn only_ascii(text: &str) -> String {
    let mut ascii = String::new();
    for c in text.chars() {
        match c {
            c if c.is_ascii() => ascii.push(c),
            c => ascii.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}"))),
        }
    }
    ascii
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn percent(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// What is sure to be there wherever the bytes are in what is encoded: without the characters that its neighbours share,
/// at each of the three ways to begin, in both alphabets.
fn base64(bytes: &[u8]) -> Vec<String> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let begins_after = |before: usize| -> String {
        let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| (byte >> bit) & 1)).collect();
        let whole = &bits[(6 - (before * 8) % 6) % 6..];
        let letter = |six: &[u8]| char::from(LETTERS[six.iter().fold(0, |sum, bit| (sum << 1) | usize::from(*bit))]);
        whole.chunks_exact(6).map(letter).collect()
    };
    let standard = [0, 1, 2].map(begins_after);
    let for_urls = standard.clone().map(|text| text.replace('+', "-").replace('/', "_"));
    standard.into_iter().chain(for_urls).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_in_every_form() {
        let canaries = Canaries::new(&["say \"Grüße\" to \\the 🦜", "0815"]);
        for said in [
            "say \"Grüße\" to \\the 🦜",
            r#"{"a":"say \"Grüße\" to \\the 🦜"}"#,
            r#"{"a": "say \"Gr\u00fc\u00dfe\" to \\the \ud83e\udd9c"}"#,
            r#"{"text":"{\"a\":\"say \\\"Grüße\\\" to \\\\the 🦜\"}"}"#,
            "a=say%20%22Gr%C3%BC%C3%9Fe%22%20to%20%5Cthe%20%F0%9F%A6%9C",
            "a=say+%22Gr%c3%bc%c3%9fe%22+to+%5cthe+%f0%9f%a6%9c",
            "{\"hex\":\"7361792022477269\"} 73617920224772C3BCC39F652220746F205C74686520F09FA69C",
            // `user:secret`, `a:secret`, `ab:secret` and the secret alone.
            "c2F5ICJHcsO8w59lIiB0byBcdGhlIPCfppw=",
            "dXNlcjpzYXkgIkdyw7zDn2UiIHRvIFx0aGUg8J+mnA==",
            "YTpzYXkgIkdyw7zDn2UiIHRvIFx0aGUg8J-mnA",
            "YWI6c2F5ICJHcsO8w59lIiB0byBcdGhlIPCfppw=",
            "in 0815 words",
        ] {
            assert!(canaries.found_in(said.as_bytes()).is_some(), "{said}");
        }
        for said in ["", "say \"Grüße\" to \\the", "[secret]", "081 5"] {
            assert_eq!(canaries.found_in(said.as_bytes()), None, "{said}");
        }
    }

    #[test]
    fn a_code_is_told_from_a_number() {
        let canaries = Canaries::of_codes(&["081542", "777777"]);
        for said in [
            r#"{"code":"081542"}"#,
            r#"{\"code\":\"777777\"}"#,
            "code=081542",
            "Code: 777777,",
            "`081542` is not it",
            "ConfirmIdentity { code: Some(\"777777\") }",
            "the second factor 777777",
        ] {
            assert!(canaries.found_in(said.as_bytes()).is_some(), "{said}");
        }
        for said in ["at 12:00:00.081542Z", "pid 777777", "id 0815429", "code=7777777", "code: 123456"] {
            assert_eq!(canaries.found_in(said.as_bytes()), None, "{said}");
        }
    }
}
