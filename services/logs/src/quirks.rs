//! Where AWS surprises, and who depends on it.
//!
//! - **GetLogEvents gives the same token back at the end.** A reader that has reached the end gets the token it came with;
//!   the aws CLI, boto3's paginator and every SDK stop, or wait, because of it. So a token names a place, not a page.
//! - **GetLogEvents begins at the end.** Without `startFromHead` and without a token, the page is the newest one, and its
//!   events are still in chronological order.
//! - **`endTime` is exclusive in GetLogEvents and inclusive in FilterLogEvents.** Both are what the API Reference says.
//! - **Sequence tokens are ignored and still returned.** Since January 2023 any value, or none, is accepted; old agents
//!   read `nextSequenceToken` from the answer, so there is one.
//! - **`interleaved` has no meaning any more**; events of all streams are always interleaved. `aws logs tail` sends it.
//! - **`searchedLogStreams` is always empty**, since June 2020.
//! - **Terms with a question mark are ignored beside other terms.** `?ERROR REQUEST` is `REQUEST`. Source: the filter pattern
//!   page of the User Guide.
//! - **A page may be empty and have a `nextToken`.** FilterLogEvents answers after it has read a certain amount;
//!   clients go on until there is no token. So do we.
//! - **KMS keys are refused**, in the words with which AWS refuses a key that does not exist: Berth has no KMS.
//! - **Deletion protection is refused**: the operation that would take it off again is not one that Berth serves.
//! - **Query times are seconds, and milliseconds too.** StartQuery's page says seconds; the console sends milliseconds, and
//!   AWS takes both.
//! - **`recordsMatched` counts all that match**, also those that a `limit` leaves out; so every query reads its whole range.
//!   `recordsScanned` does not count what the log store's index could leave out.
//! - **Values of an answer are strings**, whole numbers without decimals and others with at most four; JSON's `true` is `1`.
//! - **A field that is null is left out of its row**, so rows of one answer differ in length.
//! - **`!=` holds where a field is missing**; that is why queries on AWS begin with `ispresent`.
//! - **Live Tail has a host of its own.** SDKs put `stream-` before the endpoint's name; with an endpoint that is an address
//!   they need `inject_host_prefix=False` (boto3), or a name for which both resolve.
//! - **Patterns of metric filters are checked with other words** than those of FilterLogEvents: `Invalid filter pattern`.
