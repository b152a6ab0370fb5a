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
            secrets.extend(value.lines().map(str::trim).filter(|l| l.len() >= SHORTEST).map(str::to_owned));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_whole_and_multi_line_values() {
        let redactor = Redactor::new(["hunter22", "hunter22-long", "line one\nline two", "on"]);
        assert_eq!(redactor.clean("a hunter22-long b hunter22 on"), "a [secret] b [secret] on");
        assert_eq!(redactor.clean("> line two"), "> [secret]");
    }
}
