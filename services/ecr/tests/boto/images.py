web = {"repositoryName": "team/web"}
E404 = E.RepositoryNotFoundException
sha = lambda data: "sha256:" + hashlib.sha256(data).hexdigest()
ecr.create_repository(**web)

# A layer in parts, as a tool uploads it that has no docker.
MIB = 1024 * 1024
layer = bytes(range(256)) * (12 * 4096 + 3)
refused(E404, "does not exist in the registry", ecr.initiate_layer_upload, repositoryName="none")
begun = ecr.initiate_layer_upload(**web)
assert begun["partSize"] == 10 * MIB, begun
upload = {**web, "uploadId": begun["uploadId"]}
part = lambda first, last, data=None: ecr.upload_layer_part(**upload, partFirstByte=first, partLastByte=last, layerPartBlob=layer[first:last + 1] if data is None else data)
refused(E.EmptyUploadException, "does not contain any layer parts", ecr.complete_layer_upload, **upload, layerDigests=[sha(layer)])
first = part(0, 10 * MIB - 1)
assert first["lastByteReceived"] == 10 * MIB - 1 and first["uploadId"] == begun["uploadId"], first
try:
    part(11 * MIB, 12 * MIB - 1)
except E.InvalidLayerPartException as e:
    assert e.response["lastValidByteReceived"] == 10 * MIB - 1 and e.response["uploadId"] == begun["uploadId"], e.response
    assert e.response["repositoryName"] == "team/web" and e.response["registryId"] == "000000000000", e.response
else:
    raise SystemExit("a gap is refused")
refused(E.InvalidLayerPartException, "does not go from byte", part, first=10 * MIB, last=11 * MIB, data=b"short")
assert part(10 * MIB, len(layer) - 1)["lastByteReceived"] == len(layer) - 1
refused(E.InvalidLayerException, "does not match the digest of what was uploaded", ecr.complete_layer_upload, **upload, layerDigests=[sha(b"x")])
refused(E.UploadNotFoundException, "The upload with id", ecr.complete_layer_upload, **upload, layerDigests=[sha(layer)])

def put_layer(data, repository="team/web"):
    upload = {"repositoryName": repository, "uploadId": ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]}
    for first in range(0, len(data), 10 * MIB):
        last = min(first + 10 * MIB, len(data)) - 1
        ecr.upload_layer_part(**upload, partFirstByte=first, partLastByte=last, layerPartBlob=data[first:last + 1])
    return ecr.complete_layer_upload(**upload, layerDigests=[sha(data)])["layerDigest"]

# The largest part that there is, and the next byte.
big = bytes(20 * MIB)
assert put_layer(layer) == sha(layer)
upload["uploadId"] = ecr.initiate_layer_upload(**web)["uploadId"]
assert part(0, 20 * MIB - 1, big)["lastByteReceived"] == 20 * MIB - 1
refused(E.InvalidParameterException, "Member must have length less than or equal to 20971520", part, first=20 * MIB, last=40 * MIB, data=big + b"1")
refused(E.LayerAlreadyExistsException, f"The layer with digest '{sha(layer)}' already exists in the repository with name 'team/web'",
        ecr.complete_layer_upload, **upload, layerDigests=[sha(layer)])
upload["uploadId"] = ecr.initiate_layer_upload(**web)["uploadId"]
part(0, 99)
refused(E.InvalidLayerPartException, "Layer parts must be at least 5242880 bytes", part, first=100, last=199)
refused(E.UploadNotFoundException, "could not be found", ecr.upload_layer_part, **web, uploadId="00000000-0000-0000-0000-000000000000",
        partFirstByte=0, partLastByte=0, layerPartBlob=b"x")

seen = ecr.batch_check_layer_availability(**web, layerDigests=[sha(layer), sha(b"none"), "bad", "sha256:00", ""])
assert [(l["layerDigest"], l["layerAvailability"], l.get("layerSize")) for l in seen["layers"]] == [
    (sha(layer), "AVAILABLE", len(layer)), (sha(b"none"), "UNAVAILABLE", None), ("sha256:00", "UNAVAILABLE", None)], seen
assert [(f["failureCode"], f["layerDigest"]) for f in seen["failures"]] == [("InvalidLayerDigest", "bad"), ("MissingLayerDigest", "")], seen

# An image of it.
TYPE = "application/vnd.oci.image.manifest.v1+json"
def manifest(*layers, **more):
    described = lambda data: {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": sha(data), "size": len(data)}
    return json.dumps({"schemaVersion": 2, "mediaType": TYPE, "config": described(b"{}"), "layers": [described(l) for l in layers], **more})
text = manifest(layer)
refused(E.LayersNotFoundException, f"Layers with digests '[{sha(b'{}')}]' required for pushing image into repository with name 'team/web' in the registry with id '000000000000' do not exist",
        ecr.put_image, **web, imageManifest=text, imageTag="1")
put_layer(b"{}")
refused(E.RepositoryNotFoundException, "does not exist in the registry", ecr.put_image, repositoryName="none", imageManifest=text, imageTag="1")
refused(E.ImageDigestDoesNotMatchException, "does not match", ecr.put_image, **web, imageManifest=text, imageTag="1", imageDigest=sha(b"x"))
refused(E.InvalidParameterException, "Invalid parameter at 'imageManifest' failed to satisfy constraint", ecr.put_image, **web, imageManifest="{", imageTag="1")
refused(E.InvalidParameterException, "Invalid parameter at 'imageTag' failed to satisfy constraint", ecr.put_image, **web, imageManifest=text, imageTag="a b")
image = ecr.put_image(**web, imageManifest=text, imageTag="1", imageDigest=sha(text.encode()))["image"]
digest = sha(text.encode())
assert image == {"registryId": "000000000000", "repositoryName": "team/web", "imageId": {"imageDigest": digest, "imageTag": "1"},
                 "imageManifest": text, "imageManifestMediaType": TYPE}, image
refused(E.ImageAlreadyExistsException, f"Image with digest '{digest}' and tag '1' already exists in the repository with name 'team/web' in registry with id '000000000000'",
        ecr.put_image, **web, imageManifest=text, imageTag="1")
ecr.put_image(**web, imageManifest=text, imageTag="latest")
index = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
    {"mediaType": TYPE, "digest": digest, "size": len(text)}, {"mediaType": TYPE, "digest": sha(b"gone"), "size": 1}]})
refused(E.ReferencedImagesNotFoundException, f"Images with digests '[{sha(b'gone')}]' required for pushing image", ecr.put_image, **web, imageManifest=index, imageTag="multi")

got = ecr.batch_get_image(**web, imageIds=[{"imageTag": "1"}, {"imageDigest": digest}, {"imageDigest": digest, "imageTag": "latest"}, {"imageTag": "1"},
                                           {"imageTag": "none"}, {}, {"imageDigest": digest, "imageTag": "none"}])
assert [i["imageId"] for i in got["images"]] == [{"imageDigest": digest, "imageTag": "1"}, {"imageDigest": digest}, {"imageDigest": digest, "imageTag": "latest"}], got
assert all(i["imageManifest"] == text and i["imageManifestMediaType"] == TYPE for i in got["images"]), got
assert [f["failureCode"] for f in got["failures"]] == ["ImageNotFound", "MissingDigestAndTag", "ImageNotFound"], got

# The layer comes back by an address that needs no login.
url = ecr.get_download_url_for_layer(**web, layerDigest=sha(layer))
assert url["layerDigest"] == sha(layer) and url["downloadUrl"].startswith(f"http://{registry}/"), url
assert urllib.request.urlopen(url["downloadUrl"]).read() == layer
part_of_it = urllib.request.Request(url["downloadUrl"], headers={"Range": "bytes=256-511"})
assert urllib.request.urlopen(part_of_it).read() == bytes(range(256))
try:
    urllib.request.urlopen(url["downloadUrl"].replace("signature=", "signature=00"))
except urllib.error.HTTPError as e:
    assert e.code == 403 and b"SignatureDoesNotMatch" in e.read(), e
else:
    raise SystemExit("a forged address is refused")
refused(E.LayersNotFoundException, "does not exist in the repository with name 'team/web'", ecr.get_download_url_for_layer, **web, layerDigest=sha(b"none"))

# What is about an image.
sbom = manifest(artifactType="application/spdx+json", subject={"mediaType": TYPE, "digest": digest, "size": len(text)}, annotations={"by": "test"})
about = ecr.put_image(**web, imageManifest=sbom)["image"]["imageId"]["imageDigest"]
found = ecr.list_image_referrers(**web, subjectId={"imageDigest": digest})["referrers"]
assert found == [{"digest": about, "mediaType": TYPE, "artifactType": "application/spdx+json", "size": len(sbom), "annotations": {"by": "test"}, "artifactStatus": "ACTIVE"}], found
assert ecr.list_image_referrers(**web, subjectId={"imageDigest": digest}, filter={"artifactTypes": ["x"]})["referrers"] == []
assert ecr.list_image_referrers(**web, subjectId={"imageDigest": digest}, filter={"artifactStatus": "ARCHIVED"})["referrers"] == []

# A tag that may not move does not, whoever pushes.
assert ecr.put_image_tag_mutability(**web, imageTagMutability="IMMUTABLE")["imageTagMutability"] == "IMMUTABLE"
other = manifest(layer, b"{}")
immutable = "The image tag '1' already exists in the 'team/web' repository and cannot be overwritten because the tag is immutable."
refused(E.ImageTagAlreadyExistsException, immutable, ecr.put_image, **web, imageManifest=other, imageTag="1")
try:
    send("PUT", "/v2/team/web/manifests/1", other.encode(), Content_Type=TYPE)
except urllib.error.HTTPError as e:
    answer = json.load(e)["errors"][0]
    assert (e.code, answer["code"], answer["message"]) == (400, "TAG_INVALID", immutable), answer
else:
    raise SystemExit("a push may not move the tag")
filters = [{"filterType": "WILDCARD", "filter": "latest"}, {"filterType": "WILDCARD", "filter": "dev-*"}]
changed = ecr.put_image_tag_mutability(**web, imageTagMutability="IMMUTABLE_WITH_EXCLUSION", imageTagMutabilityExclusionFilters=filters)
assert changed["imageTagMutabilityExclusionFilters"] == filters, changed
ecr.put_image(**web, imageManifest=other, imageTag="latest")
refused(E.ImageTagAlreadyExistsException, immutable, ecr.put_image, **web, imageManifest=other, imageTag="1")
ecr.put_image_tag_mutability(**web, imageTagMutability="MUTABLE_WITH_EXCLUSION", imageTagMutabilityExclusionFilters=filters)
ecr.put_image(**web, imageManifest=other, imageTag="1")
refused(E.ImageTagAlreadyExistsException, "The image tag 'latest' already exists", ecr.put_image, **web, imageManifest=text, imageTag="latest")
refused(E.InvalidParameterException, "must be null when imageTagMutability is set as MUTABLE", ecr.put_image_tag_mutability, **web,
        imageTagMutability="MUTABLE", imageTagMutabilityExclusionFilters=filters)
assert "imageTagMutabilityExclusionFilters" not in ecr.put_image_tag_mutability(**web, imageTagMutability="MUTABLE")

# Nothing is scanned, and says so.
refused(E.UnsupportedImageTypeException, "cannot be scanned", ecr.start_image_scan, **web, imageId={"imageTag": "1"})
refused(E.ImageNotFoundException, "imageTag:'none'", ecr.start_image_scan, **web, imageId={"imageTag": "none"})
refused(E.ScanNotFoundException, "Image scan does not exist for the image with '{imageDigest:'sha256:", ecr.describe_image_scan_findings, **web, imageId={"imageTag": "1"})

# Copies in another region and another account, of what is pushed from now on.
there = [{"region": "eu-west-1", "registryId": "000000000000"}, {"region": "us-east-1", "registryId": "111122223333"}]
assert ecr.describe_registry()["replicationConfiguration"] == {"rules": []}
rules = {"rules": [{"destinations": there, "repositoryFilters": [{"filter": "team", "filterType": "PREFIX_MATCH"}]}]}
assert ecr.put_replication_configuration(replicationConfiguration=rules)["replicationConfiguration"] == rules
assert ecr.describe_registry() | {"ResponseMetadata": 0} == {"registryId": "000000000000", "replicationConfiguration": rules, "ResponseMetadata": 0}
refused(E.InvalidParameterException, "cannot be the same as the source registry", ecr.put_replication_configuration,
        replicationConfiguration={"rules": [{"destinations": [{"region": "us-east-1", "registryId": "000000000000"}]}]})
ecr.put_image(**web, imageManifest=text, imageTag="copied")
statuses = ecr.describe_image_replication_status(**web, imageId={"imageTag": "copied"})
assert statuses["imageId"] == {"imageTag": "copied", "imageDigest": digest}, statuses
assert statuses["replicationStatuses"] == [{**to, "status": "COMPLETE"} for to in there], statuses
assert ecr.describe_image_replication_status(**web, imageId={"imageTag": "1"})["replicationStatuses"] == []
for region, account in [("eu-west-1", "000000000000"), ("us-east-1", "111122223333")]:
    elsewhere = boto3.client("ecr", aws_access_key_id=account, aws_secret_access_key="x", region_name=region, config=config)
    copy, = elsewhere.describe_images(**web)["imageDetails"]
    assert (copy["imageDigest"], copy["imageTags"]) == (digest, ["copied"]), copy
    address = elsewhere.get_download_url_for_layer(**web, layerDigest=sha(layer))["downloadUrl"]
    assert urllib.request.urlopen(address).read() == layer
print("done")
