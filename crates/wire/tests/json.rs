//! JSON and documents: what is read, what is refused and in which words, and that nothing is lost on the way.

use expect_test::{Expect, expect};
use proptest::prelude::*;
use shape::{BLOB, BOOLEAN, DOCUMENT, DOUBLE, Document, INTEGER, LONG, Member, STRING, Schema, TIMESTAMP, Timestamp};
use wire::json::{NotJson, decode, encode};

static NAMES: Schema = Schema::list("Names", &STRING);
static ATTRIBUTES: Schema = Schema::map("Attributes", &STRING, &NODE);
static NODES: Schema = Schema::list("Nodes", &NODE);
static NODE: Schema = Schema::structure(
    "Node",
    &[
        Member::new("text", &STRING),
        Member::new("flag", &BOOLEAN),
        Member::new("number", &INTEGER),
        Member::new("big", &LONG),
        Member::new("ratio", &DOUBLE),
        Member::new("at", &TIMESTAMP),
        Member::new("bytes", &BLOB),
        Member::new("free", &DOCUMENT),
        Member::new("names", &NAMES),
        Member::new("attributes", &ATTRIBUTES),
        Member::new("nodes", &NODES),
        Member::new("renamed", &STRING).location_name("onTheWire"),
    ],
);

/// Reads JSON and writes what was read.
fn check(json: &str, expected: Expect) {
    let text = match decode(&NODE, json.as_bytes()) {
        Ok(document) => String::from_utf8(encode(&NODE, &document)).unwrap(),
        Err(NotJson::Type(message)) => format!("refused: {message}"),
        Err(NotJson::Syntax(_)) => "no JSON".to_owned(),
    };
    expected.assert_eq(&text);
}

#[test]
fn every_kind() {
    check(
        r#"{"text":"a\u00e9\n","flag":true,"number":-7,"big":9007199254740993,"ratio":0.5,"at":1795439734.12,"bytes":"aGk=",
            "free":{"a":[1,"b",null]},"names":["x"],"attributes":{"k":{"text":"v"}},"nodes":[{}],"onTheWire":"w"}"#,
        expect![[
            r#"{"text":"aé\n","flag":true,"number":-7,"big":9007199254740993,"ratio":0.5,"at":1795439734.120,"bytes":"aGk=","free":{"a":[1,"b",null]},"names":["x"],"attributes":{"k":{"text":"v"}},"nodes":[{}],"onTheWire":"w"}"#
        ]],
    );
}

#[test]
fn unknown_and_null_members_are_ignored() {
    check(r#"{"unknown":{"deep":[1]},"text":null,"number":1}"#, expect![[r#"{"number":1}"#]]);
}

#[test]
fn a_fraction_is_cut_off_where_an_integer_is_wanted() {
    check(r#"{"number":2.9,"big":-2.9,"at":1795439734}"#, expect![[r#"{"number":2,"big":-2,"at":1795439734}"#]]);
}

#[test]
fn other_types_are_refused_in_the_words_of_aws() {
    check(r#"{"number":"7"}"#, expect!["refused: STRING_VALUE cannot be converted to Integer"]);
    check(r#"{"text":7}"#, expect!["refused: NUMBER_VALUE cannot be converted to String"]);
    check(r#"{"text":true}"#, expect!["refused: TRUE_VALUE cannot be converted to String"]);
    check(r#"{"text":[]}"#, expect!["refused: Unrecognized collection type class java.lang.String"]);
    check(r#"{"text":{}}"#, expect!["refused: Start of structure or map found where not expected."]);
    check(r#"{"names":{}}"#, expect!["refused: Start of structure or map found where not expected."]);
    check(r#"{"names":"x"}"#, expect!["refused: Unexpected field type"]);
    check(r#"{"nodes":[3]}"#, expect!["refused: Unexpected field type"]);
    check(r#"{"number":3000000000}"#, expect!["refused: Numeric value (3000000000) out of range of int"]);
    check(r#"{"bytes":"!"}"#, expect!["refused: Invalid base64 data"]);
}

#[test]
fn what_is_no_json() {
    for json in ["", "{", "{]", r#"{"text":}"#, "{} {}", "\u{feff}{}", &"[".repeat(100_000)] {
        check(json, if json.starts_with('[') { expect!["refused: Unexpected field type"] } else { expect!["no JSON"] });
    }
    let deep = format!("{}{}", r#"{"nodes":["#.repeat(10_000), "]}".repeat(10_000));
    check(&deep, expect!["no JSON"]);
}

/// A document of the form of [`NODE`].
fn node() -> impl Strategy<Value = Document> {
    let text = || ".{0,8}".prop_map(Document::String);
    let leaf = (
        proptest::option::of(text()),
        proptest::option::of(any::<bool>().prop_map(Document::Bool)),
        proptest::option::of(any::<i32>().prop_map(|value| Document::Integer(i64::from(value)))),
        proptest::option::of(any::<i64>().prop_map(Document::Integer)),
        // Eighths, because serde_json may read the last bit of a long fraction differently.
        proptest::option::of(any::<i32>().prop_map(|eighths| Document::Float(f64::from(eighths) / 8.0))),
        proptest::option::of(
            (-4_000_000_000_000i64..4_000_000_000_000).prop_map(|at| Document::Timestamp(Timestamp::from_millis(at))),
        ),
        proptest::option::of(
            proptest::collection::vec(any::<u8>(), 0..9).prop_map(|bytes| Document::Blob(bytes.into())),
        ),
        proptest::option::of(proptest::collection::vec(text(), 0..3).prop_map(Document::List)),
    )
        .prop_map(|(text, flag, number, big, ratio, at, bytes, names)| {
            let names = ("names", names);
            let scalars = [("text", text), ("flag", flag), ("number", number), ("big", big), ("ratio", ratio)];
            let all = scalars.into_iter().chain([("at", at), ("bytes", bytes), names]);
            Document::Structure(all.filter_map(|(name, value)| Some((name, value?))).collect())
        });
    leaf.prop_recursive(3, 16, 3, |inner| {
        let nodes = proptest::collection::vec(inner.clone(), 0..3).prop_map(Document::List);
        let attributes = proptest::collection::btree_map(".{0,4}", inner, 0..3)
            .prop_map(|map| Document::Map(map.into_iter().collect()));
        (nodes, attributes)
            .prop_map(|(nodes, attributes)| Document::Structure(vec![("nodes", nodes), ("attributes", attributes)]))
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(document in node()) {
        let json = encode(&NODE, &document);
        prop_assert_eq!(decode(&NODE, &json), Ok(document));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), json in r#"[\[\]{}",:a-z0-9.\\-]{0,40}"#) {
        _ = decode(&NODE, &bytes);
        _ = decode(&NODE, json.as_bytes());
    }
}

/// A task definition as people write it, through the generated structs and back.
#[test]
fn a_task_definition_survives_its_structs() {
    let json = r#"{"family":"web","networkMode":"awsvpc","containerDefinitions":[{"name":"app","image":"nginx","cpu":256,"memory":512,"portMappings":[{"containerPort":80,"protocol":"tcp"}],"essential":true,"environment":[{"name":"SECRET","value":"hunter2"}],"dockerLabels":{"a":"b"},"healthCheck":{"command":["CMD-SHELL","true"],"interval":5},"logConfiguration":{"logDriver":"awslogs","options":{"awslogs-group":"g"}}}],"requiresCompatibilities":["FARGATE"],"cpu":"256","memory":"512"}"#;
    let schema = <api_ecs::RegisterTaskDefinitionRequest as shape::Shape>::schema();
    let document = decode(schema, json.as_bytes()).unwrap();
    assert_eq!(shape::validate(schema, &document), []);

    let request: api_ecs::RegisterTaskDefinitionRequest = shape::Value::from_document(document);
    let container = &request.container_definitions.as_ref().unwrap()[0];
    assert_eq!(container.port_mappings.as_ref().unwrap()[0].container_port, Some(80));
    assert!(!format!("{request:?}").contains("hunter2"), "what the model marks as sensitive stays out of logs");

    let again: serde_json::Value =
        serde_json::from_slice(&encode(schema, &shape::Value::into_document(request))).unwrap();
    assert_eq!(again, serde_json::from_str::<serde_json::Value>(json).unwrap());
}
