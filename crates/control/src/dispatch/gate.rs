//! Windows and freezes where deployments are started: whom they hold now.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::queue::{Candidate, Closed};
use domain::window::{self, Verdict, Window};
use domain::{AppId, DeploymentId, EnvironmentId, Name};
use store::windows::Record;
use store::{Session, StoreError};

/// What holds some candidates at one moment. Holds no longer than the transaction that it was read in.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    closed: BTreeMap<EnvironmentId, Closed>,
    /// Those that windows do not hold.
    passing: BTreeSet<DeploymentId>,
}

impl Gate {
    /// Reads what holds these. Without windows that is one small query.
    pub(crate) async fn of(
        session: &impl Session,
        candidates: &[Candidate],
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        let records = match candidates.is_empty() {
            true => Vec::new(),
            false => store::windows::list(session, Some(now)).await?,
        };
        Self::with(session, &records, candidates, now).await
    }

    /// The same with rules that were read already.
    pub(super) async fn with(
        session: &impl Session,
        records: &[Record],
        candidates: &[Candidate],
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        if records.is_empty() {
            return Ok(Self::default());
        }
        let ids: BTreeSet<&EnvironmentId> = candidates.iter().map(|c| &c.environment).collect();
        let names = store::environments::names(session, &ids.into_iter().collect::<Vec<_>>()).await?;
        let named = candidates.iter().filter_map(|c| Some((c, names.get(&c.environment)?)));
        let closed = closed(records, named, now);
        let held = candidates.iter().filter(|c| closed.contains_key(&c.environment)).map(|c| &c.deployment);
        let held: Vec<&DeploymentId> = held.collect();
        let passing = store::bypasses::among(session, &held).await?;
        Ok(Self { closed, passing })
    }

    /// Whether windows hold all in an environment but those that go past them.
    pub(super) fn is_closed(&self, environment: &EnvironmentId) -> bool {
        self.closed.contains_key(environment)
    }

    /// What keeps a candidate from starting.
    pub(crate) fn closed(&self, candidate: &Candidate) -> Option<Closed> {
        let closed = self.closed.get(&candidate.environment)?;
        (!self.passing.contains(&candidate.deployment)).then(|| closed.clone())
    }

    /// The heads of queues that windows do not hold, with those in front that go past what holds others; and when the next
    /// window opens. A look of three queries at most, however many wait.
    pub(crate) async fn heads(
        session: &impl Session,
        host: &str,
        now: DateTime<Utc>,
    ) -> Result<(Vec<Candidate>, Self), StoreError> {
        let mut heads = store::queue::heads(session, host, now, None).await?;
        let records = match heads.is_empty() {
            true => Vec::new(),
            false => store::windows::list(session, Some(now)).await?,
        };
        let closed = closed(&records, heads.iter().map(|head| (&head.candidate, &head.name)), now);
        let mut candidates = Vec::new();
        if !closed.is_empty() {
            candidates = store::queue::passing(session, host, now).await?;
            candidates.retain(|c| closed.contains_key(&c.environment));
            heads.retain(|head| !closed.contains_key(&head.candidate.environment));
        }
        let passing = candidates.iter().map(|c| c.deployment.clone()).collect();
        candidates.extend(heads.into_iter().map(|head| head.candidate));
        Ok((candidates, Self { closed, passing }))
    }

    /// When the first of what is closed opens.
    pub(crate) fn opens(&self) -> Option<DateTime<Utc>> {
        self.closed.values().filter_map(|closed| closed.until).min()
    }
}

/// The environments of these that windows have closed.
fn closed<'a>(
    records: &[Record],
    candidates: impl Iterator<Item = (&'a Candidate, &'a Name)>,
    now: DateTime<Utc>,
) -> BTreeMap<EnvironmentId, Closed> {
    if records.is_empty() {
        return BTreeMap::new();
    }
    let closed =
        candidates.filter_map(|(candidate, name)| match window::verdict(&rules(records, &candidate.app, name), now) {
            Verdict::Closed { until, why, .. } => Some((candidate.environment.clone(), Closed { name: why, until })),
            Verdict::Open { .. } => None,
        });
    closed.collect()
}

/// The rules that hold in an environment.
pub(crate) fn rules(records: &[Record], app: &AppId, environment: &Name) -> Vec<Window> {
    records.iter().filter(|record| record.holds(app, environment)).map(Record::window).collect()
}
