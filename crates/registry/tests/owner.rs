//! What the owner of a registry wants beside what clients push: templates, copies elsewhere, records, signed addresses.

mod support;

use std::time::Duration;

use blobs::Digest;
use registry::*;
use serde_json::json;
use stdx::Timestamp;
use support::Server;

fn key(account: &str, region: &str, name: &str) -> RepositoryKey {
    RepositoryKey::new(&Scope::new(account, region).unwrap(), name.parse().unwrap())
}

fn home(name: &str) -> RepositoryKey {
    key("000000000000", "us-east-1", name)
}

fn to(account: &str, region: &str) -> Destination {
    Destination { account: account.to_owned(), region: region.to_owned() }
}

fn replicate_to(server: &Server, destinations: &[Destination], prefixes: &[&str]) {
    let rule = ReplicationRule {
        destinations: destinations.to_vec(),
        prefixes: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
    };
    let holder = Holder::Registry(&home("x").scope);
    server.registry.put_record(holder, Replication::RECORD, &Replication::new(vec![rule])).unwrap();
}

fn template(server: &Server, scope: &Scope, prefix: &str, applied_for: AppliedFor, mutability: TagMutability) {
    let template = CreationTemplate {
        prefix: prefix.to_owned(),
        description: None,
        applied_for: [applied_for].into(),
        settings: RepositorySettings { tag_mutability: mutability, ..RepositorySettings::default() },
        records: [("note".to_owned(), json!("from the template"))].into(),
        custom_role_arn: None,
        created_at: Timestamp::from_millis(0),
        updated_at: Timestamp::from_millis(0),
    };
    let mut templates = CreationTemplates::default();
    templates.templates.insert(prefix.to_owned(), template);
    server.registry.put_record(Holder::Registry(scope), CreationTemplates::RECORD, &templates).unwrap();
}

fn statuses(server: &Server, key: &RepositoryKey, digest: &Digest) -> Vec<(String, ReplicaStatus)> {
    let replicas = server.registry.replicas(key, digest).unwrap();
    replicas.into_iter().map(|replica| (replica.destination.region, replica.status)).collect()
}

#[tokio::test]
async fn what_is_pushed_is_copied_where_the_rules_say() {
    let server = Server::start().await;
    replicate_to(&server, &[to("000000000000", "eu-west-1"), to("111122223333", "us-east-1")], &["prod/"]);
    let (before, _) = server.push_image("dev/web", "1", b"not meant").await;
    let (digest, manifest) = server.push_image("prod/web", "1", b"a layer").await;
    server.put_manifest("prod/web", "latest", &manifest).await.expect(201);

    for copy in [key("000000000000", "eu-west-1", "prod/web"), key("111122223333", "us-east-1", "prod/web")] {
        let images = server.registry.images(&copy).unwrap();
        assert_eq!(images.len(), 1);
        assert_eq!(images[0].digest, digest);
        assert_eq!(images[0].tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["1", "latest"]);
        assert_eq!(server.registry.find_blob(&copy, &Digest::of(b"a layer")).unwrap(), Some(7));
    }
    let complete = |region: &str| (region.to_owned(), ReplicaStatus::Complete);
    assert_eq!(statuses(&server, &home("prod/web"), &digest), [complete("eu-west-1"), complete("us-east-1")]);
    assert_eq!(statuses(&server, &home("dev/web"), &before), []);
    // Deleting is not copied, and what was copied needs its source no longer.
    server.registry.delete_repository_and_images(&home("prod/web")).unwrap();
    let copy = key("000000000000", "eu-west-1", "prod/web");
    assert!(server.registry.needed_blobs().unwrap().contains(&Digest::of(b"a layer")));
    assert_eq!(server.registry.images(&copy).unwrap().len(), 1);
}

#[tokio::test]
async fn an_index_takes_along_what_was_pushed_before_there_was_a_rule() {
    let server = Server::start().await;
    let (image, _) = server.push_image("web", "1", b"a layer").await;
    replicate_to(&server, &[to("000000000000", "eu-west-1")], &[]);
    let index = json!({"schemaVersion": 2, "mediaType": MediaType::OciIndex.as_str(),
                       "manifests": [{"digest": image, "size": 1}]})
    .to_string();
    let target: Target = "multi".parse().unwrap();
    let (index, _) = server.registry.put_manifest(&home("web"), &target, None, index.as_bytes()).unwrap();
    let copy = key("000000000000", "eu-west-1", "web");
    let mut copied: Vec<_> = server.registry.images(&copy).unwrap().iter().map(|image| image.digest).collect();
    copied.sort();
    let mut expected = [image, index];
    expected.sort();
    assert_eq!(copied, expected);
    assert_eq!(server.registry.indexes_with(&copy, &image).unwrap(), [index]);
}

#[tokio::test]
async fn a_copy_that_cannot_be_made_says_so_and_the_push_succeeds() {
    let server = Server::start().await;
    let there = key("000000000000", "eu-west-1", "web");
    template(&server, &there.scope, "ROOT", AppliedFor::Replication, TagMutability::Immutable);
    replicate_to(&server, &[to("000000000000", "eu-west-1")], &[]);
    let (first, _) = server.push_image("web", "1", b"first").await;
    assert_eq!(statuses(&server, &home("web"), &first), [("eu-west-1".to_owned(), ReplicaStatus::Complete)]);
    let note: Option<String> = server.registry.record(Holder::Repository(&there), "note").unwrap();
    assert_eq!(note.as_deref(), Some("from the template"));
    let (second, _) = server.push_image("web", "1", b"second").await;
    assert_eq!(statuses(&server, &home("web"), &second), [("eu-west-1".to_owned(), ReplicaStatus::Failed)]);
    let (tagged, _) = server.registry.resolve(&there, &"1".parse().unwrap()).unwrap();
    assert_eq!(tagged, first);
}

#[tokio::test]
async fn a_copy_that_a_crash_interrupted_is_made_later() {
    let server = Server::start().await;
    let (digest, _) = server.push_image("web", "1", b"a layer").await;
    replicate_to(&server, &[to("000000000000", "eu-west-1")], &[]);
    // As the disk is when the power goes between the push and the copy.
    let replicas = server.dir.path().join("registry/repositories/000000000000/us-east-1/web/_replicas");
    std::fs::create_dir_all(&replicas).unwrap();
    let begun = json!({"version": 1, "replicas": [
        {"account": "000000000000", "region": "eu-west-1", "status": "IN_PROGRESS", "failure": null}]});
    std::fs::write(replicas.join(digest.hex()), begun.to_string()).unwrap();

    server.registry.finish_replication().unwrap();
    let copies = server.registry.images(&key("000000000000", "eu-west-1", "web")).unwrap();
    assert_eq!(copies[0].tags[0].as_str(), "1");
    assert_eq!(statuses(&server, &home("web"), &digest), [("eu-west-1".to_owned(), ReplicaStatus::Complete)]);
}

#[tokio::test]
async fn a_push_creates_a_repository_as_the_template_says() {
    let server = Server::start().await;
    template(&server, &home("x").scope, "prod", AppliedFor::CreateOnPush, TagMutability::Immutable);
    server.push_image("prod/web", "1", b"first").await;
    server.push_blob("prod/web", b"{}").await;
    let settings = server.registry.repository(&home("prod/web")).unwrap().settings;
    assert_eq!(settings.tag_mutability, TagMutability::Immutable);
    server.push_image("dev/web", "1", b"first").await;
    let settings = server.registry.repository(&home("dev/web")).unwrap().settings;
    assert_eq!(settings.tag_mutability, TagMutability::Mutable);
}

#[tokio::test]
async fn records_go_with_their_repository() {
    let server = Server::start().await;
    let web = home("web");
    let holder = Holder::Repository(&web);
    assert!(matches!(server.registry.put_record(holder, "note", &1), Err(RegistryError::NameUnknown { .. })));
    server.registry.create_repository(&web, RepositorySettings::default()).unwrap();
    assert_eq!(server.registry.record::<u32>(holder, "note").unwrap(), None);
    server.registry.put_record(holder, "note", &1).unwrap();
    let counted = server
        .registry
        .change_record(holder, "note", |kept: Option<u32>| Ok::<_, ()>((kept.map(|kept| kept + 1), kept)));
    assert_eq!(counted.unwrap(), Ok(Some(1)));
    let refused = server.registry.change_record(holder, "note", |_: Option<u32>| Err::<(Option<u32>, ()), _>("no"));
    assert_eq!(refused.unwrap(), Err("no"));
    assert_eq!(server.registry.record::<u32>(holder, "note").unwrap(), Some(2));
    server.registry.change_record(holder, "note", |_: Option<u32>| Ok::<_, ()>((None, ()))).unwrap().unwrap();
    assert_eq!(server.registry.record::<u32>(holder, "note").unwrap(), None);

    server.registry.put_record(holder, "note", &1).unwrap();
    server.registry.delete_repository(&web).unwrap();
    server.registry.create_repository(&web, RepositorySettings::default()).unwrap();
    assert_eq!(server.registry.record::<u32>(holder, "note").unwrap(), None);
}

#[tokio::test]
async fn what_a_crash_left_of_a_removal_does_not_come_back() {
    let server = Server::start().await;
    let (digest, _) = server.push_image("web", "1", b"a layer").await;
    let dir = server.dir.path().join("registry/repositories/000000000000/us-east-1/web");
    std::fs::remove_file(dir.join("_repository.json")).unwrap();
    server.registry.create_repository(&home("web"), RepositorySettings::default()).unwrap();
    assert_eq!(server.registry.images(&home("web")).unwrap(), []);
    assert_eq!(server.registry.find_blob(&home("web"), &digest).unwrap(), None);
}

#[tokio::test]
async fn an_image_goes_only_as_it_was_known() {
    let server = Server::start().await;
    let (digest, manifest) = server.push_image("web", "1", b"a layer").await;
    let as_it_was = [(digest, vec!["1".parse().unwrap()])];
    server.put_manifest("web", "keep", &manifest).await.expect(201);
    let (other, _) = server.push_image("web", "2", b"another layer").await;
    let deleted = |images: &[(Digest, Vec<Tag>)]| server.registry.delete_images_as(&home("web"), images).unwrap();
    assert_eq!(deleted(&as_it_was), 0);
    let both: Vec<Tag> = vec!["1".parse().unwrap(), "keep".parse().unwrap()];
    assert_eq!(deleted(&[(digest, both.clone()), (other, vec![])]), 1);
    assert_eq!(deleted(&[(digest, vec![]), (digest, both)]), 0, "it is gone");
    assert_eq!(server.registry.images(&home("web")).unwrap().len(), 1);
}

#[tokio::test]
async fn a_blob_arrives_in_parts() {
    let server = Server::start().await;
    let web = home("web");
    assert!(matches!(server.registry.begin_parts(&web), Err(RegistryError::NameUnknown { .. })));
    server.registry.create_repository(&web, RepositorySettings::default()).unwrap();
    let id = server.registry.begin_parts(&web).unwrap();
    assert_eq!(server.registry.append_part(&web, id, 0, b"first ").unwrap(), 6);
    let gap = server.registry.append_part(&web, id, 7, b"third").unwrap_err();
    assert!(matches!(gap, RegistryError::UploadOutOfOrder { offset: 6 }));
    assert_eq!(server.registry.append_part(&web, id, 6, b"second").unwrap(), 12);
    let digest = Digest::of(b"first second");
    server.registry.finish_parts(&web, id, &digest).unwrap();
    assert_eq!(server.registry.find_blob(&web, &digest).unwrap(), Some(12));
    assert!(matches!(server.registry.parts_end(&web, id), Err(RegistryError::UploadUnknown)));
}

/// The status and the code of S3's error.
async fn code(server: &Server, path: &str) -> (u16, String) {
    let answer = server.get(path).await;
    let body = String::from_utf8(answer.body.to_vec()).unwrap();
    let code = body.split_once("<Code>").and_then(|(_, rest)| rest.split_once('<')).unwrap_or_default().0;
    (answer.status.as_u16(), code.to_owned())
}

#[tokio::test]
async fn a_signed_address_opens_one_blob_until_it_ends() {
    let server = Server::start().await;
    let digest = server.push_blob("team/web", b"a layer").await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let now = Timestamp::from_millis(i64::try_from(now).unwrap());
    let web = home("team/web");
    let path = server.registry.signed_path(&web, &digest, now + Duration::from_secs(60));
    assert_eq!(server.get(&path).await.expect(200).body, "a layer");
    let part = server.send("GET", &path, &[("range", "bytes=2-4")], "").await;
    assert_eq!(part.expect(206).body, "lay");
    // Another process on the same directory signs with the same key.
    let again = support::open(server.dir.path(), Config::default());
    assert_eq!(again.signed_path(&web, &digest, now + Duration::from_secs(60)), path);

    let late = server.registry.signed_path(&web, &digest, now);
    assert_eq!(code(&server, &late).await, (403, "AccessDenied".to_owned()));
    let other = Digest::of(b"other").to_string();
    for forged in [
        path.replace(&digest.to_string(), &other),
        path.replace("team/web", "team/other"),
        path.replace("us-east-1", "eu-west-1"),
        path.replace("expires=", "expires=9"),
        path.replace("signature=", "signature=00"),
    ] {
        assert_eq!(code(&server, &forged).await, (403, "SignatureDoesNotMatch".to_owned()));
    }
    let (bare, _) = path.split_once('?').unwrap();
    assert_eq!(code(&server, bare).await, (403, "AccessDenied".to_owned()));
    assert_eq!(code(&server, "/_berth/layers/x").await, (404, "NoSuchKey".to_owned()));
    server.send("DELETE", &path, &[], "").await.expect(405);
}

#[test]
fn records_stay_readable() {
    fn check<T: serde::Serialize + serde::de::DeserializeOwned>(text: &str) {
        let record: T = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
    }
    check::<Replication>(
        r#"{"version":1,"rules":[{"destinations":[{"account":"111122223333","region":"eu-west-1"}],"prefixes":["prod"]}]}"#,
    );
    check::<CreationTemplates>(
        r#"{"version":1,"templates":{"prod":{"prefix":"prod","description":null,"applied_for":["REPLICATION","PULL_THROUGH_CACHE","CREATE_ON_PUSH"],"settings":{"tag_mutability":"IMMUTABLE","tag_mutability_exclusions":[],"scan_on_push":false,"encryption":null,"tags":{}},"records":{"policy":{"text":"{}","version":1}},"custom_role_arn":null,"created_at":1,"updated_at":2}}}"#,
    );
}
