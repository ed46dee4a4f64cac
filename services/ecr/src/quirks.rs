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
//! - **A registry of another account is denied**, in the words of AWS for an account without a repository policy.
