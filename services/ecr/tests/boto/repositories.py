made = ecr.create_repository(repositoryName="team/web", tags=[{"Key": "team", "Value": "blue"}],
                             encryptionConfiguration={"encryptionType": "AES256"})["repository"]
assert made["repositoryArn"] == "arn:aws:ecr:us-east-1:000000000000:repository/team/web", made
assert made["repositoryUri"] == "000000000000.dkr.ecr.us-east-1.amazonaws.com/team/web", made
assert made["registryId"] == "000000000000" and made["imageTagMutability"] == "MUTABLE", made
assert made["imageScanningConfiguration"] == {"scanOnPush": False}, made
assert made["encryptionConfiguration"] == {"encryptionType": "AES256"}, made
age = datetime.datetime.now(datetime.timezone.utc) - made["createdAt"]
assert datetime.timedelta(minutes=-1) < age < datetime.timedelta(minutes=1), made

create = ecr.create_repository
refused(E.RepositoryAlreadyExistsException, "The repository with name 'team/web' already exists in the registry with id '000000000000'",
        create, repositoryName="team/web")
refused(E.InvalidParameterException, "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression '",
        create, repositoryName="Bad_Name!")
refused(E.InvalidParameterException, "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'Member must not be null'", create)
refused(E.InvalidParameterException, "Invalid parameter at 'imageTagMutability' failed to satisfy constraint: 'Member must satisfy enum value set: [",
        create, repositoryName="x1", imageTagMutability="SOMETIMES")
refused(E.InvalidParameterException, "can't be null when imageTagMutability is set as IMMUTABLE_WITH_EXCLUSION",
        create, repositoryName="x1", imageTagMutability="IMMUTABLE_WITH_EXCLUSION")
refused(E.InvalidTagParameterException, "Tag parameters are invalid", create, repositoryName="x1", tags=[{"Key": "", "Value": ""}])
refused(E.TooManyTagsException, "50", create, repositoryName="x1", tags=[{"Key": str(n), "Value": ""} for n in range(51)])
refused(E.KmsException, "KMS", create, repositoryName="x1", encryptionConfiguration={"encryptionType": "KMS"})
refused(E.ClientError, "is not authorized to perform: ecr:CreateRepository", create, repositoryName="x1", registryId="444455556666")

for n in range(105):
    create(repositoryName=f"many/{n:03}")
names = [r["repositoryName"] for page in ecr.get_paginator("describe_repositories").paginate() for r in page["repositories"]]
assert names == [f"many/{n:03}" for n in range(105)] + ["team/web"], names
first = ecr.describe_repositories()
assert len(first["repositories"]) == 100 and first["nextToken"], "a page is 100"
assert len(ecr.describe_repositories(maxResults=1000)["repositories"]) == 106
refused(E.InvalidParameterException, "Invalid parameter at 'maxResults' failed to satisfy constraint: 'Member must have value less than or equal to 1000'",
        ecr.describe_repositories, maxResults=1001)
refused(E.InvalidParameterException, "nextToken", ecr.describe_repositories, nextToken="%%%")
refused(E.InvalidParameterException, "maxResults", ecr.describe_repositories, repositoryNames=["team/web"], maxResults=1)
refused(E.RepositoryNotFoundException, "The repository with name 'none' does not exist in the registry with id '000000000000'",
        ecr.describe_repositories, repositoryNames=["team/web", "none"])
assert ecr.describe_repositories(repositoryNames=["team/web"])["repositories"] == [made]

elsewhere = boto3.client("ecr", aws_access_key_id="111122223333", aws_secret_access_key="x", region_name="eu-west-1", config=config)
assert elsewhere.describe_repositories()["repositories"] == []
assert elsewhere.create_repository(repositoryName="team/web")["repository"]["repositoryUri"] == "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/web"

web = {"repositoryName": "team/web"}
digests = {tag: push("team/web", tag, f"layer {n // 2}".encode()) for n, tag in enumerate(["a", "b", "c", "d", "e"])}
assert digests["a"] == digests["b"] != digests["c"]
ids = [i for page in ecr.get_paginator("list_images").paginate(**web, PaginationConfig={"PageSize": 2}) for i in page["imageIds"]]
assert {i["imageTag"]: i["imageDigest"] for i in ids} == digests and len(ids) == 5, ids
images = [i for page in ecr.get_paginator("describe_images").paginate(**web, PaginationConfig={"PageSize": 2}) for i in page["imageDetails"]]
assert sorted(i["imageTags"] for i in images) == [["a", "b"], ["c", "d"], ["e"]], images
image, = ecr.describe_images(**web, imageIds=[{"imageTag": "a"}])["imageDetails"]
assert image["imageSizeInBytes"] == len("layer 0") + 2 and image["imageStatus"] == "ACTIVE", image
assert image["artifactMediaType"] == "application/vnd.oci.image.config.v1+json", image
assert abs((datetime.datetime.now(datetime.timezone.utc) - image["imagePushedAt"]).total_seconds()) < 60, image
refused(E.ImageNotFoundException, "The image with imageId {imageDigest:'null', imageTag:'z'} does not exist within the repository with name 'team/web' in the registry with id '000000000000'",
        ecr.describe_images, **web, imageIds=[{"imageTag": "z"}])
refused(E.RepositoryNotFoundException, "does not exist in the registry", ecr.describe_images, repositoryName="none")
refused(E.RepositoryNotFoundException, "does not exist in the registry", ecr.list_images, repositoryName="none")
refused(E.RepositoryNotFoundException, "does not exist in the registry", ecr.batch_delete_image, repositoryName="none", imageIds=[{"imageTag": "z"}])
refused(E.InvalidParameterException, "Invalid parameter at 'imageIds' failed to satisfy constraint: 'Member must have length greater than or equal to 1'",
        ecr.batch_delete_image, **web, imageIds=[])
refused(E.InvalidParameterException, "imageIds", ecr.batch_delete_image, **web, imageIds=[{"imageTag": "z"}] * 101)

gone = ecr.batch_delete_image(**web, imageIds=[{"imageTag": "a"}, {}, {"imageDigest": "bad"}, {"imageDigest": digests["c"], "imageTag": "e"}, {"imageTag": "z"}])
assert gone["imageIds"] == [{"imageTag": "a", "imageDigest": digests["a"]}], gone
assert [(f["failureCode"], f["failureReason"]) for f in gone["failures"]] == [
    ("MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null"),
    ("InvalidImageDigest", "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"),
    ("ImageTagDoesNotMatchDigest", "Requested image tag does not match the digest"),
    ("ImageNotFound", "Requested image not found")], gone
send("DELETE", "/v2/team/web/manifests/e")
assert ecr.list_images(**web, filter={"tagStatus": "UNTAGGED"})["imageIds"] == [{"imageDigest": digests["e"]}]
refused(E.RepositoryNotEmptyException, "The repository with name 'team/web' in registry with id '000000000000' cannot be deleted because it still contains images",
        ecr.delete_repository, **web)
rest = ecr.list_images(**web)["imageIds"]
assert ecr.batch_delete_image(**web, imageIds=rest)["failures"] == []
assert ecr.delete_repository(**web)["repository"] == made
refused(E.RepositoryNotFoundException, "The repository with name 'team/web' does not exist in the registry with id '000000000000'",
        ecr.delete_repository, **web)
push("forced", "1", b"x")
ecr.delete_repository(repositoryName="forced", force=True)

data, = ecr.get_authorization_token()["authorizationData"]
user, password = base64.b64decode(data["authorizationToken"]).decode().split(":")
assert user == "AWS" and data["proxyEndpoint"] == "https://000000000000.dkr.ecr.us-east-1.amazonaws.com", data
left = data["expiresAt"] - datetime.datetime.now(datetime.timezone.utc)
assert datetime.timedelta(hours=11.9) < left < datetime.timedelta(hours=12.1), data
refused(E.InvalidParameterException, "registryIds", ecr.get_authorization_token, registryIds=["1"])

with open(f"{directory}/repositories/000000000000/us-east-1/many/000/_repository.json", "w") as record:
    record.write("half a rec")
refused(E.ServerException, "The service cannot complete the request.", ecr.list_images, repositoryName="many/000")
print("done")
