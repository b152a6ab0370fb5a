//! Work that blocks, from async code.

/// Runs it on a thread for blocking work. It runs to its end even if the future is dropped.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The async runtime is going away; so is whoever waits here.
            Err(_) => std::future::pending().await,
        },
    }
}
