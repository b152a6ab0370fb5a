//! The one place where known secrets are taken out of text that is kept or sent: by `control` out of what deployments
//! and channels say, by the supervisor of an instance out of what that prints.

/// Values shorter than this are left alone: masking every `1` or `true` would ruin the text and hide nothing.
const SHORTEST: usize = 6;

/// Masks the values of an environment's variables.
#[derive(Default)]
pub struct Redactor {
    secrets: Vec<String>,
}

impl Redactor {
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut secrets: Vec<String> = Vec::new();
        for value in values {
            // A value of several lines is printed line by line, and in one where line ends are written in another way.
            let lines = value.lines().map(str::trim);
            secrets.extend(lines.clone().map(str::to_owned));
            secrets.extend(lines.chain([value.trim()]).flat_map(otherwise));
        }
        secrets.retain(|secret| secret.len() >= SHORTEST);
        // The longest first: one secret may be the beginning of another.
        secrets.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self { secrets }
    }

    pub fn clean(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for secret in &self.secrets {
            if clean.contains(secret.as_str()) {
                clean = clean.replace(secret.as_str(), "[secret]");
            }
        }
        clean
    }
}

/// Beginnings of secrets that are shorter tell nothing.
const BEGINNING: usize = 4;

impl Redactor {
    /// The same for a text whose end was cut off, perhaps in the middle of a secret.
    pub fn clean_cut(&self, text: &str) -> String {
        let clean = self.clean(text);
        let Some(stem) = clean.strip_suffix('…') else { return clean };
        let begun = |secret: &String| {
            let lengths = secret.char_indices().map(|(at, _)| at).filter(|at| *at >= BEGINNING);
            lengths.filter(|at| stem.ends_with(&secret[..*at])).max()
        };
        match self.secrets.iter().filter_map(begun).max() {
            Some(length) => format!("{}[secret]…", &stem[..stem.len() - length]),
            None => clean,
        }
    }
}

/// What the text looks like where it can't stand as it is: in a string of JSON, in a URL.
fn otherwise(text: &str) -> impl Iterator<Item = String> {
    let forms = [
        json(text, |_| false),
        // As Go and others write it, so that it can stand in a page.
        json(text, |c| "<>&".contains(c)),
        // As Python and others write it.
        json(text, |c| !c.is_ascii()),
        percent(text, "-._~", "%20"),
        // `encodeURIComponent`, a path, a form.
        percent(text, "-._~!'()*", "%20"),
        percent(text, "-._~/", "%20"),
        percent(text, "-._*", "+"),
    ];
    let plain = text.to_owned();
    forms.into_iter().filter(move |form| *form != plain)
}

/// The inside of a JSON string, with more written as numbers than must be.
fn json(text: &str, is_number: impl Fn(char) -> bool) -> String {
    let mut written = String::new();
    for c in text.chars() {
        match c {
            '"' | '\\' => written.extend(['\\', c]),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            '\u{8}' => written.push_str("\\b"),
            '\u{c}' => written.push_str("\\f"),
            c if c < ' ' || is_number(c) => {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().for_each(|unit| written.push_str(&format!("\\u{unit:04x}")));
            }
            c => written.push(c),
        }
    }
    written
}

/// RFC 3986 section 2.1; letters, digits and `kept` stay.
fn percent(text: &str, kept: &str, space: &str) -> String {
    let mut written = String::new();
    for byte in text.bytes() {
        match char::from(byte) {
            ' ' => written.push_str(space),
            c if c.is_ascii_alphanumeric() || kept.contains(c) => written.push(c),
            _ => written.push_str(&format!("%{byte:02X}")),
        }
    }
    written
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
    fn masks_values_that_are_written_in_another_way() {
        let secret = "pa\"ss\\wo<rd & \u{fc}\u{1f511}/'s\tend";
        let redactor = Redactor::new([secret, "ab\ncd\n-ef"]);
        let ours = serde_json::json!({ "key": secret }).to_string();
        for text in [
            ours.as_str(),
            r#"{"key":"pa\"ss\\wo\u003crd \u0026 ü🔑/'s\tend"}"#,
            r#"{"key":"pa\"ss\\wo<rd & \u00fc\ud83d\udd11/'s\tend"}"#,
        ] {
            assert_eq!(redactor.clean(text), r#"{"key":"[secret]"}"#);
        }
        for text in [
            "pa%22ss%5Cwo%3Crd%20%26%20%C3%BC%F0%9F%94%91%2F%27s%09end",
            "pa%22ss%5Cwo%3Crd%20%26%20%C3%BC%F0%9F%94%91%2F's%09end",
            "pa%22ss%5Cwo%3Crd%20%26%20%C3%BC%F0%9F%94%91/%27s%09end",
            "pa%22ss%5Cwo%3Crd+%26+%C3%BC%F0%9F%94%91%2F%27s%09end",
        ] {
            assert_eq!(redactor.clean(&format!("?q={text}&r=1")), "?q=[secret]&r=1", "{text}");
        }
        // Lines that are too short to be masked alone, in one.
        assert_eq!(redactor.clean(r#"["ab\ncd\n-ef"]"#), r#"["[secret]"]"#);
        assert_eq!(redactor.clean("ab cd"), "ab cd");
    }
}
