//! Environment variables. Their values go in and never come out: they are sealed
//! in the store and reach only the app.

use std::collections::BTreeMap;

use clap::Args;
use domain::Name;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::{Effect, Method, Operation, Permission, Place};

/// A variable without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Variable {
    pub name: String,
}

/// A value on its way in: readable by JSON, hidden from `Debug`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("writeOnly" = true, "pattern" = r"^[^\x00]*$"))]
pub struct Value(#[schemars(with = "String")] pub SecretString);

impl Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

/// Longest name and value, in bytes, and how many an environment may have.
pub const MAX_NAME: usize = 128;
pub const MAX_VALUE: usize = 64 * 1024;
pub const MAX_VARIABLES: usize = 500;

fn name_schema() -> serde_json::Value {
    serde_json::json!({ "pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "maxLength": MAX_NAME })
}

pub struct List;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// Name of the app.
    #[arg(long, short)]
    pub app: Name,
    /// Name of the environment.
    #[arg(long = "env", short = 'e', value_name = "NAME", default_value = "production")]
    pub environment: Name,
}

impl Operation for List {
    type Request = ListRequest;
    type Response = Vec<Variable>;
    const NAME: &'static str = "variables.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/apps/{app}/environments/{environment}/variables";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List the variables of an environment, without their values";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}

pub struct Set;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRequest {
    /// Name of the app.
    pub app: Name,
    /// Name of the environment.
    pub environment: Name,
    /// Values by name. A name consists of letters, digits and `_`, not beginning with a digit.
    #[schemars(extend("minProperties" = 1, "maxProperties" = MAX_VARIABLES, "propertyNames" = name_schema()))]
    pub variables: BTreeMap<String, Value>,
}

impl Operation for Set {
    type Request = SetRequest;
    type Response = Vec<Variable>;
    const NAME: &'static str = "variables.set";
    const METHOD: Method = Method::Put;
    const PATH: &'static str = "/api/v1/apps/{app}/environments/{environment}/variables";
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Set variables; they take effect with the next deployment";
    const PERMISSION: Permission = Permission::Configure;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}

pub struct Unset;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct UnsetRequest {
    /// Name of the app.
    #[arg(long, short)]
    pub app: Name,
    /// Name of the environment.
    #[arg(long = "env", short = 'e', value_name = "NAME", default_value = "production")]
    pub environment: Name,
    /// Names of the variables.
    #[arg(required = true, value_name = "NAME")]
    #[schemars(length(min = 1))]
    pub names: Vec<String>,
}

impl Operation for Unset {
    type Request = UnsetRequest;
    type Response = Vec<Variable>;
    const NAME: &'static str = "variables.unset";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/apps/{app}/environments/{environment}/variables/unset";
    const EFFECT: Effect = Effect::Destroy;
    const SUMMARY: &'static str = "Remove variables; they are gone with the next deployment";
    const PERMISSION: Permission = Permission::Configure;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_values_and_json_carries_them() {
        let value = Value::from("hunter2".to_owned());
        assert!(!format!("{value:?}").contains("hunter2"));
        assert_eq!(serde_json::to_string(&value).unwrap(), "\"hunter2\"");
    }
}
