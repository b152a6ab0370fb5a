//! The one place through which everything passes that leaves by this door: results, errors, progress.
//!
//! Secrets that the server knows are taken out where text comes in (`control`, and the supervisors of apps); what is here
//! is the second net, for what is secret by its looks or came with the call itself. Control characters, escape sequences and invisible characters go,
//! too: a terminal must not obey them, and a reader must see all that a model reads.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Map, Value};

/// What stands in the place of a secret.
const MASK: &str = "[secret]";
/// Shorter values of arguments are left alone: masking every `1` or `true` would ruin the text and hide nothing.
const SHORTEST: usize = 6;

/// Secrets by their looks. A group `keep` stays.
static LOOKS: LazyLock<Regex> = LazyLock::new(|| {
    let looks = [
        r"plim_[0-9A-Za-z]{16,}",
        r"\bwhsec_[0-9A-Za-z+/]{16,}=*",
        r"\bgh[opsur]_[0-9A-Za-z]{20,}",
        r"\bgithub_pat_\w{20,}",
        r"\bglpat-[\w-]{16,}",
        r"\bxox[a-z]-[0-9A-Za-z-]{10,}",
        r"\b[rs]k_(?:live|test)_[0-9A-Za-z]{10,}",
        r"\bsk-[\w-]{20,}",
        r"\bnpm_[0-9A-Za-z]{30,}",
        r"\bpypi-[\w-]{40,}",
        r"\bhf_[0-9A-Za-z]{30,}",
        r"\bdop_v1_[0-9a-f]{32,}",
        r"\bA[KS]IA[0-9A-Z]{16}\b",
        r"\bAIza[\w-]{35}",
        r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}",
        r"(?P<scheme>(?i:bearer|basic)\s+)[\w.~+/-]{16,}=*",
        // A password in a URL, whatever its scheme.
        r"(?P<user>[A-Za-z][\w+.-]*://[^\s/:@]*:)[^\s/@]+@",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
    ];
    // Fixed text that the test below compiles: it can't fail.
    #[allow(clippy::unwrap_used)]
    Regex::new(&looks.join("|")).unwrap()
});

/// Takes out what must not leave.
#[derive(Debug, Default)]
pub struct Gate {
    secrets: Secrets,
}

/// Without a `Debug` that would show them.
#[derive(Default)]
struct Secrets(Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Gate {
    /// A gate that knows `secrets` besides those that look like some: values that came with the call.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut known: Vec<String> = Vec::new();
        for secret in secrets {
            // A value of several lines is printed line by line.
            known.extend(secret.lines().map(str::trim).filter(|line| line.len() >= SHORTEST).map(str::to_owned));
        }
        // The longest first: one may be the beginning of another.
        known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        known.dedup();
        Self { secrets: Secrets(known) }
    }

    /// One text by itself.
    pub fn text(&self, text: &str) -> String {
        self.one(text, &mut false)
    }

    /// Every text in a value, names of fields included. A private key may be spread over the lines of a list.
    pub fn value(&self, value: Value) -> Value {
        self.all(value, &mut false)
    }

    fn all(&self, value: Value, inside_key: &mut bool) -> Value {
        match value {
            Value::String(text) => Value::String(self.one(&text, inside_key)),
            Value::Array(items) => items.into_iter().map(|item| self.all(item, inside_key)).collect(),
            Value::Object(fields) => {
                let clean = |(name, value): (String, Value)| (self.text(&name), self.all(value, inside_key));
                Value::Object(fields.into_iter().map(clean).collect::<Map<_, _>>())
            }
            other => other,
        }
    }

    fn one(&self, text: &str, inside_key: &mut bool) -> String {
        let mut clean = visible(text);
        if *inside_key {
            if clean.contains("-----END ") {
                *inside_key = false;
                return MASK.to_owned();
            }
            if looks_like_key_material(&clean) {
                return MASK.to_owned();
            }
        }
        for secret in &self.secrets.0 {
            if clean.contains(secret.as_str()) {
                clean = clean.replace(secret.as_str(), MASK);
            }
        }
        let begins = clean.rfind(" PRIVATE KEY-----").filter(|at| clean[..*at].contains("-----BEGIN"));
        *inside_key |= begins.is_some() && !clean.contains("-----END ");
        LOOKS.replace_all(&clean, masked).into_owned()
    }
}

/// What stands in the place of something that looks like a secret.
fn masked(found: &Captures<'_>) -> String {
    let all = &found[0];
    if let Some(user) = found.name("user") {
        return format!("{}{MASK}@", user.as_str());
    }
    // Words of a language have no digits, random ones do: `basic internationalization` is no secret.
    if !all.starts_with("-----") && !all.bytes().any(|b| b.is_ascii_digit()) {
        return all.to_owned();
    }
    match found.name("scheme") {
        Some(scheme) => format!("{}{MASK}", scheme.as_str()),
        None => MASK.to_owned(),
    }
}

/// A line of base64, or of an encrypted key's head.
fn looks_like_key_material(line: &str) -> bool {
    let line = line.trim();
    let base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    line.len() >= 16 && line.bytes().all(base64)
}

/// Text as a person would see it: without escape sequences of terminals, control characters but line ends and tabs, and
/// characters that are invisible or turn the direction of writing.
fn visible(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\x1b' => skip_escape(&mut rest),
            '\u{9b}' => skip_sequence(&mut rest),
            '\n' | '\t' => clean.push(c),
            '\u{2028}' | '\u{2029}' => clean.push('\n'),
            c if c.is_control() || is_invisible(c) => {}
            c => clean.push(c),
        }
    }
    clean
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// What follows an escape character.
fn skip_escape(rest: &mut Chars<'_>) {
    match rest.next_if(|c| !c.is_control()) {
        Some('[') => skip_sequence(rest),
        // Titles, links: up to a bell or a string terminator, in the same line.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = rest.next_if(|c| *c != '\n') {
                if c == '\x07' || c == '\u{9c}' {
                    return;
                }
                if c == '\x1b' {
                    rest.next_if_eq(&'\\');
                    return;
                }
            }
        }
        _ => {}
    }
}

/// Parameters up to the letter that ends them.
fn skip_sequence(rest: &mut Chars<'_>) {
    while rest.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    rest.next_if(|c| matches!(c, '@'..='~'));
}

fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}'
        // Tags and variation selectors: text that only a machine reads.
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_masked() {
        let token = format!("plim_{}", "0f".repeat(32));
        for (text, expected) in [
            (format!("token {token}."), "token [secret].".to_owned()),
            (format!("Authorization: Bearer {token}"), "Authorization: Bearer [secret]".to_owned()),
            (format!("x=ghp_{}", "a1".repeat(18)), "x=[secret]".to_owned()),
            ("basic internationalization".to_owned(), "basic internationalization".to_owned()),
            ("sk-loading-indicator-primary".to_owned(), "sk-loading-indicator-primary".to_owned()),
            ("AKIAABCDEFGHIJKLMN07".to_owned(), "[secret]".to_owned()),
            ("postgres://me:p%40ss@host/db".to_owned(), "postgres://me:[secret]@host/db".to_owned()),
            ("https://:tok3n@example.org/a.git".to_owned(), "https://:[secret]@example.org/a.git".to_owned()),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3".to_owned(), "[secret]".to_owned()),
            (
                "a\n-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\nb".to_owned(),
                "a\n[secret]\nb".to_owned(),
            ),
            (
                "basically nothing to hide: http://localhost:8080/a@b".to_owned(),
                "basically nothing to hide: http://localhost:8080/a@b".to_owned(),
            ),
        ] {
            assert_eq!(Gate::default().text(&text), expected);
        }
    }

    #[test]
    fn values_that_came_with_the_call_are_masked_everywhere() {
        let gate = Gate::new(["hunter22", "line one!\nline two!", "on"]);
        let clean = gate.value(json!({ "hunter22": ["a hunter22 b", { "x": "line two!" }], "on": 3 }));
        assert_eq!(clean, json!({ "[secret]": ["a [secret] b", { "x": "[secret]" }], "on": 3 }));
        assert_eq!(gate.text("hunt\u{200b}er22"), "[secret]", "nothing invisible hides it");
        assert!(!format!("{gate:?}").contains("hunter"));
    }

    #[test]
    fn a_key_over_several_lines_is_masked() {
        let line = |text: &str| json!({ "source": "web-production", "stream": "stdout", "text": text });
        let lines = json!([
            line("-----BEGIN PRIVATE KEY-----"),
            line("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj"),
            line("AgEAAoIBAQC7VJTUt9Us8cKj"),
            line("-----END PRIVATE KEY-----"),
            line("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj"),
        ]);
        let clean = Gate::default().value(lines);
        let texts: Vec<_> = clean.as_array().into_iter().flatten().map(|l| l["text"].clone()).collect();
        assert_eq!(texts[..4], ["[secret]", "[secret]", "[secret]", "[secret]"]);
        assert_ne!(texts[4], "[secret]");
        assert_eq!(clean[1]["source"], "web-production");
    }

    #[test]
    fn only_what_can_be_seen_is_left() {
        for (text, expected) in [
            ("\x1b[31mred\x1b[0m\tand\nmore", "red\tand\nmore"),
            ("\x1b]0;title\x07after", "after"),
            ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("a\x1b", "a"),
            ("a\x1b[", "a"),
            ("a\r\nb\x00\x08\u{9b}1mc", "a\nbc"),
            ("abc\u{202e}def\u{2069}", "abcdef"),
            ("vis\u{e0049}\u{e0067}ible \u{1f469}\u{200d}\u{1f680}", "visible \u{1f469}\u{200d}\u{1f680}"),
            ("ümläut 漢字", "ümläut 漢字"),
        ] {
            assert_eq!(visible(text), expected, "{text:?}");
        }
    }
}
