//! End-to-end: the real binary, real repositories, real requests.
#![allow(clippy::unwrap_used)]
// For large literals of JSON.
#![recursion_limit = "256"]

mod abandon;
mod analytics;
mod approvals;
mod audit;
mod backup;
mod cancel;
mod clocks;
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
mod jwt;
mod keys;
mod kills;
mod labels;
mod limits;
mod login;
mod matrix;
mod mcp;
mod notices;
mod oidc;
mod openapi;
mod people;
mod plans;
mod postgres;
mod promotion;
mod retire;
mod retries;
mod roles;
mod rollback;
mod schedules;
mod second_factor;
mod secrets;
mod sign_in;
mod sign_in_timing;
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
