//! Keeps a process that has little to do small.

use std::time::Duration;

/// What a minute of work has touched is a few megabytes; what it costs to touch it again, less than a millisecond.
const EVERY: Duration = Duration::from_secs(60);

/// Gives back now, and every minute, what is in memory and does not run: the start of a program touches most of it.
pub async fn program() {
    loop {
        blocking(release_program).await;
        tokio::time::sleep(EVERY).await;
    }
}

/// The same, with what the heap holds and nobody uses. For a heap of megabytes: a large one is held up by it.
pub async fn program_and_heap() {
    loop {
        blocking(|| {
            release_program();
            runtime::release_heap();
        })
        .await;
        tokio::time::sleep(EVERY).await;
    }
}

fn release_program() {
    if let Err(error) = runtime::release_program() {
        tracing::debug!(%error, "the program's pages stay in memory");
    }
}

async fn blocking(work: impl FnOnce() + Send + 'static) {
    // It cannot fail: the work does not panic, and nobody ends it.
    let _ = tokio::task::spawn_blocking(work).await;
}
