//! `[[smoke_tests]]` in a `plimsoll.toml`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{Command, Config, ConfigError, HttpPath, locate};
use crate::limit::Span;
use crate::name::Name;
use crate::smoke::{Check, Expect, HttpCheck, SmokeTest, StatusRange, When};

/// More tests would make every deployment wait for long.
const MAX_TESTS: usize = 50;
const TIMEOUT: Span = Span::secs(10);

/// One `[[smoke_tests]]`: a request or a command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct SmokeTestConfig {
    /// What it is called in results; each name once.
    pub name: String,
    /// The component that is asked. May be left out when there is only one that answers requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<Name>,
    /// Before the cutover, against the new instances; after it, through the ingress; or both, which is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// Path of the request. Default: `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<HttpPath>,
    /// Default: GET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Of the request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// What the answer must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<ExpectConfig>,
    /// Instead of a request: a shell command that must exit with 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// Of one attempt. Default: 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// Attempts after the first one, half a second apart: 0 to 10. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
}

/// `[smoke_tests.expect]`: all of it must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct ExpectConfig {
    /// `200`, `"200-299"`, or a list of such. Default: 200 to 399.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Statuses>,
    /// Headers that must be there, and a text that their value contains; an empty one for any value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A text that the body contains, or a list of such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<Texts>,
    /// JSON pointers into the body and the values there: `{ "/status" = "ok" }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub json: BTreeMap<String, Value>,
}

/// Of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
        }
    }
}

/// 0 to 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Retries(u32);

impl<'de> Deserialize<'de> for Retries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i64::deserialize(deserializer)? {
            n @ 0..=10 => Ok(Self(n as u32)),
            n => Err(serde::de::Error::custom(format!("{n} is out of range: expected a whole number from 0 to 10"))),
        }
    }
}

/// Statuses as people write them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Statuses(Vec<OneStatus>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum OneStatus {
    Number(u16),
    Range(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || {
            serde::de::Error::custom(
                "expected a status from 100 to 599 like 200, a range like \"200-299\", or a list of such",
            )
        };
        let all: Vec<OneStatus> = match OneOrMore::deserialize(deserializer).map_err(|_| wrong())? {
            OneOrMore::One(one) => vec![one],
            OneOrMore::More(all) => all,
        };
        if all.is_empty() || all.len() > 50 || !all.iter().all(|status| status.range().is_some()) {
            return Err(wrong());
        }
        Ok(Self(all))
    }
}

impl OneStatus {
    fn range(&self) -> Option<StatusRange> {
        let (first, last) = match self {
            OneStatus::Number(one) => (*one, *one),
            OneStatus::Range(text) => match text.split_once('-') {
                Some((first, last)) => (first.trim().parse().ok()?, last.trim().parse().ok()?),
                None => (text.trim().parse().ok()?, text.trim().parse().ok()?),
            },
        };
        (100 <= first && first <= last && last <= 599).then_some(StatusRange { first, last })
    }
}

/// One text or a list of them, none of them empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || serde::de::Error::custom("expected a text that is not empty, or a list of such");
        let all: Vec<String> = match OneOrMore::deserialize(deserializer).map_err(|_| wrong())? {
            OneOrMore::One(one) => vec![one],
            OneOrMore::More(all) => all,
        };
        if all.iter().any(String::is_empty) { Err(wrong()) } else { Ok(Self(all)) }
    }
}

impl SmokeTestConfig {
    /// The test, for the component that it is about.
    pub fn resolve(&self, component: Name) -> SmokeTest {
        let check = match &self.command {
            Some(command) => Check::Command { command: command.as_str().to_owned() },
            None => Check::Http(self.http()),
        };
        SmokeTest {
            name: self.name.clone(),
            component,
            when: self.when.unwrap_or_default(),
            check,
            timeout: self.timeout.unwrap_or(TIMEOUT),
            retries: self.retries.map_or(0, |r| r.0),
        }
    }

    fn http(&self) -> HttpCheck {
        let expect = self.expect.clone().unwrap_or_default();
        let statuses = expect.status.map(|s| s.0.iter().filter_map(OneStatus::range).collect());
        let usual = || vec![StatusRange { first: 200, last: 399 }];
        HttpCheck {
            method: self.method.unwrap_or_default().as_str().to_owned(),
            path: self.path.as_ref().map_or("/", HttpPath::as_str).to_owned(),
            headers: self.headers.clone(),
            body: self.body.clone(),
            expect: Expect {
                status: statuses.unwrap_or_else(usual),
                headers: expect.headers.into_iter().map(|(k, v)| (k.to_ascii_lowercase(), v)).collect(),
                contains: expect.contains.map(|t| t.0).unwrap_or_default(),
                json: expect.json,
            },
        }
    }
}

/// What can be known of the tests from the file alone.
pub(super) fn check(text: &str, config: &Config) -> Result<(), ConfigError> {
    let wrong = |index: usize, keys: &[&str], message: String, hint: &str| {
        let index = index.to_string();
        let mut path = vec!["smoke_tests", &index];
        path.extend(keys);
        Err(ConfigError::at(text, locate(text, &path), message, Some(hint.to_owned())))
    };
    if config.smoke_tests.len() > MAX_TESTS {
        let message = format!("there are {} smoke tests", config.smoke_tests.len());
        return wrong(MAX_TESTS, &[], message, "at most 50 are run; a command can test many things");
    }
    for (index, test) in config.smoke_tests.iter().enumerate() {
        let named = !test.name.trim().is_empty()
            && test.name.chars().count() <= 100
            && !test.name.contains(|c: char| c.is_control());
        if !named {
            let message = "a smoke test needs a name of 1 to 100 characters in one line".to_owned();
            return wrong(index, &["name"], message, "say what it proves, like \"the cart answers\"");
        }
        if config.smoke_tests[..index].iter().any(|other| other.name == test.name) {
            let message = format!("two smoke tests are called `{}`", test.name);
            return wrong(index, &["name"], message, "results are told apart by their names; give it another");
        }
        let http_keys = [
            ("path", test.path.is_some()),
            ("method", test.method.is_some()),
            ("headers", !test.headers.is_empty()),
            ("body", test.body.is_some()),
            ("expect", test.expect.is_some()),
        ];
        if let (Some((key, _)), true) = (http_keys.iter().find(|(_, given)| *given), test.command.is_some()) {
            let message = format!("`{key}` is for a request, and this test is a `command`");
            return wrong(index, &[key], message, "keep one of the two; the command has the address in PLIMSOLL_URL");
        }
        for (name, value) in &test.headers {
            if !is_header(name) || value.contains(|c: char| c.is_control() && c != '\t') {
                let message = format!("`{}` is no header that can be sent", super::values::brief(name));
                return wrong(
                    index,
                    &["headers", name],
                    message,
                    "a name of letters, digits and `-`, a value in one line",
                );
            }
            if ["host", "content-length", "transfer-encoding", "connection"]
                .contains(&name.to_ascii_lowercase().as_str())
            {
                let message = format!("`{name}` is set by Plimsoll itself");
                return wrong(
                    index,
                    &["headers", name],
                    message,
                    "leave it out: the host is that of the component's route",
                );
            }
        }
        let Some(expect) = &test.expect else { continue };
        if let Some(name) = expect.headers.keys().find(|name| !is_header(name)) {
            let message = format!("`{}` can't be the name of a header", super::values::brief(name));
            return wrong(index, &["expect", "headers", name], message, "use letters, digits and `-`");
        }
        if let Some(pointer) = expect.json.keys().find(|p| !p.is_empty() && !p.starts_with('/')) {
            let message = format!("`{}` is no JSON pointer", super::values::brief(pointer));
            return wrong(
                index,
                &["expect", "json", pointer],
                message,
                "begin with `/`: `/items/0/name`; `\"\"` is the whole body",
            );
        }
        let needs_body = expect.contains.is_some() || !expect.json.is_empty();
        if needs_body && test.method == Some(Method::Head) {
            let message = "the answer to HEAD has no body that could be looked at".to_owned();
            return wrong(index, &["method"], message, "use GET");
        }
    }
    Ok(())
}

fn is_header(name: &str) -> bool {
    !name.is_empty() && name.len() <= 100 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

macro_rules! schemas {
    ($($type:ty, $name:literal, $schema:tt;)*) => {$(
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

schemas! {
    Retries, "Retries", { "type": "integer", "minimum": 0, "maximum": 10 };
    Statuses, "Statuses", {
        "anyOf": [
            { "type": "integer", "minimum": 100, "maximum": 599 },
            { "type": "string", "pattern": "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$" },
            { "type": "array", "minItems": 1, "items": { "type": ["integer", "string"] } }
        ],
        "examples": [200, "200-299", [200, 404]]
    };
    Texts, "Texts", {
        "anyOf": [{ "type": "string", "minLength": 1 }, { "type": "array", "items": { "type": "string", "minLength": 1 } }],
        "examples": ["Welcome"]
    };
}
