//! Plans and simulations of a scene, as people would read them.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;

use domain::deployment::DeploymentKind;
use domain::plan::{Action, Basis, Change, Plan, PlannedRelease, PlannedStart, Simulated, StepEnd, Touch};
use domain::promotion::Version;
use domain::release::Digest;
use domain::source::{Commit, Source};
use domain::spec::AppSpec;

use super::downtime::downtime;
use super::measure::Measured;
use super::{scene_of, steps};
use crate::deployment::explain::{Before, PlannedRoute, Scene};
use crate::deployment::path;
use crate::deployment::rehearse::rehearse;

fn spec() -> AppSpec {
    let health = |probe: serde_json::Value| {
        serde_json::json!({
            "probe": probe, "interval": "1s", "timeout": "1s", "threshold": 1, "grace": "5s",
        })
    };
    let process = |listens: bool, instances: u32| {
        serde_json::json!({
            "kind": "process", "command": "serve", "instances": instances, "listens": listens, "stop_timeout": "5s",
        })
    };
    serde_json::from_value(serde_json::json!({
        "builds": [{ "root": "", "stack": "node", "commands": ["npm ci", "npm run build\nnpm prune"], "timeout": "5m", "discard": [] }],
        "components": [
            { "name": "web", "root": "", "serve": process(true, 2), "release_command": "npm run migrate", "depends_on": [],
              "health": health(serde_json::json!({ "kind": "http", "path": "/healthz" })), "routes": [{ "path": "/" }], "env": {} },
            { "name": "docs", "root": "docs", "serve": { "kind": "static", "publish": "out", "single_page": false }, "depends_on": [],
              "health": health(serde_json::json!({ "kind": "running" })), "routes": [{ "path": "/docs" }], "env": {} },
            { "name": "worker", "root": "", "serve": process(false, 1), "depends_on": [],
              "health": health(serde_json::json!({ "kind": "running" })), "routes": [], "env": {} },
        ],
    }))
    .unwrap()
}

fn route(path: &str, component: &str) -> PlannedRoute {
    PlannedRoute {
        host: "shop.localhost".parse().unwrap(),
        path: path.parse().unwrap(),
        component: component.parse().unwrap(),
    }
}

/// v6 serves; what is to come is not built yet, unless it is a rollback to v5.
pub(super) fn scene(kind: DeploymentKind) -> Scene {
    let commit = Commit { sha: "0123456789".repeat(4), summary: "one".into(), author: "a".into(), time: 1 };
    let rollback = kind == DeploymentKind::Rollback;
    Scene {
        kind,
        environment: "production".parse().unwrap(),
        source: (!rollback).then(|| Source::Git { url: "/srv/shop".into(), reference: Some(commit.sha.clone()) }),
        commit: Some(commit),
        spec: spec(),
        digest: Digest("abcdef012345".repeat(6)),
        existing: rollback.then_some(5),
        routes: vec![route("/", "web"), route("/docs", "docs")],
        before: Before {
            serving: Some(6),
            instances: vec![("dep_1-web-0".to_owned(), "web".parse().unwrap())],
            routes: vec![route("/", "web"), route("/old", "web")],
            sites: vec![],
        },
    }
}

fn told(scene: &Scene) -> String {
    let mut text = String::new();
    for step in steps(scene, &Measured::default()) {
        let verb = if step.action == Action::Skip { "skip" } else { "run" };
        writeln!(text, "{} ({:?}, {verb}): {}", step.stage, step.kind, step.reason).unwrap();
        for touch in &step.touches {
            writeln!(text, "    {} {touch}", touch.change().map_or("runs", Change::as_str)).unwrap();
        }
        writeln!(text, "    undo: {}", step.undo).unwrap();
    }
    text
}

fn simulated(runs: &[Simulated]) -> String {
    let mut text = String::new();
    for run in runs {
        let stuck = if run.stuck { ", stuck" } else { "" };
        writeln!(text, "{}: {}{stuck}: {}", run.fails_at.as_deref().unwrap_or("-"), run.ends, run.serves).unwrap();
        for step in run.steps.iter().filter(|s| s.text.is_some()) {
            writeln!(text, "    {:?} {}: {}", step.end, step.stage, step.text.as_deref().unwrap_or_default()).unwrap();
        }
        run.left.iter().for_each(|left| writeln!(text, "    left: {left}").unwrap());
    }
    text
}

#[test]
fn the_steps_of_a_deployment_say_why() {
    insta::assert_snapshot!("deploy_steps", told(&scene(DeploymentKind::Deploy)));
}

#[test]
fn what_is_there_already_is_skipped() {
    let scene = Scene { existing: Some(7), ..scene(DeploymentKind::Deploy) };
    let skipped: Vec<_> = steps(&scene, &Measured::default())
        .into_iter()
        .filter(|step| step.action == Action::Skip)
        .map(|step| format!("{}: {}", step.stage, step.reason))
        .collect();
    insta::assert_snapshot!(skipped.join("\n"), @r"
    build: v7 was made of the same source, configuration and variables
    create_release: v7 is there, with its files
    ");
}

#[test]
fn the_steps_of_a_rollback_are_its_own() {
    insta::assert_snapshot!("rollback_steps", told(&scene(DeploymentKind::Rollback)));
}

#[test]
fn a_failure_at_each_step_leaves_what_is_said() {
    let runs = rehearse::<path::Deploy>(&scene(DeploymentKind::Deploy)).unwrap();
    insta::assert_snapshot!("deploy_simulation", simulated(&runs));
    // The first deployment ever: there is nothing to go back to.
    let first = Scene { before: Before::default(), ..scene(DeploymentKind::Deploy) };
    let runs = rehearse::<path::Deploy>(&first).unwrap();
    let of = |stage: &str| runs.iter().find(|run| run.fails_at.as_deref() == Some(stage)).unwrap().serves.clone();
    assert_eq!(of("start"), "nothing serves, as before");
    assert!(of("activate").starts_with("nothing serves; the new release had the traffic"), "{}", of("activate"));
}

#[test]
fn a_run_tells_each_stage_once_and_undoes_backwards() {
    for run in rehearse::<path::Rollback>(&scene(DeploymentKind::Rollback)).unwrap() {
        let forward = run.steps.iter().filter(|s| s.end != StepEnd::Undone).count();
        let names: Vec<_> = run.steps.iter().map(|s| &s.stage).collect();
        let mut undone: Vec<_> = names[forward..].to_vec();
        undone.reverse();
        let order: Vec<_> = names[..forward].iter().copied().filter(|name| undone.contains(name)).collect();
        assert_eq!(order, undone, "{run:?}");
        assert_eq!(
            run.fails_at.is_none(),
            run.steps.iter().all(|s| s.end == StepEnd::Finished || s.end == StepEnd::Skipped)
        );
    }
}

#[test]
fn no_visitor_is_turned_away_and_what_is_not_covered_is_said() {
    let scene = scene(DeploymentKind::Deploy);
    let mut live = spec();
    live.components[0].name = "old".parse().unwrap();
    let found = downtime(&scene, Some(&live));
    let lines = found.components.iter().map(|c| format!("{} {:?}: {}", c.component, c.expected, c.reason));
    insta::assert_snapshot!("downtime", lines.chain(found.notes.iter().cloned()).collect::<Vec<_>>().join("\n"));
    assert_eq!(found.expected_ms, 0);
}

fn kept(scene: &Scene, steps: Vec<domain::plan::Step>) -> Plan {
    let digest = scene.digest.clone();
    let release = PlannedRelease { digest: digest.clone(), release: None, number: scene.existing };
    let live = Version {
        release: domain::ReleaseId::from_ulid(ulid::Ulid::nil()),
        number: 6,
        artifact: digest.clone(),
        commit: None,
    };
    let at = chrono::DateTime::UNIX_EPOCH;
    let basis = Basis {
        kind: scene.kind,
        app: domain::AppId::from_ulid(ulid::Ulid::nil()),
        environment: domain::EnvironmentId::from_ulid(ulid::Ulid::nil()),
        source: scene.source.clone(),
        tree: None,
        spec: digest.clone(),
        variables: None,
        release: digest.clone(),
        exists: None,
        routes: vec![],
        steps: vec![],
        serving: None,
    };
    Plan {
        digest,
        app: "shop".parse().unwrap(),
        environment: scene.environment.clone(),
        kind: scene.kind,
        source: scene.source.clone(),
        reference: None,
        commit: scene.commit.clone(),
        release,
        live: Some(live),
        nothing_to_do: None,
        findings: vec![],
        steps,
        approval: None,
        start: PlannedStart { waiting: None, waiting_for: None, ahead: 0, estimate: None },
        duration: None,
        downtime: downtime(scene, None),
        differences: Default::default(),
        notes: vec![],
        spec: scene.spec.clone(),
        basis,
        created_by: "admin".into(),
        created_at: at,
        expires_at: at,
    }
}

#[test]
fn a_plan_that_is_kept_is_the_same_scene() {
    let scene = scene(DeploymentKind::Deploy);
    let touched = steps(&scene, &Measured::default());
    let has = |wanted: &Touch| touched.iter().any(|step| step.touches.contains(wanted));
    assert!(has(&Touch::Claim { change: Change::Makes }) && has(&Touch::Claim { change: Change::Removes }));
    let plan = kept(&scene, touched);
    let again = scene_of(&plan);
    assert_eq!(
        again,
        Scene { before: Before { routes: again.before.routes.clone(), ..scene.before.clone() }, ..scene.clone() }
    );
    let places = |routes: &[PlannedRoute]| routes.iter().map(|r| format!("{}{}", r.host, r.path)).collect::<Vec<_>>();
    assert_eq!(places(&again.before.routes), places(&scene.before.routes));
}
