//! The guides that come with the binary.

use clap::Args;
use domain::guide::{Contents, Guide, Hit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Effect, Method, Operation, Permission, Place};

pub struct List;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {}

impl Operation for List {
    type Request = ListRequest;
    type Response = Vec<Contents>;
    const NAME: &'static str = "guides.list";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/guides";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "List the guides and their sections";
    const PERMISSION: Permission = Permission::Hello;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}

pub struct Get;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetRequest {
    /// Name of the guide, such as `runbook`.
    pub page: String,
    /// Only this section and those below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub section: Option<String>,
}

impl Operation for Get {
    type Request = GetRequest;
    type Response = Guide;
    const NAME: &'static str = "guides.get";
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/api/v1/guides/{page}";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Read a guide, or one of its sections";
    const PERMISSION: Permission = Permission::Hello;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}

/// Sections that have all of the words, or longer ones that begin like them; the best first.
pub struct Search;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// What to look for: one word or several, at most 128 characters.
    #[schemars(length(min = 1, max = 128))]
    pub words: String,
    /// So many sections at most, 1 to 500.
    #[serde(default = "few")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: u32,
}

/// The usual [`SearchRequest::limit`].
pub const FEW: u32 = 20;

fn few() -> u32 {
    FEW
}

impl Operation for Search {
    type Request = SearchRequest;
    type Response = Vec<Hit>;
    const NAME: &'static str = "guides.search";
    const METHOD: Method = Method::Get;
    // Not below `guides`, where it would hide a page of that name.
    const PATH: &'static str = "/api/v1/search/guides";
    const EFFECT: Effect = Effect::Read;
    const SUMMARY: &'static str = "Find sections of the guides by words";
    const PERMISSION: Permission = Permission::Hello;

    fn place(_: &Self::Request) -> Place<'_> {
        Place::Server
    }
}
