//! What the overview is made of: read with a number of statements that does not grow with what there is, and judged.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use domain::access::{Grants, Sees};
use domain::deployment::Deployment;
use domain::failure::Cause;
use domain::phase::Phase;
use domain::{AppId, DeploymentId, EnvironmentId, Name, ReleaseId, UserId};
use ingress::RouteTable;
use operations::certificates::{Certificate, CertificateState};
use operations::environments::Active;
use operations::overview::{MOST_NEEDS, Need, Trouble, Working};
use store::approvals::Approval;
use store::apps::App;
use store::beats::Working as AtWork;
use store::channels::Channel;
use store::deployments::Record;
use store::environments::Environment;
use store::instances::Instance;
use store::releases::Mark;
use store::{Session, StoreError};

/// An instance that ends again and again, as the reconciler last saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Looping {
    pub(crate) app_id: AppId,
    pub(crate) app: Name,
    pub(crate) environment: Name,
    pub(crate) last_exit: String,
    /// When it was first seen so.
    pub(crate) since: DateTime<Utc>,
}

/// The process of an ingress, and the number of its table.
type TableVersion = (u32, u64);

/// The ingress's table, with what it was of.
#[derive(Default)]
pub(crate) struct KnownRoutes(Mutex<Option<(TableVersion, Arc<RouteTable>)>>);

impl KnownRoutes {
    pub(crate) fn known(&self, version: TableVersion) -> Option<Arc<RouteTable>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(of, _)| *of == version).map(|(_, table)| table.clone())
    }

    pub(crate) fn keep(&self, version: TableVersion, table: Arc<RouteTable>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((version, table));
    }
}

/// The rows of one page, and those of all that one sees.
pub(crate) struct Gathered {
    /// One more than were asked for when there are more.
    pub(crate) apps: Vec<App>,
    /// Of these apps, by app and name.
    pub(crate) environments: Vec<Environment>,
    pub(crate) marks: BTreeMap<ReleaseId, Mark>,
    /// What serves in them.
    pub(crate) records: BTreeMap<DeploymentId, Record>,
    pub(crate) instances: BTreeMap<EnvironmentId, Vec<Instance>>,
    /// How many wait, where any do.
    pub(crate) waiting: BTreeMap<EnvironmentId, u64>,
    /// What is at work, of all that one sees.
    pub(crate) working: Vec<AtWork>,
    pub(crate) unhealed: Vec<Record>,
    pub(crate) queued: u64,
}

/// Reads the page of apps behind `after`. The statements are as many for one app as for hundreds.
pub(crate) async fn gather(
    session: &impl Session,
    sees: &Sees,
    after: Option<&Name>,
    limit: u64,
) -> Result<Gathered, StoreError> {
    let apps = store::apps::list_named(session, sees, None, after, limit + 1).await?;
    let shown: Vec<&AppId> = apps.iter().map(|app| &app.id).collect();
    let environments = store::environments::of_apps(session, &shown).await?;
    let ids: Vec<&EnvironmentId> = environments.iter().map(|environment| &environment.id).collect();
    let releases: Vec<&ReleaseId> = environments.iter().filter_map(|e| e.active_release.as_ref()).collect();
    let active: Vec<&DeploymentId> = environments.iter().filter_map(|e| e.active_deployment.as_ref()).collect();
    let mut records = BTreeMap::new();
    for some in active.chunks(500) {
        records.append(&mut store::deployments::many(session, some).await?);
    }
    let mut instances: BTreeMap<EnvironmentId, Vec<Instance>> = BTreeMap::new();
    for instance in store::instances::of_environments(session, &ids).await? {
        instances.entry(instance.key.environment.clone()).or_default().push(instance);
    }
    let mut working = store::beats::working(session).await?;
    // What serves and cleans up behind itself is of no concern.
    working.retain(|working| sees.includes(&working.record.app_id) && !working.cleans_up());
    let waiting = store::queue::Filter { sees: sees.clone(), ..Default::default() };
    Ok(Gathered {
        marks: store::releases::marks(session, &releases).await?,
        waiting: store::queue::lengths(session, &ids).await?,
        unhealed: store::deployments::unhealed(session, sees, MOST_NEEDS as u64).await?,
        queued: store::queue::count(session, &waiting).await?,
        apps,
        environments,
        records,
        instances,
        working,
    })
}

/// What serves in an environment.
pub(crate) fn active(environment: &Environment, gathered: &Gathered) -> Option<Active> {
    let deployment = environment.active_deployment.as_ref()?;
    let mark = gathered.marks.get(environment.active_release.as_ref()?)?;
    Some(Active {
        deployment: deployment.clone(),
        release: environment.active_release.clone()?,
        release_number: mark.number,
        commit: mark.commit.as_ref().map(|commit| commit.short().to_owned()),
        since: active_since(&gathered.records.get(deployment)?.deployment),
    })
}

/// Since when a deployment that is active has been so.
pub(crate) fn active_since(deployment: &Deployment) -> DateTime<Utc> {
    let since = deployment.phases.iter().rev().find(|times| times.phase == Phase::Active).map(|times| times.started_at);
    since.or(deployment.finished_at).unwrap_or(deployment.updated_at)
}

/// What is at work, by environment.
pub(crate) fn at_work(all: &[AtWork]) -> BTreeMap<EnvironmentId, Working> {
    let shown = |work: &AtWork| {
        let deployment = &work.record.deployment;
        let working = Working {
            deployment: deployment.id.clone(),
            kind: deployment.kind,
            phase: deployment.phase,
            progress: deployment.progress,
            since: phase_began(deployment),
            cancelling: deployment.cancelling,
            stuck: deployment.stuck.is_some(),
        };
        (work.record.environment_id.clone(), working)
    };
    all.iter().map(shown).collect()
}

fn phase_began(deployment: &Deployment) -> DateTime<Utc> {
    deployment.phases.last().map_or(deployment.created_at, |times| times.started_at)
}

/// What waits for whoever reads, and for nobody else.
#[derive(Default)]
pub(crate) struct Own {
    pub(crate) votes: Vec<Approval>,
    pub(crate) channels: Vec<Channel>,
}

/// Reads it with two statements: what `voter` may vote on, and which channels of apps that they set up do not work.
pub(crate) async fn own(
    session: &impl Session,
    voter: Option<(&UserId, &Grants)>,
    sets_up: &Sees,
    now: DateTime<Utc>,
) -> Result<Own, StoreError> {
    let most = MOST_NEEDS as u64;
    let votes = match voter {
        Some(voter) => store::approvals::waiting_for(session, voter, now, most).await?,
        None => Vec::new(),
    };
    Ok(Own { votes, channels: store::channels::failing(session, sets_up, most).await? })
}

/// What needs somebody, the worst first, then the newest.
pub(crate) fn needs(
    working: &[AtWork],
    unhealed: &[Record],
    looping: &BTreeMap<String, Looping>,
    certificates: Vec<Certificate>,
    own: Own,
    sees: &Sees,
) -> Vec<Need> {
    let mut needs = Vec::new();
    for AtWork { record: Record { deployment, .. }, stalled, .. } in working {
        match (&deployment.stuck, stalled) {
            (Some(why), _) => needs.push(Need::Stuck(trouble(deployment, why, phase_began(deployment)))),
            (None, Some(why)) => needs.push(Need::Stalled(trouble(deployment, why, phase_began(deployment)))),
            (None, None) => {}
        }
    }
    let mut loops: BTreeMap<(&Name, &Name), Vec<&Looping>> = BTreeMap::new();
    for each in looping.values().filter(|each| sees.includes(&each.app_id)) {
        loops.entry((&each.app, &each.environment)).or_default().push(each);
    }
    for ((app, environment), instances) in loops {
        let Some(first) = instances.iter().min_by_key(|each| each.since) else { continue };
        needs.push(Need::CrashLoop {
            app: app.clone(),
            environment: environment.clone(),
            instances: instances.len() as u64,
            last_exit: first.last_exit.clone(),
            at: first.since,
        });
    }
    for Record { deployment, .. } in unhealed {
        // One that a newer one overtook, or that somebody ended, was no failure.
        let cause = deployment.failure.as_ref().map(|failure| failure.cause);
        if matches!(cause, Some(Cause::Superseded | Cause::Cancelled)) {
            continue;
        }
        let why = deployment.failure.as_ref().map_or("It ended without a reason.", |failure| &failure.message);
        needs.push(Need::Failed(trouble(deployment, why, deployment.finished_at.unwrap_or(deployment.updated_at))));
    }
    for certificate in certificates {
        let Certificate { id, names, state, warning, not_after, .. } = certificate;
        if state != CertificateState::Serving {
            let why = warning.unwrap_or_else(|| "It is not in order.".to_owned());
            needs.push(Need::Certificate { certificate: id, names, state, why, at: not_after });
        }
    }
    needs.extend(own.votes.into_iter().map(|approval| Need::Approval {
        approval: approval.id,
        deployment: approval.deployment,
        app: approval.app,
        environment: approval.environment,
        requested_by: approval.requester_name,
        what: approval.subject_note,
        expires_at: approval.expires_at,
        at: approval.created_at,
    }));
    needs.extend(own.channels.into_iter().filter_map(|channel| {
        Some(Need::Channel {
            at: channel.failing_since?,
            channel: channel.id,
            name: channel.name,
            app: channel.app.map(|(_, name)| name),
            enabled: channel.enabled,
        })
    }));
    needs.sort_by_key(|need| (weight(need), Reverse(at(need))));
    needs.truncate(MOST_NEEDS);
    needs
}

fn trouble(deployment: &Deployment, why: &str, at: DateTime<Utc>) -> Trouble {
    Trouble {
        deployment: deployment.id.clone(),
        app: deployment.app.clone(),
        environment: deployment.environment.clone(),
        phase: deployment.phase,
        why: why.to_owned(),
        at,
    }
}

/// Lower is worse.
fn weight(need: &Need) -> u8 {
    match need {
        Need::Stuck(_) | Need::CrashLoop { .. } | Need::Failed(_) => 0,
        Need::Certificate { state: CertificateState::Expired | CertificateState::Unserved, .. } => 0,
        Need::Certificate { .. } | Need::Stalled(_) | Need::Approval { .. } | Need::Channel { .. } => 1,
    }
}

fn at(need: &Need) -> DateTime<Utc> {
    match need {
        Need::Stuck(of) | Need::Failed(of) | Need::Stalled(of) => of.at,
        Need::CrashLoop { at, .. }
        | Need::Certificate { at, .. }
        | Need::Approval { at, .. }
        | Need::Channel { at, .. } => *at,
    }
}

#[cfg(test)]
mod tests;
