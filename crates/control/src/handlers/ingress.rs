//! The process in front of the apps.

use operations::Error;
use operations::ingress::{Restart, RestartRequest, Restarted};

use crate::Control;
use crate::access::Admitted;
use crate::caller::Handle;

impl Handle<Restart> for Control {
    async fn handle(&self, who: &Admitted, _: RestartRequest) -> Result<Restarted, Error> {
        let act = self.begin_act::<Restart>(who).await?;
        act.end(self.restart_ingress().await).await
    }
}

impl Control {
    async fn restart_ingress(&self) -> Result<Restarted, Error> {
        let inner = &self.inner;
        let replaced = {
            let _turn = inner.ingress_turn.lock().await;
            let options = &inner.options;
            ingress::replace(&inner.world.layout.ingress(), &options.binary, options.ingress.clone()).await
        };
        let replaced = replaced.map_err(|e| {
            Error::unavailable(e.to_string()).hint("the ingress's log is in the data folder, in ingress/ingress.log")
        })?;
        Ok(Restarted {
            before: replaced.before.map(|status| status.pid),
            pid: replaced.after.pid,
            version: replaced.after.version,
            listen: replaced.after.listen.to_string(),
            https: replaced.after.https.map(|address| address.to_string()),
        })
    }
}
