//! A look at source before anything is deployed.

use domain::Name;
use domain::source::Source;
use domain::spec::AppSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Effect, Method, Operation, Permission, Place};

/// Fetches the source into a scratch folder, says how it would be built and run, and forgets it.
pub struct Detect;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetectRequest {
    /// What to look at.
    pub source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Detected {
    /// From `plimsoll.toml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    pub spec: AppSpec,
    /// Remarks, such as a version that is asked for and not installed.
    #[schemars(extend("x-plimsoll-untrusted" = true))]
    pub notes: Vec<String>,
}

impl Operation for Detect {
    type Request = DetectRequest;
    type Response = Detected;
    const NAME: &'static str = "sources.detect";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/sources/detect";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Say how a source would be built and run, without doing it";
    const PERMISSION: Permission = Permission::Deploy;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Apps(None)
    }
}
