//! How deployments go.

use chrono::{DurationRound, TimeDelta};
use domain::Name;
use domain::access::Sees;
use domain::analytics::{Analytics, Window, report};
use domain::lifetime::Lifetime;
use operations::Error;
use operations::analytics::{Show, ShowRequest};
use store::analytics::Scope;
use store::queue::Filter;

use super::{app_named, environment_named};
use crate::Control;
use crate::access::Admitted;
use crate::caller::Handle;
use crate::error::store_error;

impl Handle<Show> for Control {
    async fn handle(&self, who: &Admitted, request: ShowRequest) -> Result<Analytics, Error> {
        let store = self.store();
        let Chosen { scope, .. } = self.chosen(who, request.app.as_ref(), request.environment.as_ref()).await?;
        let window = window(request.since);
        let counted = store::analytics::counted(store, &scope, window.since).await.map_err(store_error)?;
        let failures = store::analytics::failures(store, &scope, window.since).await.map_err(store_error)?;
        Ok(report(window, counted, failures))
    }
}

/// Whose figures are asked for.
pub(super) struct Chosen {
    pub(super) scope: Scope,
    /// The same for what waits.
    pub(super) waiting: Filter,
}

impl Control {
    /// Of an environment, of an app, or of all that one may see.
    pub(super) async fn chosen(
        &self,
        who: &Admitted,
        app: Option<&Name>,
        environment: Option<&Name>,
    ) -> Result<Chosen, Error> {
        let store = self.store();
        Ok(match (app, environment) {
            (Some(app), Some(environment)) => {
                let id = environment_named(store, app, environment).await?.1.id;
                let waiting = Filter { environment: Some(id.clone()), ..Filter::default() };
                Chosen { scope: Scope::Environments(vec![id]), waiting }
            }
            (Some(app), None) => {
                let app = app_named(store, app).await?;
                let all = store::environments::list(store, &app.id).await.map_err(store_error)?;
                let scope = Scope::Environments(all.into_iter().map(|environment| environment.id).collect());
                Chosen { scope, waiting: Filter { app: Some(app.id), ..Filter::default() } }
            }
            (None, Some(_)) => return Err(super::environment_of_no_app()),
            (None, None) => {
                let sees = who.sees();
                let scope = match &sees {
                    Sees::All => Scope::All,
                    Sees::Only(apps) => {
                        let of_them = store::environments::ids_of(store, apps).await;
                        Scope::Environments(of_them.map_err(store_error)?)
                    }
                };
                Chosen { scope, waiting: Filter { sees, ..Filter::default() } }
            }
        })
    }
}

/// From the beginning of the day that was so long ago, until now.
pub(super) fn window(since: Lifetime) -> Window {
    let until = store::clock::now();
    let back = TimeDelta::from_std(since.get()).unwrap_or(TimeDelta::MAX);
    let since = until.checked_sub_signed(back).and_then(|at| at.duration_trunc(TimeDelta::days(1)).ok());
    Window { since: since.unwrap_or_default(), until }
}
