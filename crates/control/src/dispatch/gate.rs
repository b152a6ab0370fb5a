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
        let mut closed = BTreeMap::new();
        for candidate in candidates {
            let Some(name) = names.get(&candidate.environment) else { continue };
            let rules = rules(records, &candidate.app, name);
            if let Verdict::Closed { until, why, .. } = window::verdict(&rules, now) {
                closed.insert(candidate.environment.clone(), Closed { name: why, until });
            }
        }
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

    /// The heads of queues, with those in front that go past what holds them; and when the next window opens.
    pub(crate) async fn heads(
        session: &impl Session,
        host: &str,
        now: DateTime<Utc>,
    ) -> Result<(Vec<Candidate>, Self), StoreError> {
        let mut heads = store::queue::heads(session, host, now, None).await?;
        let mut gate = Self::of(session, &heads, now).await?;
        if !gate.closed.is_empty() {
            let mut passing = store::queue::passing(session, host, now).await?;
            passing.retain(|c| gate.closed.contains_key(&c.environment));
            gate.passing.extend(passing.iter().map(|c| c.deployment.clone()));
            heads.retain(|c| !gate.passing.contains(&c.deployment));
            passing.append(&mut heads);
            heads = passing;
        }
        Ok((heads, gate))
    }

    /// When the first of what is closed opens.
    pub(crate) fn opens(&self) -> Option<DateTime<Utc>> {
        self.closed.values().filter_map(|closed| closed.until).min()
    }
}

/// The rules that hold in an environment.
pub(crate) fn rules(records: &[Record], app: &AppId, environment: &Name) -> Vec<Window> {
    records.iter().filter(|record| record.holds(app, environment)).map(Record::window).collect()
}
