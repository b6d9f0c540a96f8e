//! JSON that means one thing only: no key twice in an object, at most so many values.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Most values of one resource.
const VALUES_MAX: usize = 100_000;

/// Reads one resource.
pub(super) fn parse(text: &str) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict(&mut 0).deserialize(&mut reader)?;
    reader.end().map(|()| value)
}

/// Reads a `Bundle`, and gives each entry's resource with the entry's number, from 1.
pub(super) fn parse_bundle(
    text: &str,
    mut take: impl FnMut(usize, &Value),
) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    Bundle(&mut take).deserialize(&mut reader)?;
    reader.end()
}

/// A value; counts the values within it.
struct Strict<'a>(&'a mut usize);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        *self.0 += 1;
        if *self.0 > VALUES_MAX {
            return Err(D::Error::custom("too many values"));
        }
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(Strict(&mut *self.0))? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(key) = items.next_key::<String>()? {
            let value = items.next_value_seed(Strict(&mut *self.0))?;
            if all.insert(key, value).is_some() {
                return Err(A::Error::custom("an object has a key twice"));
            }
        }
        Ok(Value::Object(all))
    }
}

struct Bundle<'a, F>(&'a mut F);

impl<'de, F: FnMut(usize, &Value)> DeserializeSeed<'de> for Bundle<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de, F: FnMut(usize, &Value)> Visitor<'de> for Bundle<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Bundle")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut is_bundle = false;
        while let Some(key) = items.next_key::<String>()? {
            match key.as_str() {
                "resourceType" => is_bundle = items.next_value::<String>()? == "Bundle",
                "entry" => items.next_value_seed(Entries(&mut *self.0))?,
                _ => drop(items.next_value::<IgnoredAny>()?),
            }
        }
        if is_bundle { Ok(()) } else { Err(A::Error::custom("no Bundle")) }
    }
}

struct Entries<'a, F>(&'a mut F);

impl<'de, F: FnMut(usize, &Value)> DeserializeSeed<'de> for Entries<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(usize, &Value)> Visitor<'de> for Entries<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for number in 1.. {
            let entry = items.next_element_seed(Strict(&mut 0))?;
            let Some(entry) = entry else { break };
            if let Some(resource) = entry.get("resource") {
                (self.0)(number, resource);
            }
        }
        Ok(())
    }
}
