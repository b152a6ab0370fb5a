//! End-to-end: the real binary, real repositories, real requests.
#![allow(clippy::unwrap_used)]

mod analytics;
mod backup;
mod cancel;
mod cluster;
mod components;
mod create;
mod crowd;
mod docker;
mod edge;
mod examples;
mod failures;
mod input;
mod isolation;
mod kills;
mod labels;
mod mcp;
mod openapi;
mod plans;
mod postgres;
mod promotion;
mod retries;
mod rollback;
mod schedules;
mod secrets;
mod smoke;
mod stacks;
mod streams;
mod tokens;
mod traffic;
mod upgrade;
mod uploads;
mod watching;

use domain::deployment::Deployment;
use plimsoll_tests::{App, RawLoad, Repo, Server};

/// Requests a second under which nothing may be lost.
const RATE: u32 = 40;

/// A server with one active app of version `v1`, and its repository.
async fn with_app(name: &str) -> (Server, Repo, Deployment) {
    on(Server::start().await, name).await
}

async fn on(server: Server, name: &str) -> (Server, Repo, Deployment) {
    let repo = Repo::new();
    repo.commit([("README.md", "the first commit\n")], "begin");
    repo.commit(App::new("v1").files(), "v1");
    server.create_app(name, repo.source()).await;
    let first = server.deploy_well(name).await;
    (server, repo, first)
}

fn load(server: &Server, app: &str) -> RawLoad {
    RawLoad::start(server.ingress(), &plimsoll_tests::flow::host(app), RATE)
}
