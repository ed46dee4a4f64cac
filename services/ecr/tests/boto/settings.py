web = {"repositoryName": "web"}
made = ecr.create_repository(**web, tags=[{"Key": "team", "Value": "blue"}])["repository"]
arn = made["repositoryArn"]

# Tags.
tags = lambda: {t["Key"]: t["Value"] for t in ecr.list_tags_for_resource(resourceArn=arn)["tags"]}
assert tags() == {"team": "blue"}
ecr.tag_resource(resourceArn=arn, tags=[{"Key": "team", "Value": "red"}, {"Key": "cost", "Value": ""}])
assert tags() == {"team": "red", "cost": ""}
ecr.untag_resource(resourceArn=arn, tagKeys=["team", "none"])
assert tags() == {"cost": ""}
many = [{"Key": f"k{n}", "Value": ""} for n in range(50)]
refused(E.TooManyTagsException, "over the limit", ecr.tag_resource, resourceArn=arn, tags=many)
assert tags() == {"cost": ""}, "what is refused changes nothing"
refused(E.InvalidTagParameterException, "Tag parameters are invalid", ecr.tag_resource, resourceArn=arn, tags=[{"Key": "aws:x", "Value": ""}])
refused(E.RepositoryNotFoundException, "does not exist", ecr.list_tags_for_resource, resourceArn=arn + "x")
refused(E.InvalidParameterException, "Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'", ecr.list_tags_for_resource, resourceArn="web")
refused(E.ClientError, "is not authorized to perform: ecr:TagResource", ecr.tag_resource, resourceArn=arn.replace("000000000000", "111122223333"), tags=[])

# Policies.
statement = {"Sid": "pull", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": ["ecr:BatchGetImage"]}
policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
missing = "Repository policy does not exist for the repository with name 'web' in the registry with id '000000000000'"
refused(E.RepositoryPolicyNotFoundException, missing, ecr.get_repository_policy, **web)
refused(E.RepositoryPolicyNotFoundException, missing, ecr.delete_repository_policy, **web)
refused(E.InvalidParameterException, "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'",
        ecr.set_repository_policy, **web, policyText="{}")
refused(E.InvalidParameterException, "policyText", ecr.set_repository_policy, **web, policyText=" " * 10241)
refused(E.RepositoryNotFoundException, "does not exist", ecr.set_repository_policy, repositoryName="none", policyText=policy)
assert ecr.set_repository_policy(**web, policyText=policy)["policyText"] == policy
assert ecr.get_repository_policy(**web)["policyText"] == policy
assert ecr.delete_repository_policy(**web)["policyText"] == policy
refused(E.RepositoryPolicyNotFoundException, missing, ecr.get_repository_policy, **web)
missing = "Registry policy does not exist in the registry with id '000000000000'"
refused(E.RegistryPolicyNotFoundException, missing, ecr.get_registry_policy)
refused(E.RegistryPolicyNotFoundException, missing, ecr.delete_registry_policy)
refused(E.InvalidParameterException, "Invalid registry policy provided", ecr.put_registry_policy, policyText=policy)
policy = json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Action": "ecr:ReplicateImage", "Resource": "arn:aws:ecr:us-east-1:000000000000:repository/*"}]})
assert ecr.put_registry_policy(policyText=policy)["policyText"] == policy
assert ecr.get_registry_policy()["policyText"] == policy and ecr.delete_registry_policy()["policyText"] == policy

# Scanning.
scanning = ecr.get_registry_scanning_configuration()
assert scanning["registryId"] == "000000000000" and scanning["scanningConfiguration"] == {"scanType": "BASIC", "rules": []}, scanning
assert ecr.put_image_scanning_configuration(**web, imageScanningConfiguration={"scanOnPush": True})["imageScanningConfiguration"] == {"scanOnPush": True}
assert ecr.describe_repositories()["repositories"][0]["imageScanningConfiguration"] == {"scanOnPush": True}
both = lambda: ecr.batch_get_repository_scanning_configuration(repositoryNames=["web", "none"])
assert both()["scanningConfigurations"] == [{"repositoryArn": arn, "repositoryName": "web", "scanOnPush": True, "scanFrequency": "SCAN_ON_PUSH", "appliedScanFilters": []}], both()
assert both()["failures"] == [{"repositoryName": "none", "failureCode": "REPOSITORY_NOT_FOUND", "failureReason": "REPOSITORY_NOT_FOUND"}], both()
rules = [{"scanFrequency": "MANUAL", "repositoryFilters": [{"filter": "w*", "filterType": "WILDCARD"}]}]
assert ecr.put_registry_scanning_configuration(scanType="BASIC", rules=rules)["registryScanningConfiguration"] == {"scanType": "BASIC", "rules": rules}
assert both()["scanningConfigurations"][0]["appliedScanFilters"] == rules[0]["repositoryFilters"]
refused(E.ValidationException, "Amazon Inspector", ecr.put_registry_scanning_configuration, scanType="ENHANCED", rules=[])

# Account settings.
assert ecr.get_account_setting(name="BASIC_SCAN_TYPE_VERSION")["value"] == "AWS_NATIVE"
assert ecr.put_account_setting(name="REGISTRY_POLICY_SCOPE", value="V1")["value"] == "V1"
assert ecr.get_account_setting(name="REGISTRY_POLICY_SCOPE")["value"] == "V1"
refused(E.InvalidParameterException, "Member must satisfy enum value set", ecr.get_account_setting, name="NONE")
refused(E.InvalidParameterException, "Member must satisfy enum value set: [V2, V1]", ecr.put_account_setting, name="REGISTRY_POLICY_SCOPE", value="V3")

# Pull-through cache rules.
hub = ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="hub", upstreamRegistryUrl="registry-1.docker.io")
assert (hub["upstreamRegistry"], hub["upstreamRepositoryPrefix"], hub["registryId"]) == ("docker-hub", "ROOT", "000000000000"), hub
refused(E.PullThroughCacheRuleAlreadyExistsException, "'hub' already exists", ecr.create_pull_through_cache_rule, ecrRepositoryPrefix="hub/", upstreamRegistryUrl="quay.io")
refused(E.InvalidParameterException, "upstreamRegistryUrl", ecr.create_pull_through_cache_rule, ecrRepositoryPrefix="x1", upstreamRegistryUrl="https://quay.io/path")
refused(E.InvalidParameterException, "ecrRepositoryPrefix", ecr.create_pull_through_cache_rule, ecrRepositoryPrefix="Bad!", upstreamRegistryUrl="quay.io")
secret = "arn:aws:secretsmanager:us-east-1:000000000000:secret:ecr-pullthroughcache/hub-a1b2c3"
ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="own", upstreamRegistryUrl="http://127.0.0.1:5000", upstreamRepositoryPrefix="mirror", credentialArn=secret)
names = lambda **arguments: [r["ecrRepositoryPrefix"] for r in ecr.describe_pull_through_cache_rules(**arguments)["pullThroughCacheRules"]]
assert names() == ["hub", "own"] and names(ecrRepositoryPrefixes=["own", "hub/"]) == ["own", "hub"] and names(maxResults=1) == ["hub"]
refused(E.PullThroughCacheRuleNotFoundException, "'none' does not exist in the registry with id '000000000000'", ecr.describe_pull_through_cache_rules, ecrRepositoryPrefixes=["none"])
invalid = ecr.validate_pull_through_cache_rule(ecrRepositoryPrefix="own")
assert not invalid["isValid"] and "Secrets Manager" in invalid["failure"] and invalid["credentialArn"] == secret, invalid
updated = ecr.update_pull_through_cache_rule(ecrRepositoryPrefix="own", credentialArn=secret + "2")
assert updated["credentialArn"] == secret + "2" and updated["upstreamRepositoryPrefix"] == "mirror", updated
assert ecr.delete_pull_through_cache_rule(ecrRepositoryPrefix="own")["upstreamRegistryUrl"] == "http://127.0.0.1:5000"
for call in [ecr.delete_pull_through_cache_rule, ecr.validate_pull_through_cache_rule, ecr.update_pull_through_cache_rule]:
    refused(E.PullThroughCacheRuleNotFoundException, "'own' does not exist", call, ecrRepositoryPrefix="own")

# Repository creation templates, and what a push then creates.
lifecycle = json.dumps({"rules": [{"rulePriority": 1, "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 1},
                                   "action": {"type": "expire"}}]})
policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
template = {"prefix": "prod", "description": "what is live", "imageTagMutability": "IMMUTABLE", "resourceTags": [{"Key": "stage", "Value": "prod"}],
            "repositoryPolicy": policy, "lifecyclePolicy": lifecycle, "appliedFor": ["CREATE_ON_PUSH"]}
made = ecr.create_repository_creation_template(**template)
assert template.items() <= made["repositoryCreationTemplate"].items() and made["registryId"] == "000000000000", made
refused(E.TemplateAlreadyExistsException, "'prod' already exists", ecr.create_repository_creation_template, **template)
refused(E.InvalidParameterException, "Lifecycle policy validation failure", ecr.create_repository_creation_template, prefix="x", appliedFor=["REPLICATION"], lifecyclePolicy="{}")
refused(E.InvalidParameterException, "Member must satisfy enum value set", ecr.create_repository_creation_template, prefix="x", appliedFor=["ALWAYS"])
refused(E.ClientError, "KMS", ecr.create_repository_creation_template, prefix="x", appliedFor=["REPLICATION"], encryptionConfiguration={"encryptionType": "KMS"})
push("prod/web", "1", b"layer")
live, = ecr.describe_repositories(repositoryNames=["prod/web"])["repositories"]
assert live["imageTagMutability"] == "IMMUTABLE", live
assert ecr.get_lifecycle_policy(repositoryName="prod/web")["lifecyclePolicyText"] == lifecycle
assert ecr.get_repository_policy(repositoryName="prod/web")["policyText"] == policy
assert ecr.list_tags_for_resource(resourceArn=live["repositoryArn"])["tags"] == [{"Key": "stage", "Value": "prod"}]
updated = ecr.update_repository_creation_template(prefix="prod", imageTagMutability="MUTABLE", lifecyclePolicy="")["repositoryCreationTemplate"]
assert updated["imageTagMutability"] == "MUTABLE" and "lifecyclePolicy" not in updated and updated["repositoryPolicy"] == policy, updated
ecr.create_repository_creation_template(prefix="ROOT", appliedFor=["REPLICATION", "PULL_THROUGH_CACHE"])
templates = lambda **arguments: [t["prefix"] for t in ecr.describe_repository_creation_templates(**arguments)["repositoryCreationTemplates"]]
assert templates() == ["ROOT", "prod"] and templates(prefixes=["prod", "none"]) == ["prod"] and templates(maxResults=1) == ["ROOT"]
assert ecr.delete_repository_creation_template(prefix="prod")["repositoryCreationTemplate"]["prefix"] == "prod"
for call in [ecr.delete_repository_creation_template, ecr.update_repository_creation_template]:
    refused(E.TemplateNotFoundException, "'prod' does not exist", call, prefix="prod")
print("done")
