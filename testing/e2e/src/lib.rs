//! Whole Berths, used as people use them: `tests/` holds one file a story. It is empty itself.

#![forbid(unsafe_code)]
