// Services that registered from outside, as the pages need them. Pure.

import type { ServiceItem } from "./api";
import { lookOf, TROUBLE } from "./status";

const AGENT = "agent-";

/** The daemon's own agents, and its models at its own ports, are registered too. */
export function isOutside(
  { service_id, url }: Pick<ServiceItem, "service_id" | "url">,
  agents: ReadonlySet<string>,
  ports: ReadonlySet<number>,
): boolean {
  if (service_id.startsWith(AGENT) && agents.has(service_id.slice(AGENT.length))) return false;
  const at = URL.canParse(url) ? new URL(url) : null;
  return !(at && ["localhost", "127.0.0.1", "[::1]"].includes(at.hostname) && ports.has(Number(at.port)));
}

/** Whether a search means it: by name, id or a capability. */
export function meant(service: ServiceItem, search: string): boolean {
  const wanted = search.trim().toLowerCase();
  const { name, service_id, caps } = service;
  return [name, service_id, ...caps].some((word) => word.toLowerCase().includes(wanted));
}

/** One group a state, what needs an eye first. */
export function byState(services: readonly ServiceItem[]): { status: string; items: ServiceItem[] }[] {
  const groups = new Map<string, ServiceItem[]>();
  for (const one of services) {
    const group = groups.get(one.status);
    if (group) group.push(one);
    else groups.set(one.status, [one]);
  }
  const rank = (status: string) => TROUBLE.indexOf(lookOf(status));
  return [...groups]
    .map(([status, items]) => ({ status, items }))
    .sort((a, b) => rank(a.status) - rank(b.status));
}
