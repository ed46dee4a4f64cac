//! Where a task may run: filter, score, choose, explain.
