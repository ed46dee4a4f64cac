//! Which operation is where.

use api_s3::*;
use async_trait::async_trait;
use shape::{ByteStream, Caller};

use crate::ops;
use crate::service::S3Service;

#[async_trait]
impl S3 for S3Service {
    async fn abort_multipart_upload(
        &self,
        caller: &Caller,
        input: AbortMultipartUploadRequest,
    ) -> Result<AbortMultipartUploadOutput, Error> {
        ops::abort_multipart_upload::run(self, caller, input).await
    }

    async fn complete_multipart_upload(
        &self,
        caller: &Caller,
        input: CompleteMultipartUploadRequest,
    ) -> Result<CompleteMultipartUploadOutput, Error> {
        ops::complete_multipart_upload::run(self, caller, input).await
    }

    async fn copy_object(&self, caller: &Caller, input: CopyObjectRequest) -> Result<CopyObjectOutput, Error> {
        ops::copy_object::run(self, caller, input).await
    }

    async fn create_bucket(&self, caller: &Caller, input: CreateBucketRequest) -> Result<CreateBucketOutput, Error> {
        ops::create_bucket::run(self, caller, input).await
    }

    async fn create_multipart_upload(
        &self,
        caller: &Caller,
        input: CreateMultipartUploadRequest,
    ) -> Result<CreateMultipartUploadOutput, Error> {
        ops::create_multipart_upload::run(self, caller, input).await
    }

    async fn delete_bucket(&self, caller: &Caller, input: DeleteBucketRequest) -> Result<(), Error> {
        ops::delete_bucket::run(self, caller, input).await
    }

    async fn delete_object(&self, caller: &Caller, input: DeleteObjectRequest) -> Result<DeleteObjectOutput, Error> {
        ops::delete_object::run(self, caller, input).await
    }

    async fn delete_objects(&self, caller: &Caller, input: DeleteObjectsRequest) -> Result<DeleteObjectsOutput, Error> {
        ops::delete_objects::run(self, caller, input).await
    }

    async fn get_bucket_location(
        &self,
        caller: &Caller,
        input: GetBucketLocationRequest,
    ) -> Result<GetBucketLocationOutput, Error> {
        ops::get_bucket_location::run(self, caller, &input)
    }

    async fn get_object(
        &self,
        caller: &Caller,
        input: GetObjectRequest,
    ) -> Result<(GetObjectOutput, ByteStream), Error> {
        ops::get_object::run(self, caller, input).await
    }

    async fn head_bucket(&self, caller: &Caller, input: HeadBucketRequest) -> Result<HeadBucketOutput, Error> {
        ops::head_bucket::run(self, caller, &input)
    }

    async fn head_object(&self, caller: &Caller, input: HeadObjectRequest) -> Result<HeadObjectOutput, Error> {
        ops::head_object::run(self, caller, input)
    }

    async fn list_buckets(&self, caller: &Caller, input: ListBucketsRequest) -> Result<ListBucketsOutput, Error> {
        ops::list_buckets::run(self, caller, input)
    }

    async fn list_objects(&self, caller: &Caller, input: ListObjectsRequest) -> Result<ListObjectsOutput, Error> {
        ops::list_objects::run(self, caller, input)
    }

    async fn list_objects_v2(
        &self,
        caller: &Caller,
        input: ListObjectsV2Request,
    ) -> Result<ListObjectsV2Output, Error> {
        ops::list_objects_v2::run(self, caller, input)
    }

    async fn list_parts(&self, caller: &Caller, input: ListPartsRequest) -> Result<ListPartsOutput, Error> {
        ops::list_parts::run(self, caller, input)
    }

    async fn put_object(
        &self,
        caller: &Caller,
        input: PutObjectRequest,
        bytes: ByteStream,
    ) -> Result<PutObjectOutput, Error> {
        ops::put_object::run(self, caller, input, bytes).await
    }

    async fn upload_part(
        &self,
        caller: &Caller,
        input: UploadPartRequest,
        bytes: ByteStream,
    ) -> Result<UploadPartOutput, Error> {
        ops::upload_part::run(self, caller, input, bytes).await
    }
}
