//! Nothing is left over, and all servers are well.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use domain::DeploymentId;
use domain::deployment::Deployment;
use domain::phase::Phase;
use operations::cluster::{Show, ShowRequest, Standing};
use plimsoll_tests::processes;

use super::deployments::is_of;
use crate::settings::SERVERS;
use crate::world::World;

/// What a server that died has left is cleaned away by the look after the next one, a minute apart.
const CLEAN: Duration = Duration::from_secs(150);

pub(super) async fn judge(world: &World, all: &BTreeMap<DeploymentId, Deployment>) {
    let serving: BTreeSet<String> = (0..world.places.len())
        .filter_map(|place| {
            let active = all.values().filter(|d| is_of(world, place, d) && d.phase == Phase::Active);
            active.max_by_key(|d| d.generation).map(|d| format!("{}-web-0", d.id))
        })
        .collect();
    let began = Instant::now();
    let mut first: Option<Vec<String>> = None;
    loop {
        let left = leftovers(world, &serving).await;
        if left.is_empty() {
            break;
        }
        if began.elapsed() > CLEAN {
            left.into_iter().for_each(|what| world.story.wrong(format!("left over: {what}")));
            break;
        }
        if first.is_none() {
            world.story.tell(&format!("to be cleaned away: {left:#?}"));
            first = Some(left);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    world.story.tell(&format!("clean after {:.1} s", began.elapsed().as_secs_f64()));
    servers(world).await;
    doctor(world);
}

async fn leftovers(world: &World, serving: &BTreeSet<String>) -> Vec<String> {
    let site = &world.fleet.site;
    let mut left: Vec<String> =
        names(&site.data().join("workspaces")).map(|name| format!("workspace {name}")).collect();
    let mut running: Vec<String> = Vec::new();
    for process in processes::marked(&site.data().display().to_string()) {
        let mark = |name: &str| {
            let found = process.environment().split(' ').find_map(|word| word.strip_prefix(name));
            found.map(str::to_owned)
        };
        if let Some(work) = mark("PLIMSOLL_WORK=") {
            left.push(format!("process {} of {work}: {}", process.pid, process.command));
        }
        if let Some(instance) = mark("PLIMSOLL_INSTANCE=") {
            running.push(instance);
        }
    }
    let once: BTreeSet<String> = running.iter().cloned().collect();
    left.extend(once.difference(serving).map(|name| format!("instance {name}")));
    left.extend(serving.difference(&once).map(|name| format!("nothing, where {name} should run")));
    for name in &once {
        let count = running.iter().filter(|other| *other == name).count();
        if count > 1 {
            left.push(format!("{count} processes of {name}"));
        }
    }
    let known = world.ledger.accepted();
    for group in groups() {
        let ours = known.keys().any(|id| group.contains(id.as_str()));
        if ours && !serving.iter().any(|name| group.contains(name.as_str())) {
            left.push(format!("control group {group}"));
        }
    }
    left.extend(rows(world));
    left
}

/// In the database.
fn rows(world: &World) -> Vec<String> {
    const QUERIES: [(&str, &str); 4] = [
        ("queued", "SELECT deployment_id FROM queue"),
        ("saga open", "SELECT id FROM sagas WHERE NOT finished"),
        ("running in an environment", "SELECT running FROM environments WHERE running IS NOT NULL"),
        ("acting in an environment", "SELECT acting FROM environments WHERE acting IS NOT NULL"),
    ];
    let mut left = Vec::new();
    for (what, sql) in QUERIES {
        let found = tokio::task::block_in_place(|| world.postgres.sql(&world.database, sql));
        left.extend(found.lines().map(|id| format!("{id} is {what}")));
    }
    left
}

/// Names of control groups of all data folders.
fn groups() -> BTreeSet<String> {
    let mounts = names(Path::new("/sys/fs/cgroup")).map(|name| Path::new("/sys/fs/cgroup").join(name));
    let folders = mounts.chain([Path::new("/sys/fs/cgroup").to_owned()]).map(|mount| mount.join("plimsoll"));
    folders.flat_map(|folder| names(&folder).collect::<Vec<_>>()).collect()
}

fn names(folder: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

async fn servers(world: &World) {
    for node in &world.fleet.nodes {
        let ready = http_status(node.api(), "/readyz").await;
        if ready != Some(200) {
            world.story.wrong(format!("{} is not ready: {ready:?}", node.name()));
        }
        // Whoever came last is seen with the next heartbeat.
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let cluster = node.client().call::<Show>(&ShowRequest {}).await.unwrap();
            let live = cluster.servers.iter().filter(|server| server.standing == Standing::Live).count();
            let leaders = cluster.servers.iter().filter(|server| server.leader).count();
            let busy = cluster.servers.iter().any(|server| !server.deployments.is_empty());
            if live == SERVERS && cluster.servers.len() == SERVERS && leaders == 1 && !busy {
                break;
            }
            if Instant::now() > deadline {
                world.story.wrong(format!("{} sees the cluster so: {cluster:#?}", node.name()));
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = node.log();
        for line in log.lines().filter(|line| line.contains("panicked at")) {
            world.story.wrong(format!("{}: {line}", node.name()));
        }
        for _ in log.lines().filter(|line| line.contains("ERROR")) {
            world.story.count("errors in logs");
        }
    }
}

async fn http_status(address: std::net::SocketAddr, path: &str) -> Option<u16> {
    plimsoll_tests::http::get(address, &address.to_string(), path).await.ok().map(|(status, _)| status)
}

/// It may know of something about this machine; of the servers and their deployments it must find nothing.
fn doctor(world: &World) {
    const OURS: [&str; 5] = ["server", "readiness", "ingress", "deployment", "database"];
    let output = tokio::task::block_in_place(|| world.fleet.cli(&["doctor", "--json"]));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let Some(findings) = said["findings"].as_array() else {
        world.story.wrong(format!("doctor says {}", String::from_utf8_lossy(&output.stderr)));
        return;
    };
    for finding in findings {
        let (check, status) = (finding["check"].as_str().unwrap_or_default(), finding["status"].as_str());
        if status == Some("failed") || (OURS.contains(&check) && status == Some("warning")) {
            world.story.wrong(format!("doctor finds {finding}"));
        }
    }
}
