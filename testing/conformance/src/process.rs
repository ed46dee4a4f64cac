//! What a container runs, as whom, and with what around it.

use serde_json::{Value, json};

use crate::seen::Seen;
use crate::world::{named, text};
use crate::{Bench, Case, Page};

const ENVIRONMENT: Page = Page::Parameters("Environment");

pub fn cases() -> Vec<Case> {
    let case = |name, feature, page, check| Case { name, feature, page, check };
    vec![
        case(
            "image_command",
            "without `command` the image's own runs, in its working directory",
            ENVIRONMENT,
            image_command,
        ),
        case("command", "`command` follows the image's entry point", ENVIRONMENT, command),
        case(
            "entry_point",
            "`entryPoint` takes the place of the image's, and of its command",
            ENVIRONMENT,
            entry_point,
        ),
        case("environment", "`environment`, on top of the image's", ENVIRONMENT, environment),
        case(
            "agent_variables",
            "the metadata endpoint, region and execution environment as variables",
            Page::Guide("Amazon ECS task metadata endpoint version 4"),
            agent_variables,
        ),
        case("working_directory", "`workingDirectory`, made when it is missing", ENVIRONMENT, working_directory),
        case("user_name", "`user` by name: the image's ids, groups and home", Page::Parameters("user"), user_name),
        case("user_id", "`user` by number", Page::Parameters("user"), user_id),
        case("user_and_group", "`user:group`, by numbers and by names", Page::Parameters("user"), user_and_group),
        case(
            "user_unknown",
            "a user that the image does not have fails the start",
            Page::Parameters("user"),
            user_unknown,
        ),
        case("readonly_root", "`readonlyRootFilesystem`", Page::Parameters("Storage and logging"), readonly_root),
        case(
            "standard_input",
            "without `interactive` standard input is at its end",
            Page::Api("ContainerDefinition"),
            standard_input,
        ),
        case(
            "standard_streams",
            "standard output and error are told apart, and can be opened anew",
            Page::Docker("logging"),
            standard_streams,
        ),
        case(
            "docker_labels",
            "`dockerLabels`, beside the agent's own",
            Page::Parameters("Docker labels"),
            docker_labels,
        ),
        case(
            "umask_and_score",
            "umask 022, and the machine's own out-of-memory score",
            Page::Docker("run"),
            umask_and_score,
        ),
        case("interactive", "`interactive`: standard input stays open", Page::Api("ContainerDefinition"), interactive),
        case(
            "pseudo_terminal",
            "`pseudoTerminal`: the three streams are a terminal, and what it shows is in the log",
            Page::Api("ContainerDefinition"),
            pseudo_terminal,
        ),
        case(
            "init_process",
            "`initProcessEnabled`: an init beside the program takes signals and orphans",
            Page::Api("LinuxParameters"),
            init_process,
        ),
        case("init_process_exit", "and it ends as the program ended", Page::Api("LinuxParameters"), init_process_exit),
        case(
            "environment_files",
            "`environmentFiles` from S3: the definition's own variables win, then the file that is named first",
            Page::Guide("Pass environment variables to an Amazon ECS container"),
            environment_files,
        ),
        case(
            "environment_files_override",
            "RunTask names other files",
            Page::Api("ContainerOverride"),
            environment_files_override,
        ),
        case(
            "environment_file_missing",
            "a file that is not there: `ResourceInitializationError: failed to download env files`",
            Page::Guide("Amazon ECS stopped tasks error messages"),
            environment_file_missing,
        ),
        case(
            "environment_file_invalid",
            "what is no ARN of a `.env` file in S3 is refused",
            Page::Api("EnvironmentFile"),
            environment_file_invalid,
        ),
        case(
            "firelens_config_in_s3",
            "`firelensConfiguration` with `config-file-type` `s3`: the router finds the object beside its configuration, which includes it",
            Page::Guide("Example Amazon ECS task definition: Route logs to FireLens"),
            firelens_config_in_s3,
        ),
        case(
            "firelens_config_missing",
            "one that is not there: `ResourceInitializationError: unable to download firelens s3 config file`",
            Page::Guide("Amazon ECS stopped tasks error messages"),
            firelens_config_missing,
        ),
    ]
}

fn image_command(bench: &Bench<'_>) {
    let task = bench.run(json!({}), json!([{ "name": "web" }]));
    task.stopped();
    assert_eq!(task.output("web"), "the image's own command\n");
}

fn command(bench: &Bench<'_>) {
    let seen = bench.inspect(json!({}), json!({ "command": ["inspect", "exit", "0"] }));
    assert_eq!(seen.words("args"), ["/bin/probe", "inspect", "exit", "0"]);
    assert_eq!(seen.text("cwd"), "/srv", "the image's");
}

fn entry_point(bench: &Bench<'_>) {
    let said = bench.says(json!({}), json!({ "entryPoint": ["/bin/sh", "-c"] }), &["say from-a-shell"]);
    assert_eq!(said, "from-a-shell\n");
    let task = bench.run(json!({}), json!([{ "name": "web", "entryPoint": ["probe", "say", "alone"] }]));
    task.stopped();
    assert_eq!(task.output("web"), "alone\n", "found in PATH, and without the image's command");
}

fn environment(bench: &Bench<'_>) {
    let given = json!([{ "name": "WHO", "value": "definition" }, { "name": "EMPTY", "value": "" }, { "name": "SIGNS", "value": "a=b \"c\" $d" }]);
    let env = bench.inspect(json!({}), json!({ "environment": given })).env();
    for (name, value) in [
        ("FROM", "image"),
        ("WHO", "definition"),
        ("EMPTY", ""),
        ("SIGNS", "a=b \"c\" $d"),
        ("PATH", "/bin"),
        ("HOME", "/root"),
    ] {
        assert_eq!(env.get(name).map(String::as_str), Some(value), "{name}");
    }
}

fn agent_variables(bench: &Bench<'_>) {
    let given = json!([{ "name": "AWS_REGION", "value": "elsewhere" }]);
    let seen = bench.inspect(json!({}), json!({ "environment": given }));
    let env = seen.env();
    assert!(env["ECS_CONTAINER_METADATA_URI_V4"].starts_with("http://169.254.170.2/v4/"), "{env:?}");
    assert!(env["ECS_AGENT_URI"].starts_with("http://169.254.170.2/api/"), "{env:?}");
    assert_eq!((env["AWS_EXECUTION_ENV"].as_str(), env["AWS_REGION"].as_str()), ("AWS_ECS_EC2", "elsewhere"));
    assert_eq!(env["HOSTNAME"], seen.text("hostname"));
}

fn working_directory(bench: &Bench<'_>) {
    let seen = bench.inspect(json!({}), json!({ "workingDirectory": "/made/for/this" }));
    assert_eq!(seen.text("cwd"), "/made/for/this");
}

fn ids(seen: &Seen) -> (i64, i64, Vec<String>) {
    (seen.number("uid"), seen.number("gid"), seen.words("groups"))
}

fn user_name(bench: &Bench<'_>) {
    let seen = bench.inspect(json!({}), json!({ "user": "web" }));
    let (uid, gid, groups) = ids(&seen);
    assert_eq!((uid, gid), (1000, 1001));
    assert!(groups.contains(&"1500".to_owned()), "{groups:?}");
    assert_eq!(seen.env()["HOME"], "/home/web");
    assert_eq!(seen.capabilities("CapEff"), 0, "only root starts with capabilities");
}

fn user_id(bench: &Bench<'_>) {
    let seen = bench.inspect(json!({}), json!({ "user": "4321" }));
    assert_eq!((seen.number("uid"), seen.number("gid")), (4321, 0));
    assert_eq!(seen.env()["HOME"], "/");
}

fn user_and_group(bench: &Bench<'_>) {
    let numbers = bench.inspect(json!({}), json!({ "user": "4321:4322" }));
    assert_eq!((numbers.number("uid"), numbers.number("gid")), (4321, 4322));
    let names = bench.inspect(json!({}), json!({ "user": "web:extra" }));
    assert_eq!((names.number("uid"), names.number("gid")), (1000, 1500));
}

fn user_unknown(bench: &Bench<'_>) {
    let stopped = bench.does(json!({}), json!({ "user": "nobody-knows" }), &["inspect"]).stopped();
    let reason = text(&named(&stopped, "web")["reason"]);
    assert!(reason.contains("unable to find user nobody-knows: no matching entries in passwd file"), "{reason}");
}

fn readonly_root(bench: &Bench<'_>) {
    let more =
        json!({ "readonlyRootFilesystem": true, "mountPoints": [{ "sourceVolume": "v", "containerPath": "/data" }] });
    let words = ["put", "/srv/file", "x", "put", "/data/file", "x", "put", "/dev/shm/file", "x"];
    let said = bench.says(json!({ "volumes": [{ "name": "v" }] }), more, &words);
    assert_eq!(said, "/srv/file: Read-only file system\n/data/file: done\n/dev/shm/file: done\n");
}

fn standard_input(bench: &Bench<'_>) {
    assert_eq!(bench.says(json!({}), json!({}), &["stdin"]), "stdin: ends\n");
}

fn standard_streams(bench: &Bench<'_>) {
    let said = bench.says(
        json!({}),
        json!({ "user": "web" }),
        &["say", "one", "complain", "two", "put", "/dev/stdout", "three"],
    );
    for line in ["one\n", "two\n", "three\n", "/dev/stdout: done\n"] {
        assert!(said.contains(line), "{said}");
    }
}

fn docker_labels(bench: &Bench<'_>) {
    let words = ["fetch", "169.254.170.2", "80", "/v4/nothing"];
    let more = json!({ "dockerLabels": { "owner": "us" }, "entryPoint": ["/bin/probe"] });
    // The endpoint's address has the container's own id in it, which only its environment knows; from outside it is asked below.
    let task = bench.does(
        json!({}),
        more,
        &["env", "ECS_CONTAINER_METADATA_URI_V4", words[0], words[1], words[2], words[3], "wait"],
    );
    task.running();
    let said = task.output_when("web", |said| said.contains("HTTP/1."));
    let uri = said.lines().next().unwrap().split_once('=').unwrap().1.to_owned();
    let path = uri.strip_prefix("http://169.254.170.2").unwrap().to_owned();
    let asked = bench.does(json!({}), json!({}), &["fetch", "169.254.170.2", "80", &path]);
    asked.stopped();
    let answer = asked.output("web");
    for label in [r#""owner":"us""#, r#""com.amazonaws.ecs.container-name":"web""#] {
        assert!(answer.contains(label), "{answer}");
    }
}

fn umask_and_score(bench: &Bench<'_>) {
    let seen = bench.inspect(json!({}), json!({}));
    assert_eq!(seen.number("umask"), 0o022);
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    assert_eq!(seen.text("oom_score_adj").trim(), own.trim());
}

fn interactive(bench: &Bench<'_>) {
    assert_eq!(bench.says(json!({}), json!({ "interactive": true }), &["stdin"]), "stdin: waits\n");
}

fn pseudo_terminal(bench: &Bench<'_>) {
    for more in
        [json!({ "pseudoTerminal": true }), json!({ "pseudoTerminal": true, "interactive": true, "user": "web" })]
    {
        let said = bench.says(json!({}), more.clone(), &["complain", "by the second stream", "stdin", "inspect"]);
        // A terminal ends lines in its own way, and the log keeps that.
        assert!(said.starts_with("by the second stream\r\nstdin: waits\r\n"), "{said:?}");
        let seen = Seen::read(&said.replace('\r', ""));
        assert_eq!(seen.number("tty"), 7, "{}", seen.value("fds"));
        assert_eq!(seen.env()["TERM"], "xterm");
        assert!(seen.words("dev").contains(&"console".to_owned()));
    }
}

fn init_process(bench: &Bench<'_>) {
    let more = json!({ "linuxParameters": { "initProcessEnabled": true } });
    let task = bench.does(json!({}), more, &["trap", "9", "orphan", "sleep", "600", "inspect", "wait"]);
    task.running();
    let seen = Seen::read(&task.output_when("web", |said| said.contains("processes")));
    assert!(seen.number("pid") > 1, "the program is not the first");
    assert_eq!(seen.text("init").trim(), "docker-init");
    let alive: Vec<String> = seen.words("processes").into_iter().filter(|name| name.parse::<u32>().is_ok()).collect();
    assert_eq!(alive.len(), 2, "the orphan has ended and somebody took note: {alive:?}");
    task.stop("");
    assert_eq!(named(&task.stopped(), "web")["exitCode"], 9, "the signal was passed on");
}

fn init_process_exit(bench: &Bench<'_>) {
    let more = json!({ "linuxParameters": { "initProcessEnabled": true } });
    for (word, code) in [(["exit", "7"], 7), (["crash", "now"], 139)] {
        let stopped = bench.does(json!({}), more.clone(), &word).stopped();
        assert_eq!(named(&stopped, "web")["exitCode"], code, "{word:?}");
    }
}

fn files(names: &[&str]) -> serde_json::Value {
    names.iter().map(|name| json!({ "type": "s3", "value": format!("arn:aws:s3:::settings/{name}") })).collect()
}

fn environment_files(bench: &Bench<'_>) {
    bench.put_object("first.env", "# for the tests\nA=file\nB=file\nC=first\nSPACED= two words \nnot a line\n");
    bench.put_object("second.env", "C=second\nD=second\nWHO=file\n");
    let more = json!({ "environment": [{ "name": "B", "value": "definition" }], "environmentFiles": files(&["first.env", "second.env"]) });
    let env = bench.inspect(json!({}), more).env();
    let expected = [
        ("A", "file"),
        ("B", "definition"),
        ("C", "first"),
        ("D", "second"),
        ("WHO", "file"),
        ("SPACED", " two words "),
    ];
    for (name, value) in expected {
        assert_eq!(env.get(name).map(String::as_str), Some(value), "{name}");
    }
}

fn environment_files_override(bench: &Bench<'_>) {
    bench.put_object("defined.env", "FILE=defined\nONLY=defined\n");
    bench.put_object("instead.env", "FILE=instead\n");
    let web = json!({ "name": "web", "environmentFiles": files(&["defined.env"]), "command": ["env", "FILE", "env", "ONLY"] });
    let overrides = json!({ "containerOverrides": [{ "name": "web", "environmentFiles": files(&["instead.env"]) }] });
    let task = bench.run_with(json!({}), json!([web]), overrides);
    task.stopped();
    assert_eq!(task.output("web"), "FILE=instead\nONLY=(none)\n");
}

fn environment_file_missing(bench: &Bench<'_>) {
    let stopped = bench.does(json!({}), json!({ "environmentFiles": files(&["nowhere.env"]) }), &["inspect"]).stopped();
    assert_eq!(stopped["stopCode"], "TaskFailedToStart");
    let reason = text(&stopped["stoppedReason"]);
    assert!(reason.starts_with("ResourceInitializationError: failed to download env files: "), "{reason}");
    assert!(reason.contains("nowhere.env") && reason.contains("settings"), "{reason}");
}

fn router_of(kind: &str, key: &str) -> Value {
    let options = json!({ "config-file-type": "s3", "config-file-value": format!("arn:aws:s3:::settings/{key}") });
    json!({ "firelensConfiguration": { "type": kind, "options": options } })
}

fn firelens_config_in_s3(bench: &Bench<'_>) {
    bench.put_object("router/extra.conf", "[SERVICE]\n    Flush 1\n");
    for (kind, dir, main, include) in [
        ("fluentbit", "/fluent-bit/etc", "fluent-bit.conf", "@INCLUDE /fluent-bit/etc/external.conf\n"),
        ("fluentd", "/fluentd/etc", "fluent.conf", "@include /fluentd/etc/external.conf\n"),
    ] {
        let (external, main) = (format!("{dir}/external.conf"), format!("{dir}/{main}"));
        let said = bench.says(json!({}), router_of(kind, "router/extra.conf"), &["cat", &external, "cat", &main]);
        assert!(said.starts_with("[SERVICE]\n    Flush 1\n"), "{said}");
        assert!(said.contains(include), "{said}");
    }
}

fn firelens_config_missing(bench: &Bench<'_>) {
    let stopped = bench.does(json!({}), router_of("fluentbit", "nowhere.conf"), &["inspect"]).stopped();
    assert_eq!(stopped["stopCode"], "TaskFailedToStart");
    let reason = text(&stopped["stoppedReason"]);
    let words = "ResourceInitializationError: unable to download firelens s3 config file: unable to download s3 config nowhere.conf \
                 from bucket settings: ";
    assert!(reason.starts_with(words), "{reason}");
}

fn environment_file_invalid(bench: &Bench<'_>) {
    for (kind, value) in [
        ("s3", "arn:aws:s3:::settings/no-suffix"),
        ("s3", "s3://settings/a.env"),
        ("file", "arn:aws:s3:::settings/a.env"),
    ] {
        let file = json!({ "type": kind, "value": value });
        let refused = bench.refused(json!({}), json!([{ "name": "web", "environmentFiles": [file] }]));
        assert!(refused.is_of_the_client(), "{kind} {value}");
    }
}
