// The supervision tree as an operator thinks of it: an agent's supervisor and its worker drawn as one node.
//
// Pure. Parents always stand before their children, so one pass is enough for whatever is built on it.

import type { TreeNode } from "../api";
import { lookOf, TROUBLE, type Look } from "../status";

export interface Unit {
  /** The worker's name, or the supervisor's where it stands for nobody: also the key in links. */
  name: string;
  parent: string | null;
  children: string[];
  level: number;
  /** What is shown: the worker where there is one. */
  node: TreeNode;
  /** Restarts of the worker and its supervisor together. */
  restarts: number;
  look: Look;
}

export interface Swarm {
  order: Unit[];
  byName: Map<string, Unit>;
}

const SUFFIX = "-sup";

/** Folds pairs unless `keepSupervisors`. */
export function fold(tree: readonly TreeNode[], keepSupervisors = false): Swarm {
  const byNo = new Map(tree.map((node) => [node.no, node]));
  const workers = keepSupervisors ? new Map<number, TreeNode>() : workersOf(tree, byNo);
  const unitOf = new Map<number, string>();
  const swarm: Swarm = { order: [], byName: new Map() };
  for (const node of tree) {
    const worker = workers.get(node.no);
    const folded = node.parent !== null && workers.get(node.parent) === node;
    if (folded) {
      unitOf.set(node.no, node.name);
      continue;
    }
    const parent = node.parent === null ? null : (swarm.byName.get(unitOf.get(node.parent) ?? "") ?? null);
    const unit = makeUnit(node, worker, parent);
    unitOf.set(node.no, unit.name);
    swarm.order.push(unit);
    swarm.byName.set(unit.name, unit);
    parent?.children.push(unit.name);
  }
  return swarm;
}

function makeUnit(node: TreeNode, worker: TreeNode | undefined, parent: Unit | null): Unit {
  const shown = worker ?? node;
  return {
    name: shown.name,
    parent: parent?.name ?? null,
    children: [],
    level: parent ? parent.level + 1 : 0,
    node: shown,
    restarts: shown.restarts + (worker ? node.restarts : 0),
    look: lookOf(node.phase === "stopped" ? "down" : shown.status),
  };
}

/** Supervisor number → the worker of the same name below it. */
function workersOf(tree: readonly TreeNode[], byNo: Map<number, TreeNode>): Map<number, TreeNode> {
  const found = new Map<number, TreeNode>();
  for (const node of tree) {
    const above = node.parent === null ? undefined : byNo.get(node.parent);
    if (node.kind === "worker" && above?.name === node.name + SUFFIX) found.set(above.no, node);
  }
  return found;
}

/** All names below `name`, itself first. */
export function subtree(swarm: Swarm, name: string): string[] {
  const found = [name];
  for (let at = 0; at < found.length; at += 1)
    found.push(...(swarm.byName.get(found[at] ?? "")?.children ?? []));
  return found;
}

/** From the root down to `name`, both included. */
export function pathTo(swarm: Swarm, name: string): string[] {
  const path: string[] = [];
  for (let at: string | null = name; at !== null; at = swarm.byName.get(at)?.parent ?? null) path.unshift(at);
  return path;
}

/** The same tree below one node, which becomes the root. */
export function focused(swarm: Swarm, name: string): Swarm {
  const top = swarm.byName.get(name);
  if (!top) return swarm;
  const inside = new Set(subtree(swarm, name));
  const order = swarm.order
    .filter((unit) => inside.has(unit.name))
    .map((unit) => ({
      ...unit,
      level: unit.level - top.level,
      parent: unit.name === name ? null : unit.parent,
    }));
  return { order, byName: new Map(order.map((unit) => [unit.name, unit])) };
}

/** How many units have each look, worst first; looks that nobody has are left out. */
export function census(units: readonly Unit[]): { look: Look; count: number }[] {
  const counts = new Map<Look, number>();
  for (const unit of units) counts.set(unit.look, (counts.get(unit.look) ?? 0) + 1);
  return TROUBLE.filter((look) => counts.has(look)).map((look) => ({ look, count: counts.get(look) ?? 0 }));
}
