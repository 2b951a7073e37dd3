/** Which hosts are this machine. */

const HOST = /^(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;
const LOOPBACK = /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])$/;

/** Whether what is addressed so can only come from this machine. The host may have a port. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(hostname(host) ?? "");
}

/** A host without its port, in the one spelling that URLs have; undefined where it is none. */
export function hostname(host: string): string | undefined {
  return HOST.test(host) ? URL.parse(`http://${host}`)?.hostname : undefined;
}
