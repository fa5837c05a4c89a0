// How busy each agent really is: messages a second, from the growth of what it has handled. Pure.

import type { TreeNode } from "../api";

export interface Counted {
  /** Milliseconds of a clock that never goes back. */
  at: number;
  handled: Map<string, number>;
}

export function counted(tree: readonly TreeNode[], at: number): Counted {
  return { at, handled: new Map(tree.map((node) => [node.name, node.handled])) };
}

/** Messages a second between two counts; what has not grown (or has restarted from 0) is left out. */
export function rates(before: Counted, after: Counted): Map<string, number> {
  const seconds = (after.at - before.at) / 1000;
  const out = new Map<string, number>();
  if (seconds <= 0) return out;
  for (const [name, handled] of after.handled) {
    const grown = handled - (before.handled.get(name) ?? handled);
    if (grown > 0) out.set(name, grown / seconds);
  }
  return out;
}
