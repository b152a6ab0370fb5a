//! The process in front of the apps.

use operations::Error;
use operations::ingress::{Restart, RestartRequest, Restarted};

use super::commit;
use crate::Control;
use crate::caller::{Caller, Handle};

impl Handle<Restart> for Control {
    async fn handle(&self, caller: &Caller, _: RestartRequest) -> Result<Restarted, Error> {
        let inner = &self.inner;
        let replaced = {
            let _turn = inner.ingress_turn.lock().await;
            let options = &inner.options;
            ingress::replace(&inner.world.layout.ingress(), &options.binary, options.ingress.clone()).await
        };
        let replaced = replaced.map_err(|e| {
            Error::unavailable(e.to_string()).hint("the ingress's log is in the data folder, in ingress/ingress.log")
        })?;
        let response = Restarted {
            before: replaced.before.map(|status| status.pid),
            pid: replaced.after.pid,
            version: replaced.after.version,
            listen: replaced.after.listen.to_string(),
            https: replaced.after.https.map(|address| address.to_string()),
        };
        let tx = self.write().await?;
        self.remember::<Restart>(&tx, caller, &response).await?;
        commit(tx).await?;
        Ok(response)
    }
}
