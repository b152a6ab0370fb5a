//! The server itself.

use operations::Error;
use operations::server::{Info, InfoRequest, ServerInfo};
use store::Kind;

use crate::Control;
use crate::access::Admitted;
use crate::caller::Handle;

impl Handle<Info> for Control {
    async fn handle(&self, _: &Admitted, _: InfoRequest) -> Result<ServerInfo, Error> {
        let (listen, ingress_degraded) = match self.world().ingress.status().await {
            Ok(status) => (status.listen, status.degraded),
            Err(e) => (self.inner.options.ingress.listen, Some(e.to_string())),
        };
        let port = if listen.port() == 80 { String::new() } else { format!(":{}", listen.port()) };
        let database = match self.store().kind() {
            Kind::Sqlite => "sqlite",
            Kind::Postgres => "postgres",
        };
        Ok(ServerInfo {
            version: crate::VERSION.to_owned(),
            started_at: self.inner.started_at,
            database: database.to_owned(),
            domain: format!("http://{{app}}.{}{port}", self.world().domain),
            ingress: listen.to_string(),
            ingress_degraded,
            mcp_read_only: self.mcp_read_only(),
        })
    }
}
