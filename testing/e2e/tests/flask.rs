//! The course's Flask application, as examples/flask-hello-world/README.md says it: built without Docker, pushed, run.

use kit::{Machine, until, workspace};

#[test]
fn the_flask_application_runs() {
    let machine = Machine::up();
    let example = workspace().join("examples/flask-hello-world");
    let layout = machine.dir().join("flask-hello-world");
    // On the real machine's network: it takes Debian's packages.
    let built = std::process::Command::new(example.join("build-image.sh")).arg(&layout).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let from = format!("oci:{}:flask-hello-world:1", layout.display());
    let to = "docker://127.0.0.1:4566/flask-hello-world:1";
    machine.run(&format!("skopeo --insecure-policy copy --dest-tls-verify=false {from} {to}")).unwrap();
    let definition = example.join("task-definition.json");
    machine.aws(&format!("ecs register-task-definition --cli-input-json file://{}", definition.display())).unwrap();
    let port = machine.python("print(port(running(run('flask-hello-world')[0])))");
    let answer = until("Flask answers", || machine.run(&format!("curl -sf http://127.0.0.1:{port}/?name=Berth")).ok());
    assert!(answer.contains("Hello, Berth!"), "{answer}");
    let request = until("its log has the request", || {
        let log = machine.aws("logs tail /ecs/flask-hello-world").unwrap();
        log.lines().find(|line| line.contains("GET /?name=Berth")).map(str::to_owned)
    });
    assert!(request.contains(" flask/flask/"), "{request}");
}
