//! Regular expressions, linear in time whatever the pattern.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanBuilder, Int64Builder, ListBuilder, StringViewBuilder};
use datafusion::common::Result;
use regex::{Regex, RegexBuilder};

use super::call::{Call, Texts, shown};
use super::function::{self, Arg, Function};

/// The largest program a pattern may compile to.
const MAX_PROGRAM: usize = 2 << 20;
/// How many patterns of one batch are kept compiled, where they differ by row.
const MAX_KEPT: usize = 256;
/// How many of a question's own patterns a thread keeps compiled between batches.
const MAX_KEPT_LONG: usize = 16;

/// The functions of regular expressions.
pub(crate) fn functions() -> Vec<Function> {
    const TWO: &[Arg] = &[Arg::Text, Arg::Text];
    const WITH_GROUP: &[Arg] = &[Arg::Text, Arg::Text, Arg::Int];
    const WITH_REPLACEMENT: &[Arg] = &[Arg::Text, Arg::Text, Arg::Text];
    vec![
        Function::new("regexp_like", TWO, function::bool, like),
        Function::new("regexp_extract", WITH_GROUP, function::text, extract).optional(1),
        Function::new("regexp_extract_all", WITH_GROUP, function::texts, extract_all).optional(1),
        Function::new("regexp_replace", WITH_REPLACEMENT, function::text, replace).optional(1),
        Function::new("regexp_count", TWO, function::int, count),
        Function::new("regexp_split", TWO, function::texts, split),
    ]
}

/// The patterns of a call.
struct Patterns<'a> {
    texts: Texts<'a>,
    /// The pattern that stands in every row.
    same: Option<Arc<Regex>>,
    each: HashMap<&'a str, Regex>,
}

impl<'a> Patterns<'a> {
    fn of(call: &Call<'a>, index: usize) -> Result<Patterns<'a>> {
        let texts = call.text(index)?;
        let same = texts.same().flatten().map(|pattern| compile(call, pattern)).transpose()?;
        Ok(Patterns { texts, same, each: HashMap::new() })
    }

    fn get(&mut self, call: &Call<'a>, row: usize) -> Result<Option<&Regex>> {
        if self.same.is_some() {
            return Ok(self.same.as_deref());
        }
        let Some(pattern) = self.texts.get(row) else { return Ok(None) };
        if !self.each.contains_key(pattern) {
            if self.each.len() >= MAX_KEPT {
                self.each.clear();
            }
            self.each.insert(pattern, program(call, pattern)?);
        }
        Ok(self.each.get(pattern))
    }
}

/// A pattern that stands in every row, compiled once for all batches that a thread works on.
fn compile(call: &Call<'_>, pattern: &str) -> Result<Arc<Regex>> {
    thread_local! {
        static KEPT: RefCell<HashMap<String, Arc<Regex>>> = RefCell::default();
    }
    if let Some(compiled) = KEPT.with_borrow(|kept| kept.get(pattern).cloned()) {
        return Ok(compiled);
    }
    let compiled = Arc::new(program(call, pattern)?);
    KEPT.with_borrow_mut(|kept| {
        if kept.len() >= MAX_KEPT_LONG {
            kept.clear();
        }
        kept.insert(pattern.to_owned(), Arc::clone(&compiled));
    });
    Ok(compiled)
}

fn program(call: &Call<'_>, pattern: &str) -> Result<Regex> {
    RegexBuilder::new(pattern).size_limit(MAX_PROGRAM).build().map_err(|error| {
        let reason = match &error {
            regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            _ if ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|look| pattern.contains(look)) => {
                "looking ahead or behind, (?=…) and its kin, is not supported".to_owned()
            }
            // The last line says what is wrong; those before it draw the pattern.
            other => other.to_string().lines().next_back().unwrap_or_default().trim_start_matches("error: ").to_owned(),
        };
        call.error(format_args!("pattern {}: {reason}", shown(pattern)))
    })
}

/// Runs over the rows where both text and pattern are there.
fn each<'a>(call: &Call<'a>, mut row: impl FnMut(usize, Option<(&'a str, &Regex)>) -> Result<()>) -> Result<()> {
    let texts = call.text(0)?;
    let mut patterns = Patterns::of(call, 1)?;
    for index in 0..call.rows() {
        match (texts.get(index), patterns.get(call, index)?) {
            (Some(text), Some(pattern)) => row(index, Some((text, pattern)))?,
            _ => row(index, None)?,
        }
    }
    Ok(())
}

fn like(call: &Call<'_>) -> Result<ArrayRef> {
    let mut column = BooleanBuilder::with_capacity(call.rows());
    each(call, |_, row| {
        column.append_option(row.map(|(text, pattern)| pattern.is_match(text)));
        Ok(())
    })?;
    Ok(Arc::new(column.finish()))
}

fn count(call: &Call<'_>) -> Result<ArrayRef> {
    let mut column = Int64Builder::with_capacity(call.rows());
    each(call, |_, row| {
        column.append_option(row.and_then(|(text, pattern)| i64::try_from(pattern.find_iter(text).count()).ok()));
        Ok(())
    })?;
    Ok(Arc::new(column.finish()))
}

/// The group that a call asks for, by row: the whole match where it asks for none.
fn groups(call: &Call<'_>) -> Result<Vec<Option<i64>>> {
    if call.count() < 3 {
        return Ok(vec![Some(0); call.rows()]);
    }
    Ok(call.ints(2)?.iter().collect())
}

/// Checks a group's number.
fn group(call: &Call<'_>, pattern: &Regex, number: i64) -> Result<usize> {
    let count = pattern.captures_len() - 1;
    match usize::try_from(number) {
        Ok(number) if number <= count => Ok(number),
        _ => Err(call.error(format_args!("pattern {} has {count} groups, not {number}", shown(pattern.as_str())))),
    }
}

fn extract(call: &Call<'_>) -> Result<ArrayRef> {
    let groups = groups(call)?;
    let mut column = StringViewBuilder::with_capacity(call.rows());
    each(call, |index, row| {
        let (Some((text, pattern)), Some(number)) = (row, groups[index]) else {
            column.append_null();
            return Ok(());
        };
        let found = match group(call, pattern, number)? {
            0 => pattern.find(text),
            number => pattern.captures(text).and_then(|captures| captures.get(number)),
        };
        column.append_option(found.map(|found| found.as_str()));
        Ok(())
    })?;
    Ok(Arc::new(column.finish()))
}

fn extract_all(call: &Call<'_>) -> Result<ArrayRef> {
    let groups = groups(call)?;
    let mut column = ListBuilder::new(StringViewBuilder::new());
    each(call, |index, row| {
        let (Some((text, pattern)), Some(number)) = (row, groups[index]) else {
            column.append_null();
            return Ok(());
        };
        let number = group(call, pattern, number)?;
        for captures in pattern.captures_iter(text) {
            column.values().append_option(captures.get(number).map(|found| found.as_str()));
        }
        column.append(true);
        Ok(())
    })?;
    Ok(Arc::new(column.finish()))
}

fn replace(call: &Call<'_>) -> Result<ArrayRef> {
    let replacements = if call.count() > 2 { call.text(2)? } else { Texts::Same(Some("")) };
    let same = replacements.same().flatten().map(template);
    let mut column = StringViewBuilder::with_capacity(call.rows());
    each(call, |index, row| {
        let replacement = match &same {
            Some(same) => Some(same.clone()),
            None => replacements.get(index).map(template),
        };
        match row.zip(replacement) {
            Some(((text, pattern), replacement)) => {
                column.append_value(pattern.replace_all(text, replacement.as_str()));
            }
            None => column.append_null(),
        }
        Ok(())
    })?;
    Ok(Arc::new(column.finish()))
}

/// A replacement as Java writes it (`$1`, `${name}`, `\$`) as the crate reads it.
fn template(replacement: &str) -> String {
    let mut template = String::with_capacity(replacement.len());
    let mut letters = replacement.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('$') => template.push_str("$$"),
                Some(escaped) => template.push(escaped),
                None => {}
            },
            '$' => {
                let mut number = String::new();
                while let Some(digit) = letters.next_if(char::is_ascii_digit) {
                    number.push(digit);
                }
                match number.is_empty() {
                    // `$1x` is group 1 and an x in Java; the crate would look for a group of that name.
                    false => template.push_str(&format!("${{{number}}}")),
                    true => template.push('$'),
                }
            }
            letter => template.push(letter),
        }
    }
    template
}

fn split(call: &Call<'_>) -> Result<ArrayRef> {
    let mut column = ListBuilder::new(StringViewBuilder::new());
    each(call, |_, row| {
        let Some((text, pattern)) = row else {
            column.append_null();
            return Ok(());
        };
        pattern.split(text).for_each(|part| column.values().append_value(part));
        column.append(true);
        Ok(())
    })?;
    Ok(Arc::new(column.finish()))
}
