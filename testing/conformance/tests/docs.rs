//! The list of features for people says what is tested. `UPDATE_EXPECT=1` writes it anew.

#[test]
fn docs() {
    expect_test::expect_file!["../../../docs/conformance.md"].assert_eq(&conformance::render());
}

#[test]
fn what_is_shown_elsewhere_is_there() {
    for conformance::Elsewhere { file, test, .. } in conformance::ELSEWHERE {
        let path = kit::workspace().join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("there is no {file}"));
        assert!(text.contains(&format!("fn {test}(")), "{file} has no {test}");
    }
}

#[test]
fn names_are_unique_and_can_be_families() {
    let mut seen = std::collections::BTreeSet::new();
    for (_, cases) in conformance::groups() {
        for case in cases {
            assert!(case.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit()));
            assert!(seen.insert(case.name), "{} is there twice", case.name);
        }
    }
}
