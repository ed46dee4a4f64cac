//! Which images a policy expires: a function of the policy, the images and the time.
//!
//! Source: Amazon ECR User Guide, "Automate the cleanup of images by using lifecycle policies": all rules look at all images;
//! an image that a rule selects is that rule's to judge, and no rule of lower priority expires it; the oldest go first; what an
//! index lists goes after the index; what is about an image goes with the image.

use std::collections::{BTreeMap, BTreeSet};

use blobs::Digest;
use shape::Timestamp;

use super::{Expiring, Keep, Policy, Rule, Selection};

const DAY_MILLIS: i64 = 24 * 3600 * 1000;

/// An image as a policy sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub digest: Digest,
    pub tags: Vec<registry::Tag>,
    pub pushed_at: Timestamp,
    /// Whether an index of the repository lists it.
    pub is_listed: bool,
    /// The image that it is about.
    pub subject: Option<Digest>,
}

/// The images that have to go, the oldest first; an artifact comes before the image it is about.
pub(super) fn evaluate(policy: &Policy, images: &[Candidate], now: Timestamp) -> Vec<Expiring> {
    let here: BTreeSet<Digest> = images.iter().map(|image| image.digest).collect();
    let follows = |image: &Candidate| image.subject.is_some_and(|subject| here.contains(&subject));
    let mut independent: Vec<&Candidate> = images.iter().filter(|image| !image.is_listed && !follows(image)).collect();
    independent.sort_by_key(|image| (image.pushed_at, image.digest));

    let mut judged: BTreeMap<Digest, Option<i32>> = BTreeMap::new();
    for rule in &policy.rules {
        let selected: Vec<&Candidate> =
            independent.iter().copied().filter(|image| rule.selection.selects(image)).collect();
        let expired = rule.expired(&selected, now);
        for (place, image) in selected.iter().enumerate() {
            // Who was judged by an earlier rule stays judged, but was counted here.
            judged.entry(image.digest).or_insert_with(|| (place < expired).then_some(rule.priority));
        }
    }
    let mut artifacts: BTreeMap<Digest, Vec<&Candidate>> = BTreeMap::new();
    for image in images.iter().filter(|image| !image.is_listed) {
        if let Some(subject) = image.subject {
            artifacts.entry(subject).or_default().push(image);
        }
    }
    let mut expiring = Vec::new();
    for image in independent {
        if let Some(priority) = judged.get(&image.digest).copied().flatten() {
            push_with_artifacts(&mut expiring, &artifacts, image, priority);
        }
    }
    expiring
}

/// An artifact may have artifacts about itself. No circle is possible: a digest is of a text that has the subject's digest in it.
fn push_with_artifacts(
    expiring: &mut Vec<Expiring>,
    artifacts: &BTreeMap<Digest, Vec<&Candidate>>,
    image: &Candidate,
    rule_priority: i32,
) {
    let start = expiring.len();
    let mut pending = vec![image];
    while let Some(image) = pending.pop() {
        let Candidate { digest, tags, pushed_at, .. } = image.clone();
        expiring.push(Expiring { digest, tags, pushed_at, rule_priority });
        pending.extend(artifacts.get(&image.digest).into_iter().flatten());
    }
    expiring[start..].reverse();
}

impl Rule {
    /// How many of the images it selects, which come sorted by age, it expires.
    fn expired(&self, selected: &[&Candidate], now: Timestamp) -> usize {
        match self.keep {
            Keep::Newest(count) => selected.len().saturating_sub(count),
            Keep::PushedWithinDays(days) => {
                let age = i64::try_from(days).ok().and_then(|days| days.checked_mul(DAY_MILLIS)).unwrap_or(i64::MAX);
                let limit = now.as_millis().saturating_sub(age);
                selected.partition_point(|image| image.pushed_at.as_millis() < limit)
            }
        }
    }
}

impl Selection {
    fn selects(&self, image: &Candidate) -> bool {
        let some_tag = |is_it: &dyn Fn(&str) -> bool| image.tags.iter().any(|tag| is_it(tag.as_str()));
        match self {
            Selection::Any => true,
            Selection::Untagged => image.tags.is_empty(),
            Selection::Prefixes(prefixes) => {
                prefixes.iter().all(|prefix| some_tag(&|tag| tag.starts_with(prefix.as_str())))
            }
            Selection::Patterns(patterns) => {
                patterns.iter().all(|pattern| some_tag(&|tag| registry::fits(pattern, tag)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days since the beginning of time.
    const NOW: i64 = 1000;

    /// `a 3 prod-1,latest`: the image `a` was pushed three days ago with these tags. `listed` and `about=b` may follow.
    fn image(line: &str) -> Candidate {
        let mut words = line.split_whitespace();
        let digest = Digest::of(words.next().unwrap().as_bytes());
        let age: i64 = words.next().unwrap().parse().unwrap();
        let mut image = Candidate {
            digest,
            tags: Vec::new(),
            pushed_at: Timestamp::from_millis((NOW - age) * DAY_MILLIS),
            is_listed: false,
            subject: None,
        };
        for word in words {
            match word.split_once('=') {
                Some((_, subject)) => image.subject = Some(Digest::of(subject.as_bytes())),
                None if word == "listed" => image.is_listed = true,
                None => image.tags = word.split(',').map(|tag| tag.parse().unwrap()).collect(),
            }
        }
        image
    }

    /// `1 prod*: newest 2`, `2 untagged: days 7`, `3 any: newest 1`; `^prod` for a prefix, `a+b` for several.
    fn rule(line: &str) -> Rule {
        let (head, keep) = line.split_once(": ").unwrap();
        let (priority, selection) = head.split_once(' ').unwrap();
        let texts = |text: &str| text.split('+').map(str::to_owned).collect();
        let selection = match selection {
            "any" => Selection::Any,
            "untagged" => Selection::Untagged,
            text => match text.strip_prefix('^') {
                Some(prefixes) => Selection::Prefixes(texts(prefixes)),
                None => Selection::Patterns(texts(text)),
            },
        };
        let keep = match keep.split_once(' ').unwrap() {
            ("newest", count) => Keep::Newest(count.parse().unwrap()),
            (_, days) => Keep::PushedWithinDays(days.parse().unwrap()),
        };
        Rule { priority: priority.parse().unwrap(), selection, keep }
    }

    /// Expected: the names of the images that go, each with the rule, in their order.
    #[track_caller]
    fn check(rules: &[&str], images: &[&str], expected: &str) {
        let policy = Policy { rules: rules.iter().map(|line| rule(line)).collect() };
        let candidates: Vec<Candidate> = images.iter().map(|line| image(line)).collect();
        let name = |digest: Digest| {
            let names = images.iter().map(|line| line.split_whitespace().next().unwrap());
            names.into_iter().find(|name| Digest::of(name.as_bytes()) == digest).unwrap()
        };
        let mut orders = vec![candidates.clone(), candidates.iter().rev().cloned().collect()];
        orders.push([&candidates[candidates.len() / 2..], &candidates[..candidates.len() / 2]].concat());
        for candidates in orders {
            let gone = evaluate(&policy, &candidates, Timestamp::from_millis(NOW * DAY_MILLIS));
            let gone: Vec<String> = gone.iter().map(|it| format!("{}:{}", name(it.digest), it.rule_priority)).collect();
            assert_eq!(gone.join(" "), expected);
        }
    }

    #[test]
    fn the_newest_stay() {
        check(&["1 any: newest 2"], &["a 1 x", "b 2", "c 3 y", "d 4"], "d:1 c:1");
        check(&["1 any: newest 4"], &["a 1 x", "b 2", "c 3 y", "d 4"], "");
        check(&["1 any: newest 1"], &["a 1"], "");
    }

    #[test]
    fn what_is_older_than_so_many_days_goes() {
        check(&["5 any: days 3"], &["a 1", "b 3", "c 4", "d 400 x"], "d:5 c:5");
        check(&["5 any: days 18446744073709551615"], &["a 1", "d 999"], "");
    }

    #[test]
    fn tags_select() {
        let images = ["a 1 prod-1", "b 2 prod-2,web", "c 3 dev", "d 4", "e 5 production"];
        check(&["1 untagged: days 1"], &images, "d:1");
        check(&["1 ^prod: newest 1"], &images, "e:1 b:1");
        check(&["1 ^prod-: newest 1"], &images, "b:1");
        check(&["1 *: days 2"], &images, "e:1 c:1");
        check(&["1 prod-*: days 1"], &images, "b:1");
        check(&["1 prod: days 1"], &images, "");
        // All that a rule lists must fit, and different tags may do it.
        check(&["1 ^prod+web: days 1"], &images, "b:1");
        check(&["1 *-2+w*b: days 1"], &images, "b:1");
        check(&["1 ^prod+dev: days 1"], &images, "");
    }

    #[test]
    fn an_image_is_judged_by_the_first_rule_that_selects_it() {
        // Source: Amazon ECR User Guide, "Examples of lifecycle policies", filtering on multiple rules.
        let images = ["A 5 beta-1,prod-1", "B 4 beta-2,prod-2", "C 3 beta-3"];
        check(&["1 ^prod: newest 1", "2 ^beta: newest 1"], &images, "A:1");
        let images = ["A 5 beta-1,prod-1", "B 4 beta-2", "C 3 beta-3"];
        check(&["1 ^beta: newest 1", "2 ^prod: days 1"], &images, "A:1 B:1");
        // The same page, filtering on all images: the last rule counts what the others have judged.
        let images = ["A 8 alpha-1", "B 7 beta-1", "C 6 alpha-2", "D 5 git-1", "E 4 beta-2", "F 3 delta-1"];
        check(&["1 ^alpha: newest 5", "2 ^beta: newest 5", "3 any: newest 3"], &images, "");
        let images = ["A 8 x", "B 7 beta-1", "C 6 alpha-2", "D 5 git-1", "E 4 beta-2", "F 3 delta-1"];
        check(&["1 ^alpha: newest 5", "2 ^beta: newest 5", "3 any: newest 3"], &images, "A:3");
    }

    #[test]
    fn what_an_index_lists_stays_as_long_as_the_index() {
        check(&["1 untagged: days 1"], &["index 9 x", "amd64 9 listed", "arm64 9 listed", "old 9"], "old:1");
        // It does not count either.
        check(&["1 any: newest 1"], &["index 9 x", "amd64 9 listed", "arm64 9 listed"], "");
        check(&["1 any: newest 1"], &["index 9 x", "amd64 9 listed", "new 1 x"], "index:1");
    }

    #[test]
    fn what_is_about_an_image_goes_with_it() {
        let images = ["web 9 x", "signature 2 about=web", "sbom 8 about=signature", "other 3", "note 9 about=other"];
        check(&["7 any: days 5"], &images, "sbom:7 signature:7 web:7");
        check(&["7 untagged: days 1"], &images, "note:7 other:7");
        // Without its image it is an image like any other.
        check(&["7 untagged: days 1"], &["note 9 about=gone", "new 1"], "note:7");
    }

    #[test]
    fn images_of_the_same_moment_are_told_apart_in_the_same_way_each_time() {
        let mut names = ["a 1", "b 1", "c 1"];
        names.sort_by_key(|line| image(line).digest);
        let first = names[0].split(' ').next().unwrap();
        check(&["1 any: newest 2"], &names, &format!("{first}:1"));
    }
}
