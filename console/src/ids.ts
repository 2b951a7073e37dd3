/** An id that sorts by time and that nobody else has. `crypto.randomUUID` is missing on pages without TLS. */
export function newId(prefix: string): string {
  const random = crypto.getRandomValues(new Uint8Array(8));
  return `${prefix}_${Date.now().toString(36)}_${Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
