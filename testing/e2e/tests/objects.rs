//! Images in a bucket: one server takes them, another runs them. The server that speaks S3 is PyPI's `moto`.

use std::process::Stdio;

use kit::{Machine, until, workspace};

const OBJECTS: &str = "s3://images/berth?endpoint=http://127.0.0.1:5000";

#[test]
fn what_one_server_took_another_runs_from_the_bucket() {
    let mut machine = Machine::new();
    let mut moto = machine.command("python3");
    moto.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "5000"]).stdout(Stdio::null()).stderr(Stdio::null());
    machine.spawn(moto);
    until("moto has the bucket", || machine.run("curl -sf -X PUT http://127.0.0.1:5000/images").ok());
    machine.set("AWS_ACCESS_KEY_ID", "key");
    machine.set("AWS_SECRET_ACCESS_KEY", "secret");

    // Berth's own address, as people have it in their shells, is no bucket's.
    machine.set("AWS_ENDPOINT_URL", "http://127.0.0.1:4566");
    machine.start(&["--objects", OBJECTS]);
    let second = machine.dir().join("second").display().to_string();
    let mut server =
        machine.berth(&["server", "--data-dir", &second, "--listen", "127.0.0.1:4567", "--objects", OBJECTS]);
    server.stdout(Stdio::null()).stderr(Stdio::null());
    machine.spawn(server);
    until("the second server answers", || machine.run("curl -sf http://127.0.0.1:4567/v2/").ok());

    let layout = workspace().join("target/sample/hello-world-1");
    let from = format!("oci:{}:hello-world:1", layout.display());
    let push = format!("skopeo --insecure-policy copy --dest-tls-verify=false {from} docker://127.0.0.1:4567/web:1");
    machine.run(&push).unwrap();
    let runs = r#"
register("web", [hello(image="127.0.0.1:4566/web:1")])
get(port(running(run("web")[0])))
"#;
    machine.python(runs);

    machine.kill();
    let refused = machine.berth(&["up"]).output().unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("give its address with --objects"), "{words}");
    machine.start(&["--objects", OBJECTS]);
    machine.python(runs);
    let tags = machine.run("skopeo list-tags --tls-verify=false docker://127.0.0.1:4566/web").unwrap();
    assert!(tags.contains("\"1\""), "{tags}");
    machine.stop();
}
