//! What is allowed, what is refused and how, and whole queries as AWS writes them.

mod queries;
mod refusals;
mod tables;
