//! S3 beside everything else on one port, and what a task gets from it.

use kit::Machine;

#[test]
fn objects_and_the_tasks_that_read_them() {
    let mut machine = Machine::new();
    machine.start(&["--demo"]);
    machine.python(
        r#"
s3 = client("s3")
s3.create_bucket(Bucket="settings")
s3.put_object(Bucket="settings", Key="app/prod.env", Body=b"PORT=8123\n# where it listens\n")
# A key that is like a path of the registry's, in a bucket that the host names.
request = urllib.request.Request("http://127.0.0.1:4566/v2/list", data=b"a key", method="PUT", headers={"Host": "settings.s3.localhost:4566"})
assert urllib.request.urlopen(request).status == 200
assert s3.get_object(Bucket="settings", Key="v2/list")["Body"].read() == b"a key"
assert urllib.request.urlopen("http://127.0.0.1:4566/v2/").read() == b"{}"
large = os.urandom(9 << 20)
import io
s3.upload_fileobj(io.BytesIO(large), "settings", "large")
register("reads", [hello(portMappings=[{"containerPort": 8123}],
                         environmentFiles=[{"type": "s3", "value": "arn:aws:s3:::settings/app/prod.env"}])])
arn = run("reads")[0]
at = port(running(arn))
def answers():
    try: return get(at)
    except OSError: return None
until("it listens where the file says", answers)
ecs.stop_task(task=arn)
stopped(arn)
"#,
    );
    let listed = machine.run("/usr/bin/aws --endpoint-url http://127.0.0.1:4566 s3 ls s3://settings/app/").unwrap();
    assert!(listed.trim_end().ends_with(" prod.env"), "{listed}");

    // What was acknowledged is there after the power has gone.
    machine.kill();
    machine.start(&[]);
    machine.python(
        r#"
s3 = client("s3")
assert [entry["Key"] for entry in s3.list_objects_v2(Bucket="settings")["Contents"]] == ["app/prod.env", "large", "v2/list"]
assert len(s3.get_object(Bucket="settings", Key="large")["Body"].read()) == 9 << 20
"#,
    );
    assert!(machine.stop().success());
    assert_eq!(machine.leaks(), Vec::<String>::new());
}
