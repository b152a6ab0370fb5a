//! The facts that a plan rests on, its digest, and what has become of them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Action;
use crate::deployment::DeploymentKind;
use crate::id::{AppId, DeploymentId, EnvironmentId};
use crate::release::Digest;
use crate::source::Source;
use crate::spec::AppSpec;

/// Everything that matters for what a deployment does, and nothing else: no times, no estimates, no text for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Basis {
    pub kind: DeploymentKind,
    pub app: AppId,
    pub environment: EnvironmentId,
    /// Of a git repository at the very commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Digest of the source's files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<Digest>,
    /// Digest of the app's specification.
    pub spec: Digest,
    /// Keyed for the environment, so it tells nothing about the values. Absent for a rollback, which takes those of its release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variables: Option<Digest>,
    /// Digest of the release that would serve.
    pub release: Digest,
    /// Number of that release, if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<u32>,
    /// `host/path component`, sorted.
    pub routes: Vec<String>,
    pub steps: Vec<BasisStep>,
    /// What serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving: Option<Serving>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BasisStep {
    pub stage: String,
    pub action: Action,
}

/// What an environment serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Serving {
    pub deployment: DeploymentId,
    pub generation: u64,
    /// Number of the release.
    pub number: u32,
}

/// What a deployment is bound to that carries out a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    pub plan: Digest,
    /// What the plan was made of: branch, tag or commit, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    pub basis: Basis,
}

/// Something about the world as it is now, to be held against a [`Basis`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The stages of the deployment in this version of the program.
    Stages(Vec<String>),
    Serving(Option<Serving>),
    Variables(Digest),
    Tree(Digest),
    Spec(Digest),
    Release(Digest),
    /// Number of the release with the plan's digest, if there is one whose files are kept.
    Exists(Option<u32>),
    /// Why the ingress would not take the routes, if so.
    RoutesRefused(Option<String>),
}

impl Basis {
    /// Over the canonical JSON: keys sorted, no spaces.
    pub fn digest(&self) -> Digest {
        let text = serde_json::to_value(self).map(|value| canonical(&value)).unwrap_or_default();
        hash("plimsoll plan 1", &text)
    }

    /// What has changed since the plan was made, one sentence for each fact; nothing if all of them still hold.
    pub fn changed(&self, now: &[Fact]) -> Vec<String> {
        let changed: Vec<String> = now.iter().filter_map(|fact| self.contradicted(fact)).collect();
        // That the digest of the release differs says no more than the reason for it.
        let reasons: Vec<String> = changed.iter().filter(|text| *text != RELEASE).cloned().collect();
        if reasons.is_empty() { changed } else { reasons }
    }

    fn contradicted(&self, fact: &Fact) -> Option<String> {
        match fact {
            Fact::Stages(now) => {
                let then = self.steps.iter().map(|step| &step.stage);
                (!then.eq(now)).then(|| "this version of Plimsoll deploys in other steps".to_owned())
            }
            Fact::Serving(now) if *now != self.serving => Some(match (&self.serving, now) {
                (_, None) => "nothing serves any more".to_owned(),
                (None, Some(now)) => format!("v{} serves now, by {}; nothing did", now.number, now.deployment),
                (Some(then), Some(now)) if then.number == now.number => {
                    format!("v{} was deployed again meanwhile, by {}", now.number, now.deployment)
                }
                (Some(then), Some(now)) => {
                    format!("v{} serves now, by {}; it was v{}", now.number, now.deployment, then.number)
                }
            }),
            Fact::Variables(now) if self.variables.as_ref().is_some_and(|then| then != now) => {
                Some("the variables of the environment have changed".to_owned())
            }
            Fact::Tree(now) if self.tree.as_ref().is_some_and(|then| then != now) => {
                Some("the files of the source have changed".to_owned())
            }
            Fact::Spec(now) if *now != self.spec => Some(
                "the app would be built or run in another way: its plimsoll.toml, the programs on this machine or this \
                 version of Plimsoll have changed"
                    .to_owned(),
            ),
            Fact::Release(now) if *now != self.release => Some(RELEASE.to_owned()),
            Fact::Exists(now) if *now != self.exists => Some(match (self.exists, now) {
                (Some(then), _) => format!("v{then}, which was to be used again, is not kept any more"),
                (None, now) => format!("v{} has been made from the same meanwhile", now.unwrap_or_default()),
            }),
            Fact::RoutesRefused(Some(why)) => Some(format!("its routes can't be had: {why}")),
            Fact::Serving(_)
            | Fact::Variables(_)
            | Fact::Tree(_)
            | Fact::Spec(_)
            | Fact::Release(_)
            | Fact::Exists(_)
            | Fact::RoutesRefused(None) => None,
        }
    }
}

const RELEASE: &str = "another release would come of it";

pub fn digest_of_spec(spec: &AppSpec) -> Digest {
    hash("plimsoll spec 1", &serde_json::to_value(spec).map(|value| canonical(&value)).unwrap_or_default())
}

/// Keyed by the environment's own key, 32 bytes: nobody can try values against it.
pub fn digest_of_variables(variables: &BTreeMap<String, String>, key: &[u8; 32]) -> Digest {
    let mut hasher = blake3::Hasher::new_keyed(key);
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(b"plimsoll variables 1");
    for (name, value) in variables {
        part(name.as_bytes());
        part(value.as_bytes());
    }
    Digest(hasher.finalize().to_hex().to_string())
}

fn hash(purpose: &str, text: &str) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for part in [purpose, text] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    Digest(hasher.finalize().to_hex().to_string())
}

/// One text for one value, whatever order its keys came in.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            let fields =
                sorted.into_iter().map(|(key, value)| format!("{}:{}", Value::String(key.clone()), canonical(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn serving(number: u32, generation: u64) -> Serving {
        let deployment = DeploymentId::from_ulid(ulid::Ulid::from_parts(1, generation.into()));
        Serving { deployment, generation, number }
    }

    fn basis() -> Basis {
        let digest = |text: &str| Digest(text.to_owned());
        Basis {
            kind: DeploymentKind::Deploy,
            app: AppId::from_ulid(ulid::Ulid::from_parts(1, 1)),
            environment: EnvironmentId::from_ulid(ulid::Ulid::from_parts(1, 2)),
            source: Some(Source::Git { url: "/srv/a".into(), reference: Some("0123".into()) }),
            tree: Some(digest("tree")),
            spec: digest("spec"),
            variables: Some(digest("variables")),
            release: digest("release"),
            exists: None,
            routes: vec!["a.localhost/ web".to_owned()],
            steps: vec![BasisStep { stage: "build".to_owned(), action: Action::Run }],
            serving: Some(serving(6, 8)),
        }
    }

    #[test]
    fn the_digest_is_over_every_fact_and_over_no_order_of_keys() {
        let base = basis();
        assert_eq!(base.digest(), basis().digest());
        assert_eq!(base.digest().as_str().len(), 64);
        let others = [
            Basis { kind: DeploymentKind::Rollback, ..basis() },
            Basis { app: AppId::from_ulid(ulid::Ulid::from_parts(1, 9)), ..basis() },
            Basis { environment: EnvironmentId::from_ulid(ulid::Ulid::from_parts(1, 9)), ..basis() },
            Basis { source: None, ..basis() },
            Basis { tree: None, ..basis() },
            Basis { spec: Digest("x".into()), ..basis() },
            Basis { variables: None, ..basis() },
            Basis { release: Digest("x".into()), ..basis() },
            Basis { exists: Some(7), ..basis() },
            Basis { routes: vec![], ..basis() },
            Basis { steps: vec![BasisStep { stage: "build".into(), action: Action::Skip }], ..basis() },
            Basis { serving: Some(serving(6, 9)), ..basis() },
        ];
        for other in others {
            assert_ne!(other.digest(), base.digest(), "{other:?}");
        }
        let (one, other): (Value, Value) = (
            serde_json::from_str(r#"{"b":[1,{"d":2,"c":"\""}],"a":null}"#).unwrap(),
            serde_json::from_str(r#"{"a":null,"b":[1,{"c":"\"","d":2}]}"#).unwrap(),
        );
        assert_eq!(canonical(&one), canonical(&other));
        assert_eq!(canonical(&one), r#"{"a":null,"b":[1,{"c":"\"","d":2}]}"#);
    }

    #[test]
    fn facts_that_hold_are_no_reason() {
        let digest = |text: &str| Digest(text.to_owned());
        let facts = [
            Fact::Stages(vec!["build".to_owned()]),
            Fact::Serving(Some(serving(6, 8))),
            Fact::Variables(digest("variables")),
            Fact::Tree(digest("tree")),
            Fact::Spec(digest("spec")),
            Fact::Release(digest("release")),
            Fact::Exists(None),
            Fact::RoutesRefused(None),
        ];
        assert_eq!(basis().changed(&facts), Vec::<String>::new());
        let rollback = Basis { variables: None, tree: None, exists: Some(3), ..basis() };
        let facts = [Fact::Variables(digest("other")), Fact::Tree(digest("other")), Fact::Exists(Some(3))];
        assert_eq!(rollback.changed(&facts), Vec::<String>::new());
    }

    #[test]
    fn each_fact_that_changed_is_named() {
        let digest = |text: &str| Digest(text.to_owned());
        let one = |fact: Fact| basis().changed(&[fact]).join("; ");
        insta::assert_snapshot!(
            [
                one(Fact::Stages(vec![])),
                one(Fact::Serving(None)),
                one(Fact::Serving(Some(serving(6, 9)))),
                one(Fact::Serving(Some(serving(7, 9)))),
                Basis { serving: None, ..basis() }.changed(&[Fact::Serving(Some(serving(1, 1)))]).join("; "),
                one(Fact::Variables(digest("x"))),
                one(Fact::Tree(digest("x"))),
                one(Fact::Spec(digest("x"))),
                one(Fact::Release(digest("x"))),
                one(Fact::Exists(Some(7))),
                Basis { exists: Some(7), ..basis() }.changed(&[Fact::Exists(None)]).join("; "),
                one(Fact::RoutesRefused(Some("`a.localhost/` belongs to b/production".to_owned()))),
                basis().changed(&[Fact::Release(digest("x")), Fact::Variables(digest("x"))]).join("; "),
            ]
            .join("\n"),
            @r"
        this version of Plimsoll deploys in other steps
        nothing serves any more
        v6 was deployed again meanwhile, by dep_00000000010000000000000009
        v7 serves now, by dep_00000000010000000000000009; it was v6
        v1 serves now, by dep_00000000010000000000000001; nothing did
        the variables of the environment have changed
        the files of the source have changed
        the app would be built or run in another way: its plimsoll.toml, the programs on this machine or this version of Plimsoll have changed
        another release would come of it
        v7 has been made from the same meanwhile
        v7, which was to be used again, is not kept any more
        its routes can't be had: `a.localhost/` belongs to b/production
        the variables of the environment have changed
        "
        );
    }

    #[test]
    fn variables_enter_by_a_keyed_hash() {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let base = digest_of_variables(&map(&[("A", "1")]), &[7; 32]);
        assert_eq!(base, digest_of_variables(&map(&[("A", "1")]), &[7; 32]));
        for other in [
            digest_of_variables(&map(&[("A", "2")]), &[7; 32]),
            digest_of_variables(&map(&[("A1", "")]), &[7; 32]),
            digest_of_variables(&map(&[]), &[7; 32]),
            digest_of_variables(&map(&[("A", "1")]), &[8; 32]),
        ] {
            assert_ne!(base, other);
        }
    }
}
