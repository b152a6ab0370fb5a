//! Programs that a person lets in. How they ask, and get their token, is in [`crate::sign_in`].

use operations::devices::{Approve, ApproveRequest, Device, DeviceState, Show, ShowRequest, Verdict};
use operations::{Error, ErrorKind};
use store::device_logins::{self, Answer, Approval, DeviceLogin};

use super::commit;
use crate::Control;
use crate::access::{Admitted, missing};
use crate::caller::{Credential, Handle};
use crate::error::store_error;

impl Handle<Show> for Control {
    async fn handle(&self, _: &Admitted, request: ShowRequest) -> Result<Device, Error> {
        let found = device_logins::find_by_code(self.store(), &request.user_code).await.map_err(store_error)?;
        let login = found.filter(|login| !login.is_over(store::clock::now()));
        login.map(shown).ok_or_else(|| missing::device(&request.user_code))
    }
}

impl Handle<Approve> for Control {
    async fn handle(&self, who: &Admitted, request: ApproveRequest) -> Result<Device, Error> {
        // Whoever has a token for an hour would else have one for three months.
        let Credential::Session { id: session, .. } = &who.credential else {
            return Err(Error::new(ErrorKind::Forbidden, "a token lets no program in")
                .hint("a person does that, signed in to the web interface"));
        };
        // Let through to one's own is a person alone.
        let by = who.principal.person().cloned().ok_or_else(Error::internal)?;
        let now = store::time::micros(store::clock::now());
        let answer = match request.verdict {
            Verdict::Approve => Answer::Approved(Approval { by, session: session.clone(), at: now }),
            Verdict::Refuse => Answer::Refused,
        };
        let tx = self.write().await?;
        let found = device_logins::find_by_code(&tx, &request.user_code).await.map_err(store_error)?;
        let login = found.filter(|login| !login.is_over(now)).ok_or_else(|| missing::device(&request.user_code))?;
        if !device_logins::answer(&tx, &login.user_code, &answer, now).await.map_err(store_error)? {
            return Err(Error::conflict(format!("the program with the code {} has its answer", login.user_code))
                .hint("if it should not have got in, revoke its token: `plimsoll tokens list` shows it"));
        }
        who.noted().target(&login.name);
        let device = shown(DeviceLogin { answer: Some(answer), ..login });
        let recorded = self.conclude::<Approve>(&tx, who, &device).await?;
        commit(tx, recorded).await?;
        Ok(device)
    }
}

fn shown(login: DeviceLogin) -> Device {
    let state = match login.answer {
        None => DeviceState::Waiting,
        Some(Answer::Approved(_)) => DeviceState::Approved,
        Some(Answer::Refused) => DeviceState::Refused,
    };
    Device {
        user_code: login.user_code,
        name: login.name,
        address: login.address,
        state,
        created_at: login.created_at,
        expires_at: login.expires_at,
    }
}
