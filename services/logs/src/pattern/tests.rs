use super::*;
use proptest::prelude::*;

/// Each line of `messages` begins with `+` when the pattern wants it, and with `-` when not.
#[track_caller]
fn check(pattern: &str, messages: &[&str]) {
    let parsed = FilterPattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    for message in messages {
        let (wanted, message) = message.split_at(1);
        assert_eq!(parsed.matches(message), wanted == "+", "{pattern} on {message}");
    }
}

#[test]
fn terms() {
    check("", &["+anything", "+"]);
    check("ERROR", &["+[ERROR 400] BAD REQUEST", "-[error 400]", "-[WARN]"]);
    check("ERROR ARGUMENTS", &["+[ERROR 419] MISSING ARGUMENTS", "-[ERROR 400] BAD REQUEST"]);
    check(r#""INTERNAL SERVER ERROR""#, &["+[ERROR 500] INTERNAL SERVER ERROR", "-SERVER INTERNAL ERROR"]);
    check("?ERROR ?WARN", &["+ERROR", "+WARN", "-INFO"]);
    check("ERROR -ARGUMENTS", &["+[ERROR 400] BAD REQUEST", "-[ERROR 419] MISSING ARGUMENTS", "-fine"]);
    check("-DEBUG", &["+INFO", "-DEBUG"]);
    check(r#"-"not this""#, &["+this", "-but not this"]);
    check(r#""say \"hi\"""#, &[r#"+say "hi" now"#, "-say hi"]);
    check("%ERR(OR)?-[0-9]+%", &["+x ERR-12", "+ERROR-1", "-ERROR"]);
    check("?ERROR REQUEST", &["+REQUEST", "-ERROR"]);
}

#[test]
fn json() {
    let event = r#"{"eventType":"UpdateTrail","sourceIPAddress":"111.111.111.111","arrayKey":["value","another value"],
        "objectList":[{"name":"a","id":1},{"name":"b","id":2}],"SomeObject":null,"cluster.name":"c","ok":true,
        "latency":40,"ratio":-1.5e3,"code":"404","deep":{"er":{"still":"x"}}}"#
        .replace('\n', " ");
    let (yes, no) = (format!("+{event}"), format!("-{event}"));
    for pattern in [
        r#"{ $.eventType = "UpdateTrail" }"#,
        "{ $.eventType = UpdateTrail }",
        "{$.eventType=Update*}",
        r#"{ $.eventType != "Other" }"#,
        "{ $.sourceIPAddress = 111.111.* }",
        r#"{ $.arrayKey[0] = "value" }"#,
        r#"{ $.arrayKey[*] = "another*" }"#,
        "{ $.objectList[1].id = 2 }",
        "{ $.SomeObject IS NULL }",
        "{ $.ok IS TRUE }",
        "{ $.ok = true }",
        "{ $.SomeOtherObject NOT EXISTS }",
        "{ $.['cluster.name'] = c }",
        "{ $.latency > 39 && $.latency <= 40 }",
        "{ $.latency = 4* }",
        "{ $.ratio < -1e3 }",
        "{ $.code = 404 }",
        "{ $.code >= 400 }",
        "{ ($.latency = 1 || $.latency = 40) && ($.ok IS TRUE) }",
        "{ $.latency = 1 && $.ok IS TRUE || $.deep.er.still = x }",
        r"{ $.eventType = %^Update[A-Z]\w+$% }",
    ] {
        check(pattern, &[&yes, "-not json", "-[1,2]", "-{broken"]);
    }
    for pattern in [
        r#"{ $.eventType = "update*" }"#,
        "{ $.eventType = UpdateTrails }",
        "{ $.missing != x }",
        "{ $.missing = x }",
        "{ $.eventType NOT EXISTS }",
        "{ $.latency > 40 }",
        "{ $.eventType > 1 }",
        "{ $.deep = x }",
        "{ $.ok IS FALSE }",
        "{ $.objectList[2].id = 2 }",
    ] {
        check(pattern, &[&no]);
    }
}

#[test]
fn fields() {
    let line = r#"127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534"#;
    let (yes, no) = (format!("+{line}"), format!("-{line}"));
    for pattern in [
        "[ip, user, username, timestamp, request, status_code, bytes]",
        "[ip, user, username, timestamp, request =*.html*, status_code = 4*, bytes]",
        "[ip, user, username = frank, timestamp, request, status_code, bytes > 1000]",
        "[..., bytes > 1000]",
        "[ip = 127.0.0.1, ...]",
        "[ip = 127*, ..., status_code = 404 || status_code = 410, bytes]",
        "[ip!=10.*&&ip!=192.*, ...]",
        r"[ip = %127\.0\.0\.[1-9]%, ...]",
        "[,,username=frank,...]",
        "[...]",
    ] {
        check(pattern, &[&yes]);
    }
    for pattern in [
        "[ip, user, username]",
        "[ip, user, username, timestamp, request, status_code, bytes > 2000]",
        "[..., status_code = 5*, bytes]",
        "[a, b, c, d, e, f, g, h, ...]",
    ] {
        check(pattern, &[&no]);
    }
    check("[w1=ERROR, w2]", &["+ERROR request", "-WARN request", "-ERROR long request"]);
    check("[w1 = \"a b\", w2]", &["+\"a b\" c", "+[a b] c", "-a b c"]);
}

#[test]
fn values_are_taken_out() {
    let check = |pattern: &str, message: &str, expected: &[(&str, &str)]| {
        let expected = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(FilterPattern::parse(pattern).unwrap().values(message), expected, "{pattern}");
    };
    check("ERROR", "ERROR", &[]);
    check(r#"{ $.a.b = 1 || $.["x y"] = * }"#, r#"{"a":{"b":1},"x y":"z"}"#, &[("$.a.b", "1"), ("$['x y']", "z")]);
    // The example of the API Reference, TestMetricFilter.
    let line = r#"127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /apache_pb.gif HTTP/1.0" 200 1534"#;
    check(
        "[..., size]",
        line,
        &[
            ("$1", "127.0.0.1"),
            ("$2", "-"),
            ("$3", "frank"),
            ("$4", "10/Oct/2000:13:25:15 -0700"),
            ("$5", "GET /apache_pb.gif HTTP/1.0"),
            ("$6", "200"),
            ("$size", "1534"),
        ],
    );
    check(
        "[ip, ..., (code = 2* || code = 3*), size]",
        line,
        &[
            ("$ip", "127.0.0.1"),
            ("$2", "-"),
            ("$3", "frank"),
            ("$4", "10/Oct/2000:13:25:15 -0700"),
            ("$5", "GET /apache_pb.gif HTTP/1.0"),
            ("$code", "200"),
            ("$size", "1534"),
        ],
    );
    let sizes = FilterPattern::parse("[..., size]").unwrap();
    assert_eq!(sizes.value("$size", line).as_deref(), Some("1534"));
    assert_eq!(sizes.value("$nothing", line), None);
    let json = FilterPattern::parse("{ $.ok IS TRUE }").unwrap();
    assert_eq!(json.value("$.list[1]", r#"{"ok":true,"list":[1,2.5]}"#).as_deref(), Some("2.5"));
    assert_eq!(json.value("$.list", r#"{"ok":true,"list":[1]}"#), None);
    assert!(json.knows("$.a") && !json.knows("a") && !json.knows("$.a x") && sizes.knows("$b"));
}

#[test]
fn wildcards_select() {
    let message = r#"{"a":{"x":{"id":1},"y":{"id":2}},"list":[{"id":3}]}"#;
    let (yes, no) = (format!("+{message}"), format!("-{message}"));
    check("{ $.a.*.id = 2 }", &[&yes]);
    check("{ $.a[*].id = 2 }", &[&yes]);
    check("{ $.list.*.id = 3 }", &[&yes]);
    check("{ $.a.*.id = 3 }", &[&no]);
}

#[test]
fn nonsense_is_refused() {
    for pattern in [
        "ERROR:",
        "a.b",
        "\"open",
        "%open",
        "%(%",
        "?",
        "-",
        "{",
        "{}",
        "{ $.a }",
        "{ a = 1 }",
        "{ $.a = }",
        "{ $ = 1 }",
        "{ $.a = 1 } x",
        "{ ($.a = 1 }",
        "{ $.a IS MAYBE }",
        "{ $.a NOT }",
        "{ $.a > text }",
        "{ $.a[x] = 1 }",
        "[",
        "[a",
        "[a] b",
        "[..., ...]",
        "[a = ]",
        "[a > b]",
        "%a% %b% %c%",
    ] {
        assert!(FilterPattern::parse(pattern).is_err(), "{pattern}");
    }
    let deep = format!("{{ {}$.a = 1{} }}", "(".repeat(100), ")".repeat(100));
    assert_eq!(FilterPattern::parse(&deep).unwrap_err(), PatternError::TooDeep);
    assert_eq!(FilterPattern::parse("a.b").unwrap_err().to_string(), "Invalid character(s) in term 'a.b'");
}

proptest! {
    #[test]
    fn no_text_panics(pattern in r#"[\[\]{}()$.,*"'%?&|=<>! a-c0-9\\-]{0,40}"#, message in r#"[\[\]{}":, a-c0-9é]{0,40}"#) {
        if let Ok(pattern) = FilterPattern::parse(&pattern) {
            pattern.matches(&message);
        }
    }

    #[test]
    fn any_text_panics_neither(pattern in ".{0,40}", message in ".{0,40}") {
        if let Ok(pattern) = FilterPattern::parse(&pattern) {
            pattern.matches(&message);
        }
    }

    /// A star pattern agrees with the regular expression that says the same.
    #[test]
    fn stars_are_regular(pattern in "[ab*]{0,8}", value in "[ab]{0,10}") {
        let same = format!("^{}$", pattern.replace('*', ".*"));
        prop_assert_eq!(operand::like(&pattern, &value), regex::Regex::new(&same).unwrap().is_match(&value));
    }

    #[test]
    fn a_quoted_term_finds_itself(term in "[^\"\\\\%]{1,20}", around in "[a-z ]{0,10}") {
        let pattern = FilterPattern::parse(&format!("\"{term}\"")).unwrap();
        let message = format!("{}{}{}", around, term, around);
        prop_assert!(pattern.matches(&message));
    }
}

#[test]
fn needles_are_what_must_be_there() {
    let check = |pattern: &str, all: &[&str], any: &[&str]| {
        let needles = FilterPattern::parse(pattern).unwrap().needles();
        assert_eq!((needles.all, needles.any), (owned(all), owned(any)), "{pattern}");
    };
    check("", &[], &[]);
    check("ERROR \"out of memory\" -DEBUG", &["ERROR", "out of memory"], &[]);
    check("?ERROR ?WARN", &[], &["ERROR", "WARN"]);
    // One of them may be anything, so none is needed; and beside others they mean nothing.
    check("?ERROR ?%w.rn%", &[], &[]);
    check("?ERROR -DEBUG", &[], &[]);
    check("ERROR %w.rn%", &["ERROR"], &[]);
    check("{ $.level = \"error\" }", &[], &[]);
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_long_line_of_open_brackets_takes_no_longer_than_any_other() {
    let pattern = FilterPattern::parse("[a, ..., z]").unwrap();
    let message = "[ ".repeat(500_000);
    let began = std::time::Instant::now();
    assert!(pattern.matches(&message));
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    check("[a = x, b = \"y z\"]", &["+x [y z]", "-x [y z"]);
}
