//! Smoke tests against what serves.

use domain::EnvironmentId;
use domain::release::Release;
use domain::smoke::proved;
use operations::Error;
use operations::smoke_tests::{Run, RunRequest, SmokeReport};
use ulid::Ulid;

use super::environment_named;
use crate::Control;
use crate::access::Admitted;
use crate::caller::Handle;
use crate::deployment::{State, smoke};
use crate::error::{store_error, variables_error};
use crate::reconcile::active_state;

impl Handle<Run> for Control {
    async fn handle(&self, who: &Admitted, request: RunRequest) -> Result<SmokeReport, Error> {
        let (_, environment) = environment_named(self.store(), &request.app, &request.environment).await?;
        self.refuse_elsewhere(&environment)?;
        let what = format!("{}/{}", environment.app, environment.name);
        let state = active_state(self.world(), &environment).await?;
        let (Some(state), Some(release)) = (state, &environment.active_release) else {
            return Err(Error::conflict(format!("nothing serves in {what}, so there is nothing to test"))
                .hint(format!("deploy first: `plimsoll deploy {} --env {}`", environment.app, environment.name)));
        };
        let release = store::releases::get(self.store(), release).await.map_err(store_error)?;
        if release.spec.smoke_tests.is_empty() {
            return Err(Error::conflict(format!("v{}, which serves in {what}, has no smoke tests", release.number))
                .hint("add `[[smoke_tests]]` to plimsoll.toml, and deploy"));
        }
        let _turn = self.inner.smoke_tests.take(&environment.id).ok_or_else(|| {
            Error::conflict(format!("the smoke tests of {what} are being run already"))
                .hint("wait until they have ended, then ask again")
        })?;
        let act = self.begin_act::<Run>(who).await?;
        let report = self.run_smoke_tests(who, &environment.id, &state, release).await;
        act.end(report).await
    }
}

impl Control {
    async fn run_smoke_tests(
        &self,
        who: &Admitted,
        environment: &EnvironmentId,
        state: &State,
        release: Release,
    ) -> Result<SmokeReport, Error> {
        let variables = self.world().release_variables(environment, &release.id).await.map_err(variables_error)?;
        // Not the deployment's: it may still be cleaning up, and would take them for leftovers of its own.
        let work = format!("smoke-tests-{}", Ulid::generate());
        let results = smoke::run_all(self.world(), state, &variables, &work, &who.gone).await;
        // Nobody hears of it.
        let gone = || Error::unavailable("the client has left, so its smoke tests were ended");
        let results = results.ok_or_else(gone)?;
        let passed = proved(&results);
        Ok(SmokeReport { release: release.id, release_number: release.number, passed, results })
    }
}
