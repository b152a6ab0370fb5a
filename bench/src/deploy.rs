//! A deployment against the same steps by hand.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use plimsoll_tests::{Repo, Server};

use crate::Outcome;
use crate::figure::{Figure, Goal, quantile};
use crate::page::Page;

const ROUNDS: u32 = 21;

/// From the request to the API until the ingress answers with the new version, for a static site of 20 files in a local git
/// repository; against `git clone --depth 1` and a symlink, switched by hand, in the same round.
pub(crate) async fn run() -> Outcome {
    let server = Server::start().await;
    let repo = Repo::new();
    repo.commit((1..20).map(|n| (format!("page{n}.html"), format!("<p>{n}\n").repeat(50))), "pages");
    repo.commit([("index.html", "v0")], "v0");
    server.create_app("site", repo.source()).await;
    server.deploy_well("site").await;
    let mut page = Page::of(server.ingress(), "site.localhost");
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for n in 1..=ROUNDS {
        let version = format!("v{n}");
        repo.commit([("index.html", &version)], &version);

        let began = Instant::now();
        by_hand(repo.path(), scratch.path(), n);
        assert_eq!(fs::read_to_string(scratch.path().join("current/index.html")).unwrap(), version);
        bare.push(began.elapsed().as_secs_f64() * 1000.0);

        let began = Instant::now();
        let deployment = server.deploy("site").await;
        page.until(&version).await;
        ours.push(began.elapsed().as_secs_f64() * 1000.0);
        server.end(&deployment.id).await;
    }
    let value = quantile(&ours, 0.5);
    Ok(vec![
        Figure::new("deploy, 20 files, no build, until it answers", value, "ms", Goal::AddsAtMost(150.0))
            .against("git clone + symlink", quantile(&bare, 0.5)),
        Figure::new("the same, slowest of 21", quantile(&ours, 1.0), "ms", Goal::Shown)
            .against("git clone + symlink", quantile(&bare, 1.0)),
    ])
}

fn by_hand(repo: &Path, scratch: &Path, n: u32) {
    let clone = scratch.join(format!("clone{n}"));
    let url = format!("file://{}", repo.display());
    let done = Command::new("git").args(["clone", "--quiet", "--depth", "1", &url]).arg(&clone).status().unwrap();
    assert!(done.success());
    symlink(&clone, scratch.join("next")).unwrap();
    fs::rename(scratch.join("next"), scratch.join("current")).unwrap();
}
