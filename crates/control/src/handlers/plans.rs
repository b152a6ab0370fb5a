//! Plans: making, showing and simulating them, and accepting the deployment that carries one out.

use domain::PlanId;
use domain::deployment::{Deployment, DeploymentKind};
use domain::labels::Labels;
use domain::plan::{Agreed, Plan, PlanRef, PlanSummary, Simulation};
use domain::source::Source;
use operations::deployments::{Deploy, DeployRequest};
use operations::plans::{Create, CreateRequest, Get, List, ListRequest, PlanRequest, Simulate};
use operations::{Error, Page};
use store::plans::{Filter, Kept};
use ulid::Ulid;

use super::order::{When, critical, draft, order, source};
use super::{app_named, check_reference, check_source, commit, environment_named, environment_of_no_app};
use super::{page_cursor, page_limit, windows};
use crate::Control;
use crate::access::{Admitted, missing, sources};
use crate::caller::Handle;
use crate::deployment::promise::{HINT, broken};
use crate::deployment::rehearse::rehearse;
use crate::deployment::state::Order;
use crate::deployment::{self, State, path};
use crate::dispatch;
use crate::error::store_error;
use crate::planning::{Wanted, scene_of};

/// Of one environment; the oldest go. Nobody looks at more in a day, and each is some kilobytes.
const MOST: u64 = 100;

impl Handle<Create> for Control {
    async fn handle(&self, who: &Admitted, request: CreateRequest) -> Result<Plan, Error> {
        request.source.as_ref().map_or(Ok(()), check_source)?;
        request.reference.as_deref().map_or(Ok(()), check_reference)?;
        let (app, environment) = environment_named(self.store(), &request.app, &request.environment).await?;
        // Releases, uploads and routes are looked at where they are.
        self.refuse_elsewhere(&environment)?;
        let wanted = match request.rollback {
            Some(_) if request.source.is_some() || request.reference.is_some() => {
                return Err(Error::unprocessable("a rollback goes to a release, and has neither source nor reference")
                    .hint("give `rollback` alone, or leave it out"));
            }
            Some(number) => {
                let release = self.to_go_back_to(self.store(), &app, &environment, Some(number), None).await?;
                Wanted::Rollback { release: Box::new(release) }
            }
            None => {
                if let Some(asked) = &request.source {
                    sources::check(who, self.store(), asked, app.source.as_ref()).await?;
                }
                let source = source(&app, request.source, request.reference)?;
                if let Source::Archive { upload } = &source
                    && !self.upload(upload).await?.complete
                {
                    return Err(Error::conflict(format!("{upload} is not complete")).hint("send the rest of it first"));
                }
                Wanted::Deploy { source }
            }
        };
        let plan = self.plan(&app, &environment, wanted, who).await?;
        let id = PlanId::from_ulid(Ulid::generate());
        let kept = Kept { id, app: app.id, environment: environment.id, plan };
        let tx = self.write().await?;
        store::plans::put(&tx, &kept).await.map_err(store_error)?;
        store::plans::sweep(&tx, &kept.environment, kept.plan.created_at, MOST).await.map_err(store_error)?;
        let recorded = self.conclude::<Create>(&tx, who, &kept.plan).await?;
        commit(tx, recorded).await?;
        Ok(kept.plan)
    }
}

impl Handle<Get> for Control {
    async fn handle(&self, who: &Admitted, request: PlanRequest) -> Result<Plan, Error> {
        let kept = self.kept_plan(who, &request.plan).await?;
        self.as_asked(who, kept).await
    }
}

impl Handle<List> for Control {
    async fn handle(&self, who: &Admitted, request: ListRequest) -> Result<Page<PlanSummary>, Error> {
        let limit = page_limit(request.limit)?;
        let before = page_cursor::<PlanId>(request.cursor.as_deref())?;
        let mut filter = Filter { sees: who.sees(), ..Filter::default() };
        match (&request.app, &request.environment) {
            (Some(app), Some(environment)) => {
                filter.environment = Some(environment_named(self.store(), app, environment).await?.1.id);
            }
            (Some(app), None) => filter.app = Some(app_named(self.store(), app).await?.id),
            (None, Some(_)) => return Err(environment_of_no_app()),
            (None, None) => {}
        }
        let found =
            store::plans::list(self.store(), &filter, store::clock::now(), before.as_ref(), u64::from(limit) + 1).await;
        let page = Page::of(found.map_err(store_error)?, limit, |kept: &Kept| kept.id.to_string());
        Ok(Page { items: page.items.iter().map(|kept| kept.plan.summary()).collect(), next: page.next })
    }
}

impl Handle<Simulate> for Control {
    async fn handle(&self, who: &Admitted, request: PlanRequest) -> Result<Simulation, Error> {
        let kept = self.kept_plan(who, &request.plan).await?;
        let plan = self.as_asked(who, kept).await?;
        let scene = scene_of(&plan);
        let runs = match plan.kind {
            DeploymentKind::Deploy => rehearse::<path::Deploy>(&scene),
            DeploymentKind::Rollback => rehearse::<path::Rollback>(&scene),
            DeploymentKind::Promotion => rehearse::<path::Promotion>(&scene),
        };
        let runs = runs.map_err(|e| {
            tracing::error!(plan = %plan.digest, "the plan can't be simulated: {e}");
            Error::internal()
        })?;
        let Plan { digest, app, environment, approval, .. } = plan;
        Ok(Simulation { plan: digest, app, environment, approval, runs })
    }
}

impl Control {
    /// Of those that are seen.
    async fn kept_plan(&self, who: &Admitted, named: &PlanRef) -> Result<Kept, Error> {
        let found = store::plans::find(self.store(), &who.sees(), named, store::clock::now()).await;
        let mut found = found.map_err(store_error)?;
        match (found.pop(), found.is_empty()) {
            (Some(kept), true) => Ok(kept),
            (Some(_), false) => Err(Error::conflict(format!("more than one plan begins with `{named}`"))
                .hint("give more digits; `plimsoll plans list` shows them")),
            (None, _) => Err(missing::plan(named)),
        }
    }

    /// For whoever looks at it now: who has to approve is the policy's of this moment, and whose vote counts differs.
    async fn as_asked(&self, who: &Admitted, kept: Kept) -> Result<Plan, Error> {
        let Kept { app, plan, .. } = kept;
        let approval = self.approval_of(who, &app, &plan.environment, plan.kind).await?;
        Ok(Plan { approval, ..plan })
    }

    /// Accepts the deployment that a plan tells of, if all that it rests on still holds. It takes its turn in the queue like any
    /// other. What can't be known before the source was fetched, what is on another machine, and what happens until
    /// it is the deployment's turn, the deployment looks at itself.
    pub(super) async fn carry_out(
        &self,
        who: &Admitted,
        named: &PlanRef,
        request: DeployRequest,
    ) -> Result<Deployment, Error> {
        if request.source.is_some() || request.reference.is_some() {
            return Err(Error::unprocessable("a plan says itself what is deployed")
                .hint("leave source and reference out, or the plan"));
        }
        let labels = Labels::of_deployment(request.tags, request.metadata).map_err(|e| {
            Error::invalid(e.to_string()).hint("leave some out; labels are for people to find a release")
        })?;
        let when = When { priority: request.priority, not_before: request.not_before };
        when.check(store::clock::now())?;
        let bypass = request.bypass_window.map(|reason| windows::reason(reason.as_str(), &when)).transpose()?;
        let plan = self.kept_plan(who, named).await?.plan;
        if (&plan.app, &plan.environment) != (&request.app, &request.environment) {
            let (own, asked) =
                (format!("{}/{}", plan.app, plan.environment), format!("{}/{}", request.app, request.environment));
            return Err(Error::unprocessable(format!("the plan {} is of {own}, not of {asked}", plan.digest.short()))
                .hint(format!("deploy it to {own}, or make a plan of {asked}")));
        }
        let (app, environment) = environment_named(self.store(), &request.app, &request.environment).await?;
        // Going back ends an outage.
        if plan.kind != DeploymentKind::Rollback {
            critical(who, &app.id, when.priority)?;
        }
        let routes = match self.is_here(&environment) {
            true => Some(self.route_facts(&plan, &app, &environment).await?),
            false => None,
        };

        let tx = self.write().await?;
        let (app, environment) = environment_named(&tx, &request.app, &request.environment).await?;
        let mut facts = self.facts(&tx, &plan.basis, &environment).await?;
        facts.extend(routes);
        let changed = plan.basis.changed(&facts);
        if !changed.is_empty() {
            return Err(Error::conflict(broken(&plan.digest, &changed)).hint(HINT));
        }
        let mut draft = draft(&tx, &environment, plan.kind, who).await?;
        draft.deployment.metadata.plan = Some(plan.digest.clone());
        draft.deployment.metadata.reference = plan.reference.clone();
        draft.deployment.metadata.commit = plan.commit;
        let agreed = Agreed { plan: plan.digest.clone(), reference: plan.reference, basis: plan.basis };
        match (plan.kind, plan.source) {
            (DeploymentKind::Deploy, Some(source)) => {
                if let Source::Archive { upload } = &source {
                    self.refuse_elsewhere(&environment)?;
                    self.take_upload(&tx, upload).await?;
                    draft.deployment.metadata.upload = Some(upload.clone());
                }
                draft.deployment.source = Some(source);
                if let Some(reason) = bypass {
                    dispatch::bypass(&tx, &environment, &draft.deployment, &reason).await.map_err(store_error)?;
                }
                let state = State::deploy(Order { labels, plan: Some(agreed), ..order(&draft) });
                self.accept::<Deploy, deployment::Deploy>(who, tx, &environment, draft, state, when).await
            }
            (DeploymentKind::Rollback, _) if !labels.is_empty() => {
                Err(Error::unprocessable("a rollback makes no release that could get tags or metadata")
                    .hint("leave them out"))
            }
            (DeploymentKind::Rollback, _) if when.not_before.is_some() || bypass.is_some() => {
                Err(Error::unprocessable("a rollback is not put off, and no window holds it")
                    .hint("leave the time and the reason for going past windows out"))
            }
            (DeploymentKind::Rollback, _) => {
                let number = plan.release.number;
                let release = self.to_go_back_to(&tx, &app, &environment, number, None).await?;
                draft.deployment.release = Some(release.id.clone());
                draft.deployment.release_number = Some(release.number);
                let (spec, commit) = (release.spec.clone(), release.commit.clone());
                let order = Order { plan: Some(agreed), ..order(&draft) };
                let state = State::rollback(order, release.into(), spec, commit);
                let at = draft.deployment.created_at;
                dispatch::let_back(&tx, &environment, &draft.deployment, at).await.map_err(store_error)?;
                self.accept::<Deploy, deployment::Rollback>(who, tx, &environment, draft, state, when).await
            }
            (DeploymentKind::Deploy | DeploymentKind::Promotion, _) => {
                tracing::error!(plan = %plan.digest, "a plan that says not what is deployed");
                Err(Error::internal())
            }
        }
    }
}
