//! Promotions: comparing two environments, and accepting the release of one for the other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::Name;
use domain::deployment::{Deployment, DeploymentKind};
use domain::promotion::{
    Commits, Finding, FindingCode, PromotionRecord, PromotionReport, RouteDifference, Severity, Sides, Version,
    settings,
};
use domain::release::{Release, promoted_digest};
use domain::route::Host;
use domain::source::Source;
use domain::spec::AppSpec;
use operations::Error;
use operations::promotions::{Plan, PlanRequest, Promote, PromoteRequest};
use store::Session;
use store::apps::App;
use store::environments::Environment;

use super::environment_named;
use super::order::{When, critical, draft, no_release, order};
use crate::Control;
use crate::access::Admitted;
use crate::caller::Handle;
use crate::deployment::state::{Order, Promotion};
use crate::deployment::{self, State};
use crate::environment::{Variables, data_key};
use crate::error::{store_error, variables_error};

/// The commits are nice to know, and a repository may be far away.
const PATIENCE: Duration = Duration::from_secs(10);
const MAX_COMMITS: usize = 100;

impl Handle<Plan> for Control {
    async fn handle(&self, _: &Admitted, request: PlanRequest) -> Result<PromotionReport, Error> {
        let PlanRequest { app, environment, from, release } = &request;
        let Compared { app, mut report, .. } = self.compare(self.store(), app, environment, from, *release).await?;
        report.commits = self.commits(&app, &report).await;
        if !report.commits.removed.is_empty() {
            let all = report.commits.removed.len();
            report.findings.push(Finding {
                severity: Severity::Warning,
                code: FindingCode::GoesBack,
                message: format!("{} commits that serve in {} are not in the promoted release", all, report.to),
                hint: "if that is not what you want, deploy them to the source first".to_owned(),
                variables: Vec::new(),
            });
        }
        Ok(report)
    }
}

impl Handle<Promote> for Control {
    async fn handle(&self, who: &Admitted, request: PromoteRequest) -> Result<Deployment, Error> {
        let PromoteRequest { app, environment, from, release, force, priority } = request;
        let tx = self.write().await?;
        let compared = self.compare(&tx, &app, &environment, &from, release).await?;
        let Compared { app, target, release, report, variables } = compared;
        critical(who, &app.id, priority)?;
        if force.is_none() {
            refuse_blocked(&report)?;
        }
        let here = target.host == self.inner.member.host;
        if here && !self.world().layout.release(&app.id, &release.artifact).is_dir() {
            return Err(Error::conflict(format!("the files of v{} are not kept any more", release.number))
                .hint(format!("deploy it to {from} again, then promote")));
        }
        let key = data_key(&tx, &self.world().vault, &target.id).await.map_err(variables_error)?;
        let digest = promoted_digest(&release.artifact, &variables.to_map(), &key.digest_key());
        let known = store::releases::find_by_digest(&tx, &app.id, &digest).await.map_err(store_error)?;

        let forced = force.filter(|_| is_blocked(&report)).map(|reason| reason.to_string());
        let record = PromotionRecord {
            from,
            release: release.id.clone(),
            number: release.number,
            forced,
            findings: report.findings,
        };
        let mut draft = draft(&tx, &target, DeploymentKind::Promotion, who).await?;
        draft.deployment.metadata.commit = release.commit.clone();
        draft.deployment.metadata.promotion = Some(record.clone());
        // From now on nobody takes away a release that is there already.
        draft.deployment.release = known.as_ref().map(|release| release.id.clone());
        draft.deployment.release_number = known.as_ref().map(|release| release.number);
        let Release { artifact, size, files, spec, commit, tags, metadata, .. } = release;
        let labels = domain::labels::Labels { tags, metadata };
        let order = Order { labels, promotion: Some(Promotion { record, artifact, size, files }), ..order(&draft) };
        let state = State::promotion(order, digest, known.map(Into::into), spec, commit);
        let when = When { priority, not_before: None };
        self.accept::<Promote, deployment::Promotion>(who, tx, &target, draft, state, when).await
    }
}

struct Compared {
    app: App,
    target: Environment,
    /// What is promoted.
    release: Release,
    /// Without the commits.
    report: PromotionReport,
    /// The target's.
    variables: Variables,
}

impl Control {
    async fn compare(
        &self,
        session: &impl Session,
        app: &Name,
        to: &Name,
        from: &Name,
        number: Option<u32>,
    ) -> Result<Compared, Error> {
        if from == to {
            return Err(Error::unprocessable(format!("`{from}` can't be promoted to itself"))
                .hint("name two environments: the source, then the target"));
        }
        let (_, source) = environment_named(session, app, from).await?;
        let (app, target) = environment_named(session, app, to).await?;
        let release = chosen(session, &app, &source, number).await?;
        let live = match &target.active_release {
            Some(id) => Some(store::releases::get(session, id).await.map_err(store_error)?),
            None => None,
        };
        let world = self.world();
        let built_with = world.release_variables(&source.id, &release.id).await.map_err(variables_error)?.to_map();
        let variables = Variables::load(session, &world.vault, &target.id).await.map_err(variables_error)?;
        let now = variables.to_map();
        let sides = Sides { source: &built_with, target: &now };
        let builds = release.spec.builds.iter().any(|build| !build.commands.is_empty());
        let mut findings = sides.findings(from, to, builds);
        if let Some(live) = live.as_ref().filter(|live| live.artifact == release.artifact) {
            let serves_with = world.release_variables(&target.id, &live.id).await.map_err(variables_error)?.to_map();
            if serves_with == now {
                findings.push(already_live(to, live.number));
            }
        }
        findings.sort_by_key(|finding| finding.severity);
        let commands = release.spec.components.iter().filter_map(|c| c.release_command.clone());
        let report = PromotionReport {
            app: app.name.clone(),
            from: from.clone(),
            to: to.clone(),
            promoted: version(&release),
            live: live.as_ref().map(version),
            findings,
            variables: sides.differences(),
            commits: Commits::default(),
            configuration: live.as_ref().map(|live| settings(&live.spec, &release.spec)).unwrap_or_default(),
            routes: self.route_differences(&target, live.as_ref(), &release),
            release_commands: commands.collect(),
        };
        Ok(Compared { app, target, release, report, variables })
    }

    fn route_differences(&self, target: &Environment, live: Option<&Release>, new: &Release) -> Vec<RouteDifference> {
        let default = Host::default_for(&target.app, &target.name, &self.world().domain);
        let default = default.map(|host| host.to_string()).unwrap_or_default();
        let routes = |spec: &AppSpec| -> BTreeMap<String, Name> {
            let all = spec.components.iter().flat_map(|c| c.routes.iter().map(move |r| (r, &c.name)));
            all.map(|(route, component)| {
                let host = route.host.as_ref().map_or(default.as_str(), |h| h.as_str());
                (format!("{host}{}", route.path), component.clone())
            })
            .collect()
        };
        let (live, new) = (live.map(|l| routes(&l.spec)).unwrap_or_default(), routes(&new.spec));
        let all: BTreeSet<&String> = live.keys().chain(new.keys()).collect();
        all.into_iter()
            .map(|route| RouteDifference {
                route: route.clone(),
                live: live.get(route).cloned(),
                promoted: new.get(route).cloned(),
            })
            .collect()
    }

    async fn commits(&self, app: &App, report: &PromotionReport) -> Commits {
        let unknown = |why: String| Commits { unknown: Some(why), ..Commits::default() };
        let Some(live) = &report.live else { return unknown(format!("nothing serves in {} yet", report.to)) };
        let (Some(old), Some(new)) = (&live.commit, &report.promoted.commit) else {
            return unknown("one of the releases was not made from a git repository".to_owned());
        };
        if old.sha == new.sha {
            return Commits::default();
        }
        let Some(Source::Git { url, .. }) = &app.source else {
            return unknown("the app's source is no git repository".to_owned());
        };
        let git = self.world().git.clone().with_limit(PATIENCE);
        match git.between(url, &old.sha, &new.sha, MAX_COMMITS).await {
            Ok((removed, added)) => Commits { added, removed, unknown: None },
            Err(e) => unknown(e.to_string()),
        }
    }
}

/// The release of this number, if it has served in the source, or what serves there now.
async fn chosen(
    session: &impl Session,
    app: &App,
    source: &Environment,
    number: Option<u32>,
) -> Result<Release, Error> {
    let what = format!("{}/{}", source.app, source.name);
    let Some(number) = number else {
        let active = source.active_release.as_ref().ok_or_else(|| {
            Error::conflict(format!("nothing serves in {what}, so there is nothing to promote"))
                .hint(format!("deploy there first: `plimsoll deploy {} --env {}`", source.app, source.name))
        })?;
        return store::releases::get(session, active).await.map_err(store_error);
    };
    let found = store::releases::find_by_number(session, &app.id, number).await.map_err(store_error)?;
    let release = found.ok_or_else(|| no_release(&app.name, number))?;
    let good = store::releases::good(session, &source.id).await.map_err(store_error)?;
    if good.contains(&release.id) {
        return Ok(release);
    }
    Err(Error::conflict(format!("v{number} has never served in {what}, so it is not proved there")).hint(format!(
        "promote what serves there, or list the releases with `plimsoll releases list --app {}`",
        app.name
    )))
}

fn version(release: &Release) -> Version {
    let Release { id, number, artifact, commit, .. } = release;
    Version { release: id.clone(), number: *number, artifact: artifact.clone(), commit: commit.clone() }
}

fn already_live(to: &Name, number: u32) -> Finding {
    Finding {
        severity: Severity::Blocking,
        code: FindingCode::AlreadyLive,
        message: format!("v{number}, which serves in {to}, has the same files and the same variables"),
        hint: "there is nothing to promote".to_owned(),
        variables: Vec::new(),
    }
}

fn is_blocked(report: &PromotionReport) -> bool {
    report.findings.iter().any(|finding| finding.severity == Severity::Blocking)
}

fn refuse_blocked(report: &PromotionReport) -> Result<(), Error> {
    let blocking: Vec<&Finding> = report.findings.iter().filter(|f| f.severity == Severity::Blocking).collect();
    let Some(first) = blocking.first() else { return Ok(()) };
    let messages: Vec<&str> = blocking.iter().map(|f| f.message.as_str()).collect();
    let (from, to) = (&report.from, &report.to);
    Err(Error::conflict(format!("{from} is not promoted to {to}: {}", messages.join("; ")))
        .hint(format!("{}; or force it, with the reason: `plimsoll promote {from} {to} --force REASON`", first.hint)))
}
