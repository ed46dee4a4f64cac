//! What travels, byte for byte where that matters: bodies in chunks, bodies that are not what they say, signatures, answers.

mod support;

use std::sync::Arc;

use shape::Principal;
use support::{Client, Server};
use wire::{AuthMode, CredentialStore, Key};

const RAW: &str = r#"
import http.client, sys, hashlib
host = sys.argv[1].removeprefix("http://")
def ask(method, path, body=None, **headers):
    connection = http.client.HTTPConnection(host, timeout=20)
    named = {"Host": "s3.localhost"} | {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body=body, headers=named)
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers
def code(answer): return answer[0], answer[1].split(b"<Code>")[1].split(b"</Code>")[0].decode()
assert ask("PUT", "/raw")[0] == 200

# As SDKs send what they compute on the way.
chunked = b"5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n"
told = dict(x_amz_content_sha256="STREAMING-UNSIGNED-PAYLOAD-TRAILER", x_amz_decoded_content_length="11",
            x_amz_trailer="x-amz-checksum-crc32", content_encoding="aws-chunked,gzip")
status, body, headers = ask("PUT", "/raw/chunked", chunked, **told)
assert (status, body) == (200, b"") and headers["x-amz-checksum-crc32"] == "DUoRhQ==", (status, body)
status, body, headers = ask("GET", "/raw/chunked", x_amz_checksum_mode="ENABLED")
assert (status, body) == (200, b"hello world"), body
assert headers["content-encoding"] == "gzip" and headers["x-amz-checksum-crc32"] == "DUoRhQ=="
assert headers["etag"] == '"' + hashlib.md5(b"hello world").hexdigest() + '"'
assert headers["content-type"] == "binary/octet-stream" and headers["content-length"] == "11"
assert headers["x-amz-request-id"] and headers["x-amz-id-2"] and headers["last-modified"].endswith(" GMT")
signed = b"5;chunk-signature=ab\r\nhello\r\n0;chunk-signature=cd\r\n\r\n"
assert ask("PUT", "/raw/signed", signed, x_amz_content_sha256="STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
           x_amz_decoded_content_length="5")[0] == 200
assert ask("GET", "/raw/signed")[1] == b"hello"

# What is not what it says is not kept.
bad = chunked.replace(b"DUoRhQ", b"AAAAAA")
assert code(ask("PUT", "/raw/bad", bad, **told)) == (400, "BadDigest")
assert code(ask("PUT", "/raw/bad", chunked, **(told | {"x_amz_decoded_content_length": "12"}))) == (400, "IncompleteBody")
assert code(ask("PUT", "/raw/bad", b"hello\r\n", **told)) == (400, "InvalidRequest")
assert code(ask("PUT", "/raw/bad", b"hello", x_amz_content_sha256="0" * 64)) == (400, "XAmzContentSHA256Mismatch")
assert ask("PUT", "/raw/good", b"hello", x_amz_content_sha256=hashlib.sha256(b"hello").hexdigest())[0] == 200
connection = http.client.HTTPConnection(host, timeout=20)
connection.putrequest("PUT", "/raw/bad", skip_host=True)
for name, value in [("Host", "s3.localhost"), ("Content-Length", "100")]: connection.putheader(name, value)
connection.endheaders(b"only this")
connection.close()
assert code(ask("GET", "/raw/bad")) == (404, "NoSuchKey")

# Errors and answers as they are.
status, body, headers = ask("GET", "/raw/no%20such")
text = body.decode().replace(headers["x-amz-request-id"], "ID")
assert text == """<?xml version="1.0" encoding="UTF-8"?>
<Error>
  <Code>NoSuchKey</Code>
  <Message>The specified key does not exist.</Message>
  <Key>no such</Key>
  <RequestId>ID</RequestId>
  <HostId>berth</HostId>
</Error>
""", text
assert headers["content-type"] == "application/xml"
status, body, headers = ask("HEAD", "/raw/none")
assert (status, body) == (404, b"")
assert ask("GET", "/raw?location")[1].decode() == """<?xml version="1.0" encoding="UTF-8"?>
<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></LocationConstraint>
"""
status, body, headers = ask("GET", "/raw?list-type=2&prefix=si&delimiter=%2F")
import re
text = re.sub(r"<LastModified>[^<]*Z<", "<LastModified>WHEN<", body.decode())
assert text == """<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <IsTruncated>false</IsTruncated>
  <Contents>
    <Key>signed</Key>
    <LastModified>WHEN</LastModified>
    <ETag>&quot;5d41402abc4b2a76b9719d911017c592&quot;</ETag>
    <ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>
    <ChecksumType>FULL_OBJECT</ChecksumType>
    <Size>5</Size>
    <StorageClass>STANDARD</StorageClass>
  </Contents>
  <Name>raw</Name>
  <Prefix>si</Prefix>
  <Delimiter>/</Delimiter>
  <MaxKeys>1000</MaxKeys>
  <KeyCount>1</KeyCount>
</ListBucketResult>
""", text
delete = lambda body: ask("POST", "/raw?delete", body)
assert code(delete(b"")) == (400, "MissingRequestBodyError")
for body in [b"<Delete>", b"<Delete/>", b"no xml", b"<!DOCTYPE a [<!ENTITY b \"c\">]><Delete><Object><Key>&b;</Key></Object></Delete>"]:
    assert code(delete(body)) == (400, "MalformedXML"), body
status, body, _ = delete(b"<Delete><Object><Key>signed</Key></Object><Object><Key>a&lt;b&#x20;</Key></Object></Delete>")
assert status == 200 and body.count(b"<Deleted>") == 2 and b"<Key>a&lt;b </Key>" in body, body
assert code(ask("POST", "/raw/x")) == (405, "MethodNotAllowed")
assert code(ask("GET", "/raw?policy")) == (501, "NotImplemented")
assert code(ask("PUT", "/raw/x?tagging", b"<Tagging/>")) == (501, "NotImplemented")
assert code(ask("GET", "/raw?list-type=2&max-keys=many")) == (400, "InvalidArgument")
assert code(ask("PUT", "/raw/" + "k" * 1025, b"")) == (400, "KeyTooLongError")
assert code(ask("PUT", "/Not_A_Bucket")) == (400, "InvalidBucketName")
print("all of it")
"#;

#[tokio::test]
async fn bodies_and_answers() {
    let server = Server::start().await;
    let said = Client::new("python3").python(RAW, &[&server.url]).run().await;
    assert_eq!(said.as_deref(), Ok("all of it"));
    let left = std::fs::read_dir(server.folder.path().join("tmp")).unwrap().count();
    assert_eq!(left, 0, "what was not kept is not on the disk");
    assert_eq!(server.service.sweep().await.unwrap().blobs, 0, "nothing goes that is younger than an hour");
}

struct Alice;

impl CredentialStore for Alice {
    fn find(&self, access_key: &str) -> Option<Key> {
        let account = "111122223333".to_owned();
        let arn = format!("arn:aws:iam::{account}:user/alice");
        let principal = Principal { arn, user_id: "AIDAALICE".to_owned() };
        let secret = "se/cr+et".to_owned();
        (access_key == "AKIDALICE").then_some(Key { secret, session_token: None, expires: None, account, principal })
    }
}

const SIGNED: &str = r#"
import sys, boto3, botocore, urllib.request, urllib.error
from botocore.config import Config
def client(secret):
    return boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="AKIDALICE", aws_secret_access_key=secret,
                        config=Config(retries={"max_attempts": 0}, signature_version="s3v4"))
s3 = client("se/cr+et")
s3.create_bucket(Bucket="signed")
for key in ["plain", "a//b/../c", "sp ace+plus%25/é&=?#'()*!~"]:
    s3.put_object(Bucket="signed", Key=key, Body=b"x")
    assert s3.get_object(Bucket="signed", Key=key)["Body"].read() == b"x", key
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "signed", "Key": key})
    assert urllib.request.urlopen(url).read() == b"x", key
    put = s3.generate_presigned_url("put_object", Params={"Bucket": "signed", "Key": key + "2"})
    assert urllib.request.urlopen(urllib.request.Request(put, data=b"y", method="PUT", headers={"Content-Type": ""})).status == 200
assert len(s3.list_objects_v2(Bucket="signed", Prefix="sp ace+")["Contents"]) == 2
for call in [lambda: client("wrong").list_buckets(), lambda: client("wrong").put_object(Bucket="signed", Key="k", Body=b"x")]:
    try: call()
    except botocore.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "SignatureDoesNotMatch" and error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    else: raise AssertionError("it is believed")
try: urllib.request.urlopen(url.replace("Signature=", "Signature=0"))
except urllib.error.HTTPError as error: assert error.code == 403 and b"<Code>SignatureDoesNotMatch</Code>" in error.read()
else: raise AssertionError("it is believed")
print("all of it")
"#;

#[tokio::test]
async fn signatures_of_keys_that_are_hard_to_say() {
    let server = Server::start_with(AuthMode::Verify(Arc::new(Alice))).await;
    let said = Client::new("python3").python(SIGNED, &[&server.url]).run().await;
    assert_eq!(said.as_deref(), Ok("all of it"));
}
