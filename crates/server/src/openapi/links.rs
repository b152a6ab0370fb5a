//! What to do with what was made: from its answer to the operations on it.

use serde_json::{Map, Value, json};

/// A maker; the parameters that its answer gives, and where in the answer; what takes them.
type Made = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

const MADE: [Made; 5] = [
    (
        "apps.create",
        &[("app", "$response.body#/name")],
        &["apps.get", "apps.delete", "apps.set_source", "environments.create", "environments.list", "releases.list"],
    ),
    (
        "environments.create",
        &[("app", "$response.body#/app"), ("environment", "$response.body#/name")],
        &["environments.get", "environments.delete", "variables.list", "variables.set", "logs.read"],
    ),
    ("plans.create", &[("plan", "$response.body#/digest")], &["plans.get", "plans.simulate"]),
    (
        "deployments.deploy",
        &[("deployment", "$response.body#/id")],
        &["deployments.get", "deployments.cancel", "deployments.output", "deployments.resume", "deployments.abandon"],
    ),
    (
        "deployments.rollback",
        &[("deployment", "$response.body#/id")],
        &["deployments.get", "deployments.cancel", "deployments.output"],
    ),
];

/// The links of an operation's good answer.
pub(super) fn of(name: &str) -> Option<Value> {
    let (_, given, next) = MADE.iter().find(|(maker, ..)| *maker == name)?;
    let parameters: Map<String, Value> =
        given.iter().map(|(name, place)| ((*name).to_owned(), (*place).into())).collect();
    let links = next.iter().map(|next| {
        let link = json!({ "operationId": next, "parameters": parameters });
        (next.replace('.', "_"), link)
    });
    Some(Value::Object(links.collect()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::openapi::document;

    #[test]
    fn every_link_leads_somewhere() {
        let document = document();
        let operations: Vec<&Value> = document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|path| path.as_object().unwrap().values())
            .collect();
        let find =
            |name: &str| operations.iter().find(|o| o["operationId"] == name).unwrap_or_else(|| panic!("{name}"));
        for (maker, given, next) in MADE {
            find(maker);
            for target in next {
                let parameters = find(target)["parameters"].as_array().unwrap();
                for (name, _) in given {
                    assert!(parameters.iter().any(|p| p["name"] == *name && p["in"] == "path"), "{target}: {name}");
                }
            }
        }
    }
}
