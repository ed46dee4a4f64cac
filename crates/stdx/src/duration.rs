//! Spans of time as Go writes them.

use std::time::Duration;

/// Go's durations, such as `30m` and `1h30m`, as far as settings of the ECS agent have them: whole numbers of `ms`, `s`, `m` and `h`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = rest.split_at(digits);
        let number: u32 = number.parse().ok()?;
        let (one, length) = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]
            .into_iter()
            .find(|(name, _)| unit.starts_with(name))
            .map(|(name, millis)| (Duration::from_millis(millis), name.len()))?;
        total = total.checked_add(one.checked_mul(number)?)?;
        rest = &unit[length..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (text, millis) in [
            ("30m", Some(1_800_000)),
            ("1h30m", Some(5_400_000)),
            ("90s", Some(90_000)),
            ("1500ms", Some(1500)),
            ("", None),
            ("30", None),
            ("m", None),
            ("1d", None),
            ("-1h", None),
            ("99999999999h", None),
        ] {
            assert_eq!(parse_duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }
}
