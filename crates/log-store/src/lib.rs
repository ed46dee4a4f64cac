//! Log events on disk: append, read in order, filter.
