//! How long what is past is kept.

use domain::Name;
use domain::retention::{Chosen, Keep};
use operations::Error;
use operations::retention::{
    Plan, PlanRequest, RetentionPolicy, Run, RunRequest, Set, SetRequest, Show, ShowRequest, Sweep,
};
use store::settings::{self, RETENTION};
use store::{Session, Tx};

use super::{app_named, commit};
use crate::access::Admitted;
use crate::caller::Handle;
use crate::error::store_error;
use crate::{Control, retention};

impl Handle<Show> for Control {
    async fn handle(&self, _: &Admitted, request: ShowRequest) -> Result<RetentionPolicy, Error> {
        policy(self.store(), request.app).await
    }
}

impl Handle<Set> for Control {
    async fn handle(&self, who: &Admitted, request: SetRequest) -> Result<RetentionPolicy, Error> {
        let SetRequest { app, releases, outputs, events, deployments, keys, reset } = request;
        let asked = Chosen { releases, outputs, events, deployments, keys };
        asked.check().map_err(|e| Error::unprocessable(e.to_string()))?;
        if asked.is_empty() && !reset {
            return Err(
                Error::unprocessable("nothing is to be changed").hint("say what to keep for how long, or reset")
            );
        }
        if app.is_some() && keys.is_some() {
            return Err(Error::unprocessable("idempotency keys belong to no app").hint("set `keys` without an app"));
        }
        let tx = self.write().await?;
        let before = policy(&tx, app.clone()).await?;
        set(&tx, app.as_ref(), asked, reset).await?;
        let response = policy(&tx, app).await?;
        who.noted().changed(&before.set, &response.set);
        let recorded = self.conclude::<Set>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

impl Handle<Plan> for Control {
    async fn handle(&self, _: &Admitted, _: PlanRequest) -> Result<Sweep, Error> {
        retention::plan(self.world()).await
    }
}

impl Handle<Run> for Control {
    async fn handle(&self, who: &Admitted, _: RunRequest) -> Result<Sweep, Error> {
        let act = self.begin_act::<Run>(who).await?;
        act.end(retention::run(self.world()).await).await
    }
}

async fn set(tx: &Tx, app: Option<&Name>, asked: Chosen, reset: bool) -> Result<(), Error> {
    let id = match app {
        Some(app) => Some(app_named(tx, app).await?.id),
        None => None,
    };
    let before = match reset {
        true => None,
        false => settings::find::<Chosen>(tx, id.as_ref(), RETENTION).await.map_err(store_error)?,
    };
    let chosen = before.unwrap_or_default().with(asked);
    let value = (!chosen.is_empty()).then_some(&chosen);
    settings::set(tx, id.as_ref(), RETENTION, value).await.map_err(store_error)
}

async fn policy(session: &impl Session, app: Option<Name>) -> Result<RetentionPolicy, Error> {
    let server: Chosen = settings::find(session, None, RETENTION).await.map_err(store_error)?.unwrap_or_default();
    let keep = server.or(Keep::default());
    match app {
        Some(name) => {
            let id = app_named(session, &name).await?.id;
            let set: Chosen =
                settings::find(session, Some(&id), RETENTION).await.map_err(store_error)?.unwrap_or_default();
            Ok(RetentionPolicy { app: Some(name), keep: set.or(keep), set, apps: Vec::new() })
        }
        None => {
            let mut apps = Vec::new();
            for (id, _) in settings::of_apps::<Chosen>(session, RETENTION).await.map_err(store_error)? {
                apps.push(store::apps::get(session, &id).await.map_err(store_error)?.name);
            }
            apps.sort();
            Ok(RetentionPolicy { app: None, keep, set: server, apps })
        }
    }
}
