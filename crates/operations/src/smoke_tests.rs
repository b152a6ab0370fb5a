//! Smoke tests on demand.

use clap::Args;
use domain::smoke::SmokeResult;
use domain::{Name, ReleaseId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Effect, Method, Operation, Permission, Place};

/// Runs the smoke tests of what serves. It answers when all have ended.
pub struct Run;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// Name of the app.
    #[arg(long, short)]
    pub app: Name,
    /// Name of the environment.
    #[arg(long = "env", short = 'e', value_name = "NAME", default_value = "production")]
    pub environment: Name,
}

/// How the tests went. The moment `before` means each instance by itself, `after` through the ingress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SmokeReport {
    pub release: ReleaseId,
    pub release_number: u32,
    /// At least one test passed, and none failed.
    pub passed: bool,
    pub results: Vec<SmokeResult>,
}

impl Operation for Run {
    type Request = RunRequest;
    type Response = SmokeReport;
    const NAME: &'static str = "smoke_tests.run";
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/api/v1/apps/{app}/environments/{environment}/smoke-tests";
    // A test may send what changes something.
    const EFFECT: Effect = Effect::Write;
    const SUMMARY: &'static str = "Run the smoke tests against what serves";
    const PERMISSION: Permission = Permission::Deploy;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::App(&request.app)
    }
}
