//! Tests of the lake through its public face, in one binary because linking it takes longer than running it.

mod append;
mod corpus;
