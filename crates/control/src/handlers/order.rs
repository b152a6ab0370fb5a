//! Accepting deployments and rollbacks: everything that makes one is written in one transaction.

use chrono::{DateTime, Utc};
use domain::access::{At, Permission};
use domain::deployment::{Deployment, DeploymentKind, Metadata, PhaseTimes};
use domain::event::EventKind;
use domain::labels::{Labels, Tag};
use domain::phase::Phase;
use domain::queue::{Priority, rank};
use domain::release::Release;
use domain::source::{Commit, Source};
use domain::{AppId, DeploymentId, Name, UploadId};
use operations::deployments::{Deploy, DeployRequest, Rollback, RollbackRequest};
use operations::{Error, Operation};
use store::apps::App;
use store::deployments::Record;
use store::environments::Environment;
use store::queue::Entry;
use store::{Session, Tx};
use ulid::Ulid;

use super::{Write, check_reference, check_source, commit, environment_named};
use crate::Control;
use crate::access::{Admitted, missing, sources};
use crate::approvals::ask;
use crate::caller::Handle;
use crate::deployment::state::Order;
use crate::deployment::{self, Deploying, State};
use crate::dispatch::{self, Accepted, count_end};
use crate::error::{archive_error, io_error, store_error};
use crate::planning::pinned;

impl Handle<Deploy> for Control {
    async fn handle(&self, who: &Admitted, request: DeployRequest) -> Result<Deployment, Error> {
        if let Some(plan) = request.plan.clone() {
            return self.carry_out(who, &plan, request).await;
        }
        let commit = self.pin(who, &request).await?;
        let tx = self.write().await?;
        let Prepared { environment, record, state, when } = self.prepare(&tx, who, request, commit).await?;
        self.accept::<Deploy, deployment::Deploy>(who, tx, &environment, record, state, when).await
    }
}

/// A deployment that only has to be accepted.
pub(crate) struct Prepared {
    pub(crate) environment: Environment,
    pub(crate) record: Record,
    pub(crate) state: State,
    pub(crate) when: When,
}

impl Control {
    /// Checks what is asked for and makes a deployment of it; of this commit, if it was [pinned](Control::pin).
    pub(crate) async fn prepare(
        &self,
        tx: &Tx,
        who: &Admitted,
        request: DeployRequest,
        commit: Option<Commit>,
    ) -> Result<Prepared, Error> {
        request.source.as_ref().map_or(Ok(()), check_source)?;
        request.reference.as_deref().map_or(Ok(()), check_reference)?;
        let labels = Labels::of_deployment(request.tags, request.metadata).map_err(|e| {
            Error::invalid(e.to_string()).hint("leave some out; labels are for people to find a release")
        })?;
        let when = When { priority: request.priority, not_before: request.not_before };
        when.check(Utc::now())?;
        let bypass = request.bypass_window.map(|reason| super::windows::reason(reason.as_str(), &when)).transpose()?;
        let (app, environment) = environment_named(tx, &request.app, &request.environment).await?;
        critical(who, &app.id, when.priority)?;
        if let Some(asked) = &request.source {
            sources::check(who, tx, asked, app.source.as_ref()).await?;
        }
        let source = source(&app, request.source, request.reference)?;
        let mut draft = draft(tx, &environment, DeploymentKind::Deploy, who).await?;
        if let Source::Archive { upload } = &source {
            // The file is on this machine.
            self.refuse_elsewhere(&environment)?;
            self.take_upload(tx, upload).await?;
            draft.deployment.metadata.upload = Some(upload.clone());
        }
        let (source, reference) = pinned(source, commit.as_ref());
        draft.deployment.source = Some(source);
        draft.deployment.metadata.reference = reference;
        draft.deployment.metadata.commit.clone_from(&commit);
        if let Some(reason) = bypass {
            dispatch::bypass(tx, &environment, &draft.deployment, &reason).await.map_err(store_error)?;
        }
        let state = State { commit, ..State::deploy(Order { labels, ..order(&draft) }) };
        Ok(Prepared { environment, record: draft, state, when })
    }
}

impl Handle<Rollback> for Control {
    async fn handle(&self, who: &Admitted, request: RollbackRequest) -> Result<Deployment, Error> {
        let tx = self.write().await?;
        let (app, environment) = environment_named(&tx, &request.app, &request.environment).await?;
        let release = self.to_go_back_to(&tx, &app, &environment, request.release, request.tag.as_ref()).await?;
        let mut draft = draft(&tx, &environment, DeploymentKind::Rollback, who).await?;
        draft.deployment.release = Some(release.id.clone());
        draft.deployment.release_number = Some(release.number);
        draft.deployment.metadata.commit = release.commit.clone();
        let (spec, commit) = (release.spec.clone(), release.commit.clone());
        let state = State::rollback(order(&draft), release.into(), spec, commit);
        let when = When { priority: request.priority, not_before: None };
        let at = draft.deployment.created_at;
        dispatch::let_back(&tx, &environment, &draft.deployment, at).await.map_err(store_error)?;
        self.accept::<Rollback, deployment::Rollback>(who, tx, &environment, draft, state, when).await
    }
}

impl Control {
    /// The release of a rollback, with its files. On another machine its own servers will see whether they are there.
    pub(super) async fn to_go_back_to(
        &self,
        session: &impl Session,
        app: &App,
        environment: &Environment,
        number: Option<u32>,
        tag: Option<&Tag>,
    ) -> Result<Release, Error> {
        let release = target(session, app, environment, number, tag).await?;
        if self.is_here(environment) && !self.world().layout.release(&app.id, &release.artifact).is_dir() {
            let commit = release.commit.as_ref().map(|c| format!(" --ref {}", c.short())).unwrap_or_default();
            return Err(Error::conflict(format!("the files of v{} are not kept any more", release.number))
                .hint(format!("deploy that version again: `plimsoll deploy {}{commit}`", app.name)));
        }
        Ok(release)
    }

    /// From this transaction on the deployment keeps the upload from being removed.
    pub(super) async fn take_upload(&self, tx: &Tx, id: &UploadId) -> Result<(), Error> {
        let found = store::uploads::find(tx, id).await.map_err(store_error)?;
        let upload = found.ok_or_else(|| missing::upload(id))?;
        if !upload.complete {
            return Err(Error::conflict(format!(
                "{id} is not complete: the rest of its {} bytes is missing",
                upload.size
            ))
            .hint(format!("send the rest; GET /api/v1/uploads/{id} says what was received")));
        }
        // A look at its first bytes; the rest is for the deployment.
        let path = self.world().layout.upload(id);
        let mut file = std::fs::File::open(&path).map_err(|e| io_error("open", &path, &e))?;
        forge::archive::recognise(&mut file).map_err(archive_error)?;
        store::uploads::used(tx, id).await.map_err(store_error)
    }

    /// Writes the deployment, its saga with the first record, and the event. If it may start at once and here, that is
    /// written with them; else it waits in the queue, and there for approval first where others are asked.
    pub(crate) async fn accept<O, G>(
        &self,
        who: &Admitted,
        tx: Write,
        environment: &Environment,
        mut record: Record,
        mut state: State,
        when: When,
    ) -> Result<Deployment, Error>
    where
        O: Operation<Response = Deployment>,
        G: Deploying,
    {
        let asked = self.hold(&tx, who, environment, &mut record, &mut state).await?;
        let deployment = &record.deployment;
        let internal = |e: &dyn std::fmt::Display| {
            tracing::error!("the saga of a deployment can't begin: {e}");
            Error::internal()
        };
        let opening = saga::opening::<G>(state, deployment.created_at).map_err(|e| internal(&e))?;
        let opening = serde_json::to_value(opening).map_err(|e| internal(&e))?;
        let id = deployment.id.as_str();
        store::deployments::insert(&tx, &record).await.map_err(store_error)?;
        store::sagas::create(&tx, id, G::NAME, G::VERSION).await.map_err(store_error)?;
        // Nobody's epoch yet: whoever starts it gets the first one.
        store::sagas::append(&tx, id, 0, 0, &[opening]).await.map_err(store_error)?;
        let queued = EventKind::DeploymentQueued { requested_by: deployment.requested_by.clone() };
        let (app, named) = (Some(&deployment.app), Some(&deployment.environment));
        store::events::insert(&tx, app, named, Some(&deployment.id), &queued, deployment.created_at)
            .await
            .map_err(store_error)?;
        let superseded = dispatch::supersede(&tx, environment, &record, asked.as_ref()).await.map_err(store_error)?;
        let entry = Entry {
            deployment: deployment.id.clone(),
            app: record.app_id.clone(),
            environment: record.environment_id.clone(),
            host: environment.host.clone(),
            priority: when.priority,
            rank: rank(deployment.created_at, when.not_before, when.priority),
            not_before: when.not_before,
            enqueued_at: deployment.created_at,
            attempt: 1,
            held: asked.is_some(),
        };
        let placed = match &asked {
            Some(approval) => {
                store::queue::insert(&tx, &entry).await.map_err(store_error)?;
                ask(&tx, approval).await?;
                Accepted::Waits
            }
            None => self.inner.place(&tx, entry, deployment.kind).await.map_err(store_error)?,
        };
        let recorded = self.conclude::<O>(&tx, who, deployment).await?;
        commit(tx, recorded).await?;
        if let Accepted::Starts(taken, slot) = placed {
            self.inner.runner.spawn(taken, Some(slot));
        }
        for deployment in superseded {
            count_end(&self.inner, &deployment).await;
        }
        Ok(record.deployment)
    }
}

/// A critical one goes before those of other apps, and past windows: that is not for everybody who deploys.
pub(super) fn critical(who: &Admitted, app: &AppId, priority: Priority) -> Result<(), Error> {
    match priority {
        Priority::Critical => who.must(Permission::Configure, At::App(app), "the priority critical"),
        Priority::High | Priority::Normal | Priority::Low => Ok(()),
    }
}

/// When a deployment is to start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct When {
    pub(crate) priority: Priority,
    pub(crate) not_before: Option<DateTime<Utc>>,
}

/// What is between asking and arriving, and between two clocks.
const LATE: chrono::TimeDelta = chrono::TimeDelta::minutes(1);
/// A date with a slip in its year would wait for ever.
const FAR: chrono::TimeDelta = chrono::TimeDelta::days(366);

impl When {
    pub(super) fn check(&self, now: DateTime<Utc>) -> Result<(), Error> {
        match self.not_before {
            Some(at) if at < now - LATE => Err(Error::unprocessable(format!("{} is past", at.to_rfc3339()))
                .hint("name a time to come, or leave it out to deploy now")),
            Some(at) if at > now + FAR => {
                Err(Error::unprocessable(format!("{} is more than a year away", at.to_rfc3339()))
                    .hint("name a time within a year"))
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn no_release(app: &Name, number: u32) -> Error {
    Error::not_found(format!("the app `{app}` has no release v{number}"))
        .hint(format!("list them with `plimsoll releases list --app {app}`"))
}

/// What to deploy: the request's own source before the app's, and the reference in either.
pub(crate) fn source(app: &App, asked: Option<Source>, reference: Option<String>) -> Result<Source, Error> {
    let source = asked.or_else(|| app.source.clone()).ok_or_else(|| {
        Error::unprocessable(format!("nothing says where the source of `{}` is", app.name))
            .hint("give a source with the deployment, or set the app's with `plimsoll apps set-source`")
    })?;
    match (source, reference) {
        (source, None) => Ok(source),
        (Source::Git { url, .. }, reference) => Ok(Source::Git { url, reference }),
        (Source::Archive { .. }, Some(_)) => {
            Err(Error::unprocessable("an archive has no branches, tags or commits").hint("leave the reference out"))
        }
        (Source::Directory { .. }, Some(_)) => {
            Err(Error::unprocessable("a directory has no branches, tags or commits")
                .hint("leave the reference out, or deploy from the git repository"))
        }
    }
}

/// The release to go back to: the one of this number, the newest good one with this tag, or the newest good one that
/// is older than the active one. Going back twice goes back two releases; it does not return to what was just left.
async fn target(
    session: &impl Session,
    app: &App,
    environment: &Environment,
    number: Option<u32>,
    tag: Option<&Tag>,
) -> Result<Release, Error> {
    let what = format!("{}/{}", environment.app, environment.name);
    let Some(active) = &environment.active_release else {
        return Err(Error::conflict(format!("nothing serves in {what}, so there is nothing to go back from"))
            .hint(format!("deploy first: `plimsoll deploy {} --env {}`", environment.app, environment.name)));
    };
    let good = store::releases::good(session, &environment.id).await.map_err(store_error)?;
    let list = format!("list the releases with `plimsoll releases list --app {}`", environment.app);
    if let (Some(tag), None) = (tag, number) {
        return tagged(session, &good, active, tag).await?.ok_or_else(|| {
            Error::not_found(format!("no release with the tag `{tag}` has served in {what}, but for what serves now"))
                .hint(list)
        });
    }
    let Some(number) = number else {
        let now = store::releases::get(session, active).await.map_err(store_error)?.number;
        let mut previous: Option<Release> = None;
        for id in &good {
            let release = store::releases::get(session, id).await.map_err(store_error)?;
            if release.number < now && previous.as_ref().is_none_or(|p| p.number < release.number) {
                previous = Some(release);
            }
        }
        return previous.ok_or_else(|| {
            Error::conflict(format!(
                "no release older than v{now} has served in {what}, so there is none to go back to"
            ))
            .hint(format!("name the release to go to, or deploy the version you want; {list}"))
        });
    };
    let found = store::releases::find_by_number(session, &app.id, number).await.map_err(store_error)?;
    let release = found.ok_or_else(|| no_release(&app.name, number))?;
    // Who says both means a release of which both are true.
    if let Some(tag) = tag.filter(|tag| !release.tags.contains(tag)) {
        return Err(Error::not_found(format!("v{number} of `{}` does not have the tag `{tag}`", app.name)).hint(list));
    }
    if &release.id == active {
        return Err(Error::conflict(format!("v{number} serves in {what} already")).hint(list));
    }
    if !good.contains(&release.id) {
        return Err(Error::conflict(format!("v{number} has never served in {what}, so it can't be gone back to"))
            .hint(format!("{list}, or deploy that version")));
    }
    Ok(release)
}

/// The newest of the good releases with the tag, other than what serves.
async fn tagged(
    session: &impl Session,
    good: &[domain::ReleaseId],
    active: &domain::ReleaseId,
    tag: &Tag,
) -> Result<Option<Release>, Error> {
    let mut newest: Option<Release> = None;
    for id in good.iter().filter(|id| *id != active) {
        let release = store::releases::get(session, id).await.map_err(store_error)?;
        if release.tags.contains(tag) && newest.as_ref().is_none_or(|n| n.number < release.number) {
            newest = Some(release);
        }
    }
    Ok(newest)
}

/// A new deployment, queued, with the next generation.
pub(super) async fn draft(
    tx: &Tx,
    environment: &Environment,
    kind: DeploymentKind,
    who: &Admitted,
) -> Result<Record, Error> {
    let generation = store::environments::next_generation(tx, &environment.id).await.map_err(store_error)?;
    let at: DateTime<Utc> = store::time::micros(Utc::now());
    let deployment = Deployment {
        id: DeploymentId::from_ulid(Ulid::generate()),
        app: environment.app.clone(),
        environment: environment.name.clone(),
        kind,
        generation,
        phase: Phase::Queued,
        progress: Phase::Queued.progress(),
        source: None,
        release: None,
        release_number: None,
        metadata: Metadata::default(),
        phases: vec![PhaseTimes { phase: Phase::Queued, started_at: at, finished_at: None }],
        failure: None,
        cancelling: false,
        stuck: None,
        requested_by: who.name.clone(),
        created_at: at,
        updated_at: at,
        finished_at: None,
    };
    Ok(Record { app_id: environment.app_id.clone(), environment_id: environment.id.clone(), deployment })
}

pub(super) fn order(draft: &Record) -> Order {
    let deployment = &draft.deployment;
    Order {
        kind: deployment.kind,
        deployment: deployment.id.clone(),
        app: draft.app_id.clone(),
        app_name: deployment.app.clone(),
        environment: draft.environment_id.clone(),
        environment_name: deployment.environment.clone(),
        generation: deployment.generation,
        source: deployment.source.clone(),
        labels: Labels::default(),
        promotion: None,
        plan: None,
        approval: None,
    }
}
