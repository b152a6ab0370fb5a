//! Promotion: the release of one environment, as it was built, for another. What differs between
//! the two is found out here, from values that go no further: a report names variables and never
//! shows what they hold.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::ReleaseId;
use crate::name::Name;
use crate::release::Digest;
use crate::source::Commit;
use crate::spec::AppSpec;

/// What a promotion would change, and what speaks against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromotionReport {
    pub app: Name,
    /// Where the release comes from, and where it is to go.
    pub from: Name,
    pub to: Name,
    pub promoted: Version,
    /// What serves in the target now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Version>,
    /// The most serious first.
    pub findings: Vec<Finding>,
    /// Variables that the release was built with, against those of the target now; by name.
    pub variables: Vec<VariableDifference>,
    pub commits: Commits,
    /// Of the app's specification, from what serves in the target to what is promoted.
    pub configuration: Vec<SettingDifference>,
    /// Where the app answers in the target.
    pub routes: Vec<RouteDifference>,
    /// Run in the target before the release starts there: migrations, usually.
    pub release_commands: Vec<String>,
}

/// A release in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    pub release: ReleaseId,
    pub number: u32,
    /// Two releases of one artifact have the very same files.
    pub artifact: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
}

/// Something that a person should know before the promotion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    pub severity: Severity,
    pub code: FindingCode,
    pub message: String,
    pub hint: String,
    /// Names of the variables that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Refuses the promotion, unless it is forced; a deployment that is planned would fail.
    Blocking,
    Warning,
}

/// Stable for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingCode {
    /// The release was built and run with variables that the target lacks.
    MissingVariables,
    /// Variables that look like secrets have the same value in both environments.
    SharedSecrets,
    /// The very same files with the same variables serve in the target.
    AlreadyLive,
    /// The build saw values that differ from the target's, and may have written them into files.
    BuiltWithOtherValues,
    /// The target serves commits that the release lacks.
    GoesBack,
    /// The ingress would not take the routes: one belongs to another environment, usually.
    RoutesRefused,
    /// Another deployment goes first in the environment: if it changes what serves, a plan does not hold any more.
    OthersFirst,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VariableDifference {
    pub name: String,
    pub comparison: Comparison,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    OnlyInSource,
    OnlyInTarget,
    Same,
    Different,
}

/// Commits between what serves in the target and what is promoted, newest first, at most 100 each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Commits {
    pub added: Vec<Commit>,
    /// Serve in the target now and are not in the promoted release.
    pub removed: Vec<Commit>,
    /// Why they are not known, when they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// A value of the specification that differs; absent where it isn't there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettingDifference {
    /// `components/web/serve/instances`
    pub setting: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_value")]
    pub live: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_value")]
    pub promoted: Option<Value>,
}

/// Any JSON. Said type by type, as many a client stumbles over a schema that is `true`.
fn any_value(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": ["array", "boolean", "number", "object", "string", "null"] })
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RouteDifference {
    /// `www.example.org/shop`
    pub route: String,
    /// Component that answers; absent where none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted: Option<Name>,
}

/// What a deployment keeps of the promotion that it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromotionRecord {
    pub from: Name,
    pub release: ReleaseId,
    pub number: u32,
    /// Why it was done against blocking findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// The variables of a release and of an environment, with their values.
#[derive(Clone, Copy)]
pub struct Sides<'a> {
    pub source: &'a BTreeMap<String, String>,
    pub target: &'a BTreeMap<String, String>,
}

impl Sides<'_> {
    pub fn differences(&self) -> Vec<VariableDifference> {
        let names: BTreeSet<&String> = self.source.keys().chain(self.target.keys()).collect();
        let compare = |name: &String| match (self.source.get(name), self.target.get(name)) {
            (Some(_), None) => Comparison::OnlyInSource,
            (None, _) => Comparison::OnlyInTarget,
            (a, b) if a == b => Comparison::Same,
            _ => Comparison::Different,
        };
        names.into_iter().map(|name| VariableDifference { name: name.clone(), comparison: compare(name) }).collect()
    }

    /// What the variables say against the promotion. `builds`: the release has build commands, which saw the source's.
    pub fn findings(&self, from: &Name, to: &Name, builds: bool) -> Vec<Finding> {
        let of = |wanted: Comparison| -> Vec<String> {
            let all = self.differences().into_iter().filter(|d| d.comparison == wanted);
            all.map(|d| d.name).collect()
        };
        let missing = of(Comparison::OnlyInSource);
        let mut shared = of(Comparison::Same);
        shared.retain(|name| self.source.get(name).is_some_and(|value| is_secret(name, value)));
        let different = if builds { of(Comparison::Different) } else { Vec::new() };
        let mut findings = Vec::new();
        if !missing.is_empty() {
            findings.push(Finding {
                severity: Severity::Blocking,
                code: FindingCode::MissingVariables,
                message: format!("{to} lacks variables that the release has in {from}: {}", missing.join(", ")),
                hint: format!("set them: `plimsoll env set --env {to} {}`", missing.join(" ")),
                variables: missing,
            });
        }
        if !shared.is_empty() {
            findings.push(Finding {
                severity: Severity::Blocking,
                code: FindingCode::SharedSecrets,
                message: format!(
                    "{from} and {to} have the same value of what looks like a secret: {}",
                    shared.join(", ")
                ),
                hint: format!("give {to} its own, or force the promotion if they are meant to be the same"),
                variables: shared,
            });
        }
        if !different.is_empty() {
            findings.push(Finding {
                severity: Severity::Warning,
                code: FindingCode::BuiltWithOtherValues,
                message: format!("built with {from}'s values, which the files may contain: {}", different.join(", ")),
                hint: "if the build writes one of them into files, deploy to the target instead, which builds anew"
                    .to_owned(),
                variables: different,
            });
        }
        findings
    }
}

/// By its name, or by a password in an address. Values are sealed all alike, so nobody has said which are secrets.
fn is_secret(name: &str, value: &str) -> bool {
    const WORDS: [&str; 12] = [
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "PWD",
        "SECRET",
        "TOKEN",
        "CREDENTIAL",
        "CREDENTIALS",
        "PRIVATE",
        "KEY",
        "DSN",
        "SALT",
    ];
    if value.is_empty() {
        return false;
    }
    let upper = name.to_ascii_uppercase();
    let named =
        upper.split('_').any(|word| WORDS.contains(&word) || word.ends_with("PASSWORD") || word.ends_with("APIKEY"));
    let password = value.split_once("://").and_then(|(_, rest)| rest.split('/').next()?.rsplit_once('@'));
    named || password.is_some_and(|(user, _)| user.contains(':'))
}

/// What differs between two specifications; those of components stand under their names.
pub fn settings(live: &AppSpec, promoted: &AppSpec) -> Vec<SettingDifference> {
    let flat = |spec: &AppSpec| {
        let mut all = BTreeMap::new();
        flatten(&serde_json::to_value(spec).unwrap_or_default(), String::new(), &mut all);
        all
    };
    let (live, promoted) = (flat(live), flat(promoted));
    let names: BTreeSet<&String> = live.keys().chain(promoted.keys()).collect();
    let differ = names.into_iter().filter(|name| live.get(*name) != promoted.get(*name)).take(MAX_SETTINGS);
    differ
        .map(|name| SettingDifference {
            setting: name.clone(),
            live: live.get(name).cloned(),
            promoted: promoted.get(name).cloned(),
        })
        .collect()
}

const MAX_SETTINGS: usize = 200;

fn flatten(value: &Value, path: String, all: &mut BTreeMap<String, Value>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}/{key}") };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(key, value)| flatten(value, below(key), all));
        }
        // Lists of named things are told apart by their names, so that an order that changed is no difference.
        Value::Array(items) if !items.is_empty() && items.iter().all(|item| item.get("name").is_some()) => {
            for item in items {
                let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
                flatten(item, below(name), all);
            }
        }
        _ => {
            all.insert(path, value.clone());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    fn codes(source: &[(&str, &str)], target: &[(&str, &str)], builds: bool) -> Vec<(FindingCode, Vec<String>)> {
        let (from, to) = ("staging".parse().unwrap(), "production".parse().unwrap());
        let (source, target) = (map(source), map(target));
        let findings = Sides { source: &source, target: &target }.findings(&from, &to, builds);
        let text = serde_json::to_string(&findings).unwrap();
        assert!(source.values().chain(target.values()).all(|v| v.len() < 4 || !text.contains(v.as_str())), "{text}");
        findings.into_iter().map(|f| (f.code, f.variables)).collect()
    }

    #[test]
    fn variables_are_compared_and_never_shown() {
        let own = |names: &[&str]| names.iter().map(|n| n.to_string()).collect::<Vec<_>>();
        use FindingCode::*;
        assert_eq!(codes(&[("A", "qwertz-1")], &[("A", "qwertz-1")], true), []);
        assert_eq!(
            codes(&[("A", "qwertz-1"), ("B", "b-22")], &[("B", "b-22")], true),
            [(MissingVariables, own(&["A"]))]
        );
        assert_eq!(codes(&[], &[("A", "qwertz-1")], true), []);
        assert_eq!(codes(&[("A", "qwertz-1")], &[("A", "asdf-2")], true), [(BuiltWithOtherValues, own(&["A"]))]);
        assert_eq!(codes(&[("A", "qwertz-1")], &[("A", "asdf-2")], false), []);
        let same =
            [("API_KEY", "hunter22"), ("DB", "postgres://u:pw@h/d"), ("KEYBOARD", "yxcv"), ("URL", "http://h/a:b@c")];
        assert_eq!(codes(&same, &same, true), [(SharedSecrets, own(&["API_KEY", "DB"]))]);
        assert_eq!(codes(&[("TOKEN", "")], &[("TOKEN", "")], true), []);
    }

    #[test]
    fn settings_are_compared_by_name() {
        let spec = |instances: u32, names: [&str; 2]| -> AppSpec {
            let component = |name: &str| {
                serde_json::json!({
                    "name": name, "root": "", "depends_on": [], "env": {}, "routes": [],
                    "serve": { "kind": "process", "command": "x", "instances": instances, "listens": true, "stop_timeout": "1s" },
                    "health": crate::health::HealthCheck::new(crate::health::Probe::Tcp),
                })
            };
            let components: Vec<_> = names.into_iter().map(component).collect();
            serde_json::from_value(serde_json::json!({ "builds": [], "components": components })).unwrap()
        };
        assert_eq!(settings(&spec(1, ["a", "b"]), &spec(1, ["b", "a"])), []);
        let found = settings(&spec(1, ["a", "b"]), &spec(2, ["a", "b"]));
        let names: Vec<_> = found.iter().map(|d| d.setting.as_str()).collect();
        assert_eq!(names, ["components/a/serve/instances", "components/b/serve/instances"]);
        assert_eq!((found[0].live.clone(), found[0].promoted.clone()), (Some(1.into()), Some(2.into())));
    }
}
