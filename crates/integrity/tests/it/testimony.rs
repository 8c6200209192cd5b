//! What is handed on of a lane: its digests, each with the signature that proves it.

use integrity::evidence::Trouble;
use integrity::testimony::{Testimony, testimonies};
use integrity::verify::{Limits, Scope};

use crate::world::{KEYS, Stored, World, Writer, at, plus};

fn of(world: &World, scope: &Scope) -> (Vec<Testimony>, Vec<String>) {
    let [(lane, place)] = &world.lanes()[..] else { panic!("one lane") };
    let mut found = Vec::new();
    let mut each = |testimony| -> Result<(), Trouble> {
        found.push(testimony);
        Ok(())
    };
    let unread = testimonies(world, (lane, place), scope, Limits::default(), &mut each).unwrap();
    (found, unread)
}

/// Six digests from ten o'clock on.
fn chain() -> (World, Vec<String>) {
    let mut world = World::new("2026-01-14T16:30:00Z");
    let mut writer = Writer::new("2026-01-14T10:01:31Z");
    let keys = (0..6).map(|_| writer.hour(&mut world, 1).1).collect();
    (world, keys)
}

fn proofs(found: &[Testimony]) -> Vec<bool> {
    found.iter().map(|testimony| testimony.proof(&KEYS[0].public()).is_some()).collect()
}

#[test]
fn a_digest_is_proven_by_its_own_signature_or_by_that_which_the_next_one_carries() {
    let (mut world, keys) = chain();
    let all = of(&world, &world.scope);
    assert_eq!(all.0.iter().map(|testimony| &testimony.key).collect::<Vec<_>>(), keys.iter().rev().collect::<Vec<_>>());
    assert_eq!((proofs(&all.0), &all.1[..]), (vec![true; 6], &[][..]));
    // Made up; and gone, where nobody carries the newest one's.
    world.objects.get_mut(&keys[2]).unwrap().metadata.signature = Some("00".to_owned());
    world.objects.get_mut(&keys[5]).unwrap().metadata.signature = None;
    let (found, _) = of(&world, &world.scope);
    assert_eq!(proofs(&found), [false, true, true, true, true, true]);
    assert_eq!((found[0].at_hand(), found[3].at_hand()), (None, Some("00")));
    // Without the one after it nobody proves it, and what cannot be read is told.
    world.objects.insert(keys[3].clone(), Stored { bytes: b"no digest".to_vec(), ..Stored::default() });
    let (found, unread) = of(&world, &world.scope);
    assert_eq!((proofs(&found), unread), (vec![false, true, false, true, true], vec![keys[3].clone()]));
}

#[test]
fn digests_that_only_carry_a_signature_are_not_handed_on() {
    let (mut world, keys) = chain();
    for key in &keys {
        world.objects.get_mut(key).unwrap().metadata.signature = None;
    }
    // Digests may name files of an hour for two hours: those that end at 12:01:31, 13:01:31 and 14:01:31.
    let scope =
        Scope { from: Some(at("2026-01-14T11:30:00Z")), until: at("2026-01-14T12:30:00Z"), ..world.scope.clone() };
    let (found, unread) = of(&world, &scope);
    assert_eq!(found.iter().map(|testimony| &testimony.key).collect::<Vec<_>>(), [&keys[3], &keys[2], &keys[1]]);
    assert_eq!((proofs(&found), unread), (vec![true; 3], Vec::new()));
}

#[test]
fn a_backfilled_digest_says_when_it_was_signed() {
    let mut world = World::new("2026-01-14T16:30:00Z");
    let mut writer = Writer { is_backfill: true, ..Writer::new("2026-01-14T10:01:31Z") };
    writer.hour(&mut world, 1);
    let (found, _) = of(&world, &world.scope);
    assert_eq!(found[0].generated, Some(plus(writer.time, 86_400)));
}
