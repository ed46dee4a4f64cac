//! What a person sees of images on their way.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use images::Progress;

/// A pull that takes less is not worth a line; one that takes more has a line this often.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// All pulls of a node, by the image's name.
#[derive(Default)]
pub struct Pulls {
    under_way: Mutex<BTreeMap<String, Pull>>,
}

struct Pull {
    began: Instant,
    last_line: Option<Instant>,
}

impl Pulls {
    /// Takes note, and prints a line when one is due.
    pub fn note(&self, image: &str, progress: Progress) {
        if let Some(line) = self.line(image, progress, Instant::now()) {
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }

    fn line(&self, image: &str, progress: Progress, now: Instant) -> Option<String> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if progress.layers_done >= progress.layers {
            let pull = under_way.remove(image)?;
            let seconds = (now - pull.began).as_secs_f64();
            // Its beginning was told, so its end is told too.
            return pull.last_line.map(|_| format!("Pulled {image} in {seconds:.1} s"));
        }
        let pull = under_way.entry(image.to_owned()).or_insert(Pull { began: now, last_line: None });
        if now - pull.last_line.unwrap_or(pull.began) < LINE_EVERY {
            return None;
        }
        pull.last_line = Some(now);
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let Progress { layers, layers_done, bytes, bytes_done } = progress;
        let (done, all) = (megabytes(bytes_done), megabytes(bytes));
        Some(format!("Pulling {image}: {done:.1} of {all:.1} MB, {layers_done} of {layers} layers ready"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_pull_has_a_line_each_second_and_a_last_one() {
        let (pulls, began) = (Pulls::default(), Instant::now());
        let progress = |layers_done, bytes_done| Progress { layers: 2, layers_done, bytes: 10_000_000, bytes_done };
        let at = |millis, progress| pulls.line("web:1", progress, began + Duration::from_millis(millis));
        assert_eq!(at(0, progress(0, 0)), None);
        assert_eq!(at(1100, progress(0, 2_500_000)).unwrap(), "Pulling web:1: 2.5 of 10.0 MB, 0 of 2 layers ready");
        assert_eq!(at(1200, progress(1, 5_000_000)), None);
        assert_eq!(at(2200, progress(1, 9_000_000)).unwrap(), "Pulling web:1: 9.0 of 10.0 MB, 1 of 2 layers ready");
        assert_eq!(at(2500, progress(2, 10_000_000)).unwrap(), "Pulled web:1 in 2.5 s");
    }

    #[test]
    fn a_short_one_has_none() {
        let (pulls, now) = (Pulls::default(), Instant::now());
        let progress = |layers_done| Progress { layers: 1, layers_done, bytes: 1, bytes_done: 0 };
        assert_eq!(pulls.line("web:1", progress(0), now), None);
        assert_eq!(pulls.line("web:1", progress(1), now), None);
    }
}
