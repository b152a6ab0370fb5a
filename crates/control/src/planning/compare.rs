//! What would be different: commits, variables by name, components, routes, settings.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::Name;
use domain::deployment::DeploymentKind;
use domain::plan::{Changes, Differences};
use domain::promotion::{Commits, Finding, FindingCode, RouteDifference, Severity, settings};
use domain::release::Release;
use domain::source::{Commit, Source};
use domain::spec::{AppSpec, Component};
use operations::Error;
use store::apps::App;
use store::environments::Environment;

use super::Found;
use crate::Control;
use crate::deployment::World;
use crate::deployment::explain::{PlannedRoute, Scene};
use crate::error::variables_error;

/// The commits are nice to know, and a repository may be far away.
const PATIENCE: Duration = Duration::from_secs(10);
const MAX_COMMITS: usize = 100;

impl Control {
    pub(super) async fn differences(
        &self,
        app: &App,
        environment: &Environment,
        live: Option<&Release>,
        found: &Found,
        scene: &Scene,
    ) -> Result<Differences, Error> {
        let world = self.world();
        let serves_with = match live {
            Some(live) => world.release_variables(&environment.id, &live.id).await.map_err(variables_error)?.to_map(),
            None => BTreeMap::new(),
        };
        let url = match found.source.as_ref().or(app.source.as_ref()) {
            Some(Source::Git { url, .. }) => Some(url.as_str()),
            _ => None,
        };
        let live_spec = live.map(|live| &live.spec);
        Ok(Differences {
            commits: commits(world, url, live, found.commit.as_ref(), &environment.name).await,
            variables: Changes::between(&serves_with, &found.variables.to_map()),
            components: Changes::between(&components(live_spec), &components(Some(&found.spec))),
            routes: routes(&scene.before.routes, &scene.routes),
            configuration: live_spec.map(|live| settings(live, &found.spec)).unwrap_or_default(),
        })
    }
}

fn components(spec: Option<&AppSpec>) -> BTreeMap<String, &Component> {
    spec.iter().flat_map(|spec| &spec.components).map(|c| (c.name.to_string(), c)).collect()
}

/// Those that come, go, or change hands.
pub(super) fn routes(before: &[PlannedRoute], after: &[PlannedRoute]) -> Vec<RouteDifference> {
    let by_place = |routes: &[PlannedRoute]| -> BTreeMap<String, Name> {
        routes.iter().map(|r| (format!("{}{}", r.host, r.path), r.component.clone())).collect()
    };
    let (before, after) = (by_place(before), by_place(after));
    let all: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    all.into_iter()
        .filter(|route| before.get(*route) != after.get(*route))
        .map(|route| RouteDifference {
            route: route.clone(),
            live: before.get(route).cloned(),
            promoted: after.get(route).cloned(),
        })
        .collect()
}

/// It takes away commits that serve: what a rollback is for, and in a deployment perhaps a mistake.
pub(super) fn goes_back(kind: DeploymentKind, differences: &Differences) -> Option<Finding> {
    let gone = differences.commits.removed.len();
    (gone > 0 && kind != DeploymentKind::Rollback).then(|| Finding {
        severity: Severity::Warning,
        code: FindingCode::GoesBack,
        message: match gone {
            1 => "1 commit that serves now is not in what is planned".to_owned(),
            n => format!("{n} commits that serve now are not in what is planned"),
        },
        hint: "if that is not what you want, plan a later commit".to_owned(),
        variables: Vec::new(),
    })
}

async fn commits(
    world: &World,
    url: Option<&str>,
    live: Option<&Release>,
    new: Option<&Commit>,
    environment: &Name,
) -> Commits {
    let unknown = |why: String| Commits { unknown: Some(why), ..Commits::default() };
    let Some(live) = live else { return unknown(format!("nothing serves in {environment} yet")) };
    let (Some(old), Some(new)) = (&live.commit, new) else {
        return unknown("one of the releases is not of a git repository".to_owned());
    };
    if old.sha == new.sha {
        return Commits::default();
    }
    let Some(url) = url else { return unknown("the app's source is no git repository".to_owned()) };
    match world.git.clone().with_limit(PATIENCE).between(url, &old.sha, &new.sha, MAX_COMMITS).await {
        Ok((removed, added)) => Commits { added, removed, unknown: None },
        Err(e) => unknown(e.to_string()),
    }
}
