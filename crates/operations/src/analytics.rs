//! How deployments go, counted by day.

use clap::Args;
use domain::Name;
use domain::analytics::Analytics;
use domain::lifetime::Lifetime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Effect, Method, Operation, Permission, Place};

pub struct Show;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ShowRequest {
    /// Only of this app; of all apps by default.
    #[arg(long, short)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Name>,
    /// Only of this environment of the app.
    #[arg(long = "env", short = 'e', value_name = "NAME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    /// How far back, such as 7d or 1y; from the beginning of that day in UTC.
    #[arg(long, value_name = "TIME", default_value = DEFAULT)]
    #[serde(default = "month")]
    pub since: Lifetime,
}

const DEFAULT: &str = "30d";

fn month() -> Lifetime {
    Lifetime::days(30)
}

impl Operation for Show {
    type Request = ShowRequest;
    type Response = Analytics;
    const NAME: &'static str = "analytics.show";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/analytics";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Show how deployments go: durations, failures, the four keys of DORA";
    const PERMISSION: Permission = Permission::Look;

    fn place(request: &Self::Request) -> Place<'_> {
        Place::Apps(request.app.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_defaults_are_the_same() {
        assert_eq!(DEFAULT.parse(), Ok(month()));
    }
}
