//! The names of a struct's fields, for suggestions.

use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

/// The fields that a struct is deserialised from.
pub(crate) fn fields_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // It asks for its fields and gets no value.
    let _ = T::deserialize(Asked(&mut fields));
    fields
}

struct Asked<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("no value"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        Err(Error::custom("no value"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The nearest of some names, if it is near enough to be meant.
pub(crate) fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let limit = name.chars().take(64).count() / 2;
    let name: String = name.chars().take(64).collect();
    let near = names.into_iter().map(|known| (strsim::damerau_levenshtein(&name, known), known));
    near.filter(|(distance, _)| *distance <= limit).min().map(|(_, known)| known)
}

/// Words a suggestion, to stand behind what is unknown.
pub(crate) fn suggestion<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    nearest(name, names).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_struct_tells_its_fields() {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "only their names matter")]
        struct Example {
            first: u8,
            #[serde(default)]
            second: String,
        }
        assert_eq!(super::fields_of::<Example>(), ["first", "second"]);
    }

    #[test]
    fn a_suggestion_is_near() {
        assert_eq!(super::suggestion("webook", ["token", "webhook"]), "; did you mean \"webhook\"?");
        assert_eq!(super::suggestion("xyz", ["token", "webhook"]), "");
    }
}
