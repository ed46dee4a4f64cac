//! The built-in registry: skopeo pushes, ECS runs, ECR tells.

use kit::{Machine, until, workspace};

#[test]
fn what_was_pushed_runs_under_each_of_its_names() {
    let machine = Machine::up();
    let layout = workspace().join("target/sample/hello-world-1");
    let copy = |to: &str| {
        let from = format!("oci:{}:hello-world:1", layout.display());
        machine.run(&format!("skopeo --insecure-policy copy --dest-tls-verify=false {from} docker://{to}")).unwrap()
    };
    machine.python("ecr.create_repository(repositoryName='team/web')");
    copy("127.0.0.1:4566/team/web:1");
    let tags = machine.run("skopeo list-tags --tls-verify=false docker://127.0.0.1:4566/team/web").unwrap();
    assert!(tags.contains("\"1\""), "{tags}");
    machine.python(
        r#"
repository = ecr.describe_repositories()["repositories"][0]
assert repository["repositoryUri"] == "000000000000.dkr.ecr.us-east-1.amazonaws.com/team/web", repository
image = ecr.describe_images(repositoryName="team/web")["imageDetails"][0]
assert image["imageTags"] == ["1"], image
for name in [repository["repositoryUri"] + ":1", "127.0.0.1:4566/team/web:1", "localhost:4566/team/web@" + image["imageDigest"]]:
    register("pushed", [hello(image=name)])
    t = running(run("pushed")[0])
    assert t["containers"][0]["imageDigest"] == image["imageDigest"], t
    get(port(t))
# A tag that moves is seen by the next task.
assert ecr.list_images(repositoryName="team/web")["imageIds"][0]["imageTag"] == "1"
"#,
    );
    let second = workspace().join("target/sample/hello-world-2");
    let from = format!("oci:{}:hello-world:2", second.display());
    machine
        .run(&format!(
            "skopeo --insecure-policy copy --dest-tls-verify=false {from} docker://127.0.0.1:4566/team/web:1"
        ))
        .unwrap();
    machine.python(
        r#"
t = running(run("pushed")[0])
register("moved", [hello(image="127.0.0.1:4566/team/web:1")])
assert "version 2" in get(port(running(run("moved")[0])))
assert "version 1" in get(port(t)), "a digest stays what it is"
register("untagged", [hello(image="127.0.0.1:4566/team/web:9")])
reason = stopped(run("untagged")[0])["stoppedReason"]
assert reason.startswith("CannotPullContainerError") and "9" in reason, reason
# The node has pulled it, and an agent's default is to use what is there when a pull fails.
ecr.delete_repository(repositoryName="team/web", force=True)
running(run("moved")[0])
"#,
    );
}

#[test]
fn a_lifecycle_policy_expires_what_is_there_and_no_more() {
    let machine = Machine::up();
    for version in ["1", "2"] {
        let layout = workspace().join(format!("target/sample/hello-world-{version}"));
        let from = format!("oci:{}:hello-world:{version}", layout.display());
        let to = format!("docker://127.0.0.1:4566/web:{version}");
        machine.run(&format!("skopeo --insecure-policy copy --dest-tls-verify=false {from} {to}")).unwrap();
    }
    machine.python(
        r#"
import json
rule = {"rulePriority": 1, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1}, "action": {"type": "expire"}}
register("kept", [hello(image="127.0.0.1:4566/web:1")])
before = running(run("kept")[0])
ecr.put_lifecycle_policy(repositoryName="web", lifecyclePolicyText=json.dumps({"rules": [rule]}))
until("one image is left", lambda: [i["imageTag"] for i in ecr.list_images(repositoryName="web")["imageIds"]] == ["2"])
until("the policy was evaluated", lambda: ecr.get_lifecycle_policy(repositoryName="web")["lastEvaluatedAt"].timestamp() > 0)
# The task runs on, and what stayed can be run.
get(port(before))
register("new", [hello(image="127.0.0.1:4566/web:2")])
running(run("new")[0])
"#,
    );
}

#[test]
fn an_image_of_another_berth_is_still_here_when_that_one_is_gone() {
    let mut machine = Machine::new();
    let mut other = machine.berth(&["server", "--listen", "127.0.0.1:4567", "--data-dir"]);
    other.arg(machine.dir().join("other"));
    let other = machine.spawn(other);
    until("the other Berth answers", || machine.run("curl -sf http://127.0.0.1:4567/_berth/health").ok());
    for version in ["1", "2"] {
        let layout = workspace().join(format!("target/sample/hello-world-{version}"));
        let from = format!("oci:{}:hello-world:{version}", layout.display());
        let to = format!("docker://127.0.0.1:4567/team/web:{version}");
        machine.run(&format!("skopeo --insecure-policy copy --dest-tls-verify=false {from} {to}")).unwrap();
    }
    machine.start(&[]);
    machine.python(
        r#"
import hashlib
ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="other", upstreamRegistryUrl="127.0.0.1:4567")
valid = ecr.validate_pull_through_cache_rule(ecrRepositoryPrefix="other")
assert valid["isValid"] and "failure" not in valid, valid
register("copied", [hello(image="127.0.0.1:4566/other/team/web:1")])
assert "version 1" in get(port(running(run("copied")[0])))
# Through ECR's API, which no task has asked before.
name = "other/team/web"
found = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "2"}, {"imageTag": "9"}])
assert [f["failureCode"] for f in found["failures"]] == ["ImageNotFound"], found
manifest = json.loads(found["images"][0]["imageManifest"])
for part in [manifest["config"], *manifest["layers"]]:
    url = ecr.get_download_url_for_layer(repositoryName=name, layerDigest=part["digest"])["downloadUrl"]
    bytes = urllib.request.urlopen(url).read()
    assert "sha256:" + hashlib.sha256(bytes).hexdigest() == part["digest"], part
absent = "sha256:" + "0" * 64
try:
    ecr.get_download_url_for_layer(repositoryName=name, layerDigest=absent)
    assert False, "nobody has it"
except ecr.exceptions.LayersNotFoundException:
    pass
"#,
    );
    machine.run(&format!("kill -KILL {other}")).unwrap();
    machine.python(
        r#"
name = "other/team/web"
invalid = ecr.validate_pull_through_cache_rule(ecrRepositoryPrefix="other")
assert not invalid["isValid"] and "does not answer" in invalid["failure"], invalid
assert "version 1" in get(port(running(run("copied")[0])))
# All of this one came before.
register("copied-2", [hello(image="127.0.0.1:4566/other/team/web:2")])
assert "version 2" in get(port(running(run("copied-2")[0])))
found = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "1"}, {"imageTag": "8"}])
assert [i["imageId"]["imageTag"] for i in found["images"]] == ["1"], found
assert [f["failureCode"] for f in found["failures"]] == ["UpstreamUnavailable"], found
try:
    ecr.get_download_url_for_layer(repositoryName=name, layerDigest="sha256:" + "0" * 64)
    assert False, "nobody can know"
except ecr.exceptions.UnableToGetUpstreamLayerException:
    pass
"#,
    );
}
