//! The door as its clients see it: the real `psql`, psycopg, and bytes that no client would send.

mod programs;
mod raw;
mod support;
