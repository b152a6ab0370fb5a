//! A stuck deployment that somebody abandons: it has ended, what served before serves, and the next one begins.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use domain::audit::Outcome;
use domain::deployment::Deployment;
use domain::event::EventKind;
use domain::phase::Phase;
use operations::audit::{List, ListRequest};
use operations::deployments::{Abandon, DeploymentRequest};
use operations::environments::Environment;
use operations::tokens::{Create, CreateRequest};
use operations::{Client, ErrorKind};
use plimsoll_tests::flow::{active, refused};
use plimsoll_tests::{App, Server, wait_for};
use serde_json::json;

use crate::audit::sql;
use crate::{load, with_app};

const LIMIT: Duration = Duration::from_secs(60);

/// Of what [`with_pages`] has made, when the undo of `link` and all before it have not been run.
pub(crate) const LEFT: &str = "not taken back: pull_source, build, create_release, link";

/// The app with a folder of pages beside it: for each deployment there is a link, which its undo removes.
pub(crate) fn with_pages(app: App) -> Vec<(&'static str, String)> {
    const PAGES: &str = "[components.pages]\nkind = \"static\"\nroot = \"pages\"\nroutes = [{ path = \"/pages\" }]\n";
    let mut files = app.configured(PAGES).files();
    files.push(("pages/index.html", "<h1>pages</h1>".to_owned()));
    files
}

/// Where a deployment has that link. A folder in its place can't be unlinked, whoever tries.
pub(crate) fn link(server: &Server, environment: &Environment, generation: u64) -> PathBuf {
    server.data().join(format!("sites/{}-pages/g{generation}", environment.id))
}

fn abandon(deployment: &Deployment) -> DeploymentRequest {
    DeploymentRequest { deployment: deployment.id.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_neither_finished_nor_taken_back_is_ended_and_the_next_begins() {
    let (server, repo, first) = with_app("hello").await;
    // It serves, and is found to be bad once its link has been tampered with.
    let (asked, go) = (server.shared().join("asked"), server.shared().join("go"));
    let test = format!(
        "[[smoke_tests]]\nname = \"slow\"\ncomponent = \"web\"\nwhen = \"after\"\ntimeout = \"60s\"\n\
         command = 'touch {}; while [ ! -e {} ]; do sleep 0.05; done; exit 1'\n",
        asked.display(),
        go.display()
    );
    repo.commit(with_pages(App::new("v2").configured(&test)), "v2");
    let bad = server.deploy("hello").await;
    wait_for("the smoke test to begin", LIMIT, async || asked.exists().then_some(())).await;
    server.assert_serves("hello", "/", "v2").await;
    let link = link(&server, &server.environment("hello").await, bad.generation);
    fs::remove_file(&link).unwrap();
    fs::create_dir(&link).unwrap();
    fs::write(go, "").unwrap();
    let stuck = wait_for("it to be stuck", LIMIT, async || server.deployment(&bad.id).await.stuck).await;
    assert!(stuck.contains("can't remove a link"), "{stuck}");

    // It says so, and what helps; meanwhile the version before serves, and the next one waits.
    let id = bad.id.as_str();
    let doctor = server.cli(&["doctor", "--json"]);
    let told = String::from_utf8(doctor.stdout).unwrap();
    assert_eq!(doctor.status.code(), Some(10), "{told}");
    for part in ["stuck in health check", "can't remove a link", &format!("plimsoll abandon {id}")] {
        assert!(told.contains(part), "`{part}` is not in {told}");
    }
    let visitors = load(&server, "hello");
    visitors.go_on(5).await;
    assert_eq!(server.routed_release("hello").await, first.release.as_ref().map(ToString::to_string));
    repo.commit(App::new("v3").files(), "v3");
    let next = server.deploy("hello").await;
    let waits = server.deployment(&next.id).await;
    assert_eq!(waits.phase, Phase::Queued);
    assert_eq!(waits.metadata.waiting_for, Some(format!("{id} to finish")));

    // A server that has taken it to try again, and was not answered, doesn't keep it.
    let taken = format!("UPDATE sagas SET owner = (SELECT id FROM servers), fence = fence + 1 WHERE id = '{id}'");
    sql(&server, &taken).unwrap();
    let owner = format!("SELECT count(*) FROM sagas WHERE id = '{id}' AND owner IS NULL");
    wait_for("it to be nobody's", LIMIT, async || (sql(&server, &owner).unwrap() == json!([[1]])).then_some(())).await;

    // A viewer may not, and nobody does it by mistake.
    let viewer = CreateRequest { read_only: true, ..CreateRequest::named("reader".parse().unwrap()) };
    let secret = server.client().call::<Create>(&viewer).await.unwrap().secret.unwrap();
    let viewer = Client::new(server.client().base(), &secret.into()).unwrap();
    assert_eq!(refused(viewer.call::<Abandon>(&abandon(&bad)).await).code, ErrorKind::Forbidden);
    assert_eq!(server.cli(&["abandon", id]).status.code(), Some(2), "it asks, and there is nobody to answer");
    assert!(server.deployment(&bad.id).await.stuck.is_some());

    let done = server.cli(&["abandon", id, "--yes"]);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(String::from_utf8(done.stdout).unwrap(), format!("abandoned {id}: it is failed now\n"));
    let ended = server.deployment(&bad.id).await;
    assert_eq!((ended.phase, &ended.stuck), (Phase::Failed, &None), "{ended:#?}");
    let message = ended.failure.clone().unwrap().message;
    assert!(message.contains("slow") && message.ends_with(&format!("; abandoned by local; {LEFT}")), "{message}");
    let shown = String::from_utf8(server.cli(&["deployments", "show", id]).stdout).unwrap();
    assert!(shown.lines().any(|line| line.contains("abandoned by local")), "{shown}");

    // The environment is free, and nobody has noticed.
    active(server.end(&next.id).await);
    wait_for("v3 to serve alone", LIMIT, async || {
        let environment = server.environment("hello").await;
        let of_others = environment.instances.iter().any(|instance| instance.key.deployment != next.id);
        (!of_others && environment.in_progress.is_empty() && server.apps().len() == 1).then_some(())
    })
    .await;
    visitors.go_on(20).await;
    let tally = visitors.stop();
    tally.assert_none_lost();
    assert_eq!(tally.distinct(), ["v1", "v3"], "{tally}");
    let serving = server.environment("hello").await.active.unwrap();
    assert_eq!(serving.deployment, next.id);
    assert_eq!(server.routed_release("hello").await, Some(serving.release.to_string()));

    // It ends once, and stays as it has ended.
    let again = server.cli(&["abandon", id, "--yes"]);
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(again.status.code() == Some(4) && said.contains("not stuck"), "{said}");
    assert_eq!(server.deployment(&bad.id).await, ended);
    let events = server.events(&bad.id).await;
    let ends = events.iter().filter(|event| matches!(event.kind, EventKind::DeploymentFinished { .. }));
    assert_eq!(ends.count(), 1, "{events:#?}");
    let of_it = ListRequest { operation: Some("deployments.abandon".to_owned()), ..ListRequest::default() };
    let acts = server.client().call::<List>(&of_it).await.unwrap().items;
    let told: Vec<_> = acts.iter().map(|act| (act.draft.actor_name.as_str(), act.draft.outcome)).collect();
    assert_eq!(told, [("local", Outcome::Done), ("reader", Outcome::Refused)], "newest first");
    assert_eq!(acts[0].draft.target.as_deref(), Some(id));
}
