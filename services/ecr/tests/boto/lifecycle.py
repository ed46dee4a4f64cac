web = {"repositoryName": "web"}
ecr.create_repository(**web)
rule = {"rulePriority": 1, "description": "two are enough", "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 2},
        "action": {"type": "expire"}}
policy = json.dumps({"rules": [rule]})
named = "for the repository with name 'web' in the registry with id '000000000000'"
refused(E.LifecyclePolicyNotFoundException, f"Lifecycle policy does not exist {named}", ecr.get_lifecycle_policy, **web)
refused(E.LifecyclePolicyNotFoundException, f"Lifecycle policy does not exist {named}", ecr.delete_lifecycle_policy, **web)
refused(E.LifecyclePolicyNotFoundException, f"Lifecycle policy does not exist {named}", ecr.start_lifecycle_policy_preview, **web)
refused(E.LifecyclePolicyPreviewNotFoundException, f"Lifecycle policy preview does not exist {named}", ecr.get_lifecycle_policy_preview, **web)
refused(E.RepositoryNotFoundException, "does not exist", ecr.put_lifecycle_policy, repositoryName="none", lifecyclePolicyText=policy)
refused(E.InvalidParameterException, "Invalid parameter at 'lifecyclePolicyText' failed to satisfy constraint", ecr.put_lifecycle_policy, **web, lifecyclePolicyText="{}")
refused(E.InvalidParameterException, "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure: Could not map policyString into LifecyclePolicy.'",
        ecr.put_lifecycle_policy, **web, lifecyclePolicyText=policy[:-1] + " ")
bad = json.dumps({"rules": [{**rule, "selection": {**rule["selection"], "countUnit": "days"}}]})
refused(E.InvalidParameterException, "instance failed to match exactly one schema (matched 0 out of 2)", ecr.put_lifecycle_policy, **web, lifecyclePolicyText=bad)

def push_apart(n):
    digest, now = push("web", f"v{n}", f"layer {n}".encode()), time.time_ns() // 1_000_000
    # The next image shall be of another millisecond.
    while time.time_ns() // 1_000_000 == now:
        pass
    return digest

digests = [push_apart(n) for n in range(5)]
old = lambda n: n["imageTags"][0]
preview = ecr.start_lifecycle_policy_preview(**web, lifecyclePolicyText=policy)
assert (preview["status"], preview["lifecyclePolicyText"]) == ("IN_PROGRESS", policy), preview
ecr.get_waiter("lifecycle_policy_preview_complete").wait(**web)
shown = ecr.get_lifecycle_policy_preview(**web)
assert [old(r) for r in shown["previewResults"]] == ["v0", "v1", "v2"] and shown["summary"] == {"expiringImageTotalCount": 3}, shown
first = shown["previewResults"][0]
assert first["imageDigest"] == digests[0] and first["action"] == {"type": "EXPIRE"} and first["appliedRulePriority"] == 1, first
pages = ecr.get_paginator("get_lifecycle_policy_preview").paginate(**web, PaginationConfig={"PageSize": 2})
assert [[old(r) for r in page["previewResults"]] for page in pages] == [["v0", "v1"], ["v2"]]
only = lambda **arguments: [old(r) for r in ecr.get_lifecycle_policy_preview(**web, **arguments)["previewResults"]]
assert only(filter={"tagStatus": "UNTAGGED"}) == [] and only(filter={"tagStatus": "TAGGED"}) == ["v0", "v1", "v2"]
assert only(imageIds=[{"imageTag": "v1"}, {"imageTag": "v4"}, {"imageDigest": digests[2]}]) == ["v1", "v2"]
refused(E.InvalidParameterException, "must be null when imageIds is specified", ecr.get_lifecycle_policy_preview, **web, imageIds=[{"imageTag": "v1"}], maxResults=1)
assert len(ecr.describe_images(**web)["imageDetails"]) == 5, "a preview expires nothing"

assert ecr.put_lifecycle_policy(**web, lifecyclePolicyText=policy)["lifecyclePolicyText"] == policy
kept = ecr.get_lifecycle_policy(**web)
assert kept["lifecyclePolicyText"] == policy and kept["lastEvaluatedAt"].timestamp() == 0, kept
assert ecr.start_lifecycle_policy_preview(**web)["lifecyclePolicyText"] == policy
assert ecr.delete_lifecycle_policy(**web)["lifecyclePolicyText"] == policy
refused(E.LifecyclePolicyNotFoundException, named, ecr.get_lifecycle_policy, **web)
print("done")
