//! Queries over a few events, and what they answer.

use expect_test::{Expect, expect};
use log_insights::{Event, Query, Run};
use proptest::prelude::*;

const START: i64 = 1_795_384_320_000;

/// Two streams of one group: JSON of a web server, and lines of a program. Each is a second younger than the one before.
const EVENTS: &[(&str, &str)] = &[
    ("web/1", r#"{"level":"info","status":200,"path":"/","latency":12.5,"user":{"name":"ann","roles":["a","b"]}}"#),
    ("web/1", r#"{"level":"error","status":500,"path":"/api","latency":250,"user":{"name":"bob"},"ok":false}"#),
    ("web/2", r#"{"level":"info","status":"404","path":"/nope","latency":3,"ok":true}"#),
    ("app/1", "[INFO] started user=ann method:GET latency := 7"),
    ("app/1", "[ERROR] boom user=bob method:POST latency := 19"),
    ("web/2", r#"{"level":"info","status":200,"path":"/","latency":20.5,"user":{"name":"ann"},"ip":"10.1.2.3"}"#),
];

fn events() -> impl Iterator<Item = Event> {
    EVENTS.iter().enumerate().map(|(at, (stream, message))| Event {
        timestamp_ms: START + at as i64 * 1000,
        ingestion_ms: START + 60_000,
        number: at as u64 + 1,
        log: "123456789012:/ecs/web".into(),
        stream: (*stream).into(),
        message: (*message).into(),
    })
}

fn answer(text: &str) -> String {
    let query = match Query::parse(text) {
        Ok(query) => query,
        Err(error) => return format!("{error} [{}..{}]\n", error.start, error.end),
    };
    let mut run = Run::new(&query, None, START + 3_600_000);
    for event in events() {
        run.push(event).unwrap();
    }
    let mut out = String::new();
    for row in run.finish().unwrap().rows {
        let shown = row.iter().filter(|field| field.name != "@ptr");
        let fields: Vec<String> = shown.map(|field| format!("{}={}", field.name, field.value)).collect();
        out += &fields.join(", ");
        out.push('\n');
    }
    out
}

#[track_caller]
#[allow(clippy::needless_pass_by_value)]
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&answer(text));
}

#[test]
fn everything_newest_first() {
    check(
        "",
        expect![[r#"
        @timestamp=2026-11-22 21:52:05.000, @message={"level":"info","status":200,"path":"/","latency":20.5,"user":{"name":"ann"},"ip":"10.1.2.3"}
        @timestamp=2026-11-22 21:52:04.000, @message=[ERROR] boom user=bob method:POST latency := 19
        @timestamp=2026-11-22 21:52:03.000, @message=[INFO] started user=ann method:GET latency := 7
        @timestamp=2026-11-22 21:52:02.000, @message={"level":"info","status":"404","path":"/nope","latency":3,"ok":true}
        @timestamp=2026-11-22 21:52:01.000, @message={"level":"error","status":500,"path":"/api","latency":250,"user":{"name":"bob"},"ok":false}
        @timestamp=2026-11-22 21:52:00.000, @message={"level":"info","status":200,"path":"/","latency":12.5,"user":{"name":"ann","roles":["a","b"]}}
    "#]],
    );
    check(
        "fields @timestamp, @logStream, @log | limit 2",
        expect![[r#"
        @timestamp=2026-11-22 21:52:05.000, @logStream=web/2, @log=123456789012:/ecs/web
        @timestamp=2026-11-22 21:52:04.000, @logStream=app/1, @log=123456789012:/ecs/web
    "#]],
    );
}

#[test]
fn filters() {
    check(
        "filter status = 200 | fields path, latency",
        expect![[r#"
        path=/, latency=20.5
        path=/, latency=12.5
    "#]],
    );
    check(
        "fields path | filter status >= 400 and latency < 100",
        expect![[r#"
        path=/nope
    "#]],
    );
    check(
        "fields level | filter level in ['error', \"warn\"] or status = 404",
        expect![[r#"
        level=info
        level=error
    "#]],
    );
    check(
        "fields @message | filter @message like /(?i)boom/",
        expect![[r#"
        @message=[ERROR] boom user=bob method:POST latency := 19
    "#]],
    );
    check(
        "fields @message | filter @message like 'started'",
        expect![[r#"
        @message=[INFO] started user=ann method:GET latency := 7
    "#]],
    );
    check(
        "fields path | filter ispresent(path) and path not like /^\\/$/",
        expect![[r#"
        path=/nope
        path=/api
    "#]],
    );
    check(
        "fields path | filter level not in ['info'] and ispresent(level)",
        expect![[r#"
        path=/api
    "#]],
    );
    check(
        "fields user.name | filter user.roles.0 = 'a'",
        expect![[r#"
        user.name=ann
    "#]],
    );
    check(
        "fields path, ok | filter ok = true",
        expect![[r#"
        path=/nope, ok=1
    "#]],
    );
    check(
        "fields path | filter not (status = 200 or not ispresent(status))",
        expect![[r#"
        path=/nope
        path=/api
    "#]],
    );
    check(
        "fields path | filter @message =~ /nope/",
        expect![[r#"
        path=/nope
    "#]],
    );
    check(
        "fields ip | filter isIpInSubnet(ip, '10.0.0.0/8')",
        expect![[r#"
        ip=10.1.2.3
    "#]],
    );
    check(
        "# only a comment\nfields path # and another\n| filter latency > 2 * 100",
        expect![[r#"
        path=/api
    "#]],
    );
}

#[test]
fn parsing() {
    check(
        "parse @message '[*] * user=* method:* latency := *' as kind, what, who, method, took | filter ispresent(who)",
        expect![[r#"
            @timestamp=2026-11-22 21:52:04.000, @message=[ERROR] boom user=bob method:POST latency := 19, kind=ERROR, what=boom, who=bob, method=POST, took=19
            @timestamp=2026-11-22 21:52:03.000, @message=[INFO] started user=ann method:GET latency := 7, kind=INFO, what=started, who=ann, method=GET, took=7
        "#]],
    );
    check(
        r"parse @message /user=(?<who>\S+) method:(?<how>[A-Z]+)/ | filter ispresent(who) | display who, how",
        expect![[r#"
            who=bob, how=POST
            who=ann, how=GET
        "#]],
    );
    check(
        "fields @message | parse path '/*' as rest | filter rest = 'api' | display rest",
        expect![[r#"
        rest=api
    "#]],
    );
    check(
        "parse 'latency := *' as took | stats sum(took) as all_of_it, count(took), count(*)",
        expect![[r#"
        all_of_it=26, count(took)=2, count(*)=6
    "#]],
    );
}

#[test]
fn statistics() {
    check(
        "stats count(*)",
        expect![[r#"
        count(*)=6
    "#]],
    );
    check(
        "stats count(*) as n, avg(latency), min(latency), max(latency), sum(latency) by level | sort n desc",
        expect![[r#"
            level=info, n=3, avg(latency)=12, min(latency)=3, max(latency)=20.5, sum(latency)=36
            n=2
            level=error, n=1, avg(latency)=250, min(latency)=250, max(latency)=250, sum(latency)=250
        "#]],
    );
    check(
        "stats count_distinct(user.name) as users, stddev(latency), pct(latency, 50)",
        expect![[r#"
        users=2, stddev(latency)=103.243, pct(latency, 50)=16.5
    "#]],
    );
    check(
        "stats earliest(path), latest(path), sortsFirst(path), sortsLast(path)",
        expect![[r#"
        earliest(path)=/, latest(path)=/, sortsFirst(path)=/, sortsLast(path)=/nope
    "#]],
    );
    check(
        "stats count(*) by bin(2s)",
        expect![[r#"
        bin(2s)=2026-11-22 21:52:00.000, count(*)=2
        bin(2s)=2026-11-22 21:52:02.000, count(*)=2
        bin(2s)=2026-11-22 21:52:04.000, count(*)=2
    "#]],
    );
    check(
        "stats count(*) by bin(2s) as t, level | sort t desc, level | limit 3",
        expect![[r#"
        t=2026-11-22 21:52:04.000, count(*)=1
        t=2026-11-22 21:52:04.000, level=info, count(*)=1
        t=2026-11-22 21:52:02.000, count(*)=1
    "#]],
    );
    check(
        "stats sum(latency) / count(latency) as mean, max(latency) - min(latency) as spread",
        expect![[r#"
        mean=71.5, spread=247
    "#]],
    );
    check(
        "stats count(*) by @logStream | sort count(*) desc, @logStream | limit 1",
        expect![[r#"
        @logStream=app/1, count(*)=2
    "#]],
    );
    check(
        "stats count(*) as n by level, status | filter n > 1",
        expect![[r#"
        n=2
        level=info, status=200, n=2
    "#]],
    );
    check(
        "stats count(*) as n by @logStream | stats max(n), avg(n)",
        expect![[r#"
        max(n)=2, avg(n)=2
    "#]],
    );
    check("filter level = 'none' | stats count(*)", expect![[r#""#]]);
}

#[test]
fn order_and_number() {
    check(
        "fields latency | filter ispresent(latency) | sort latency desc",
        expect![[r#"
        latency=250
        latency=20.5
        latency=12.5
        latency=3
    "#]],
    );
    check(
        "fields path | filter ispresent(path) | sort path asc, latency desc | limit 3",
        expect![[r#"
        path=/
        path=/
        path=/api
    "#]],
    );
    check(
        "fields path, status | filter ispresent(path) | dedup path",
        expect![[r#"
        path=/, status=200
        path=/nope, status=404
        path=/api, status=500
    "#]],
    );
    check(
        "fields path, latency | filter ispresent(path) | sort latency asc | dedup path | limit 2",
        expect![[r#"
        path=/nope, latency=3
        path=/, latency=12.5
    "#]],
    );
    check(
        "fields @logStream | sort @timestamp asc | limit 2 | filter status = 500",
        expect![[r#"
        @logStream=web/1
    "#]],
    );
    check(
        "fields user.roles | unnest user.roles into role | filter ispresent(role) | display role",
        expect![[r#"
        role=a
        role=b
    "#]],
    );
}

#[test]
fn functions() {
    let one = |expression: &str| answer(&format!("filter status = 500 | display {expression} as x"));
    for (expression, expected) in [
        ("abs(-3)", "3"),
        ("ceil(1.2) + floor(1.8)", "3"),
        ("greatest(1, latency, 3)", "250"),
        ("least(1, latency)", "1"),
        ("sqrt(16) ^ 2", "16"),
        ("2 ^ 3 ^ 2", "512"),
        ("-2 * 3 + 10 % 4", "-4"),
        ("1 / 0", ""),
        ("1 / 3", "0.3333"),
        ("log(1)", "0"),
        ("concat(level, '-', path)", "error-/api"),
        ("strlen('héé')", "3"),
        ("toupper(level)", "ERROR"),
        ("tolower('ABC')", "abc"),
        ("trim('  x ')", "x"),
        ("ltrim('xxay', 'x')", "ay"),
        ("rtrim('ayxx', 'x')", "ay"),
        ("substr(path, 1)", "api"),
        ("substr('abcdef', 2, 3)", "cde"),
        ("replace(path, '/', '_')", "_api"),
        ("strcontains(path, 'api')", "1"),
        ("isempty(missing)", "1"),
        ("isblank('  ')", "1"),
        ("ispresent(ok)", "1"),
        ("coalesce(missing, level)", "error"),
        ("bin(1m)", "2026-11-22 21:52:00.000"),
        ("datefloor(@timestamp, 1d)", "2026-11-22 00:00:00.000"),
        ("dateceil(@timestamp, 1mo)", "2026-12-01 00:00:00.000"),
        ("toMillis(@timestamp)", "1795384321000"),
        ("fromMillis(0)", "1970-01-01 00:00:00.000"),
        ("now()", "1795387920"),
        ("isValidIp('10.0.0.1')", "1"),
        ("isValidIpV6('10.0.0.1')", "0"),
        ("jsonStringify(user)", r#"{"name":"bob"}"#),
        ("ok", "0"),
        ("missing", ""),
    ] {
        let expected = if expected.is_empty() { "\n".to_owned() } else { format!("x={expected}\n") };
        assert_eq!(one(expression), expected, "{expression}");
    }
    check(
        "fields jsonParse('{\"a\":{\"b\":[1,2]}}') as j | display j.a.b.1 as b | limit 1",
        expect![[r#"
        b=2
    "#]],
    );
    check(
        "fields `user.name` as who | filter `level` = 'error'",
        expect![[r#"
        who=bob
    "#]],
    );
}

#[test]
fn what_is_refused_and_where() {
    for text in [
        "fieldz @message",
        "fields",
        "fields @message |",
        "| fields @message",
        "fields @message filter x",
        "filter x = ",
        "filter (x = 1",
        "filter x in ['a'",
        "filter x like /(/",
        "filter x like /open",
        "filter 'open",
        "filter nothing(x)",
        "filter strlen()",
        "filter count(*) > 1",
        "stats x",
        "stats avg(max(x))",
        "stats count(*) by bin(5)",
        "stats count(*) by bin(5x)",
        "stats count(*) | stats count(*) | stats count(*)",
        "parse @message '* *' as a",
        "parse @message /x/",
        "parse @message '*' as @message",
        "limit 0",
        "limit 100001",
        "dedup x | fields y",
        "pattern @message",
        "fields a\n| filter b ? 1",
    ] {
        assert!(Query::parse(text).is_err(), "{text}");
    }
    check(
        "fields @message | filterr x = 1",
        expect![[r#"
        unexpected symbol found filterr at line 1 and position 19 [18..25]
    "#]],
    );
    check(
        "fields @message\n| filter x = ",
        expect![[r#"
        unexpected end of query at line 2 and position 14 [29..29]
    "#]],
    );
    check(
        "parse @message '* é *' as a",
        expect![[r#"
        the pattern has 2 wildcards and 1 names at line 1 and position 16 [15..27]
    "#]],
    );
    check(
        "stats pct(x, 101)",
        expect![[r#"
        a percentile must be a number from 0 to 100 at line 1 and position 14 [13..16]
    "#]],
    );
    check(
        "pattern @message",
        expect![[r#"
        the command pattern is not supported at line 1 and position 1 [0..7]
    "#]],
    );
    let deep = format!("filter {}1{}", "(".repeat(200), ")".repeat(200));
    assert!(answer(&deep).contains("nested too deep"));
    let long = format!("filter 1{}", "+1".repeat(4000));
    assert!(answer(&long).contains("at most 200 calculations"));
    let wide = format!("filter {}false", "status = 500 or ".repeat(500));
    assert_eq!(answer(&wide).lines().count(), 1);
}

#[test]
fn memory_has_a_bound() {
    let query = Query::parse("fields @message, @logStream").unwrap();
    let mut run = Run::new(&query, None, 0);
    let message = "x".repeat(1 << 20);
    for at in 0..40 {
        let event = Event {
            timestamp_ms: at,
            ingestion_ms: 0,
            number: 1,
            log: "1:g".into(),
            stream: format!("{at}").into(),
            message: message.as_str().into(),
        };
        run.push(event).unwrap();
    }
    assert_eq!(run.matched(), 40);
    let rows = run.finish().unwrap().rows;
    assert!((20..32).contains(&rows.len()), "the newest that fit: {}", rows.len());
    assert_eq!(rows[0][1].value, "39");
}

proptest! {
    #[test]
    fn no_text_panics(text in r#"(fields|filter|parse|stats|sort|limit|dedup|unnest|\||,|=|like|in|/a+/|'\*'|count\(|\)|\(|\[|\]|bin\(5m\)|@message|x|1|as| |\n|#|not|-|by){0,25}"#) {
        answer(&text);
    }

    #[test]
    fn any_text_panics_neither(text in ".{0,60}") {
        answer(&text);
    }
}
