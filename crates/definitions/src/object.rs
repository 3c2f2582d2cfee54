//! One JSON object being read: its fields, each with what to say if it is not there or is
//! of another kind.

use lockgate_model::Name;
use serde_json::{Map, Value as Json};

/// An object being read.
#[derive(Clone, Copy)]
pub struct Object<'a>(pub &'a Map<String, Json>);

impl<'a> Object<'a> {
    /// A field, null being as good as none.
    pub fn get(self, name: &str) -> Option<&'a Json> {
        self.0.get(name).filter(|v| !v.is_null())
    }

    /// A text that must be there.
    pub fn text(self, name: &str) -> Result<&'a str, String> {
        self.optional_text(name)?.ok_or_else(|| format!("`{name}` is missing"))
    }

    /// A text that need not be there.
    pub fn optional_text(self, name: &str) -> Result<Option<&'a str>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("`{name}` should be text, actually was {other}")),
        }
    }

    /// A name that must be there.
    pub fn name(self, name: &str) -> Result<Name, String> {
        self.text(name).map(Name::from)
    }

    /// A truth; RabbitMQ's older exports write it as text.
    pub fn flag(self, name: &str, otherwise: bool) -> Result<bool, String> {
        match self.get(name) {
            None => Ok(otherwise),
            Some(Json::Bool(b)) => Ok(*b),
            Some(Json::String(text)) if text == "true" => Ok(true),
            Some(Json::String(text)) if text == "false" => Ok(false),
            Some(other) => Err(format!("`{name}` should be true or false, actually was {other}")),
        }
    }

    /// An object within; none is an empty one. RabbitMQ writes some as a list of pairs, and
    /// so an empty one as an empty list.
    pub fn object(self, name: &str) -> Result<Map<String, Json>, String> {
        match self.get(name) {
            None => Ok(Map::new()),
            Some(Json::Object(map)) => Ok(map.clone()),
            Some(other) => pairs(other)
                .ok_or_else(|| format!("`{name}` should be an object, actually was {other}")),
        }
    }

    /// Words: a list, or in older exports a text with commas between.
    pub fn words(self, name: &str) -> Result<Option<Vec<Name>>, String> {
        let wrong = |v: &Json| format!("`{name}` should be a list of words, actually was {v}");
        match self.get(name) {
            None => Ok(None),
            Some(Json::String(text)) => {
                let words = text.split(',').map(str::trim).filter(|w| !w.is_empty());
                Ok(Some(words.map(Name::from).collect()))
            }
            Some(Json::Array(all)) => {
                let word = |v: &Json| v.as_str().map(Name::from).ok_or_else(|| wrong(v));
                all.iter().map(word).collect::<Result<_, _>>().map(Some)
            }
            Some(other) => Err(wrong(other)),
        }
    }

    /// What to call it while it may still be unreadable.
    pub fn called(self, name: &str) -> String {
        match self.get(name) {
            Some(Json::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }
}

fn pairs(json: &Json) -> Option<Map<String, Json>> {
    let pair = |json: &Json| match json.as_array()?.as_slice() {
        [Json::String(name), value] => Some((name.clone(), value.clone())),
        _ => None,
    };
    json.as_array()?.iter().map(pair).collect()
}
