//! Tests of the lake through its public face, in one binary because linking it takes longer than running it.

mod append;
mod bucket;
mod child;
mod classic;
mod corpus;
mod crash;
mod golden;
mod maintain;
mod race;
mod readers;
mod scan;
