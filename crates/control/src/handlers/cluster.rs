//! The servers that share the database.

use domain::membership::Standing;
use operations::Error;
use operations::cluster::{self, Cluster, Host, Server, Show, ShowRequest};

use crate::Control;
use crate::access::Admitted;
use crate::caller::Handle;
use crate::error::store_error;

impl Handle<Show> for Control {
    async fn handle(&self, _: &Admitted, _: ShowRequest) -> Result<Cluster, Error> {
        let member = &self.inner.member;
        let leader = store::leases::find(self.store(), store::leases::LEADER).await.map_err(store_error)?;
        let mut servers = Vec::new();
        // The rows are of now, what is known of them of the last look.
        let known = member.servers();
        for row in store::servers::list(self.store()).await.map_err(store_error)? {
            let seen = known.iter().find(|(server, _)| server.id == row.id).map(|(_, standing)| *standing);
            let (standing, age) = match seen {
                Some(Standing::Expired { age }) => (cluster::Standing::Expired, age),
                Some(Standing::Live { age }) => (cluster::Standing::Live, age),
                // It came since.
                Some(Standing::Gone) | None => (cluster::Standing::Live, Default::default()),
            };
            let standing =
                if row.leaving && standing == cluster::Standing::Live { cluster::Standing::Leaving } else { standing };
            let driven = store::sagas::of_owner(self.store(), &row.id).await.map_err(store_error)?;
            servers.push(Server {
                leader: leader.as_ref().is_some_and(|lease| lease.holder == row.id.as_str()),
                id: row.id,
                host: row.host,
                url: row.url,
                version: row.version,
                pid: row.pid,
                started_at: row.started_at,
                standing,
                heartbeat_age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
                lease_seconds: row.lease.as_secs(),
                deployments: driven.iter().filter_map(|saga| saga.id.parse().ok()).collect(),
            });
        }
        let lives = |host: &str| {
            let takes = |s: &Server| s.host == host && s.standing == cluster::Standing::Live;
            servers.iter().any(takes)
        };
        let rows = store::hosts::list(self.store()).await.map_err(store_error)?;
        let hosts = rows.into_iter().map(|host| Host { live: lives(&host.name), name: host.name }).collect();
        Ok(Cluster { answered_by: member.id.clone(), servers, hosts })
    }
}
