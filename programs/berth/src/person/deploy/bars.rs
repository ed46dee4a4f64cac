//! Tasks as signs in a row.

use super::view::Stage;
use crate::person::paint::{Colour, Paint};

/// The longest row of signs. With more tasks each sign stands for several.
pub const SIGNS_MAX: u32 = 48;

pub const STAGES: [(Stage, char, Option<Colour>, &str); 5] = [
    (Stage::Working, '●', Some(Colour::Green), "working"),
    (Stage::Unproven, '◐', Some(Colour::Cyan), "not yet healthy"),
    (Stage::Starting, '○', Some(Colour::Yellow), "starting"),
    (Stage::Sick, '✕', Some(Colour::Red), "unhealthy"),
    (Stage::Stopping, '◌', Some(Colour::Dim), "stopping"),
];

/// How many tasks are in each stage, in the order of [`STAGES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u32; 5]);

impl Counts {
    pub fn of(stages: impl Iterator<Item = Stage>) -> Counts {
        let mut counts = [0; 5];
        stages.for_each(|stage| counts[stage as usize] += 1);
        Counts(counts)
    }

    pub fn get(&self, stage: Stage) -> u32 {
        self.0[stage as usize]
    }

    pub fn total(&self) -> u32 {
        self.0.iter().sum()
    }

    /// `4 working, 2 starting`
    pub fn words(&self) -> String {
        let some = STAGES.iter().zip(self.0).filter(|(_, count)| *count > 0);
        let words: Vec<String> = some.map(|((_, _, _, word), count)| format!("{count} {word}")).collect();
        if words.is_empty() { "none".to_owned() } else { words.join(", ") }
    }
}

/// How many tasks a sign stands for, when so many have to fit.
pub fn tasks_per_sign(tasks_max: u32) -> u32 {
    tasks_max.div_ceil(SIGNS_MAX).max(1)
}

/// A row of `width` cells: the tasks by their stages, and a mark behind so many.
///
/// A stage with any task at all has a sign.
pub fn row(counts: &Counts, per_sign: u32, mark: Option<u32>, width: usize, paint: Paint) -> String {
    let mut cells: Vec<(char, Option<Colour>)> = Vec::new();
    for ((_, sign, colour, _), count) in STAGES.iter().zip(counts.0) {
        cells.extend(std::iter::repeat_n((*sign, *colour), count.div_ceil(per_sign) as usize));
    }
    if let Some(mark) = mark {
        let at = mark.div_ceil(per_sign) as usize;
        while cells.len() < at {
            cells.push(('·', Some(Colour::Dim)));
        }
        cells.insert(at, ('│', Some(Colour::Bold)));
    }
    let padding = " ".repeat(width.saturating_sub(cells.len()));
    let mut text = String::new();
    for run in cells.chunk_by(|one, other| one.1 == other.1) {
        let signs: String = run.iter().map(|(sign, _)| *sign).collect();
        text.push_str(&paint.text(&signs, run[0].1));
    }
    text + &padding
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(working: u32, starting: u32, stopping: u32) -> Counts {
        Counts([working, 0, starting, 0, stopping])
    }

    #[test]
    fn signs_stand_for_tasks() {
        let check = |counts: Counts, per_sign, mark, expected: &str| {
            assert_eq!(row(&counts, per_sign, mark, 10, Paint::Plain), expected);
        };
        check(counts(3, 1, 2), 1, None, "●●●○◌◌    ");
        check(counts(3, 1, 2), 1, Some(4), "●●●○│◌◌   ");
        check(counts(1, 0, 0), 1, Some(4), "●···│     ");
        check(counts(0, 0, 0), 1, Some(0), "│         ");
        check(counts(100, 1, 0), 50, Some(150), "●●○│      ");
        assert_eq!([0, 1, 48, 49, 1000].map(tasks_per_sign), [1, 1, 1, 2, 21]);
        assert_eq!(counts(3, 0, 2).words(), "3 working, 2 stopping");
    }
}
