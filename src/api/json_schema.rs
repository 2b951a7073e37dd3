//! What is known of a JSON Schema without compiling it. Whatever is refused here, the agent server refuses, too, which has the validator of the CLI;
//! `tests/schemas.json` holds the two to each other. What only that validator can tell, such as a pattern that is no regular expression, ends the turn.

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// The types of JSON Schema.
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];
/// How the schema of draft-07 is named.
const DRAFT_07: [&str; 2] = ["http://json-schema.org/draft-07/schema", "http://json-schema.org/schema"];
/// Longest path that is told of a fault, in bytes.
const MAX_PATH_BYTES: usize = 256;

/// What a schema describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// An answer: a schema of draft-07 without other words.
    Answer,
    /// The input of a tool: one of draft-07 or of draft 2020-12, with any other words.
    Tool,
}

/// What is wrong with a schema.
#[derive(Debug)]
pub(super) struct Fault {
    /// Where, as a JSON Pointer.
    path: String,
    /// What must stand there.
    rule: &'static str,
}

impl Fault {
    /// The fault of the schema that is in this field.
    pub(super) fn of_field(&self, name: &str) -> String {
        format!("{name}{}: {}", self.path, self.rule)
    }

    fn below(mut self, word: &str) -> Self {
        if self.path.len() + word.len() < MAX_PATH_BYTES {
            self.path.insert_str(0, word);
            self.path.insert(0, '/');
        }
        self
    }
}

type Checked = Result<(), Fault>;

const fn refused(rule: &'static str) -> Checked {
    Err(Fault { path: String::new(), rule })
}

const fn need(holds: bool, rule: &'static str) -> Checked {
    if holds { Ok(()) } else { refused(rule) }
}

/// Checks a schema that is an object and not nested too deep.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(raw: &str, of: Of) -> Checked {
    // What serde does not take, such as half a surrogate pair, is for the agent server to judge.
    let Ok(root) = serde_json::from_str::<Value>(raw) else { return Ok(()) };
    let text = |word| root.get(word).and_then(Value::as_str);
    if text("type") != Some("object") {
        return refused("a schema whose type is \"object\"; wrap any other value in a property");
    }
    if root.get("$async") == Some(&Value::Bool(true)) {
        return refused("a schema without $async");
    }
    let is_draft_07 = |name: &str| name.is_empty() || DRAFT_07.contains(&name.trim_end_matches(['/', '#']));
    if of == Of::Answer && text("$schema").is_some_and(|name| !is_draft_07(name)) {
        return refused("a schema of draft-07").map_err(|fault| fault.below("$schema"));
    }
    // Below an `$id`, a reference means something else. The key may be escaped.
    let follows_refs = !raw.contains("$id") && !raw.contains("\\u00");
    Walk { root: &root, of, follows_refs }.schema(&root, true)
}

/// A way through a schema.
struct Walk<'a> {
    root: &'a Value,
    of: Of,
    follows_refs: bool,
}

impl Walk<'_> {
    /// `compiled`: whether the validator is sure to compile it. Of other schemas, it looks at the shape alone.
    fn schema(&self, schema: &Value, compiled: bool) -> Checked {
        match schema {
            Value::Bool(_) => Ok(()),
            Value::Object(fields) => fields
                .iter()
                .try_for_each(|(word, value)| self.word(word, value, compiled).map_err(|fault| fault.below(word))),
            _ => refused("a JSON Schema: an object, true or false"),
        }
    }

    fn word(&self, word: &str, value: &Value, compiled: bool) -> Checked {
        match word {
            "$id" | "$schema" | "$comment" | "title" | "description" | "format" | "pattern" | "contentMediaType"
            | "contentEncoding" => need(value.is_string(), "a string"),
            "readOnly" | "uniqueItems" => need(value.is_boolean(), "true or false"),
            "maximum" | "minimum" | "exclusiveMaximum" | "exclusiveMinimum" => need(value.is_number(), "a number"),
            "multipleOf" => need(value.as_f64().is_some_and(|number| number > 0.0), "a number above 0"),
            "maxLength" | "minLength" | "maxItems" | "minItems" | "maxProperties" | "minProperties" => {
                let is_whole = value.as_f64().is_some_and(|number| number >= 0.0 && number.fract() == 0.0);
                need(is_whole, "a whole number from 0")
            }
            "examples" => need(value.is_array(), "a list"),
            "enum" => need(value.as_array().is_some_and(|values| !values.is_empty()), "a list that is not empty"),
            "required" => need(is_strings(value), "a list of strings"),
            "type" => need(is_type(value), "one of array, boolean, integer, null, number, object, string, or a list"),
            "$ref" => self.reference(value, compiled),
            "properties" | "patternProperties" => self.named(value, compiled),
            "definitions" => self.named(value, false),
            "dependencies" => {
                let rule = "an object of schemas and lists of strings";
                let Some(fields) = value.as_object() else { return refused(rule) };
                fields.iter().try_for_each(|(name, value)| {
                    let checked = if is_strings(value) { Ok(()) } else { self.schema(value, false) };
                    checked.map_err(|fault| fault.below(name))
                })
            }
            "additionalProperties" => self.schema(value, compiled),
            // It is no word of draft 2020-12.
            "additionalItems" if self.of == Of::Tool => Ok(()),
            "not" | "if" | "then" | "else" | "contains" | "propertyNames" | "additionalItems" => {
                self.schema(value, false)
            }
            "items" if !value.is_array() => self.schema(value, compiled),
            "items" | "allOf" | "oneOf" => self.listed(value, compiled),
            "anyOf" => self.listed(value, false),
            "const" | "default" | "deprecated" | "writeOnly" | "nullable" | "contentSchema" | "$defs"
            | "$vocabulary" | "$async" => Ok(()),
            _ => need(!compiled || self.of == Of::Tool, "no word of draft-07"),
        }
    }

    fn named(&self, schemas: &Value, compiled: bool) -> Checked {
        let Some(schemas) = schemas.as_object() else { return refused("an object of schemas") };
        schemas.iter().try_for_each(|(name, schema)| self.schema(schema, compiled).map_err(|fault| fault.below(name)))
    }

    fn listed(&self, schemas: &Value, compiled: bool) -> Checked {
        let schemas = schemas.as_array().filter(|schemas| !schemas.is_empty());
        let Some(schemas) = schemas else { return refused("a list of schemas that is not empty") };
        schemas.iter().try_for_each(|schema| self.schema(schema, compiled))
    }

    /// A reference to a place in the schema itself leads somewhere.
    fn reference(&self, value: &Value, compiled: bool) -> Checked {
        let Some(reference) = value.as_str() else { return refused("a string") };
        let Some(pointer) = reference.strip_prefix('#').filter(|_| compiled && self.follows_refs) else {
            return Ok(());
        };
        let pointer = percent_decode_str(pointer).decode_utf8_lossy();
        need(!pointer.starts_with('/') || self.root.pointer(&pointer).is_some(), "a reference that leads somewhere")
    }
}

fn is_strings(value: &Value) -> bool {
    value.as_array().is_some_and(|values| values.iter().all(Value::is_string))
}

fn is_type(value: &Value) -> bool {
    let is_one = |value: &Value| value.as_str().is_some_and(|word| TYPES.contains(&word));
    is_one(value) || value.as_array().is_some_and(|values| !values.is_empty() && values.iter().all(is_one))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Schemas, and who refuses each: `worker`, the `agent` server alone, or nobody.
    fn cases() -> Vec<(String, String, String)> {
        let cases: Vec<Value> = serde_json::from_str(include_str!("../../tests/schemas.json")).unwrap();
        let word = |case: &Value, name| case[name].as_str().unwrap().to_owned();
        cases.iter().map(|case| (case["schema"].to_string(), word(case, "answer"), word(case, "tool"))).collect()
    }

    #[test]
    fn what_the_agent_server_is_sure_to_refuse_is_refused_and_nothing_else() {
        for (schema, answer, tool) in cases() {
            for (of, refuser) in [(Of::Answer, answer), (Of::Tool, tool)] {
                let checked = check(&schema, of);
                assert_eq!(checked.is_err(), refuser == "worker", "{of:?} {schema}: {checked:?}");
            }
        }
    }

    #[test]
    fn a_fault_is_told_with_its_place() {
        let fault = |schema: &str| check(schema, Of::Answer).unwrap_err().of_field("output_schema");
        let nested = r#"{"type":"object","properties":{"a":{"items":[{},{"type":"nummer"}]}}}"#;
        assert!(
            fault(nested).starts_with("output_schema/properties/a/items/type: one of array, "),
            "{}",
            fault(nested)
        );
        assert!(fault("{}").starts_with("output_schema: a schema whose type is"));
        let long = format!(r#"{{"type":"object","properties":{{"{}":7}}}}"#, "x".repeat(MAX_PATH_BYTES));
        assert_eq!(fault(&long), "output_schema/properties: a JSON Schema: an object, true or false");
    }

    #[test]
    fn what_cannot_be_read_here_is_left_to_the_agent_server() {
        for schema in [r#"{"type":"object","title":"\ud800"}"#, r#"{"type":"object","const":1e999}"#] {
            assert!(check(schema, Of::Answer).is_ok(), "{schema}");
        }
    }
}
