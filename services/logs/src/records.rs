//! Records in the control plane's store: filters and definitions.

use api_logs::{Error, ErrorCode};
use state::{Changes, CommitError, Ledger, Refused, Snapshot, transact};

use crate::refusals::broken;

/// Decides on the newest snapshot and commits, again if something came in between.
pub(crate) async fn change<T>(
    ledger: &dyn Ledger,
    mut decide: impl FnMut(&Snapshot) -> Result<(Changes, T), Error>,
) -> Result<T, Error> {
    let done = transact(ledger, |snapshot| decide(snapshot).map_err(Refused::By)).await;
    done.map_err(|refused| match refused {
        Refused::By(error) => error,
        Refused::Commit(error @ CommitError::Conflict) => {
            let message = "Multiple concurrent requests to update the same resource were in conflict.";
            Error::new(ErrorCode::OperationAbortedException, message).with_source(error)
        }
        Refused::Commit(error) => broken(error),
    })
}

/// A page of a list that is sorted by a name which is unique in it: what comes after the token, and the next token.
pub(crate) fn page<T>(
    all: impl Iterator<Item = T>,
    name: impl Fn(&T) -> &str,
    after: Option<&str>,
    size: usize,
) -> (Vec<T>, Option<String>) {
    let mut rest = all.filter(|one| after.is_none_or(|after| name(one) > after));
    let page: Vec<T> = rest.by_ref().take(size).collect();
    let more = rest.next().is_some();
    let next = page.last().filter(|_| more).map(|last| name(last).to_owned());
    (page, next)
}
