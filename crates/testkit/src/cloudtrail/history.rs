//! The model of LookupEvents: newest first, 50 a page at most, two requests a second for an account in a region, tokens that
//! demand the parameters they were given for and expire, 90 days.
//!
//! Times are microseconds since 1970, and "now" is an argument.

use std::collections::{BTreeMap, HashMap};

/// One second in microseconds.
pub const SECOND: i64 = 1_000_000;
/// How far back the history goes.
pub const HORIZON: i64 = 90 * 86_400 * SECOND;
/// The most events a page holds.
pub const PAGE: usize = 50;

/// An event in the history.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The event's time: whole seconds.
    pub time: i64,
    /// When it appears in the history.
    pub visible: i64,
    /// `eventID`.
    pub id: String,
    /// `eventName`.
    pub name: String,
    /// Who: `Username`.
    pub user: Option<String>,
    /// The access key.
    pub access_key: Option<String>,
    /// Whether the call only read.
    pub read_only: bool,
    /// The record as JSON text.
    pub record: String,
}

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// The account asked.
    pub account: String,
    /// The region asked.
    pub region: String,
    /// The one lookup attribute: key and value.
    pub attribute: Option<(String, String)>,
    /// Events at this time or later.
    pub start: Option<i64>,
    /// Events at this time or earlier.
    pub end: Option<i64>,
    /// Events a page, 50 unless said otherwise.
    pub max: Option<usize>,
}

/// Why there is no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// `ThrottlingException`.
    Throttled,
    /// `InvalidNextTokenException`.
    InvalidToken,
    /// `InvalidTimeRangeException`.
    InvalidTimeRange,
    /// `InvalidMaxResultsException`.
    InvalidMaxResults,
    /// `InvalidLookupAttributesException`.
    InvalidAttribute,
}

/// A page.
#[derive(Debug, Clone)]
pub struct Answer<'h> {
    /// Its events, each with its source.
    pub events: Vec<(&'h str, &'h Entry)>,
    /// The token for the next page.
    pub next: Option<String>,
}

/// Where a token goes on: behind the entry with this time and place.
type Cursor = (i64, u64);

#[derive(Debug, Clone)]
struct Token {
    query: Query,
    cursor: Cursor,
    issued: i64,
}

/// The history of every account and region.
#[derive(Debug)]
pub struct EventHistory {
    /// By account, region and source; each in order of time and place.
    streams: BTreeMap<(String, String, String), Vec<(u64, Entry)>>,
    tokens: HashMap<String, Token>,
    buckets: HashMap<(String, String), (f64, i64)>,
    entries: u64,
    issued: u64,
    /// Requests a second for an account in a region; `None` for no limit.
    pub rate: Option<f64>,
    /// How long a token is taken.
    pub token_life: i64,
}

impl Default for EventHistory {
    fn default() -> EventHistory {
        EventHistory {
            streams: BTreeMap::new(),
            tokens: HashMap::new(),
            buckets: HashMap::new(),
            entries: 0,
            issued: 0,
            rate: Some(2.0),
            token_life: 3600 * SECOND,
        }
    }
}

impl EventHistory {
    /// Adds an event.
    pub fn add(&mut self, account: &str, region: &str, source: &str, entry: Entry) {
        let key = (account.to_owned(), region.to_owned(), source.to_owned());
        let stream = self.streams.entry(key).or_default();
        self.entries += 1;
        let order = (entry.time, self.entries);
        let place = stream.partition_point(|(place, known)| (known.time, *place) < order);
        stream.insert(place, (self.entries, entry));
    }

    /// Adds many events of one stream, faster.
    pub fn add_all(&mut self, account: &str, region: &str, source: &str, entries: Vec<Entry>) {
        let key = (account.to_owned(), region.to_owned(), source.to_owned());
        let stream = self.streams.entry(key).or_default();
        for entry in entries {
            self.entries += 1;
            stream.push((self.entries, entry));
        }
        stream.sort_by_key(|(place, entry)| (entry.time, *place));
    }

    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.streams.values().map(Vec::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every stream with its events, the oldest first.
    pub fn streams(&self) -> impl Iterator<Item = (&(String, String, String), impl Iterator<Item = &Entry>)> {
        self.streams.iter().map(|(key, stream)| (key, stream.iter().map(|(_, entry)| entry)))
    }

    /// Takes leave for one request of an account in a region.
    ///
    /// # Errors
    /// [`Refusal::Throttled`].
    pub fn admit(&mut self, account: &str, region: &str, now: i64) -> Result<(), Refusal> {
        let Some(rate) = self.rate else { return Ok(()) };
        let (tokens, filled) = self.buckets.entry((account.to_owned(), region.to_owned())).or_insert((2.0, now));
        let passed = (now - *filled).max(0) as f64 / SECOND as f64;
        *tokens = (*tokens + passed * rate).min(2.0);
        *filled = now.max(*filled);
        if *tokens < 1.0 - 1e-3 {
            return Err(Refusal::Throttled);
        }
        *tokens -= 1.0;
        Ok(())
    }

    /// One page of what is visible now. The pace is [`EventHistory::admit`]'s.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn page(&mut self, query: &Query, token: Option<&str>, now: i64) -> Result<Answer<'_>, Refusal> {
        let size = query.max.unwrap_or(PAGE);
        if size == 0 || size > PAGE {
            return Err(Refusal::InvalidMaxResults);
        }
        if let (Some(start), Some(end)) = (query.start, query.end)
            && start > end
        {
            return Err(Refusal::InvalidTimeRange);
        }
        let cursor = match token {
            None => None,
            Some(text) => Some(self.cursor(text, query, now).ok_or(Refusal::InvalidToken)?),
        };
        let (taken, has_more) = {
            let found = self.matching(query, cursor, now);
            let taken: Vec<Cursor> = found.iter().take(size).map(|(_, place, entry)| (entry.time, *place)).collect();
            (taken, found.len() > size)
        };
        let next = match taken.last() {
            Some(cursor) if has_more => Some(self.issue(query, *cursor, now)),
            _ => None,
        };
        let found = self.matching(query, cursor, now);
        let events = found.into_iter().take(size).map(|(source, _, entry)| (source, entry)).collect();
        Ok(Answer { events, next })
    }

    /// How many events such a walk still has to show, from the beginning or behind a token that is still taken.
    #[must_use]
    pub fn remaining(&self, query: &Query, token: Option<&str>, now: i64) -> usize {
        let cursor = token.and_then(|text| self.cursor(text, query, now));
        self.walk(query, cursor, now).map(|(_, entries)| entries.count()).sum()
    }

    /// How many of the events that a token's pages have shown lie in the second it has reached: who loses the token has to
    /// read them again.
    #[must_use]
    pub fn shown_in_last_second(&self, token: &str, now: i64) -> usize {
        let Some(Token { query, cursor, .. }) = self.tokens.get(token) else { return 0 };
        let second = Query { start: Some(cursor.0), end: Some(cursor.0), ..query.clone() };
        let shown = |entries: &(u64, &Entry)| entries.0 >= cursor.1;
        self.walk(&second, None, now).map(|(_, entries)| entries.filter(shown).count()).sum()
    }

    fn cursor(&self, text: &str, query: &Query, now: i64) -> Option<Cursor> {
        let token = self.tokens.get(text)?;
        (token.query == *query && now - token.issued <= self.token_life).then_some(token.cursor)
    }

    fn issue(&mut self, query: &Query, cursor: Cursor, now: i64) -> String {
        self.issued += 1;
        let text = format!("token-{:016x}", self.issued.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        if self.tokens.len() > 100_000 {
            let life = self.token_life;
            self.tokens.retain(|_, token| now - token.issued <= life);
        }
        self.tokens.insert(text.clone(), Token { query: query.clone(), cursor, issued: now });
        text
    }

    /// One page of matches and one more, newest first.
    fn matching<'h>(&'h self, query: &Query, cursor: Option<Cursor>, now: i64) -> Vec<(&'h str, u64, &'h Entry)> {
        let most = query.max.unwrap_or(PAGE) + 1;
        let mut found = Vec::new();
        for (source, entries) in self.walk(query, cursor, now) {
            found.extend(entries.take(most).map(|(place, entry)| (source, place, entry)));
        }
        found.sort_by_key(|(_, place, entry)| std::cmp::Reverse((entry.time, *place)));
        found.truncate(most);
        found
    }

    /// What matches, source by source, each newest first.
    fn walk<'h>(
        &'h self,
        query: &Query,
        cursor: Option<Cursor>,
        now: i64,
    ) -> impl Iterator<Item = (&'h str, impl Iterator<Item = (u64, &'h Entry)>)> {
        let start = query.start.unwrap_or(i64::MIN).max(now - HORIZON);
        let end = query.end.unwrap_or(i64::MAX);
        let first = (query.account.clone(), query.region.clone(), String::new());
        let of_region = self
            .streams
            .range(first..)
            .take_while(|((account, region, _), _)| *account == query.account && *region == query.region);
        let of_source = of_region.filter(|((_, _, source), _)| match &query.attribute {
            Some((key, value)) if key == "EventSource" => value == source,
            _ => true,
        });
        of_source.map(move |((_, _, source), stream)| {
            let upto = match cursor {
                Some(cursor) => stream.partition_point(|(place, entry)| (entry.time, *place) < cursor),
                None => stream.partition_point(|(_, entry)| entry.time <= end),
            };
            let newest_first = stream[..upto].iter().rev().take_while(move |(_, entry)| entry.time >= start);
            let visible = newest_first.filter(move |(_, entry)| entry.visible <= now && matches(query, entry));
            (source.as_str(), visible.map(|(place, entry)| (*place, entry)))
        })
    }
}

fn matches(query: &Query, entry: &Entry) -> bool {
    let Some((key, value)) = &query.attribute else { return true };
    match key.as_str() {
        "EventId" => entry.id == *value,
        "EventName" => entry.name == *value,
        "Username" => entry.user.as_deref() == Some(value),
        "AccessKeyId" => entry.access_key.as_deref() == Some(value),
        "ReadOnly" => entry.read_only.to_string() == *value,
        "EventSource" => true,
        // Resources are not modelled: nothing has any.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000 * SECOND;

    fn entry(age: i64, visible_after: i64) -> Entry {
        let time = NOW - age * SECOND;
        Entry {
            time,
            visible: time + visible_after * SECOND,
            id: format!("e{age}"),
            name: "GetUser".to_owned(),
            user: None,
            access_key: None,
            read_only: true,
            record: "{}".to_owned(),
        }
    }

    fn query() -> Query {
        let attribute = Some(("EventSource".to_owned(), "iam.amazonaws.com".to_owned()));
        Query { account: "1".to_owned(), region: "us-east-1".to_owned(), attribute, ..Query::default() }
    }

    fn history(count: i64) -> EventHistory {
        let mut history = EventHistory::default();
        history.add_all("1", "us-east-1", "iam.amazonaws.com", (0..count).map(|age| entry(age, 0)).collect());
        history.add("1", "us-east-1", "sts.amazonaws.com", entry(5, 0));
        history.add("1", "eu-west-1", "iam.amazonaws.com", entry(6, 0));
        history
    }

    fn ids(answer: &Answer<'_>) -> Vec<String> {
        answer.events.iter().map(|(_, entry)| entry.id.clone()).collect()
    }

    #[test]
    fn pages_come_newest_first_and_the_last_one_has_no_token() {
        let mut history = history(100);
        let first = history.page(&query(), None, NOW).unwrap();
        assert_eq!(ids(&first), (0..50).map(|age| format!("e{age}")).collect::<Vec<_>>());
        let token = first.next.unwrap();
        let second = history.page(&query(), Some(&token), NOW).unwrap();
        assert_eq!(ids(&second), (50..100).map(|age| format!("e{age}")).collect::<Vec<_>>());
        assert_eq!(second.next, None);
    }

    #[test]
    fn a_token_wants_the_same_parameters_and_expires() {
        let mut history = history(100);
        let token = history.page(&query(), None, NOW).unwrap().next.unwrap();
        let other = Query { end: Some(NOW), ..query() };
        assert_eq!(history.page(&other, Some(&token), NOW).unwrap_err(), Refusal::InvalidToken);
        let later = NOW + history.token_life + 1;
        assert_eq!(history.page(&query(), Some(&token), later).unwrap_err(), Refusal::InvalidToken);
        assert!(history.page(&query(), Some(&token), NOW).is_ok());
    }

    #[test]
    fn both_ends_belong_to_the_range_and_what_is_late_or_old_is_not_there() {
        let mut history = history(10);
        history.add("1", "us-east-1", "iam.amazonaws.com", entry(3, 600));
        history.add("1", "us-east-1", "iam.amazonaws.com", Entry { visible: 0, ..entry(91 * 86_400, 0) });
        let range = Query { start: Some(NOW - 4 * SECOND), end: Some(NOW - 2 * SECOND), ..query() };
        assert_eq!(ids(&history.page(&range, None, NOW).unwrap()), ["e2", "e3", "e4"]);
        assert_eq!(history.page(&range, None, NOW + 600 * SECOND).unwrap().events.len(), 4);
        assert_eq!(history.page(&query(), None, NOW).unwrap().events.len(), 10);
        let reversed = Query { start: Some(NOW), end: Some(NOW - 1), ..query() };
        assert_eq!(history.page(&reversed, None, NOW).unwrap_err(), Refusal::InvalidTimeRange);
    }

    #[test]
    fn an_account_has_two_requests_a_second_in_a_region() {
        let mut history = history(0);
        let mut admitted = |at: i64| history.admit("1", "us-east-1", at).is_ok();
        assert_eq!([admitted(NOW), admitted(NOW), admitted(NOW)], [true, true, false]);
        assert_eq!([admitted(NOW + SECOND / 2), admitted(NOW + SECOND / 2)], [true, false]);
        assert!(history.admit("1", "eu-west-1", NOW).is_ok());
    }
}
