//! Decisions that are made together: of many that want the same instance, all would collide with the first if each decided alone.
//!
//! Whoever comes while a commit is under way waits, and all who wait are decided next, on one snapshot and in one commit. So the
//! more there are, the more share a commit; one that comes alone waits for nobody.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use state::{Changes, CommitError, Decision, Revision, Snapshot};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::Records;

/// The most decisions in one commit. It bounds how long the first of them waits for the last.
const DECISIONS_MAX: usize = 64;
/// After so long a round takes no further decision: other work waits for the thread.
const DECIDE_WITHIN: Duration = Duration::from_millis(2);
/// With so many records to write, a commit takes no further decision.
const OPS_ENOUGH: usize = 1_000;
/// How often the same decisions are made again before their authors are told that the world moves too fast.
const ATTEMPTS_MAX: usize = 64;
/// The most decisions that wait; who comes then waits to wait.
const WAITING_MAX: usize = 1_024;

/// The queue, and who works on it.
pub(super) struct Decisions {
    queue: mpsc::Sender<Asked>,
    decider: AbortHandle,
}

struct Asked {
    decision: Decision,
    answer: oneshot::Sender<Answer>,
}

/// What becomes of a decision; or the panic that it ended with, which is its author's.
type Answer = Result<Result<(), CommitError>, Box<dyn Any + Send>>;

impl Decisions {
    pub fn start(records: Arc<Records>) -> Decisions {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let decider = tokio::spawn(run(records, waiting)).abort_handle();
        Decisions { queue, decider }
    }

    pub async fn decide(&self, decision: Decision) -> Result<(), CommitError> {
        let (answer, told) = oneshot::channel();
        let gone = |_| CommitError::Unavailable("the control plane is leaving".into());
        self.queue.send(Asked { decision, answer }).await.map_err(|_| gone(()))?;
        match told.await.map_err(|_| gone(()))? {
            Ok(decided) => decided,
            Err(panic) => resume_unwind(panic),
        }
    }
}

impl Drop for Decisions {
    fn drop(&mut self) {
        self.decider.abort();
    }
}

async fn run(records: Arc<Records>, mut waiting: mpsc::Receiver<Asked>) {
    let mut asked = Vec::with_capacity(DECISIONS_MAX);
    // Those for whom the last round had no room are the first of the next.
    while !asked.is_empty() || waiting.recv_many(&mut asked, DECISIONS_MAX).await > 0 {
        while asked.len() < DECISIONS_MAX
            && let Ok(one) = waiting.try_recv()
        {
            asked.push(one);
        }
        round(&records, &mut asked).await;
    }
}

/// Decides those who wait, commits, and answers. Leaves those for whom the round had no room.
async fn round(records: &Records, asked: &mut Vec<Asked>) {
    for attempt in 1.. {
        let (decided, changes) = decide(&records.snapshot(), asked);
        let committed = match changes.is_empty() && changes.relies_on_nothing() {
            true => Ok(()),
            false => records.commit(changes).await.map(drop),
        };
        if attempt < ATTEMPTS_MAX && matches!(committed, Err(CommitError::Conflict)) {
            continue;
        }
        let answers = repeated(committed);
        asked.drain(..decided).zip(answers).for_each(|(one, answer)| drop(one.answer.send(Ok(answer))));
        return;
    }
}

/// One decision after another, each on top of those before it: how many there was room for, and what they change. One that panics
/// changes nothing, and is told so at once.
fn decide(snapshot: &Snapshot, asked: &mut Vec<Asked>) -> (usize, Changes) {
    let began = Instant::now();
    let next = Revision(snapshot.revision.0 + 1);
    let (mut snapshot, mut changes, mut decided) = (Cow::Borrowed(snapshot), Changes::new(), 0);
    while decided < asked.len() && changes.len() < OPS_ENOUGH && (decided == 0 || began.elapsed() < DECIDE_WITHIN) {
        let decision = &mut asked[decided].decision;
        match catch_unwind(AssertUnwindSafe(|| decision(&snapshot))) {
            Ok(more) => {
                decided += 1;
                if !more.is_empty() || !more.relies_on_nothing() {
                    snapshot.to_mut().make(&more, next).expect("what was just written can be read");
                    changes.then(more);
                }
            }
            Err(panic) => drop(asked.remove(decided).answer.send(Err(panic))),
        }
    }
    (decided, changes)
}

/// The same for everybody.
fn repeated(committed: Result<(), CommitError>) -> impl Iterator<Item = Result<(), CommitError>> {
    let cause = match committed {
        Ok(()) => Ok(()),
        Err(CommitError::Conflict) => Err(None),
        Err(CommitError::Unavailable(cause)) => Err(Some(Arc::<dyn Error + Send + Sync>::from(cause))),
    };
    std::iter::repeat_with(move || match &cause {
        Ok(()) => Ok(()),
        Err(None) => Err(CommitError::Conflict),
        Err(Some(cause)) => Err(CommitError::Unavailable(Box::new(cause.clone()))),
    })
}
