/**
 * The packet rules of the network that the sidecar shares with its container. The sidecar's own packets are recognised by
 * its user and never redirected. Redirected packets are recognised by their new address: in these chains, the interface is still the old one.
 * IPv4 only, as Docker's default bridge has nothing else.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";

export const EGRESS_PORT = 39002;
export const DNS_PORT = 39053;
const SIDECAR_USER = 39001;
const ROOT = 0;

/** Replaces all rules at once: DNS and port 80 go to the sidecar; without the internet, nothing else leaves. */
export async function applyRules(internet: boolean): Promise<void> {
  const rules = `*nat
-A OUTPUT -m owner --uid-owner ${SIDECAR_USER} -j RETURN
-A OUTPUT -p udp --dport 53 -j REDIRECT --to-ports ${DNS_PORT}
-A OUTPUT -d 127.0.0.0/8 -j RETURN
-A OUTPUT -p tcp --dport 80 -j REDIRECT --to-ports ${EGRESS_PORT}
COMMIT
*filter
-A OUTPUT -m owner --uid-owner ${SIDECAR_USER} -j ACCEPT
-A OUTPUT -d 127.0.0.0/8 -j ACCEPT
-A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
${internet ? "-A OUTPUT -j ACCEPT" : "-A OUTPUT -j REJECT"}
COMMIT
`;
  const child = spawn("iptables-restore", { uid: ROOT, stdio: ["pipe", "inherit", "inherit"] });
  child.stdin.end(rules);
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`iptables-restore ended with ${code}`);
}

/** New sockets belong to the sidecar's user from here on. The real user stays root, so that rules can be replaced later. */
export function becomeSidecar(): void {
  process.seteuid?.(SIDECAR_USER);
}
