/*
 * NDJSON in: splits bytes at line feeds and at nothing else (JSON leaves U+2028 as it is), with a bound on a line.
 */

export class LineTooLong extends Error {}

/** Lines without their line feed; a last one that lacks it counts, an empty one does not. */
export async function* linesOf(bytes: AsyncIterable<Buffer>, maxLineBytes: number): AsyncGenerator<string, void> {
  let parts: Buffer[] = [];
  let size = 0;
  for await (let chunk of bytes) {
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10)) {
      const line = end === 0 && size === 0 ? "" : Buffer.concat([...parts, chunk.subarray(0, end)]).toString("utf8");
      if (size + end > maxLineBytes) throw new LineTooLong();
      parts = [];
      size = 0;
      chunk = chunk.subarray(end + 1);
      if (line !== "") yield line;
    }
    if (chunk.length === 0) continue;
    parts.push(chunk);
    size += chunk.length;
    if (size > maxLineBytes) throw new LineTooLong();
  }
  if (size > 0) yield Buffer.concat(parts).toString("utf8");
}
