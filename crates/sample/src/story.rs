//! What is planted among the ordinary traffic: one intrusion, and legitimate actions that are sensitive all the same.

mod calls;
mod intrusion;
mod legitimate;
mod persistence;

use crate::calendar::{DAY, iso};
use crate::call::{Call, Scribe, Shared};
use crate::chance::Chance;
use crate::identity::Caller;
use crate::organisation::{Organisation, REGIONS};
use crate::scene::Scene;
use crate::truth::{Planted, Step};

/// The step that ends the use of the leaked key.
pub(crate) const KEY_OFF: &str = "The security team switches the leaked key off.";
/// The step that ends the time without log file validation, which the intrusion's `UpdateTrail` begins.
pub(crate) const TRAIL_RESTORED: &str = "The security team gives the trail its regions and its validation back.";
/// The IAM user whose key leaks.
pub(crate) const VICTIM: &str = "marta.kowalska";

/// Plants both stories into a trail of some `days` that ends at `end`: the intrusion and the legitimate actions.
pub(crate) fn plant(org: &Organisation, seed: u64, end: i64, days: i64) -> (Vec<Planted>, Vec<Planted>) {
    // Two in the morning of the fourth day before the last.
    let night = (end.div_euclid(DAY) - 4) * DAY + 2 * 3600 + 13 * 60 + 41;
    let mut intrusion = Teller::new(org, Chance::lane(seed, 1), night);
    intrusion::tell(&mut intrusion);
    let mut legitimate = Teller::new(org, Chance::lane(seed, 2), night);
    legitimate::tell(&mut legitimate, end, days);
    legitimate::respond(&mut legitimate, &intrusion.planted);
    legitimate.planted.sort_by_key(|planted| planted.time);
    for (number, planted) in legitimate.planted.iter_mut().enumerate() {
        planted.step.step = number + 1;
    }
    (intrusion.planted, legitimate.planted)
}

/// From when to when the trail writes no digests: the intrusion turns validation off, the response turns it on again.
pub(crate) fn without_validation(intrusion: &[Planted], legitimate: &[Planted]) -> Option<(i64, i64)> {
    let off = intrusion.iter().find(|planted| planted.step.event_name == "UpdateTrail")?;
    let on = legitimate.iter().find(|planted| planted.step.what == TRAIL_RESTORED)?;
    Some((off.time, on.time))
}

/// Tells a story step by step.
struct Teller<'a> {
    org: &'a Organisation,
    chance: Chance,
    scribe: Scribe,
    time: i64,
    planted: Vec<Planted>,
}

/// A variable of the step's templates and its value.
type Bound<'v> = (&'static str, &'v str);

impl<'a> Teller<'a> {
    fn new(org: &'a Organisation, chance: Chance, time: i64) -> Self {
        Self { org, chance, scribe: Scribe::default(), time, planted: Vec::new() }
    }

    /// Lets some seconds pass, give or take a few.
    fn wait(&mut self, seconds: i64) {
        self.time += seconds + self.chance.between(0, 9);
    }

    /// Plants one step, some seconds after the one before.
    fn step(
        &mut self,
        place: (usize, usize),
        caller: &Caller,
        call: &Call,
        values: &[Bound<'_>],
        what: &str,
        detections: &[&'static str],
    ) {
        self.step_shared(place, caller, call, values, what, detections, None);
    }

    #[expect(clippy::too_many_arguments, reason = "a step is written in one line, like a sentence")]
    fn step_shared(
        &mut self,
        place: (usize, usize),
        caller: &Caller,
        call: &Call,
        values: &[Bound<'_>],
        what: &str,
        detections: &[&'static str],
        shared: Option<&Shared>,
    ) {
        self.time += self.chance.between(4, 40);
        let (account, region) = place;
        let mut scene = Scene::new(self.org, account, region, self.time);
        for &(name, value) in values {
            scene.bind(name, value);
        }
        let mut record = String::new();
        let event_id = self.scribe.write(&mut scene, caller, call, shared, &mut self.chance, &mut record).to_owned();
        let step = Step {
            step: self.planted.len() + 1,
            time: iso(self.time),
            event_id,
            account: self.org.accounts[account].id.clone(),
            region: REGIONS[region].to_owned(),
            event_name: call.name.to_owned(),
            actor: caller.name.clone(),
            what: what.to_owned(),
            detections: detections.to_vec(),
        };
        self.planted.push(Planted { step, account, region, time: self.time, record });
    }
}
