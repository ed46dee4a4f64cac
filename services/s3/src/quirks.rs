//! Where S3 surprises.
//!
//! - Buckets are of one name space for all accounts and regions. Asking for one of another account is `AccessDenied`, and making
//!   one that is one's own already succeeds in us-east-1 and is `BucketAlreadyOwnedByYou` elsewhere.
//! - A bucket in us-east-1 has no location: GetBucketLocation answers an empty element, and every SDK knows what that means.
//! - Deleting an object that is not there succeeds.
//! - The ETag is the MD5 of the bytes; of an object in parts it is the MD5 of the parts' MD5s, a hyphen and their number. Tools
//!   compare it with what they have.
//! - A range that begins behind the end is an error; one that ends there is cut.
//! - HEAD has no body, so a client sees of an error its status alone.
//! - Lists say their keys encoded when asked to (`encoding-type=url`), because XML cannot carry all that a key may hold.
//!
//! And where we do: requests are served whatever region they are signed for; AWS redirects them to the bucket's.
