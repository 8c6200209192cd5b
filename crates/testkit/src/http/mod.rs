//! The model over HTTP, as AWS speaks: LookupEvents (AWS JSON 1.1), ListRegions, AssumeRole (also with a
//! web identity), GetCallerIdentity, ListAccounts, and what validating log files needs (DescribeTrails, ListPublicKeys, DescribeOrganization), so that a
//! program with the real SDK can be pointed at it. [`s3`] serves a folder as a bucket beside it.

pub mod data;
pub mod lambda;
mod protocol;
pub mod proxy;
pub mod s3;
pub mod script;
pub mod trails;
mod wire;

use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use self::data::Data;
use self::trails::{PublicKey, Trail};
use crate::cloudtrail::history::SECOND;

/// What goes wrong, as shares of requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpFaults {
    /// Throttled for no reason.
    pub throttled: f64,
    /// Answered with a 500.
    pub unavailable: f64,
    /// Cut off in the middle of the answer.
    pub cut: f64,
    /// Told that the token is not valid.
    pub token_lost: f64,
    /// What chance is drawn from.
    pub seed: u64,
}

/// What changes while the service runs; a clone turns the same service.
#[derive(Debug, Clone, Default)]
pub struct Dial(Arc<Mutex<Turned>>);

#[derive(Debug, Clone, Default)]
struct Turned {
    denied: Vec<String>,
    ahead: i64,
}

impl Dial {
    /// Denies LookupEvents in these regions from now on, and in no others.
    pub fn deny(&self, regions: &[&str]) {
        self.lock().denied = regions.iter().map(|&region| region.to_owned()).collect();
    }

    /// Sets how far the service's clock is ahead of the machine's, in microseconds.
    pub fn set_clock(&self, ahead: i64) {
        self.lock().ahead = ahead;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Turned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the service is set up.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// The folder with logs; new files in it are picked up.
    pub data: PathBuf,
    /// What goes wrong.
    pub faults: HttpFaults,
    /// Whether the limit of two requests a second is left out.
    pub unlimited: bool,
    /// Regions in which LookupEvents and ListPublicKeys are denied.
    pub denied: Vec<String>,
    /// What may change.
    pub dial: Dial,
    /// Whether a record that the logs hold twice is in the history twice.
    pub doubled: bool,
    /// How long tokens are taken.
    pub token_life: Option<Duration>,
    /// The trails there are.
    pub trails: Vec<Trail>,
    /// The public keys of digests, as `aws cloudtrail list-public-keys` prints them.
    pub public_keys: Option<PathBuf>,
    /// How many public keys stand on a page; all of them where none is said, as in AWS today.
    pub keys_per_page: Option<usize>,
}

struct Service {
    data: Mutex<Data>,
    public_keys: Vec<PublicKey>,
    setup: Setup,
    chance: Mutex<fastrand::Rng>,
}

/// Answers requests for ever, each connection on a thread of its own. Says when the folder was read: who asks before
/// that waits.
///
/// # Errors
/// The folder or the keys cannot be read, or the listener fails.
pub fn serve(listener: &TcpListener, setup: Setup, ready: impl FnOnce()) -> io::Result<()> {
    let mut data = Data::new(&setup.data, setup.doubled);
    data.refresh(now() + setup.dial.lock().ahead)?;
    if setup.unlimited {
        data.history.rate = None;
    }
    if let Some(life) = setup.token_life {
        data.history.token_life = i64::try_from(life.as_micros()).unwrap_or(i64::MAX);
    }
    let public_keys = setup.public_keys.as_deref().map(trails::read_keys).transpose()?.unwrap_or_default();
    let chance = Mutex::new(fastrand::Rng::with_seed(setup.faults.seed));
    ready();
    let service = Arc::new(Service { data: Mutex::new(data), public_keys, setup, chance });
    for connection in listener.incoming() {
        let (connection, service) = (connection?, Arc::clone(&service));
        std::thread::spawn(move || converse(&connection, &service));
    }
    Ok(())
}

/// Answers the requests of one connection, one after the other.
fn converse(connection: &TcpStream, service: &Service) {
    // A client that goes away is no failure of ours.
    let _ = connection.set_nodelay(true);
    let mut reader = io::BufReader::new(connection);
    while let Ok(Some(request)) = wire::read(&mut reader) {
        let answer = protocol::answer(service, &request);
        let is_cut = request.is_lookup() && service.hits(service.setup.faults.cut);
        let is_last = is_cut || request.header("connection") == Some("close");
        if wire::write(connection, &answer, service.now(), is_cut).is_err() || is_last {
            return;
        }
    }
}

impl Service {
    /// The time by its own clock, in microseconds.
    fn now(&self) -> i64 {
        now() + self.setup.dial.lock().ahead
    }

    fn hits(&self, share: f64) -> bool {
        share > 0.0 && self.chance.lock().unwrap_or_else(PoisonError::into_inner).f64() < share
    }
}

/// The machine's time, in microseconds: whoever collects from here lives in it.
fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "a service by the real clock, for real programs")]
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX / SECOND)
}
