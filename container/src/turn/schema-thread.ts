/*
 * Compiles schemas: those of answers as the CLI does, with its validator and its options; those of tools as the model's API takes them, in the newer draft
 * too and with words of the caller's own. Says of each what is wrong with it, or null.
 */
import { parentPort } from "node:worker_threads";
import { Ajv } from "ajv";
import type { Options } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";

export type ToCompile = { schema: object; of: "answer" | "tool" };

const OPTIONS: Options = { allErrors: true, validateFormats: false, multipleOfPrecision: 6, logger: false };

parentPort?.on("message", ({ schema, of }: ToCompile) => parentPort?.postMessage(of === "answer" ? faultOf(schema, new Ajv(OPTIONS)) : faultOfTool(schema)));

function faultOfTool(schema: object): string | null {
  const fault = faultOf(schema, new Ajv({ ...OPTIONS, strict: false }));
  return fault === null ? null : faultOf(schema, new Ajv2020({ ...OPTIONS, strict: false })) === null ? null : fault;
}

function faultOf(schema: object, ajv: Ajv | Ajv2020): string | null {
  try {
    if (!ajv.validateSchema(schema)) return ajv.errorsText(ajv.errors, { dataVar: "schema" });
    ajv.compile(schema);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : "it cannot be compiled";
  }
}
