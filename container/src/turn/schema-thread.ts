/*
 * Compiles schemas as the CLI does, with its validator and its options. Says of each what is wrong with it, or null.
 */
import { parentPort } from "node:worker_threads";
import { Ajv } from "ajv";

parentPort?.on("message", (schema: object) => parentPort?.postMessage(faultOf(schema)));

function faultOf(schema: object): string | null {
  try {
    const ajv = new Ajv({ allErrors: true, validateFormats: false, multipleOfPrecision: 6, logger: false });
    if (!ajv.validateSchema(schema)) return ajv.errorsText(ajv.errors, { dataVar: "schema" });
    ajv.compile(schema);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : "it cannot be compiled";
  }
}
