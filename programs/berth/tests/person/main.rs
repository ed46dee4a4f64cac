//! The person's commands as a person runs them: the real program, against the real services over records in memory, and
//! against a fake where an answer cannot be had otherwise.

mod berth;
mod events;
mod explain;
mod fake;
mod image;
mod logs;
mod ps;
mod terminal;
mod top;
mod world;
