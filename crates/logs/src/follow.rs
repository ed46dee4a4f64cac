//! The loop: look, gather, deliver, save the position.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use runtime::{LogLine, LogPosition};
use tokio::sync::{Notify, Semaphore, watch};

use crate::bell::{Bell, Ear};
use crate::limits::{DELIVERY_INTERVAL, LOOK_ANYWAY, LOOK_MAX, LOOK_MIN, RETRY_MAX, RETRY_MIN, WARN_EVERY};
use crate::position::SavedPosition;
use crate::tail::Tail;
use crate::underway::{Mark, SavedUnderway, Underway};

/// One container's log on its way. Dropping this changes nothing: the log is followed until the container has ended and
/// all is delivered, or until its directory is gone.
pub struct Following {
    stop: Arc<Notify>,
    running: watch::Receiver<()>,
}

impl Following {
    /// Returns once all is delivered, or following was stopped, or the directory is gone. As long as a sink does not
    /// answer this waits: whoever has less patience calls [`Following::stop`] then.
    pub async fn drained(&self) {
        let mut running = self.running.clone();
        // Nothing is ever sent; the sender goes away with the loop.
        while running.changed().await.is_ok() {}
    }

    /// Gives up, even in the middle of a delivery. The position stays where the last acknowledged batch left it.
    pub fn stop(&self) {
        self.stop.notify_one();
    }

    pub(crate) fn nothing() -> Following {
        let (_, running) = watch::channel(());
        Following { stop: Arc::default(), running }
    }
}

/// What becomes of lines: gathered first, then delivered.
#[async_trait]
pub(crate) trait Carrier: Send {
    /// Takes the next line, which begins at `start`. Never called when it is full.
    fn take(&mut self, line: LogLine, start: LogPosition, now: Instant);
    /// There is nothing more to take for now.
    fn rest(&mut self, now: Instant);
    /// There is nothing more to take, ever. May be called again.
    fn finish(&mut self);
    /// No more lines before a delivery.
    fn is_full(&self) -> bool;
    /// There is something to deliver.
    fn has_cargo(&self) -> bool;
    /// When there will be something to deliver even if no line comes.
    fn due(&self) -> Option<Instant>;
    /// Where to resume, had all cargo been delivered; `read` is behind the last line.
    fn resume_at(&self, read: LogPosition) -> LogPosition;
    /// Delivers the cargo. `ended`: there will be no more lines. Dropping the call loses nothing that was not delivered.
    async fn deliver(&mut self, ended: bool) -> Delivery;
    /// Loses everything it took and did not deliver.
    fn forget(&mut self);
    /// What the cargo is known by where it goes. None when nobody there can be asked.
    fn mark(&mut self) -> Option<Mark> {
        None
    }
    /// Whether cargo of this mark has arrived. An error is for later, too.
    async fn has_arrived(&mut self, _mark: &Mark) -> Result<bool, String> {
        Ok(false)
    }
}

pub(crate) enum Delivery {
    /// The cargo is delivered, or will never be.
    Done,
    /// It may be delivered later. `unsure`: nobody answered, and it may have arrived all the same.
    Later { reason: String, unsure: bool },
}

/// Follows in a task of its own, of the current tokio runtime.
pub(crate) fn follow(dir: PathBuf, carrier: Box<dyn Carrier>, deliveries: Arc<Semaphore>, bell: &Bell) -> Following {
    let stop = Arc::new(Notify::new());
    let (alive, running) = watch::channel(());
    let stopped = stop.clone();
    let ear = bell.listen(vec![dir.clone(), dir.join(shim_api::LOG_NAME)]);
    tokio::spawn(async move {
        let _alive = alive;
        tokio::select! {
            () = stopped.notified() => {}
            () = Follower::new(dir, carrier, deliveries, ear).run() => {}
        }
    });
    Following { stop, running }
}

struct Follower {
    dir: PathBuf,
    tail: Tail,
    saved: SavedPosition,
    saved_underway: SavedUnderway,
    /// A batch of which nobody knows whether it arrived.
    unsure: Option<Underway>,
    carrier: Box<dyn Carrier>,
    deliveries: Arc<Semaphore>,
    ear: Ear,
    /// Since when deliveries fail.
    trouble: Option<Instant>,
    told_trouble: Seldom,
    told_lost: Seldom,
    told_unsaved: Seldom,
}

enum Step {
    Nothing,
    Delivered,
    /// Delivered, and there was more than fits.
    DeliveredFull,
    Later(String),
}

impl Follower {
    fn new(dir: PathBuf, carrier: Box<dyn Carrier>, deliveries: Arc<Semaphore>, ear: Ear) -> Follower {
        let saved = SavedPosition::load(&dir);
        let tail = Tail::open(&dir, saved.at());
        let saved_underway = SavedUnderway::new(&dir);
        // An earlier process may have died between a delivery and the position behind it.
        let unsure = saved_underway.load(saved.at());
        Follower {
            dir,
            tail,
            saved,
            saved_underway,
            unsure,
            carrier,
            deliveries,
            ear,
            trouble: None,
            told_trouble: Seldom::default(),
            told_lost: Seldom::default(),
            told_unsaved: Seldom::default(),
        }
    }

    async fn run(mut self) {
        let mut look = Pause::new(LOOK_MIN, LOOK_MAX);
        let mut retry = Pause::new(RETRY_MIN, RETRY_MAX);
        loop {
            // In this order: what changes after a look is heard, and the record of the end appears after the last line.
            let listens = self.ear.listens();
            let ended = self.tail.has_ended();
            match self.step(ended).await {
                Step::Nothing if ended || self.tail.is_gone() => return,
                Step::Nothing => self.wait(if listens { LOOK_ANYWAY } else { look.next() }).await,
                Step::Later(_) if self.tail.is_gone() => {
                    tracing::warn!(dir = %self.dir.display(), "a container was removed before its log was delivered");
                    return;
                }
                Step::Later(reason) => {
                    // The ring is the buffer; while we wait we hold nothing.
                    self.carrier.forget();
                    self.tail.rewind(self.saved.at());
                    self.begin_trouble(&reason);
                    tokio::time::sleep(retry.next()).await;
                }
                Step::DeliveredFull => retry.reset(),
                Step::Delivered => {
                    look.reset();
                    retry.reset();
                    if !ended {
                        tokio::time::sleep(DELIVERY_INTERVAL).await;
                    }
                }
            }
        }
    }

    /// Waits for a change, or until something is due.
    async fn wait(&mut self, at_most: Duration) {
        let until_due = self.carrier.due().map(|due| due.saturating_duration_since(Instant::now()));
        let at_most = until_due.map_or(at_most, |until_due| until_due.min(at_most));
        let _ = tokio::time::timeout(at_most, self.ear.heard()).await;
    }

    async fn step(&mut self, ended: bool) -> Step {
        let is_due = self.carrier.due().is_some_and(|due| due <= Instant::now());
        if !ended && !is_due && self.unsure.is_none() && !self.tail.has_news() {
            return Step::Nothing;
        }
        // Nothing is gathered before it may travel. The semaphore is never closed.
        let _permit = self.deliveries.clone().acquire_owned().await;
        if let Err(reason) = self.settle().await {
            return Step::Later(reason);
        }
        if let Err(error) = self.gather(ended) {
            return Step::Later(format!("failed to read the log: {error}"));
        }
        if !self.carrier.has_cargo() {
            return Step::Nothing;
        }
        let full = self.carrier.is_full();
        // Before the delivery, after which the carrier takes up what did not fit.
        let until = self.carrier.resume_at(self.tail.at());
        let underway = self.carrier.mark().map(|mark| Underway { from: self.saved.at(), until, mark });
        if let Some(underway) = &underway {
            self.set_out(underway);
        }
        failpoint::place("driver.deliver");
        match self.carrier.deliver(ended).await {
            Delivery::Later { reason, unsure } => {
                self.unsure = underway.filter(|_| unsure);
                Step::Later(reason)
            }
            Delivery::Done => {
                failpoint::place("driver.delivered");
                self.save(until);
                self.end_trouble();
                if full { Step::DeliveredFull } else { Step::Delivered }
            }
        }
    }

    fn gather(&mut self, ended: bool) -> std::io::Result<()> {
        let now = Instant::now();
        while !self.carrier.is_full() {
            let Some((line, start)) = self.tail.next()? else {
                match ended {
                    true => self.carrier.finish(),
                    false => self.carrier.rest(now),
                }
                break;
            };
            self.carrier.take(line, start, now);
        }
        if self.tail.has_lost() && self.told_lost.may() {
            self.tell_lost();
        }
        Ok(())
    }

    /// Finds out about a batch that may have arrived; then what comes after it, or that batch once more, is read next.
    async fn settle(&mut self) -> Result<(), String> {
        let Some(underway) = self.unsure else { return Ok(()) };
        if self.carrier.has_arrived(&underway.mark).await? {
            self.carrier.forget();
            self.tail.rewind(underway.until);
            self.save(underway.until);
        }
        self.unsure = None;
        Ok(())
    }

    fn set_out(&mut self, underway: &Underway) {
        if let Err(error) = self.saved_underway.save(underway)
            && self.told_unsaved.may()
        {
            let dir = self.dir.display();
            tracing::warn!(%dir, %error, "failed to write down a batch: another process might deliver it again");
        }
    }

    fn save(&mut self, at: LogPosition) {
        if let Err(error) = self.saved.save(at)
            && self.told_unsaved.may()
        {
            let dir = self.dir.display();
            tracing::warn!(%dir, %error, "failed to save a log position: another process would deliver lines again");
        }
    }

    fn begin_trouble(&mut self, reason: &str) {
        self.trouble.get_or_insert_with(Instant::now);
        if self.told_trouble.may() {
            tracing::warn!(dir = %self.dir.display(), reason, "log lines cannot be delivered; trying again");
        }
    }

    fn end_trouble(&mut self) {
        if let Some(since) = self.trouble.take() {
            let seconds = since.elapsed().as_secs_f32();
            tracing::info!(dir = %self.dir.display(), seconds, "log lines are delivered again");
        }
    }

    fn tell_lost(&mut self) {
        let (dir, segments) = (self.dir.display(), self.tail.take_lost().segments);
        // Of an older shim nobody knows how many lines were in the segments.
        let (lines, bytes) = self.tail.dropped().unzip();
        tracing::warn!(
            %dir, segments, lines, bytes,
            "lost log lines: the container wrote faster than they could be delivered"
        );
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if self.tail.has_lost() {
            self.tell_lost();
        }
    }
}

/// Lets one kind of trouble be told at once, and then seldom.
#[derive(Default)]
pub(crate) struct Seldom {
    told: Option<Instant>,
}

impl Seldom {
    pub fn may(&mut self) -> bool {
        let may = self.told.is_none_or(|told| told.elapsed() >= WARN_EVERY);
        if may {
            self.told = Some(Instant::now());
        }
        may
    }
}

/// A pause that doubles.
struct Pause {
    next: Duration,
    min: Duration,
    max: Duration,
}

impl Pause {
    fn new(min: Duration, max: Duration) -> Pause {
        Pause { next: min, min, max }
    }

    fn next(&mut self) -> Duration {
        let next = (self.next * 2).min(self.max);
        std::mem::replace(&mut self.next, next)
    }

    fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// Carries each line into a channel.
    struct Porter {
        lines: Vec<LogLine>,
        out: mpsc::UnboundedSender<Vec<u8>>,
    }

    #[async_trait]
    impl Carrier for Porter {
        fn take(&mut self, line: LogLine, _: LogPosition, _: Instant) {
            self.lines.push(line);
        }

        fn rest(&mut self, _: Instant) {}

        fn finish(&mut self) {}

        fn is_full(&self) -> bool {
            self.lines.len() == 2
        }

        fn has_cargo(&self) -> bool {
            !self.lines.is_empty()
        }

        fn due(&self) -> Option<Instant> {
            None
        }

        fn resume_at(&self, read: LogPosition) -> LogPosition {
            read
        }

        async fn deliver(&mut self, _: bool) -> Delivery {
            self.lines.drain(..).for_each(|line| self.out.send(line.text).unwrap());
            Delivery::Done
        }

        fn forget(&mut self) {
            self.lines.clear();
        }
    }

    fn say(dir: &std::path::Path, text: &str) {
        let log = dir.join(shim_api::LOG_NAME);
        std::fs::create_dir_all(&log).unwrap();
        let path = log.join(shim_api::log::segment_name(0));
        let mut file = std::fs::File::options().append(true).create(true).open(path).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    }

    async fn check(bell: Bell) {
        let dir = tempfile::tempdir().unwrap();
        let (out, mut lines) = mpsc::unbounded_channel();
        let porter = Box::new(Porter { lines: Vec::new(), out });
        let following = follow(dir.path().to_owned(), porter, Arc::new(Semaphore::new(1)), &bell);
        let mut next = async || tokio::time::timeout(Duration::from_secs(30), lines.recv()).await.expect("a line");
        for number in 0..20 {
            say(dir.path(), &format!("1 o F {number}\n1 o F \n1 o F x\n"));
            for expected in [number.to_string().as_str(), "", "x"] {
                assert_eq!(next().await.as_deref(), Some(expected.as_bytes()));
            }
        }
        std::fs::write(dir.path().join(shim_api::EXIT_NAME), "{}").unwrap();
        assert_eq!(next().await, None, "it ends with the container");
        following.drained().await;
    }

    #[tokio::test]
    async fn who_hears_follows() {
        check(Bell::new()).await;
    }

    #[tokio::test]
    async fn who_is_deaf_looks() {
        check(Bell::deaf()).await;
    }

    #[test]
    fn pauses_double() {
        let mut pause = Pause::new(Duration::from_millis(3), Duration::from_millis(10));
        assert_eq!(
            [pause.next(), pause.next(), pause.next(), pause.next()].map(|pause| pause.as_millis()),
            [3, 6, 10, 10]
        );
        pause.reset();
        assert_eq!(pause.next().as_millis(), 3);
    }
}
