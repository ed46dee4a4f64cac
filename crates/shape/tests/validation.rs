//! The words in which AWS refuses an input.

use expect_test::{Expect, expect};
use shape::{Document, INTEGER, Kind, Member, STRING, Schema, validate, violations_message};

static NAME: Schema = Schema::new("Name", Kind::String).min(1).max(8).pattern("[a-z]+");
static LAUNCH: Schema = Schema::enumeration("LaunchType", &["EC2", "FARGATE"]);
static PORT: Schema = Schema::new("Port", Kind::Integer).min(0).max(65535);
static NAMES: Schema = Schema::list("Names", &NAME).max(2);
static TAGS: Schema = Schema::map("Tags", &NAME, &STRING);
static SECRET: Schema = Schema::new("Secret", Kind::String).max(3).sensitive();
static CHILDREN: Schema = Schema::list("Children", &NODE);
static NODE: Schema = Schema::structure(
    "Node",
    &[
        Member::new("name", &NAME).required(),
        Member::new("launchType", &LAUNCH),
        Member::new("port", &PORT),
        Member::new("names", &NAMES),
        Member::new("tags", &TAGS),
        Member::new("secret", &SECRET),
        Member::new("count", &INTEGER),
        Member::new("children", &CHILDREN),
    ],
);

fn check(members: Vec<(&'static str, Document)>, expected: Expect) {
    let violations = validate(&NODE, &Document::Structure(members));
    let text = if violations.is_empty() { String::new() } else { violations_message(&violations) };
    expected.assert_eq(&text);
}

#[test]
fn a_good_input_passes() {
    check(
        vec![
            ("name", "web".into()),
            ("launchType", "EC2".into()),
            ("port", Document::Integer(65535)),
            ("names", Document::List(vec!["a".into(), Document::Null])),
        ],
        expect![""],
    );
}

#[test]
fn a_missing_member() {
    check(
        vec![("name", Document::Null)],
        expect![
            "1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null"
        ],
    );
}

#[test]
fn several_at_once() {
    check(
        vec![("name", "Much_too_long".into()), ("launchType", "MARS".into())],
        expect![
            "3 validation errors detected: Value 'Much_too_long' at 'name' failed to satisfy constraint: Member must have length less than or equal to 8; Value 'Much_too_long' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-z]+; Value 'MARS' at 'launchType' failed to satisfy constraint: Member must satisfy enum value set: [EC2, FARGATE]"
        ],
    );
}

#[test]
fn numbers() {
    check(
        vec![("name", "a".into()), ("port", Document::Integer(-1))],
        expect![
            "1 validation error detected: Value '-1' at 'port' failed to satisfy constraint: Member must have value greater than or equal to 0"
        ],
    );
}

#[test]
fn lists_and_maps_of_plain_values_are_reported_as_a_whole() {
    check(
        vec![
            ("name", "a".into()),
            ("names", Document::List(vec!["a".into(), "B".into()])),
            ("tags", Document::Map(vec![(String::new(), "x".into())])),
        ],
        expect![
            "2 validation errors detected: Value '[a, B]' at 'names' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 8, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [a-z]+]; Value '{=x}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 8, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [a-z]+]"
        ],
    );
}

#[test]
fn paths_lead_through_lists_of_structures() {
    let child = Document::Structure(vec![("name", "ok".into()), ("secret", "abcd".into())]);
    check(
        vec![("name", "a".into()), ("children", Document::List(vec![child]))],
        expect![
            "1 validation error detected: Value '***' at 'children.1.member.secret' failed to satisfy constraint: Member must have length less than or equal to 3"
        ],
    );
}

#[test]
fn the_list_of_violations_has_an_end() {
    let children = (0..50).map(|_| Document::Structure(Vec::new())).collect();
    let document = Document::Structure(vec![("name", "a".into()), ("children", Document::List(children))]);
    assert_eq!(validate(&NODE, &document).len(), 10);
}
