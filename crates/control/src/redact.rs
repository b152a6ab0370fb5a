//! The one place where known secrets are taken out of text that is kept or sent.

/// Values shorter than this are left alone: masking every `1` or `true` would ruin the text and hide nothing.
const SHORTEST: usize = 6;

/// Masks the values of an environment's variables.
#[derive(Default)]
pub(crate) struct Redactor {
    secrets: Vec<String>,
}

impl Redactor {
    pub(crate) fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut secrets: Vec<String> = Vec::new();
        for value in values {
            // A value of several lines is printed line by line.
            for line in value.lines().map(str::trim).filter(|line| line.len() >= SHORTEST) {
                secrets.extend(as_json(line));
                secrets.push(line.to_owned());
            }
        }
        // The longest first: one secret may be the beginning of another.
        secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
        secrets.dedup();
        Self { secrets }
    }

    pub(crate) fn clean(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for secret in &self.secrets {
            if clean.contains(secret.as_str()) {
                clean = clean.replace(secret.as_str(), "[secret]");
            }
        }
        clean
    }
}

/// How programs write the text into JSON where that is not the text itself: their logs and answers are often JSON.
fn as_json(text: &str) -> impl Iterator<Item = String> {
    let (mut escaped, mut ascii) = (String::new(), String::new());
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            '\t' => escaped.push_str("\\t"),
            c => escaped.push(c),
        }
    }
    // Many libraries leave no other character than ASCII.
    for c in escaped.chars() {
        match c {
            c if c.is_ascii() => ascii.push(c),
            c => ascii.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}"))),
        }
    }
    let other = ascii != escaped;
    [(escaped != text).then_some(escaped), other.then_some(ascii)].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_whole_and_multi_line_values() {
        let redactor = Redactor::new(["hunter22", "hunter22-long", "line one\nline two", "on"]);
        assert_eq!(redactor.clean("a hunter22-long b hunter22 on"), "a [secret] b [secret] on");
        assert_eq!(redactor.clean("> line two"), "> [secret]");
    }

    #[test]
    fn masks_values_within_json() {
        let value = "say \"Grüße\" to \\the 🦜";
        let redactor = Redactor::new([value]);
        let object = serde_json::json!({ "PARROT": value }).to_string();
        assert_eq!(redactor.clean(&object), r#"{"PARROT":"[secret]"}"#);
        let ascii = r#"{"PARROT": "say \"Gr\u00fc\u00dfe\" to \\the \ud83e\udd9c"}"#;
        assert_eq!(redactor.clean(ascii), r#"{"PARROT": "[secret]"}"#);
        assert_eq!(redactor.clean(value), "[secret]");
    }
}
