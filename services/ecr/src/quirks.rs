//! Where AWS surprises, where we do, and who depends on it.
//!
//! - **`repositoryUri` and `proxyEndpoint` are AWS's, to the letter**, though nothing of AWS is behind them. The ECS agent and
//!   docker-credential-ecr-login use a token only for images whose name begins with its `proxyEndpoint`, and cdk-assets
//!   logs in to the one and pushes to the other; so the two must agree, and task definitions may be taken to AWS as they
//!   are. Berth's own agent knows the form and finds the image in the built-in registry. For a push, log in to where Berth
//!   listens: `aws ecr get-login-password | docker login -u AWS --password-stdin 127.0.0.1:4566`, then push to
//!   `127.0.0.1:4566/NAME`, which means the default account and region; `ACCOUNT.dkr.ecr.REGION.localhost:4566/NAME`
//!   means the others.
//! - **A token opens nothing in open mode**, where the registry asks for no login and accepts any. It says for whom and
//!   until when it was made, so that a person who decodes it is not puzzled; it is not signed, and no secret.
//! - **Each registry has the same token**, and `registryIds` is deprecated; the answer still has one entry for each.
//! - **A tag in BatchDeleteImage takes the image along when it is the image's last.** A digest takes all its tags along.
//!   With both, the tag must name the digest, and only the tag is meant: so what `list-images` answered can be given to
//!   `batch-delete-image` whole, which is how people empty a repository.
//! - **An image that a manifest list names cannot be deleted** before the list is, not by its last tag either.
//! - **`imageIds` and pages exclude each other** in DescribeImages, as `repositoryNames` and pages do.
//! - **An index is as large as the largest of its images**, not as their sum. Source: `ImageDetail.imageSizeInBytes`.
//! - **Nothing is scanned.** `scanOnPush` is kept and shown, because Terraform modules set it by habit, and every image of such
//!   a repository says `UNSUPPORTED_IMAGE`, as ECR does of an image that it cannot scan.
//! - **`AES256` is what AWS always answers.** Here it means: as encrypted as the disk is. KMS keys are refused: Berth has
//!   no KMS.
//! - **No image is ever archived**: `imageStatus` is always `ACTIVE`, and a filter for another status finds nothing.
//! - **`lastRecordedPullTime` is absent**, as ECR leaves it for an image that nobody has pulled; pulls are not recorded.
//! - **BatchGetImage answers with what was pushed**, whatever `acceptedMediaTypes` say: a manifest of another type would be one
//!   of another digest, which nobody can pull by.
//! - **The address of a layer is at the host that the request came to**, is signed, and ends after an hour. It needs no login, as
//!   one of S3 does not; its errors are S3's too.
//! - **Parts of a layer come in order**, and a part of less than 5 MiB is found out when another one follows it
//!   (`InvalidLayerPartException`), not at the end: `LayerPartTooSmallException` is never answered. An upload whose digest turns
//!   out wrong is over.
//! - **PutImage creates no repository**, and a push does; ECR's own way is the template with `CREATE_ON_PUSH`, which a push here
//!   follows when there is one.
//! - **Lifecycle policies act within seconds of being put**, and every ten minutes after that; ECR says within 24 hours. What an
//!   index lists is neither expired nor counted, and is looked at again when the index is gone. `transition` is refused, as
//!   nothing can be archived here. A preview is complete when it is first asked for, and gone after a day.
//! - **`lastEvaluatedAt` is the beginning of 1970** until there was an evaluation, as in ECR.
//! - **Policies are kept, and enforced by nobody yet**: open mode asks for no permission. `force` of SetRepositoryPolicy is
//!   therefore without effect. Policies come back as they were sent, where ECR formats them anew.
//! - **Replication is within one Berth**, between its accounts and regions. It is done before the push is answered, because
//!   nothing travels; a copy that fails shows in DescribeImageReplicationStatus, with the registry protocol's code. Deletions
//!   are not replicated, as in ECR.
//! - **Any registry may be upstream of a pull-through cache rule**, also one that speaks HTTP (`http://host:port`), and those that
//!   ECR lets in only with a secret may be used without. A rule with `credentialArn` is kept, and says when it is validated that
//!   there is no Secrets Manager.
//! - **`BLOB_MOUNTING` is always `ENABLED`**: repositories share layers by nature.
//! - **A registry of another account is denied**, in the words of AWS for an account without a repository policy.
