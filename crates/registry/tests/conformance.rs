//! The checks of the OCI distribution specification 1.1, as requests and what must come back.
//!
//! Source: opencontainers/distribution-spec, `spec.md` and the four workflows of its conformance suite: push, pull, content
//! discovery, content management. In a line, `{name}` stands for what a header brought earlier or for the digest of a
//! named body.

mod support;

use std::collections::BTreeMap;

use blobs::{Algorithm, Digest};
use http::Uri;
use serde_json::{Value, json};
use support::{OCI_INDEX, OCI_MANIFEST, Server};

/// One request and what must come back.
struct Step {
    request: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    status: u16,
    /// Of the specification, for a refusal.
    code: Option<&'static str>,
    /// A header with its value; an empty value means that it must be there.
    answers: &'static [(&'static str, &'static str)],
    /// The named body that must come back.
    returns: Option<&'static str>,
    /// The name under which the answer's `Location` is remembered.
    keeps: Option<&'static str>,
}

const fn step(request: &'static str, status: u16) -> Step {
    Step { request, headers: &[], body: "", status, code: None, answers: &[], returns: None, keeps: None }
}

impl Step {
    const fn headers(self, headers: &'static [(&'static str, &'static str)]) -> Step {
        Step { headers, ..self }
    }

    const fn body(self, body: &'static str) -> Step {
        Step { body, ..self }
    }

    const fn code(self, code: &'static str) -> Step {
        Step { code: Some(code), ..self }
    }

    const fn answers(self, answers: &'static [(&'static str, &'static str)]) -> Step {
        Step { answers, ..self }
    }

    const fn returns(self, name: &'static str) -> Step {
        Step { returns: Some(name), ..self }
    }

    const fn keeps(self, name: &'static str) -> Step {
        Step { keeps: Some(name), ..self }
    }
}

struct World {
    server: Server,
    bodies: BTreeMap<String, Vec<u8>>,
    words: BTreeMap<String, String>,
}

impl World {
    async fn new() -> World {
        let mut world = World { server: Server::start().await, bodies: BTreeMap::new(), words: BTreeMap::new() };
        let (blob, config) = (b"0123456789abcdefghij".to_vec(), b"{\"os\":\"linux\"}".to_vec());
        for (name, bytes) in [("blob", blob.clone()), ("config", config), ("other", b"other".to_vec())] {
            world.body(name, bytes);
        }
        world.body("first", blob[..8].to_vec());
        world.body("second", blob[8..].to_vec());
        world.body("empty", b"{}".to_vec());
        let config = world.descriptor("config", "application/vnd.oci.image.config.v1+json");
        let layer = world.descriptor("blob", "application/vnd.oci.image.layer.v1.tar");
        let image = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]});
        world.body("image", image.to_string().into_bytes());
        let nowhere = Digest::of(b"never pushed").to_string();
        world
            .body("unknown-parts", image.to_string().replace(layer["digest"].as_str().unwrap(), &nowhere).into_bytes());
        let index =
            json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [world.descriptor("image", OCI_MANIFEST)]});
        world.body("index", index.to_string().into_bytes());
        for (name, kind) in [("signature", Some("application/vnd.test.sig")), ("sbom", None)] {
            let mut referrer = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [],
                "config": world.descriptor("empty", "application/vnd.test.config"),
                "subject": world.descriptor("image", OCI_MANIFEST), "annotations": {"about": name}});
            if let Some(kind) = kind {
                referrer["artifactType"] = json!(kind);
            }
            world.body(name, referrer.to_string().into_bytes());
        }
        let about = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "artifactType": "application/vnd.test.list",
                           "subject": world.descriptor("image", OCI_MANIFEST)});
        world.body("list", about.to_string().into_bytes());
        world
    }

    fn body(&mut self, name: &str, bytes: Vec<u8>) {
        self.words.insert(name.to_owned(), Digest::of(&bytes).to_string());
        self.words.insert(format!("{name}-512"), Digest::with(Algorithm::Sha512, &bytes).to_string());
        self.bodies.insert(name.to_owned(), bytes);
    }

    fn descriptor(&self, name: &str, media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": self.words[name], "size": self.bodies[name].len()})
    }

    fn fill(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (name, word) in &self.words {
            filled = filled.replace(&format!("{{{name}}}"), word);
        }
        assert!(!filled.contains('{'), "{filled} has a name that nobody gave");
        filled
    }

    async fn run(&mut self, steps: &[Step]) {
        for step in steps {
            self.take(step).await;
        }
    }

    async fn take(&mut self, step: &Step) {
        let (method, path) = step.request.split_once(' ').unwrap();
        let path = self.fill(path);
        let body = self.bodies.get(step.body).cloned().unwrap_or_else(|| step.body.as_bytes().to_vec());
        let answer = self.server.send(method, &path, step.headers, body).await;
        let shown = format!("{} answers {} {}", step.request, answer.status, String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.status.as_u16(), step.status, "{shown}");
        if let Some(code) = step.code {
            assert_eq!(answer.json()["errors"][0]["code"], code, "{shown}");
            assert!(answer.json()["errors"][0]["message"].is_string(), "{shown}");
        }
        for (name, value) in step.answers {
            let found = answer.headers.get(*name).map(|value| value.to_str().unwrap());
            match *value {
                "" => assert!(found.is_some(), "{shown} without {name}"),
                value => assert_eq!(found, Some(self.fill(value).as_str()), "{shown}: {name}"),
            }
        }
        if let Some(name) = step.returns {
            assert_eq!(answer.body, self.bodies[name], "{shown}");
        }
        if method == "HEAD" {
            assert!(answer.body.is_empty(), "{shown}");
        }
        if let Some(name) = step.keeps {
            // It may be a whole address or a path; a client takes either.
            let location: Uri = answer.header("location").parse().unwrap();
            self.words.insert(name.to_owned(), location.path_and_query().unwrap().to_string());
        }
    }
}

const STREAM: &[(&str, &str)] = &[("content-type", "application/octet-stream")];
const MANIFEST: &[(&str, &str)] = &[("content-type", OCI_MANIFEST)];
const INDEX: &[(&str, &str)] = &[("content-type", OCI_INDEX)];

/// An image is there, as every workflow but the first begins.
const SETUP: &[Step] = &[
    step("POST /v2/a/b/blobs/uploads/?digest={blob}", 201).headers(STREAM).body("blob"),
    step("POST /v2/a/b/blobs/uploads/?digest={config}", 201).headers(STREAM).body("config"),
    step("POST /v2/a/b/blobs/uploads/?digest={empty}", 201).headers(STREAM).body("empty"),
    step("PUT /v2/a/b/manifests/latest", 201).headers(MANIFEST).body("image"),
];

#[tokio::test]
async fn push() {
    let steps = [
        step("GET /v2/", 200),
        // POST, then PUT.
        step("POST /v2/a/b/blobs/uploads/", 202)
            .answers(&[("range", "0-0"), ("docker-upload-uuid", "")])
            .keeps("upload"),
        step("PUT {upload}?digest={blob}", 201)
            .headers(STREAM)
            .body("blob")
            .answers(&[("location", "/v2/a/b/blobs/{blob}"), ("docker-content-digest", "{blob}")]),
        step("GET /v2/a/b/blobs/{blob}", 200).returns("blob"),
        step("GET {upload}", 404).code("BLOB_UPLOAD_UNKNOWN"),
        // In one request.
        step("POST /v2/a/b/blobs/uploads/?digest={config}", 201).headers(STREAM).body("config").keeps("stored"),
        step("GET {stored}", 200).returns("config"),
        step("POST /v2/a/b/blobs/uploads/?digest={empty}", 201).body("empty"),
        step("POST /v2/a/b/blobs/uploads/?digest={blob}", 400).body("other").code("DIGEST_INVALID"),
        step("POST /v2/a/b/blobs/uploads/?digest=sha256:1", 400).body("other").code("DIGEST_INVALID"),
        step("POST /v2/a/b/blobs/uploads/?digest=sha384:00", 400).body("other").code("DIGEST_INVALID"),
        // By the longer digest.
        step("POST /v2/a/b/blobs/uploads/?digest={blob-512}", 201)
            .body("blob")
            .answers(&[("docker-content-digest", "{blob-512}")]),
        step("GET /v2/a/b/blobs/{blob-512}", 200).returns("blob"),
        step("POST /v2/a/b/blobs/uploads/?digest={blob-512}", 400).body("other").code("DIGEST_INVALID"),
        // In chunks.
        step("POST /v2/a/c/blobs/uploads/", 202).keeps("upload"),
        step("PATCH {upload}", 416).headers(&[("content-range", "3-10")]).body("first").answers(&[("range", "0-0")]),
        step("PATCH {upload}", 202)
            .headers(&[("content-range", "0-7")])
            .body("first")
            .answers(&[("range", "0-7")])
            .keeps("upload"),
        step("PATCH {upload}", 416).headers(&[("content-range", "0-7")]).body("first").answers(&[("range", "0-7")]),
        step("PATCH {upload}", 400).headers(&[("content-range", "8-9")]).body("second").code("SIZE_INVALID"),
        step("PATCH {upload}", 400).headers(&[("content-range", "ten")]).body("second").code("BLOB_UPLOAD_INVALID"),
        step("GET {upload}", 204).answers(&[("range", "0-7"), ("location", "{upload}")]),
        step("PATCH {upload}", 202).headers(&[("content-range", "8-19")]).body("second").answers(&[("range", "0-19")]),
        step("PUT {upload}?digest={blob}", 201).answers(&[("location", "/v2/a/c/blobs/{blob}")]),
        step("GET /v2/a/c/blobs/{blob}", 200).returns("blob"),
        step("POST /v2/a/c/blobs/uploads/", 202).keeps("upload"),
        step("PATCH {upload}", 202).headers(&[("content-range", "0-7")]).body("first"),
        step("PUT {upload}?digest={blob-512}", 201).headers(&[("content-range", "8-19")]).body("second"),
        // Given up, and never begun.
        step("POST /v2/a/c/blobs/uploads/", 202).keeps("upload"),
        step("DELETE {upload}", 204),
        step("PATCH {upload}", 404).body("first").code("BLOB_UPLOAD_UNKNOWN"),
        step("PUT /v2/a/c/blobs/uploads/5f1c1f5e-0000-4000-8000-000000000000?digest={blob}", 404)
            .code("BLOB_UPLOAD_UNKNOWN"),
        step("POST /v2/a/c/blobs/uploads/", 202).keeps("upload"),
        step("PUT {upload}", 400).body("blob").code("DIGEST_INVALID"),
        step("POST {upload}", 405).code("UNSUPPORTED"),
        // Mounted.
        step("POST /v2/m/blobs/uploads/?mount={blob}&from=a/b", 201).answers(&[("location", "/v2/m/blobs/{blob}")]),
        step("GET /v2/m/blobs/{blob}", 200).returns("blob"),
        step("POST /v2/m/blobs/uploads/?mount={other}&from=a/b", 202).answers(&[("location", "")]).keeps("upload"),
        step("PUT {upload}?digest={other}", 201).body("other"),
        step("POST /v2/m/blobs/uploads/?mount={config}&from=nowhere", 202),
        step("POST /v2/m/blobs/uploads/?mount={config}&from=No", 202),
        step("POST /v2/m/blobs/uploads/?mount={config}", 202),
        step("GET /v2/m/blobs/{config}", 404).code("BLOB_UNKNOWN"),
        // Manifests.
        step("PUT /v2/a/b/manifests/latest", 201)
            .headers(MANIFEST)
            .body("image")
            .answers(&[("location", "/v2/a/b/manifests/{image}"), ("docker-content-digest", "{image}")])
            .keeps("stored"),
        step("GET {stored}", 200).returns("image"),
        step("PUT /v2/a/b/manifests/{image}", 201).headers(MANIFEST).body("image"),
        step("PUT /v2/a/b/manifests/{image-512}", 201)
            .headers(MANIFEST)
            .body("image")
            .answers(&[("docker-content-digest", "{image-512}")]),
        step("GET /v2/a/b/manifests/{image-512}", 200).returns("image"),
        step("PUT /v2/a/b/manifests/{blob}", 400).headers(MANIFEST).body("image").code("DIGEST_INVALID"),
        step("PUT /v2/a/b/manifests/unknown", 400)
            .headers(MANIFEST)
            .body("unknown-parts")
            .code("MANIFEST_BLOB_UNKNOWN"),
        step("PUT /v2/a/b/manifests/bad", 400).headers(MANIFEST).body("blob").code("MANIFEST_INVALID"),
        step("PUT /v2/a/b/manifests/bad", 400).headers(INDEX).body("image").code("MANIFEST_INVALID"),
        step("PUT /v2/a/b/manifests/.bad", 400).headers(MANIFEST).body("image").code("TAG_INVALID"),
        step("PUT /v2/A/manifests/latest", 400).headers(MANIFEST).body("image").code("NAME_INVALID"),
        step("PUT /v2/a/b/manifests/multi", 201)
            .headers(INDEX)
            .body("index")
            .answers(&[("docker-content-digest", "{index}")]),
        step("PUT /v2/a/c/manifests/multi", 400).headers(INDEX).body("index").code("MANIFEST_BLOB_UNKNOWN"),
        step("POST /v2/a/b/manifests/latest", 405).code("UNSUPPORTED"),
        step("GET /v2/a/b/nothing/here", 404),
    ];
    World::new().await.run(&steps).await;
}

#[tokio::test]
async fn pull() {
    let mut world = World::new().await;
    world.run(SETUP).await;
    let unknown = "/v2/a/b/blobs/sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    assert!(world.server.send("HEAD", unknown, &[], "").await.expect(404).body.is_empty());
    world.server.get(unknown).await.expect_error(404, "BLOB_UNKNOWN");
    let steps = [
        step("HEAD /v2/a/b/blobs/{blob}", 200).answers(&[
            ("content-length", "20"),
            ("docker-content-digest", "{blob}"),
            ("accept-ranges", "bytes"),
        ]),
        step("HEAD /v2/a/b/blobs/{blob}", 200).headers(&[("range", "bytes=2-5")]).answers(&[("content-length", "20")]),
        step("GET /v2/a/b/blobs/{blob}", 200).returns("blob").answers(&[("content-length", "20")]),
        step("GET /v2/a/b/blobs/{blob}", 206)
            .headers(&[("range", "bytes=0-7")])
            .returns("first")
            .answers(&[("content-range", "bytes 0-7/20"), ("content-length", "8")]),
        step("GET /v2/a/b/blobs/{blob}", 206)
            .headers(&[("range", "bytes=8-")])
            .returns("second")
            .answers(&[("content-range", "bytes 8-19/20")]),
        step("GET /v2/a/b/blobs/{blob}", 206).headers(&[("range", "bytes=-12")]).returns("second"),
        step("GET /v2/a/b/blobs/{blob}", 206).headers(&[("range", "bytes=8-999")]).returns("second"),
        step("GET /v2/a/b/blobs/{blob}", 416)
            .headers(&[("range", "bytes=20-")])
            .answers(&[("content-range", "bytes */20")])
            .code("SIZE_INVALID"),
        step("GET /v2/a/b/blobs/{blob}", 200).headers(&[("range", "bytes=1-0,3-4")]).returns("blob"),
        step("GET /v2/a/b/blobs/md5:00", 400).code("DIGEST_INVALID"),
        step("HEAD /v2/a/b/manifests/latest", 200).answers(&[
            ("content-type", OCI_MANIFEST),
            ("docker-content-digest", "{image}"),
            ("content-length", ""),
        ]),
        step("HEAD /v2/a/b/manifests/{image}", 200).answers(&[("docker-content-digest", "{image}")]),
        step("GET /v2/a/b/manifests/latest", 200)
            .headers(&[("accept", OCI_MANIFEST)])
            .returns("image")
            .answers(&[("content-type", OCI_MANIFEST)]),
        step("GET /v2/a/b/manifests/{image}", 200).returns("image"),
        step("HEAD /v2/a/b/manifests/none", 404),
        step("GET /v2/a/b/manifests/none", 404).code("MANIFEST_UNKNOWN"),
        step("GET /v2/a/b/manifests/{blob}", 404).code("MANIFEST_UNKNOWN"),
        step("GET /v2/a/b/manifests/sha256:totallywrong", 400).code("DIGEST_INVALID"),
        step("GET /v2/a/b/manifests/.INVALID", 400).code("TAG_INVALID"),
        step("GET /v2/none/manifests/latest", 404).code("NAME_UNKNOWN"),
        step("HEAD /v2/none/manifests/latest", 404),
    ];
    world.run(&steps).await;
    // What a client has already is not sent again.
    let etag = world.server.get("/v2/a/b/manifests/latest").await.header("etag").to_owned();
    for path in ["/v2/a/b/manifests/latest".to_owned(), format!("/v2/a/b/manifests/{}", world.words["image"])] {
        let answer = world.server.send("GET", &path, &[("if-none-match", &etag)], "").await;
        assert!(answer.expect(304).body.is_empty());
    }
}

#[tokio::test]
async fn content_discovery() {
    let mut world = World::new().await;
    world.run(SETUP).await;
    for tag in ["test3", "test0", "Test1", "_2", "1.0"] {
        let path = format!("/v2/a/b/manifests/{tag}");
        world.server.send("PUT", &path, MANIFEST, world.bodies["image"].clone()).await.expect(201);
    }
    let all = ["1.0", "Test1", "_2", "latest", "test0", "test3"];
    let tags = async |query: &str| {
        let answer = world.server.get(&format!("/v2/a/b/tags/list{query}")).await;
        assert_eq!(answer.expect(200).json()["name"], "a/b");
        let tags: Vec<String> = serde_json::from_value(answer.json()["tags"].clone()).unwrap();
        (tags, answer.headers.get("link").map(|link| link.to_str().unwrap().to_owned()))
    };
    // Sorted as bytes are, and cut where the client says.
    assert_eq!(tags("").await, (all.map(str::to_owned).to_vec(), None));
    assert_eq!(tags("?n=1000").await.0, all);
    assert_eq!(tags("?last=Test1").await.0, all[2..]);
    assert_eq!(tags("?last=U").await.0, all[2..]);
    assert_eq!(tags("?n=0").await, (vec![], None));
    assert_eq!(tags("?n=2&last=test0").await, (vec!["test3".to_owned()], None));
    let (mut found, mut query) = (Vec::new(), "?n=4".to_owned());
    loop {
        let (page, next) = tags(&query).await;
        found.extend(page);
        let Some(next) = next else { break };
        let path = next.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        query = path.strip_prefix("/v2/a/b/tags/list").unwrap().to_owned();
    }
    assert_eq!(found, all);
    for bad in ["x", "-1", "1.5"] {
        world.server.get(&format!("/v2/a/b/tags/list?n={bad}")).await.expect_error(400, "PAGINATION_NUMBER_INVALID");
    }

    let steps = [
        step("PUT /v2/a/b/manifests/{signature}", 201)
            .headers(MANIFEST)
            .body("signature")
            .answers(&[("oci-subject", "{image}")]),
        step("PUT /v2/a/b/manifests/sbom", 201).headers(MANIFEST).body("sbom").answers(&[("oci-subject", "{image}")]),
        step("PUT /v2/a/b/manifests/{list}", 201).headers(INDEX).body("list").answers(&[("oci-subject", "{image}")]),
        step("GET /v2/a/b/referrers/{image}", 200).answers(&[("content-type", OCI_INDEX)]),
        step("GET /v2/a/b/referrers/{other}", 200).answers(&[("content-type", OCI_INDEX)]),
        step("GET /v2/a/b/referrers/{image}?artifactType=application/vnd.test.sig", 200)
            .answers(&[("oci-filters-applied", "artifactType")]),
        step("GET /v2/a/b/referrers/sha256:1", 400).code("DIGEST_INVALID"),
        step("PUT /v2/a/b/referrers/{image}", 405).code("UNSUPPORTED"),
    ];
    world.run(&steps).await;
    let referrers = async |query: &str| {
        let answer = world.server.get(&format!("/v2/a/b/referrers/{}{query}", world.words["image"])).await;
        let index = answer.expect(200).json();
        assert_eq!((&index["schemaVersion"], &index["mediaType"]), (&json!(2), &json!(OCI_INDEX)));
        let mut found: Vec<(String, String)> = Vec::new();
        for manifest in index["manifests"].as_array().unwrap() {
            let digest = manifest["digest"].as_str().unwrap();
            let name = ["signature", "sbom", "list"].into_iter().find(|name| world.words[*name] == digest).unwrap();
            assert_eq!(manifest["size"], world.bodies[name].len());
            if name != "list" {
                assert_eq!(manifest["annotations"]["about"], name);
            }
            found.push((name.to_owned(), manifest["artifactType"].as_str().unwrap().to_owned()));
        }
        found.sort();
        found
    };
    let expected = [
        ("list", "application/vnd.test.list"),
        // Without a type of its own, that of its configuration.
        ("sbom", "application/vnd.test.config"),
        ("signature", "application/vnd.test.sig"),
    ];
    let expected = expected.map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    assert_eq!(referrers("").await, expected);
    assert_eq!(referrers("?artifactType=application/vnd.test.sig").await, expected[2..]);
    assert_eq!(referrers("?artifactType=application%2Fvnd.test.config").await, expected[1..2]);
    assert_eq!(referrers("?artifactType=application/nothing").await, []);
}

#[tokio::test]
async fn content_management() {
    let mut world = World::new().await;
    world.run(SETUP).await;
    let steps = [
        step("PUT /v2/a/b/manifests/1", 201).headers(MANIFEST).body("image"),
        step("PUT /v2/a/b/manifests/{signature}", 201).headers(MANIFEST).body("signature"),
        // A tag.
        step("DELETE /v2/a/b/manifests/1", 202),
        step("GET /v2/a/b/manifests/1", 404).code("MANIFEST_UNKNOWN"),
        step("DELETE /v2/a/b/manifests/1", 404).code("MANIFEST_UNKNOWN"),
        step("GET /v2/a/b/manifests/{image}", 200).returns("image"),
        // What an index lists stays as long as the index.
        step("PUT /v2/a/b/manifests/multi", 201).headers(INDEX).body("index"),
        step("DELETE /v2/a/b/manifests/{image}", 405).code("UNSUPPORTED"),
        step("DELETE /v2/a/b/manifests/{index}", 202),
        step("GET /v2/a/b/manifests/multi", 404).code("MANIFEST_UNKNOWN"),
        // A manifest, with its tags and its place among the referrers.
        step("DELETE /v2/a/b/manifests/{signature}", 202),
        step("GET /v2/a/b/manifests/{signature}", 404).code("MANIFEST_UNKNOWN"),
        step("DELETE /v2/a/b/manifests/{image}", 202),
        step("GET /v2/a/b/manifests/latest", 404).code("MANIFEST_UNKNOWN"),
        step("DELETE /v2/a/b/manifests/{image}", 404).code("MANIFEST_UNKNOWN"),
        // A blob.
        step("DELETE /v2/a/b/blobs/{blob}", 202),
        step("GET /v2/a/b/blobs/{blob}", 404).code("BLOB_UNKNOWN"),
        step("HEAD /v2/a/b/blobs/{blob}", 404),
        step("DELETE /v2/a/b/blobs/{blob}", 404).code("BLOB_UNKNOWN"),
        step("DELETE /v2/a/b/blobs/sha256:1", 400).code("DIGEST_INVALID"),
        step("DELETE /v2/none/blobs/{blob}", 404).code("NAME_UNKNOWN"),
        step("PUT /v2/a/b/manifests/latest", 400).headers(MANIFEST).body("image").code("MANIFEST_BLOB_UNKNOWN"),
        step("GET /v2/a/b/tags/list", 200),
    ];
    world.run(&steps).await;
    let referrers = world.server.get(&format!("/v2/a/b/referrers/{}", world.words["image"])).await;
    assert_eq!(referrers.expect(200).json()["manifests"], json!([]));
    assert_eq!(world.server.get("/v2/a/b/tags/list").await.json(), json!({"name": "a/b", "tags": []}));
}
