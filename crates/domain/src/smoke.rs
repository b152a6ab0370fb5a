//! Smoke tests: requests and commands that tell whether a version does what it is for, with
//! what they saw. The judgement is here; the asking is the runtime's.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limit::Span;
use crate::name::Name;

/// Of a body that is looked at and may be shown.
pub const MAX_BODY: usize = 256 * 1024;
/// Characters of a body that a result shows.
pub const MAX_EXCERPT: usize = 400;

/// A smoke test of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SmokeTest {
    /// Unique among the smoke tests of the app.
    pub name: String,
    pub component: Name,
    pub when: When,
    pub check: Check,
    /// Of one attempt.
    pub timeout: Span,
    /// Attempts after the first one.
    pub retries: u32,
}

/// Around the cutover.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Against the new instances, which get no traffic yet.
    Before,
    /// Through the ingress, as visitors ask.
    After,
    #[default]
    Both,
}

/// One of the two times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    Before,
    After,
}

impl When {
    pub fn includes(self, moment: Moment) -> bool {
        matches!((self, moment), (When::Both, _) | (When::Before, Moment::Before) | (When::After, Moment::After))
    }
}

impl Moment {
    pub fn as_str(self) -> &'static str {
        match self {
            Moment::Before => "before",
            Moment::After => "after",
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is done, and what must come of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Check {
    Http(HttpCheck),
    /// Must exit with 0.
    Command {
        command: String,
    },
}

/// A request and its expected answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HttpCheck {
    pub method: String,
    pub path: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    pub expect: Expect,
}

/// All of it must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expect {
    /// One of these.
    pub status: Vec<StatusRange>,
    /// Headers that must be there, each with a value that contains this text; names in lower case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Texts that the body must contain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<String>,
    /// JSON pointers (RFC 6901) into the body, and the values that must be there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub json: BTreeMap<String, Value>,
}

/// Statuses from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusRange {
    pub first: u16,
    pub last: u16,
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

/// How a smoke test went. Known secrets are taken out of its texts before it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SmokeResult {
    pub name: String,
    pub component: Name,
    pub moment: Moment,
    #[serde(flatten)]
    pub outcome: Outcome,
    /// 0 when nobody was asked.
    pub attempts: u32,
    /// Milliseconds of the last attempt.
    pub took_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Passed,
    Failed(Mismatch),
    Skipped { reason: String },
}

/// What was wanted and what came, one line each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mismatch {
    pub expected: String,
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub got: String,
    /// The beginning of the answer's body, or the last lines of a command's output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub excerpt: Option<String>,
}

impl SmokeResult {
    pub fn skipped(test: &SmokeTest, moment: Moment, reason: impl Into<String>) -> Self {
        let outcome = Outcome::Skipped { reason: reason.into() };
        Self { name: test.name.clone(), component: test.component.clone(), moment, outcome, attempts: 0, took_ms: 0 }
    }

    /// What it takes to ask did not answer: whoever wants to know must not take that for good.
    pub fn unasked(test: &SmokeTest, moment: Moment, reason: &str) -> Self {
        let expected = format!("a way to ask `{}`", test.component);
        let outcome = Outcome::Failed(Mismatch { expected, got: format!("none: {reason}"), excerpt: None });
        Self { outcome, ..Self::skipped(test, moment, reason) }
    }

    pub fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }
}

impl fmt::Display for SmokeResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "smoke test `{}` ({} the cutover): ", self.name, self.moment)?;
        match &self.outcome {
            Outcome::Passed => write!(f, "passed in {} ms", self.took_ms),
            Outcome::Failed(m) => write!(f, "failed: expected {}, got {}", m.expected, m.got),
            Outcome::Skipped { reason } => write!(f, "skipped: {reason}"),
        }
    }
}

/// Something was seen to be right, and nothing to be wrong. Tests that were all skipped prove nothing.
pub fn proved(results: &[SmokeResult]) -> bool {
    results.iter().any(|result| result.outcome == Outcome::Passed) && !results.iter().any(SmokeResult::failed)
}

/// The part of an answer that is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// At most [`MAX_BODY`] bytes of it.
    pub body: Vec<u8>,
    /// The body was longer.
    pub cut: bool,
}

/// Does the answer hold what was expected? The first thing that it doesn't is the error. `clean` takes secrets out of
/// what is shown of the answer, before it is shortened: half a secret would not be known as one.
pub fn judge(expect: &Expect, answer: &Answer, clean: impl Fn(&str) -> String) -> Result<(), Mismatch> {
    let text = String::from_utf8_lossy(&answer.body);
    let wrong = |expected: String, got: String| Err(Mismatch { expected, got, excerpt: excerpt(&clean(&text)) });
    if !expect.status.iter().any(|range| (range.first..=range.last).contains(&answer.status)) {
        let wanted: Vec<String> = expect.status.iter().map(ToString::to_string).collect();
        return wrong(format!("status {}", wanted.join(" or ")), format!("status {}", answer.status));
    }
    for (name, value) in &expect.headers {
        let wanted = if value.is_empty() {
            format!("the header `{name}`")
        } else {
            format!("the header `{name}` with `{value}` in it")
        };
        let all: Vec<&str> = answer.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
        if all.is_empty() {
            return wrong(wanted, "no such header".to_owned());
        }
        if !all.iter().any(|v| v.contains(value)) {
            return wrong(wanted, format!("`{}`", brief(&clean(&all.join(", ")))));
        }
    }
    let of = if answer.cut { format!("the first {MAX_BODY} bytes of the body") } else { "the body".to_owned() };
    for part in &expect.contains {
        if !text.contains(part) {
            return wrong(
                format!("`{}` in {of}", brief(part)),
                format!("a body of {} bytes without it", answer.body.len()),
            );
        }
    }
    if expect.json.is_empty() {
        return Ok(());
    }
    let first = expect.json.keys().next().map(String::as_str).unwrap_or_default();
    let document: Value = match serde_json::from_slice(&answer.body) {
        _ if answer.cut => return wrong("a JSON body".to_owned(), format!("a body of more than {MAX_BODY} bytes")),
        Ok(document) => document,
        Err(e) => return wrong(format!("a JSON body with `{first}`"), format!("a body that is no JSON: {e}")),
    };
    for (pointer, wanted) in &expect.json {
        let expected = format!("`{}` at `{pointer}` of the JSON body", brief(&wanted.to_string()));
        match document.pointer(pointer) {
            Some(value) if same(value, wanted) => {}
            Some(value) => return wrong(expected, format!("`{}`", brief(&clean(&value.to_string())))),
            None => return wrong(expected, "nothing there".to_owned()),
        }
    }
    Ok(())
}

/// The beginning of a text that people are shown; `None` of an empty one.
pub fn excerpt(text: &str) -> Option<String> {
    let shown: String = text.trim().chars().take(MAX_EXCERPT).map(printable).collect();
    let cut = text.trim().chars().count() > MAX_EXCERPT;
    (!shown.is_empty()).then(|| if cut { format!("{shown}…") } else { shown })
}

/// `1` and `1.0` are the same number, in TOML and in JSON.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(x), Some(y)) if a.is_f64() || b.is_f64() => x == y,
        _ => a == b,
    }
}

fn brief(text: &str) -> String {
    let mut shown: String = text.chars().take(120).map(printable).collect();
    if text.chars().count() > 120 {
        shown.push('…');
    }
    shown
}

fn printable(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(status: u16, body: &str) -> Answer {
        let headers = vec![("content-type".to_owned(), "application/json; charset=utf-8".to_owned())];
        Answer { status, headers, body: body.as_bytes().to_vec(), cut: false }
    }

    fn expect(value: Value) -> Expect {
        let mut value = value;
        if value.get("status").is_none() {
            value["status"] = json!([{ "first": 200, "last": 399 }]);
        }
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn every_expectation_counts() {
        let good = answer(200, r#"{"ok": true, "items": [{"id": 7, "price": 1.5}], "a/b": "x"}"#);
        let met = expect(json!({
            "headers": { "content-type": "application/json" }, "contains": ["\"ok\": true", "items"],
            "json": { "/ok": true, "/items/0/id": 7, "/items/0/price": 1.5, "/a~1b": "x" },
        }));
        assert_eq!(judge(&met, &good, str::to_owned), Ok(()));
        for (unmet, expected, got) in [
            (
                json!({ "status": [{ "first": 201, "last": 201 }, { "first": 204, "last": 206 }] }),
                "status 201 or 204-206",
                "status 200",
            ),
            (json!({ "headers": { "etag": "" } }), "the header `etag`", "no such header"),
            (
                json!({ "headers": { "content-type": "html" } }),
                "the header `content-type` with `html` in it",
                "`application/json; charset=utf-8`",
            ),
            (json!({ "contains": ["false"] }), "`false` in the body", "a body of 60 bytes without it"),
            (json!({ "json": { "/ok": false } }), "`false` at `/ok` of the JSON body", "`true`"),
            (json!({ "json": { "/items/1": 1 } }), "`1` at `/items/1` of the JSON body", "nothing there"),
        ] {
            let mismatch = judge(&expect(unmet), &good, str::to_owned).unwrap_err();
            assert_eq!((mismatch.expected.as_str(), mismatch.got.as_str()), (expected, got));
            assert!(mismatch.excerpt.unwrap().starts_with("{\"ok\""));
        }
        let no_json =
            judge(&expect(json!({ "json": { "/ok": true } })), &answer(200, "<p>"), str::to_owned).unwrap_err();
        assert!(no_json.got.starts_with("a body that is no JSON"), "{no_json:?}");
        assert_eq!(
            judge(&expect(json!({ "json": { "/n": 1.0 } })), &answer(200, r#"{"n": 1}"#), str::to_owned),
            Ok(())
        );
    }

    #[test]
    fn nothing_is_proved_by_tests_that_were_not_run() {
        let test = SmokeTest {
            name: "it answers".to_owned(),
            component: "web".parse().unwrap(),
            when: When::Both,
            check: Check::Command { command: "true".to_owned() },
            timeout: Span::secs(1),
            retries: 0,
        };
        let skipped = SmokeResult::skipped(&test, Moment::Before, "it is files");
        let passed = SmokeResult { outcome: Outcome::Passed, attempts: 1, ..skipped.clone() };
        let unasked = SmokeResult::unasked(&test, Moment::After, "the ingress is away");
        assert!(
            unasked.to_string().ends_with("expected a way to ask `web`, got none: the ingress is away"),
            "{unasked}"
        );
        assert!(proved(&[skipped.clone(), passed.clone()]));
        for not in [vec![], vec![skipped.clone(), skipped], vec![passed, unasked]] {
            assert!(!proved(&not), "{not:?}");
        }
    }

    #[test]
    fn secrets_are_taken_out_before_anything_is_cut() {
        let secret = "s3cret".repeat(100);
        let body = format!("{{\"key\": \"{secret}\"}}");
        let wanted = expect(json!({ "json": { "/key": "x" } }));
        let mismatch = judge(&wanted, &answer(200, &body), |t| t.replace(&secret, "[secret]")).unwrap_err();
        assert!(!format!("{mismatch:?}").contains("s3cret"), "{mismatch:?}");
    }

    #[test]
    fn what_is_shown_is_short_and_printable() {
        let long = "x".repeat(10_000);
        assert_eq!(excerpt(&long).unwrap().chars().count(), MAX_EXCERPT + 1);
        assert_eq!(excerpt("\x1b[31mred\0\n"), Some("\u{fffd}[31mred\u{fffd}".to_owned()));
        assert_eq!(excerpt(" \n"), None);
        let cut = Answer { cut: true, ..answer(200, "{}") };
        assert!(
            judge(&expect(json!({ "json": { "": {} } })), &cut, str::to_owned).unwrap_err().got.contains("more than")
        );
    }
}
