//! boto3 and both generations of the aws CLI, as they come.

mod support;

use support::{Client, Server};

/// Prints what it has checked; fails where an assertion does.
const BOTO: &str = r#"
import sys, io, os, hashlib, boto3, botocore, urllib.request
from botocore.config import Config
url, style = sys.argv[1:]
def client(account="111122223333", region="us-east-1"):
    return boto3.client("s3", endpoint_url=url, region_name=region, aws_access_key_id=account, aws_secret_access_key="any",
                        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": style}))
s3 = client()
def refused(code, status, call, **arguments):
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as error:
        found = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        assert found == (code, status), (found, code, status)
        assert error.response["ResponseMetadata"]["RequestId"]
        return error.response["Error"]
    raise AssertionError(f"{call} {arguments} is not refused")

# Buckets.
s3.create_bucket(Bucket="env-files")
s3.create_bucket(Bucket="env-files")
client(region="eu-west-1").create_bucket(Bucket="in-europe", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
assert s3.get_bucket_location(Bucket="env-files")["LocationConstraint"] is None
assert s3.get_bucket_location(Bucket="in-europe")["LocationConstraint"] == "eu-west-1"
assert s3.head_bucket(Bucket="in-europe")["BucketRegion"] == "eu-west-1"
buckets = s3.list_buckets()
assert [bucket["Name"] for bucket in buckets["Buckets"]] == ["env-files", "in-europe"], buckets
assert buckets["Owner"]["ID"].endswith("111122223333")
refused("BucketAlreadyOwnedByYou", 409, client(region="eu-west-1").create_bucket, Bucket="in-europe",
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
refused("BucketAlreadyExists", 409, client("444455556666").create_bucket, Bucket="env-files")
refused("AccessDenied", 403, client("444455556666").list_objects_v2, Bucket="env-files")
refused("404", 404, s3.head_bucket, Bucket="no-such")
refused("NoSuchBucket", 404, s3.list_objects_v2, Bucket="no-such")

# Objects, with keys that are hard to say.
keys = ["a.env", "app/prod.env", "app/test env+1&2.env", "app//twice", "dir/", "./..//x", "é/ü", "100%", "v2/thing", "q?x=1#y"]
for key in keys:
    body = f"KEY={key}\n".encode()
    put = s3.put_object(Bucket="env-files", Key=key, Body=body, ContentType="text/plain", Metadata={"By": "alice", "n": "1"})
    assert put["ETag"] == '"' + hashlib.md5(body).hexdigest() + '"', put
    got = s3.get_object(Bucket="env-files", Key=key)
    assert got["Body"].read() == body, key
    assert got["ContentType"] == "text/plain" and got["ContentLength"] == len(body)
    assert got["Metadata"] == {"by": "alice", "n": "1"}, got["Metadata"]
    head = s3.head_object(Bucket="env-files", Key=key)
    assert head["ContentLength"] == len(body) and head["ETag"] == put["ETag"]
listed = s3.list_objects_v2(Bucket="env-files")
assert [entry["Key"] for entry in listed["Contents"]] == sorted(keys, key=lambda key: key.encode()), listed
assert listed["KeyCount"] == len(keys) and not listed["IsTruncated"]
folders = s3.list_objects_v2(Bucket="env-files", Delimiter="/", Prefix="app/")
assert [entry["Key"] for entry in folders["Contents"]] == ["app/prod.env", "app/test env+1&2.env"]
assert folders["CommonPrefixes"] == [{"Prefix": "app//"}], folders
paged = [entry["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket="env-files", PaginationConfig={"PageSize": 3})
         for entry in page["Contents"]]
older = [entry["Key"] for page in s3.get_paginator("list_objects").paginate(Bucket="env-files", PaginationConfig={"PageSize": 3})
         for entry in page["Contents"]]
assert paged == older == sorted(keys, key=lambda key: key.encode()), (paged, older)

# Ranges and conditions.
s3.put_object(Bucket="env-files", Key="digits", Body=b"0123456789")
def ranged(text):
    got = s3.get_object(Bucket="env-files", Key="digits", Range=text)
    return got["Body"].read(), got.get("ContentRange"), got["ResponseMetadata"]["HTTPStatusCode"]
assert ranged("bytes=2-4") == (b"234", "bytes 2-4/10", 206)
assert ranged("bytes=-3") == (b"789", "bytes 7-9/10", 206)
assert ranged("bytes=8-99") == (b"89", "bytes 8-9/10", 206)
refused("InvalidRange", 416, s3.get_object, Bucket="env-files", Key="digits", Range="bytes=10-")
etag = s3.head_object(Bucket="env-files", Key="digits")["ETag"]
refused("304", 304, s3.get_object, Bucket="env-files", Key="digits", IfNoneMatch=etag)
refused("PreconditionFailed", 412, s3.get_object, Bucket="env-files", Key="digits", IfMatch='"other"')
refused("PreconditionFailed", 412, s3.put_object, Bucket="env-files", Key="digits", Body=b"x", IfNoneMatch="*")
refused("NoSuchKey", 404, s3.get_object, Bucket="env-files", Key="nothing")
refused("404", 404, s3.head_object, Bucket="env-files", Key="nothing")
s3.put_object(Bucket="env-files", Key="empty", Body=b"")
assert s3.get_object(Bucket="env-files", Key="empty")["Body"].read() == b""

# Checksums, those of the client and of us.
for algorithm in ["CRC32", "SHA1", "SHA256"]:
    put = s3.put_object(Bucket="env-files", Key="summed", Body=b"hello world", ChecksumAlgorithm=algorithm)
    got = s3.get_object(Bucket="env-files", Key="summed", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"hello world"
    assert got["Checksum" + algorithm] == put["Checksum" + algorithm], (got, put)
refused("BadDigest", 400, s3.put_object, Bucket="env-files", Key="summed", Body=b"hello world", ChecksumCRC32="AAAAAA==")
refused("InvalidDigest", 400, s3.put_object, Bucket="env-files", Key="summed", Body=b"hello world", ContentMD5="no")
assert s3.get_object(Bucket="env-files", Key="summed")["Body"].read() == b"hello world"

# Copies, deletions.
s3.copy_object(Bucket="in-europe", Key="copy", CopySource={"Bucket": "env-files", "Key": "app/test env+1&2.env"})
assert s3.get_object(Bucket="in-europe", Key="copy")["Metadata"] == {"by": "alice", "n": "1"}
refused("InvalidRequest", 400, s3.copy_object, Bucket="env-files", Key="digits", CopySource="env-files/digits")
s3.delete_object(Bucket="in-europe", Key="copy")
s3.delete_object(Bucket="in-europe", Key="copy")
refused("NoSuchKey", 404, s3.get_object, Bucket="in-europe", Key="copy")

# In parts: what the transfer manager does above 8 MiB.
large = os.urandom(5 << 20) * 3 + b"the end"
s3.upload_fileobj(io.BytesIO(large), "env-files", "large")
assert s3.head_object(Bucket="env-files", Key="large")["ETag"].endswith('-2"')
into = io.BytesIO()
s3.download_fileobj("env-files", "large", into)
assert into.getvalue() == large
got = s3.get_object(Bucket="env-files", Key="large", Range=f"bytes={(8 << 20) - 2}-{(8 << 20) + 1}")
assert got["Body"].read() == large[(8 << 20) - 2:(8 << 20) + 2]
upload = s3.create_multipart_upload(Bucket="env-files", Key="parts")["UploadId"]
part = lambda number, body: {"PartNumber": number, "ETag": s3.upload_part(Bucket="env-files", Key="parts", UploadId=upload,
                                                                        PartNumber=number, Body=body)["ETag"]}
parts = [part(1, b"small"), part(3, b"parts")]
listed = s3.list_parts(Bucket="env-files", Key="parts", UploadId=upload)
assert [(entry["PartNumber"], entry["Size"]) for entry in listed["Parts"]] == [(1, 5), (3, 5)], listed
complete = lambda parts: s3.complete_multipart_upload(Bucket="env-files", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
refused("EntityTooSmall", 400, complete, parts=parts)
refused("InvalidPartOrder", 400, complete, parts=parts[::-1])
refused("InvalidPart", 400, complete, parts=[{"PartNumber": 2, "ETag": parts[0]["ETag"]}])
complete(parts[1:])
assert s3.get_object(Bucket="env-files", Key="parts")["Body"].read() == b"parts"
refused("NoSuchUpload", 404, s3.abort_multipart_upload, Bucket="env-files", Key="parts", UploadId=upload)
gone = s3.create_multipart_upload(Bucket="env-files", Key="gone")["UploadId"]
s3.abort_multipart_upload(Bucket="env-files", Key="gone", UploadId=gone)
refused("NoSuchUpload", 404, s3.list_parts, Bucket="env-files", Key="gone", UploadId=gone)

# Presigned.
presigned = s3.generate_presigned_url("get_object", Params={"Bucket": "env-files", "Key": "app/test env+1&2.env"})
if style == "path":
    assert urllib.request.urlopen(presigned).read() == b"KEY=app/test env+1&2.env\n"

# What is not there is said so, and never taken for something else.
refused("NotImplemented", 501, s3.put_bucket_versioning, Bucket="env-files", VersioningConfiguration={"Status": "Enabled"})
refused("NotImplemented", 501, s3.get_object_acl, Bucket="env-files", Key="digits")
refused("NotImplemented", 501, s3.put_object_tagging, Bucket="env-files", Key="digits", Tagging={"TagSet": []})
refused("NotImplemented", 501, s3.put_object, Bucket="env-files", Key="x", Body=b"x", ServerSideEncryption="aws:kms")
assert s3.get_object(Bucket="env-files", Key="digits")["Body"].read() == b"0123456789"

# Away with it.
refused("BucketNotEmpty", 409, s3.delete_bucket, Bucket="env-files")
everything = [{"Key": entry["Key"]} for entry in s3.list_objects_v2(Bucket="env-files")["Contents"]]
deleted = s3.delete_objects(Bucket="env-files", Delete={"Objects": everything})
assert len(deleted["Deleted"]) == len(everything) and "Errors" not in deleted, deleted
s3.delete_bucket(Bucket="env-files")
refused("NoSuchBucket", 404, s3.delete_bucket, Bucket="env-files")
print("all of it")
"#;

async fn boto(server: &Server, url: &str, style: &str) {
    let said = Client::new("python3").python(BOTO, &[url, style]).run().await;
    assert_eq!(said.as_deref(), Ok("all of it"), "{style}");
    assert_eq!(server.parts_left(), 0, "parts of uploads that ended");
}

#[tokio::test]
async fn boto3_with_buckets_in_paths() {
    let server = Server::start().await;
    boto(&server, &server.url, "path").await;
}

#[tokio::test]
async fn boto3_with_buckets_in_hosts() {
    let server = Server::start().await;
    // Names below `localhost` are this machine, though not every resolver knows it: the client is told.
    let url = server.url.replace("127.0.0.1", "localhost");
    let said = Client::new("python3").python(&format!("{RESOLVES}{BOTO}"), &[&url, "virtual"]).run().await;
    assert_eq!(said.as_deref(), Ok("all of it"));
}

const RESOLVES: &str = r#"
import socket
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **named: resolve("127.0.0.1" if str(host).endswith("localhost") else host, *rest, **named)
"#;

/// As a person types it.
async fn cli(program: &str) {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let run = async |arguments: &[&str]| {
        let mut all = vec!["--endpoint-url", server.url.as_str()];
        all.extend(arguments);
        Client::new(program).aws("111122223333").arguments(&all).run().await
    };
    let large: Vec<u8> = (0..9_u32 << 20).map(|number| (number % 251) as u8).collect();
    std::fs::write(path("small.env"), "A=1\n").unwrap();
    std::fs::write(path("large"), &large).unwrap();
    std::fs::create_dir(path("tree")).unwrap();
    for name in ["one", "two words"] {
        std::fs::write(folder.path().join("tree").join(name), name).unwrap();
    }
    assert_eq!(run(&["s3", "mb", "s3://typed"]).await.as_deref(), Ok("make_bucket: typed"));
    run(&["s3", "cp", "--quiet", &path("small.env"), "s3://typed/env/small.env"]).await.unwrap();
    run(&["s3", "cp", "--quiet", &path("large"), "s3://typed/large"]).await.unwrap();
    run(&["s3", "sync", "--quiet", &path("tree"), "s3://typed/tree"]).await.unwrap();
    assert_eq!(
        run(&["s3", "sync", &path("tree"), "s3://typed/tree"]).await.as_deref(),
        Ok(""),
        "nothing is sent twice"
    );
    let listed = run(&["s3", "ls", "--recursive", "s3://typed"]).await.unwrap();
    let listed: Vec<&str> = listed.lines().map(|line| line[20..].trim()).collect();
    assert_eq!(listed, ["4 env/small.env", "9437184 large", "3 tree/one", "9 tree/two words"]);
    assert!(run(&["s3", "ls", "s3://typed"]).await.unwrap().contains("PRE env/"));
    assert_eq!(run(&["s3", "cp", "s3://typed/env/small.env", "-"]).await.as_deref(), Ok("A=1"));
    run(&["s3", "cp", "--quiet", "s3://typed/large", &path("back")]).await.unwrap();
    assert!(std::fs::read(path("back")).unwrap() == large, "the large one came back as another");
    run(&["s3", "mv", "--quiet", "s3://typed/tree/one", "s3://typed/moved"]).await.unwrap();
    assert_eq!(run(&["s3", "cp", "s3://typed/moved", "-"]).await.as_deref(), Ok("one"));
    let head = ["s3api", "head-object", "--bucket", "typed", "--key", "large", "--query", "ContentLength"];
    assert_eq!(run(&head).await.as_deref(), Ok("9437184"));
    let refused = run(&["s3api", "get-bucket-acl", "--bucket", "typed"]).await.unwrap_err();
    assert!(refused.contains("(NotImplemented) when calling the GetBucketAcl operation"), "{refused}");
    let refused = run(&["s3", "rb", "s3://typed"]).await.unwrap_err();
    assert!(refused.contains("BucketNotEmpty"), "{refused}");
    run(&["s3", "rb", "--force", "s3://typed"]).await.unwrap();
    assert_eq!(run(&["s3", "ls"]).await.as_deref(), Ok(""));
}

#[tokio::test]
async fn the_cli_of_the_first_generation() {
    cli("aws").await;
}

#[tokio::test]
async fn the_cli_of_the_second_generation() {
    cli("/usr/bin/aws").await;
}
