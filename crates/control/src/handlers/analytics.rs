//! How deployments go.

use chrono::{DurationRound, TimeDelta, Utc};
use domain::analytics::{Analytics, Window, report};
use operations::Error;
use operations::analytics::{Show, ShowRequest};
use store::analytics::Scope;

use super::{app_named, environment_named};
use crate::Control;
use crate::caller::{Caller, Handle};
use crate::error::store_error;

impl Handle<Show> for Control {
    async fn handle(&self, _: &Caller, request: ShowRequest) -> Result<Analytics, Error> {
        let store = self.store();
        let scope = match (&request.app, &request.environment) {
            (Some(app), Some(environment)) => {
                Scope::Environments(vec![environment_named(store, app, environment).await?.1.id])
            }
            (Some(app), None) => {
                let app = app_named(store, app).await?;
                let all = store::environments::list(store, &app.id).await.map_err(store_error)?;
                Scope::Environments(all.into_iter().map(|environment| environment.id).collect())
            }
            (None, Some(_)) => return Err(super::environment_of_no_app()),
            (None, None) => Scope::All,
        };
        let until = Utc::now();
        let back = TimeDelta::from_std(request.since.get()).unwrap_or(TimeDelta::MAX);
        let since = until.checked_sub_signed(back).and_then(|at| at.duration_trunc(TimeDelta::days(1)).ok());
        let window = Window { since: since.unwrap_or_default(), until };
        let counted = store::analytics::counted(store, &scope, window.since).await.map_err(store_error)?;
        let failures = store::analytics::failures(store, &scope, window.since).await.map_err(store_error)?;
        Ok(report(window, counted, failures))
    }
}
