/** The form that an MCP server wants filled in: a flat JSON Schema, as its elicitation allows. Pure. */
import { fieldsOf, listOf, stringOf } from "../shapes.ts";

export type Choice = { value: string; label: string };
export type Field = {
  name: string;
  label: string;
  hint: string;
  isRequired: boolean;
  kind: "string" | "number" | "integer" | "boolean" | "choice" | "choices";
  choices: Choice[];
  /** The type of its input element. */
  input: string;
  initial: string | boolean | string[];
  bounds: { min?: number; max?: number; minLength?: number; maxLength?: number };
};
export type Values = Record<string, string | boolean | string[]>;

const INPUTS: Record<string, string> = { email: "email", uri: "url", date: "date", "date-time": "datetime-local" };

/** Its fields; undefined if there is one that has no form. */
export function fieldsOfSchema(schema: unknown): Field[] | undefined {
  const { properties, required } = fieldsOf(schema);
  const fields: Field[] = [];
  for (const [name, property] of Object.entries(fieldsOf(properties))) {
    const { type, title, description, format, default: preset, minimum, maximum, minLength, maxLength } = fieldsOf(property);
    const choices = choicesOf(property);
    const many = type === "array" ? choicesOf(fieldsOf(property)["items"]) : [];
    const kind = many.length > 0 ? "choices" : choices.length > 0 ? "choice" : type;
    if (kind !== "choices" && kind !== "choice" && kind !== "string" && kind !== "number" && kind !== "integer" && kind !== "boolean") return undefined;
    fields.push({
      name,
      kind,
      label: stringOf(title) || name,
      hint: stringOf(description),
      isRequired: listOf(required).includes(name),
      choices: kind === "choices" ? many : choices,
      input: kind === "number" || kind === "integer" ? "number" : (INPUTS[stringOf(format)] ?? "text"),
      initial: kind === "boolean" ? preset === true : kind === "choices" ? listOf(preset).map(String) : typeof preset === "string" || typeof preset === "number" ? String(preset) : "",
      bounds: {
        ...(typeof minimum === "number" && { min: minimum }),
        ...(typeof maximum === "number" && { max: maximum }),
        ...(typeof minLength === "number" && { minLength }),
        ...(typeof maxLength === "number" && { maxLength }),
      },
    });
  }
  return fields;
}

export const initialValues = (fields: Field[]): Values => Object.fromEntries(fields.map(({ name, initial }) => [name, initial]));

/** What the server gets: values of the types that the schema names, without the fields that were left empty. */
export function answersFrom(fields: Field[], values: Values): Record<string, unknown> {
  const given = fields.flatMap(({ name, kind, isRequired, input }): [string, unknown][] => {
    const value = values[name];
    if (kind === "boolean") return [[name, value === true]];
    if (kind === "choices") return [[name, value]];
    const text = String(value ?? "");
    if (text === "" && !(isRequired && kind === "string")) return [];
    if (kind === "number" || kind === "integer") return [[name, Number(text)]];
    return [[name, input === "datetime-local" ? new Date(text).toISOString() : text]];
  });
  return Object.fromEntries(given);
}

/** `enum` with or without `enumNames`, or a list of `const` with titles. */
function choicesOf(schema: unknown): Choice[] {
  const { enum: values, enumNames, oneOf, anyOf } = fieldsOf(schema);
  const named = listOf(oneOf ?? anyOf).flatMap((each) => {
    const { const: value, title } = fieldsOf(each);
    return typeof value === "string" ? [{ value, label: stringOf(title) || value }] : [];
  });
  if (named.length > 0) return named;
  const names = listOf(enumNames);
  return listOf(values).flatMap((value, index) => (typeof value === "string" ? [{ value, label: stringOf(names[index]) || value }] : []));
}
