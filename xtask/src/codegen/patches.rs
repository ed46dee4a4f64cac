//! Where a service model is wrong, or says what our validation cannot check. Each patch carries its reason and a link.

use super::botocore::{Model, Reference, Shape};

pub fn apply(service: &str, model: &mut Model) {
    if service == "s3" {
        s3(model);
    }
    for (of, name, change) in PATCHES {
        if *of == service {
            let shape = model.shapes.get_mut(*name);
            change(shape.unwrap_or_else(|| panic!("patches.rs mends {of}.{name}, which the model does not have")));
        }
    }
}

/// The errors of a service that its model does not have: name and status.
pub fn errors(service: &str) -> &'static [(&'static str, u16)] {
    match service {
        "s3" => S3_ERRORS,
        _ => &[],
    }
}

/// botocore does not look at the names of root elements, so its model leaves them out. They are in the syntax of the answers:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html>
fn s3(model: &mut Model) {
    model.metadata.xml_namespace = "http://s3.amazonaws.com/doc/2006-03-01/".to_owned();
    // One of its structures has the name that every generated crate has for its errors.
    let error = model.shapes.remove("Error").expect("s3 has a shape Error");
    model.shapes.insert("ObjectError".to_owned(), error);
    let errors = model.shapes.get_mut("Errors").and_then(|errors| errors.member.as_mut());
    "ObjectError".clone_into(&mut errors.expect("s3 has a list Errors").shape);
    for (operation, root) in [
        ("CompleteMultipartUpload", "CompleteMultipartUploadResult"),
        ("CreateMultipartUpload", "InitiateMultipartUploadResult"),
        ("DeleteObjects", "DeleteResult"),
        // The one whose answer is its only member.
        ("GetBucketLocation", "LocationConstraint"),
        ("ListBuckets", "ListAllMyBucketsResult"),
        ("ListMultipartUploads", "ListMultipartUploadsResult"),
        ("ListObjects", "ListBucketResult"),
        ("ListObjectsV2", "ListBucketResult"),
        ("ListParts", "ListPartsResult"),
    ] {
        let output = model.operations.get_mut(operation).and_then(|operation| operation.output.as_mut());
        output.unwrap_or_else(|| panic!("s3 has no {operation}")).result_wrapper = Some(root.to_owned());
    }
}

/// Source: Amazon S3 API Reference, "Error responses", "List of error codes".
const S3_ERRORS: &[(&str, u16)] = &[
    ("AccessDenied", 403),
    ("BadDigest", 400),
    ("BucketAlreadyExists", 409),
    ("BucketAlreadyOwnedByYou", 409),
    ("BucketNotEmpty", 409),
    ("EntityTooLarge", 400),
    ("EntityTooSmall", 400),
    ("IllegalLocationConstraintException", 400),
    ("IncompleteBody", 400),
    ("InternalError", 500),
    ("InvalidArgument", 400),
    ("InvalidBucketName", 400),
    ("InvalidDigest", 400),
    ("InvalidLocationConstraint", 400),
    ("InvalidPart", 400),
    ("InvalidPartOrder", 400),
    ("InvalidRange", 416),
    ("InvalidRequest", 400),
    ("KeyTooLongError", 400),
    ("MalformedXML", 400),
    ("MetadataTooLarge", 400),
    ("NoSuchBucket", 404),
    ("NoSuchKey", 404),
    ("NoSuchUpload", 404),
    ("NotImplemented", 501),
    ("NotModified", 304),
    ("OperationAborted", 409),
    ("PreconditionFailed", 412),
    ("ServiceUnavailable", 503),
    ("SignatureDoesNotMatch", 403),
    ("XAmzContentSHA256Mismatch", 400),
];

/// Service, shape, change.
type Patch = (&'static str, &'static str, fn(&mut Shape));

const PATCHES: &[Patch] = &[
    // The ECS agent sends a client token with its registration, so that the retry of a call whose answer was lost does not
    // register the machine twice. The public model leaves it out; the agent's own one has it:
    // https://github.com/aws/amazon-ecs-agent/blob/master/ecs-agent/api/ecs/model/ecs/api-2.json
    ("ecs", "RegisterContainerInstanceRequest", |shape| shape.members.0.push(text("clientToken"))),
];

/// A member of plain text.
fn text(name: &str) -> (String, Reference) {
    let reference = Reference {
        shape: "String".to_owned(),
        location: None,
        location_name: None,
        query_name: None,
        result_wrapper: None,
        timestamp_format: None,
        streaming: false,
    };
    (name.to_owned(), reference)
}
