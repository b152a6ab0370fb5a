//! What a deployment has found out so far: journaled with each finished stage, so
//! no secret is ever in it.

use domain::deployment::DeploymentKind;
use domain::instance::InstanceKey;
use domain::labels::Labels;
use domain::plan::Agreed;
use domain::promotion::PromotionRecord;
use domain::release::{Digest, Release};
use domain::smoke::SmokeResult;
use domain::source::{Commit, Source};
use domain::spec::AppSpec;
use domain::{AppId, ApprovalId, DeploymentId, EnvironmentId, Name, ReleaseId, UploadId};
use ingress::EnvironmentRoutes;
use serde::{Deserialize, Serialize};

/// The typed state of both sagas.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pub order: Order,
    /// Set by `pull_source`.
    pub commit: Option<Commit>,
    pub tree: Option<Digest>,
    /// Set by `detect`, or from the start by a rollback.
    pub spec: Option<AppSpec>,
    pub digest: Option<Digest>,
    /// A release of this digest exists, so nothing needs to be built.
    pub reused: bool,
    /// Set by `claim`, when others were accepted since this one was: see [`State::generation`].
    #[serde(default)]
    pub acting: Option<u64>,
    /// Set by `create_release`, or from the start by a rollback.
    pub release: Option<ReleaseRef>,
    /// Set by `link`: the instances to run and their ports.
    #[serde(default)]
    pub placements: Vec<Placement>,
    /// Set by `prepare_routes`: what the environment served before; kept to take a cutover back.
    pub previous: Option<EnvironmentRoutes>,
    /// Set by `cutover`.
    #[serde(default)]
    pub switched: bool,
    #[serde(default)]
    pub urls: Vec<String>,
    /// Set by `start` and `activate`.
    #[serde(default)]
    pub smoke_tests: Vec<SmokeResult>,
}

/// What was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    #[serde(default = "deploy")]
    pub kind: DeploymentKind,
    pub deployment: DeploymentId,
    pub app: AppId,
    pub app_name: Name,
    pub environment: EnvironmentId,
    pub environment_name: Name,
    pub generation: u64,
    /// Of a deploy only.
    pub source: Option<Source>,
    /// For the release.
    #[serde(default)]
    pub labels: Labels,
    #[serde(default)]
    pub promotion: Option<Promotion>,
    /// The plan that it carries out, and must not deviate from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Agreed>,
    /// What it waited for before it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Awaited>,
}

/// The approval of others.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Awaited {
    pub id: ApprovalId,
    /// Branch, tag or commit that was asked for, if one was named; the source is the very commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// What a promotion takes over from the release that it brings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Promotion {
    pub record: PromotionRecord,
    pub artifact: Digest,
    pub size: u64,
    pub files: u64,
}

/// What a journal of an older version, which did not say, is taken for.
fn deploy() -> DeploymentKind {
    DeploymentKind::Deploy
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReleaseRef {
    pub id: ReleaseId,
    pub number: u32,
    pub digest: Digest,
    /// Absent in what an older version wrote: its own digest.
    #[serde(default)]
    pub artifact: Option<Digest>,
    pub size: u64,
    pub files: u64,
}

impl From<Release> for ReleaseRef {
    fn from(release: Release) -> Self {
        let Release { id, number, digest, artifact, size, files, .. } = release;
        Self { id, number, digest, artifact: Some(artifact), size, files }
    }
}

impl ReleaseRef {
    /// The digest that names the folder of its files.
    pub(crate) fn artifact(&self) -> &Digest {
        self.artifact.as_ref().unwrap_or(&self.digest)
    }
}

/// One instance to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Placement {
    pub key: InstanceKey,
    pub port: Option<u16>,
}

impl Order {
    /// The archive that it is made from, if it is.
    pub(crate) fn upload(&self) -> Option<&UploadId> {
        match &self.source {
            Some(Source::Archive { upload }) => Some(upload),
            _ => None,
        }
    }
}

impl State {
    pub(crate) fn deploy(order: Order) -> Self {
        Self {
            order,
            commit: None,
            tree: None,
            spec: None,
            digest: None,
            reused: false,
            acting: None,
            release: None,
            placements: Vec::new(),
            previous: None,
            switched: false,
            urls: Vec::new(),
            smoke_tests: Vec::new(),
        }
    }

    pub(crate) fn rollback(order: Order, release: ReleaseRef, spec: AppSpec, commit: Option<Commit>) -> Self {
        Self { spec: Some(spec), release: Some(release), commit, reused: true, ..Self::deploy(order) }
    }

    /// `digest` is of the release to be made, which may be there already.
    pub(crate) fn promotion(
        order: Order,
        digest: Digest,
        release: Option<ReleaseRef>,
        spec: AppSpec,
        commit: Option<Commit>,
    ) -> Self {
        let reused = release.is_some();
        Self { spec: Some(spec), digest: Some(digest), release, reused, commit, ..Self::deploy(order) }
    }

    /// Under which it acts on instances, sites and routes: higher than that of whoever acted before. The order's own says who was
    /// asked for later. They differ where a later one of a higher priority came first and failed: instances, sites and
    /// routes have seen its generation, and would refuse this one for ever.
    pub(crate) fn generation(&self) -> u64 {
        self.acting.unwrap_or(self.order.generation)
    }

    /// Name of a static component's folder among the sites.
    pub(crate) fn site(&self, component: &Name) -> String {
        site(&self.order.environment, component)
    }

    /// The instances of one component, by index.
    pub(crate) fn placements_of<'a>(&'a self, component: &'a Name) -> impl Iterator<Item = &'a Placement> {
        self.placements.iter().filter(move |p| &p.key.component == component)
    }
}

/// Name of a static component's folder among the sites: ids, as names may be given to another app later.
pub(crate) fn site(environment: &EnvironmentId, component: &Name) -> String {
    format!("{environment}-{component}")
}
