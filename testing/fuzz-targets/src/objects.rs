//! What S3 reads: inputs in headers and XML, and bodies in chunks.

use bytes::Bytes;
use futures::executor::block_on;
use http::{HeaderMap, HeaderName, HeaderValue};
use shape::Piece;
use wire::parsers;

use crate::{line, text};

/// An operation, its parameters, headers until an empty line, and a body.
pub(crate) fn rest_xml_input(bytes: &[u8]) {
    let (name, rest) = line(bytes);
    let operations = api_s3::MODEL.operations;
    let numbered = usize::from(name.first().copied().unwrap_or_default()) % operations.len();
    let named = operations.iter().find(|operation| operation.name.as_bytes() == name);
    let operation = named.unwrap_or(&operations[numbered]);
    let (query, mut rest) = line(rest);
    let mut headers = HeaderMap::new();
    while !rest.is_empty() {
        let (header, after) = line(rest);
        rest = after;
        let Some(at) = header.iter().position(|byte| *byte == b':') else { break };
        let value = HeaderValue::from_bytes(header[at + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&header[..at]), value) {
            headers.append(name, value);
        }
    }
    if let Ok(document) = parsers::rest_xml_input(operation, query, headers, rest) {
        let _ = shape::check(&api_s3::MODEL, operation, &document);
    }
}

/// However a body in chunks is cut on its way, the same is read of it: the first byte says how.
pub(crate) fn aws_chunked(bytes: &[u8]) {
    let Some((size, body)) = bytes.split_first() else { return };
    let read = |size: usize| {
        let pieces = body.chunks(size.max(1)).map(Bytes::copy_from_slice).collect();
        let pieces = block_on(parsers::aws_chunked(pieces)).map_err(|error| error.to_string())?;
        let (mut whole, mut trailers) = (Vec::new(), Vec::new());
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => whole.extend_from_slice(&bytes),
                Piece::Trailer(name, value) => trailers.push((name, value)),
            }
        }
        Ok::<_, String>((whole, trailers))
    };
    let (one, other) = (read(body.len()), read(usize::from(*size)));
    assert_eq!(one.is_ok(), other.is_ok(), "{}", text(body));
    if let (Ok(one), Ok(other)) = (one, other) {
        assert_eq!(one, other, "{}", text(body));
        assert!(one.0.len() <= body.len(), "more comes out than went in");
    }
}
