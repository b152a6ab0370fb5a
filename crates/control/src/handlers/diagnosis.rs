//! Deployments that don't go on, and the limits by which that is noticed.

use std::collections::BTreeSet;

use domain::DeploymentId;
use domain::stall::StallPolicy;
use operations::Error;
use operations::diagnosis::{
    Diagnose, DiagnoseRequest, Diagnoses, SetLimits, SetLimitsRequest, ShowLimits, ShowLimitsRequest, StallLimits,
};
use store::Session;
use store::deployments::Filter;
use store::settings::{self, STALLS};

use super::{app_named, commit, page_limit};
use crate::access::Admitted;
use crate::caller::Handle;
use crate::diagnosis::{Known, diagnose, look};
use crate::dispatch::Waits;
use crate::error::store_error;
use crate::{Control, stalls};

impl Handle<Diagnose> for Control {
    async fn handle(&self, who: &Admitted, request: DiagnoseRequest) -> Result<Diagnoses, Error> {
        let limit = page_limit(request.limit)?;
        let (world, store) = (self.world(), self.store());
        let mut items = Vec::new();
        let sees = who.sees();
        let mut waits = Waits::new(&self.inner);
        let mut all = store::beats::working(store).await.map_err(store_error)?;
        all.retain(|working| sees.includes(&working.record.app_id));
        let records = all.iter_mut().map(|working| &mut working.record).collect();
        waits.missed(store, records).await.map_err(store_error)?;
        // One that was taken a moment ago is still queued, by its row.
        let taken: BTreeSet<DeploymentId> = all.iter().map(|working| working.record.deployment.id.clone()).collect();
        for working in all {
            let deployment = working.record.deployment;
            let known = look(world, &deployment).await.map_err(store_error)?;
            let known = Known { stalled: working.stalled, heard_of_at: working.signs.beat_at, ..known };
            items.push(diagnose(deployment, known));
        }
        items.sort_by_key(|item| (item.state, item.since));
        let waiting = store::queue::Filter { sees: sees.clone(), ..Default::default() };
        let all = store::queue::count(store, &waiting).await.map_err(store_error)?;
        let queued = Filter { phase: Some(domain::phase::Phase::Queued), sees, ..Filter::default() };
        let queued = store::deployments::list(store, &queued, None, limit.into()).await;
        let mut queued = queued.map_err(store_error)?;
        queued.retain(|record| !taken.contains(&record.deployment.id));
        waits.tell(store, &mut queued).await.map_err(store_error)?;
        let left_out = all.saturating_sub(queued.len() as u64);
        items.extend(queued.into_iter().map(|record| diagnose(record.deployment, Known::default())));
        Ok(Diagnoses { items, left_out })
    }
}

impl Handle<ShowLimits> for Control {
    async fn handle(&self, _: &Admitted, request: ShowLimitsRequest) -> Result<StallLimits, Error> {
        let id = match &request.app {
            Some(app) => Some(app_named(self.store(), app).await?.id),
            None => None,
        };
        limits(self.store(), request.app, id).await
    }
}

impl Handle<SetLimits> for Control {
    async fn handle(&self, who: &Admitted, request: SetLimitsRequest) -> Result<StallLimits, Error> {
        let SetLimitsRequest { app, heartbeat, silence, phases, then, reset } = request;
        let tx = self.write().await?;
        let id = match &app {
            Some(app) => Some(app_named(&tx, app).await?.id),
            None => None,
        };
        let changes = heartbeat.is_some() || silence.is_some() || phases.is_some() || then.is_some();
        if !changes && !reset {
            return Err(
                Error::unprocessable("nothing is to be changed").hint("give a limit, what is done then, or reset")
            );
        }
        let before = limits(&tx, app.clone(), id.clone()).await?;
        let mut policy = match (reset, &id) {
            // What holds without it is where one begins.
            (true, Some(_)) | (false, None) => {
                settings::find(&tx, None, STALLS).await.map_err(store_error)?.unwrap_or_default()
            }
            (true, None) => StallPolicy::default(),
            (false, Some(id)) => stalls::policy(&tx, id).await.map_err(store_error)?,
        };
        policy.heartbeat = heartbeat.unwrap_or(policy.heartbeat);
        policy.silence = silence.unwrap_or(policy.silence);
        policy.phases = phases.unwrap_or(policy.phases);
        policy.then = then.unwrap_or(policy.then);
        policy.check().map_err(|e| Error::unprocessable(e.to_string()))?;
        settings::set(&tx, id.as_ref(), STALLS, changes.then_some(&policy)).await.map_err(store_error)?;
        let response = limits(&tx, app, id).await?;
        who.noted().changed(&before.policy, &response.policy);
        let recorded = self.conclude::<SetLimits>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

async fn limits(
    session: &impl Session,
    app: Option<domain::Name>,
    id: Option<domain::AppId>,
) -> Result<StallLimits, Error> {
    let own: Option<StallPolicy> = settings::find(session, id.as_ref(), STALLS).await.map_err(store_error)?;
    let policy = match (&own, &id) {
        (Some(own), _) => own.clone(),
        (None, Some(id)) => stalls::policy(session, id).await.map_err(store_error)?,
        (None, None) => StallPolicy::default(),
    };
    Ok(StallLimits { app, policy, own: own.is_some() })
}
