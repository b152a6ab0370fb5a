//! Wishes of operators for what runs here that came to another server.

use std::time::Duration;

use saga::CancelRefused;
use store::StoreError;

use crate::control::Inner;

/// How long a server waits for another one's word.
pub(crate) const ANSWER: Duration = Duration::from_secs(5);

/// How long one run may keep the others from being looked after; it is asked again.
const ASK: Duration = Duration::from_millis(300);

/// Asks the runs here that somebody wants cancelled, and writes down what they say.
pub(super) async fn carry_out(inner: &Inner) -> Result<(), StoreError> {
    let store = &inner.world.store;
    for saga in store::sagas::cancels_of(store, &inner.member.id).await? {
        let (Ok(deployment), Some(by)) = (saga.id.parse(), saga.cancel_by) else { continue };
        let answered = tokio::time::timeout(ASK, inner.runner.cancel(&deployment, &by)).await;
        let refused = match answered {
            Ok(Some(Ok(()))) => None,
            Ok(Some(Err(refused))) => Some(refused),
            // It does not run: it has just ended, or is about to.
            Ok(None) => Some(CancelRefused::Ended),
            // Asked again with the next look.
            Err(_) => continue,
        };
        if refused == Some(CancelRefused::Stopped) {
            // Whoever goes on with it finds the wish.
            continue;
        }
        let word = refused.map(word);
        let tx = store.write().await?;
        store::sagas::answer_cancel(&tx, &saga.id, word).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// A refusal as it stands in the database.
pub(crate) fn word(refused: CancelRefused) -> &'static str {
    match refused {
        CancelRefused::PastPivot => "past_pivot",
        CancelRefused::AlreadyUndoing => "already_undoing",
        CancelRefused::Ended => "ended",
        CancelRefused::Stopped => "stopped",
    }
}

/// The other way.
pub(crate) fn refusal(word: &str) -> CancelRefused {
    let all = [CancelRefused::PastPivot, CancelRefused::AlreadyUndoing, CancelRefused::Ended];
    all.into_iter().find(|refused| self::word(*refused) == word).unwrap_or(CancelRefused::Stopped)
}
