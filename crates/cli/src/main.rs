//! trailhound
fn main() {}
