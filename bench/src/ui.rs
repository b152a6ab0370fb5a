//! The pages in a real browser: how soon they are painted, and how soon they answer.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use operations::deployments::{Output, OutputRequest};
use operations::invitations::{Invite, InviteRequest};
use plimsoll_tests::{App, Repo, Server};
use serde::Deserialize;
use serde_json::json;

use crate::Outcome;
use crate::figure::{Figure, Goal, quantile};

/// Lines a second, and for how long.
const RATE: u32 = 5_000;
const SECONDS: u32 = 20;
/// Of each page, with nothing in the browser's cache.
const LOADS: u32 = 5;
const READY: Duration = Duration::from_secs(60);
const PRINTER: &str = include_str!("watchers/printer.py");

/// What `web/e2e/figures.mjs` has seen, in milliseconds.
#[derive(Deserialize)]
struct Seen {
    overview: Vec<f64>,
    deployment: Vec<f64>,
    busy: Busy,
}

#[derive(Deserialize)]
struct Busy {
    /// Those that took 16 ms or more, out of so many keys and clicks.
    interactions: Vec<f64>,
    acts: usize,
    /// Times in which the page did nothing else, of 50 ms and more.
    tasks: Vec<f64>,
    /// A second.
    frames: f64,
}

/// The overview and a deployment's page, five times each from an empty cache; then that page while the deployment prints 5,000 lines a
/// second for 20 seconds, and somebody scrolls, searches, filters and wraps four times a second.
pub(crate) async fn run() -> Outcome {
    let server = Server::start().await;
    let repo = Repo::new();
    let gate = server.shared().join("gate");
    let mut files = App::new("v1").build(&format!("python3 printer.py {} {RATE} {SECONDS}", gate.display())).files();
    files.push(("printer.py", PRINTER.to_owned()));
    repo.commit(files, "prints");
    server.create_app("loud", repo.source()).await;
    let deployment = server.deploy("loud").await;
    let begun = tokio::time::Instant::now();
    loop {
        let page = server.client().call::<Output>(&OutputRequest::of(deployment.id.clone())).await;
        if page.map_err(|e| e.to_string())?.lines.iter().any(|line| line.text == "ready") {
            break;
        }
        if begun.elapsed() > READY {
            return Err("the build did not begin to print in time".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let request = json!({ "email": "ada@example.org", "role": "owner" });
    let request: InviteRequest = serde_json::from_value(request).map_err(|e| e.to_string())?;
    let invited = server.client().call::<Invite>(&request).await.map_err(|e| e.to_string())?;
    let asked = json!({
        "url": format!("http://{}", server.api()),
        "invitation": format!("/invitation#{}", invited.secret.ok_or("the invitation has no secret")?),
        "overview": "/", "deployment": format!("/deployments/{}", deployment.id), "seconds": SECONDS, "loads": LOADS,
    });
    let seen =
        tokio::task::spawn_blocking(move || look(&asked.to_string(), &gate)).await.map_err(|e| e.to_string())??;
    server.end(&deployment.id).await;
    if seen.busy.acts == 0 || seen.busy.interactions.is_empty() {
        return Err("Event Timing told nothing".to_owned());
    }
    Ok(rows(seen))
}

fn rows(Seen { overview, deployment, busy }: Seen) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (name, paints) in [("overview", overview), ("deployment", deployment)] {
        let name = format!("ui, largest paint of the {name}");
        figures.push(Figure::new(&name, quantile(&paints, 0.5), "ms", Goal::Below(1000.0)));
        figures.push(Figure::new(format!("{name}, slowest of {LOADS}"), quantile(&paints, 1.0), "ms", Goal::Shown));
    }
    // What took less than is told took that at most.
    let quick = busy.acts.saturating_sub(busy.interactions.len());
    let all: Vec<f64> = busy.interactions.into_iter().chain(std::iter::repeat_n(16.0, quick)).collect();
    let name = format!("ui, at {RATE} lines/s");
    let longest = busy.tasks.into_iter().fold(0.0, f64::max);
    figures.extend([
        Figure::new(format!("{name}: interaction, p98"), quantile(&all, 0.98), "ms", Goal::Below(100.0)),
        Figure::new(format!("{name}: longest task"), longest, "ms", Goal::Shown),
        Figure::new(format!("{name}: frames"), busy.frames, "/s", Goal::Shown),
    ]);
    figures
}

/// Has the browser look; the lines come once it is ready for them.
fn look(asked: &str, gate: &Path) -> Result<Seen, String> {
    let root = root()?;
    let mut command = Command::new(root.join("scripts/web"));
    command.args(["node", "web/e2e/figures.mjs"]);
    let browser = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut browser = browser.map_err(|e| format!("scripts/web does not run: {e}"))?;
    let (mut input, errors) = (browser.stdin.take(), browser.stderr.take());
    if let Some(input) = &mut input {
        input.write_all(asked.as_bytes()).map_err(|e| e.to_string())?;
    }
    // The end of its input.
    drop(input);
    let mut said = String::new();
    for line in errors.into_iter().flat_map(|errors| BufReader::new(errors).lines()) {
        match line.map_err(|e| e.to_string())?.as_str() {
            "ready" => std::fs::write(gate, "").map_err(|e| e.to_string())?,
            other => said.push_str(&format!("{other}\n")),
        }
    }
    let output = browser.wait_with_output().map_err(|e| e.to_string())?;
    // Whoever waits for the lines is not left waiting.
    std::fs::write(gate, "").map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(format!("web/e2e/figures.mjs ended with {}:\n{said}", output.status));
    }
    serde_json::from_slice(&output.stdout).map_err(|e| format!("web/e2e/figures.mjs: {e}"))
}

/// The checkout that this was built in.
fn root() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the crate has no folder around it")?;
    match root.join("scripts/web").is_file() {
        true => Ok(root.to_owned()),
        false => Err(format!("{} is not the checkout any more", root.display())),
    }
}
