// Where each node of the tree stands: an organisation chart whose leaves are stacked in blocks. Pure.
//
// Subtrees stand side by side and never overlap; leaves of one parent form a block of columns, so that
// fifty agents fit a screen with their names, and ten thousand still make a picture.

import { hierarchy, type HierarchyNode } from "d3-hierarchy";
import type { Swarm, Unit } from "./fold";

export interface Placed {
  unit: Unit;
  x: number;
  y: number;
  /** Of its look by context used: 4 to 24. */
  radius: number;
  parent: Placed | null;
  /** It has children that are not shown. */
  collapsed: boolean;
  /** Names stand to the right of stacked leaves, below all others. */
  stacked: boolean;
}

export interface Layout {
  nodes: Placed[];
  byName: Map<string, Placed>;
  bounds: { left: number; top: number; right: number; bottom: number };
}

export const COLUMN = 172;
export const ROW = 30;
export const LEVEL = 92;
/** Leaves in one column of a block, before it grows wider. */
const COLUMN_ROWS = 9;
const MIN_RADIUS = 4;
const MAX_RADIUS = 24;

interface Room {
  width: number;
  leaves: HierarchyNode<Unit>[];
  inner: HierarchyNode<Unit>[];
  columns: number;
}

/** A node is 8 px wide without context in use, and 48 px when its context is full. */
export function radiusOf(unit: Unit): number {
  const { ctx_used: used, ctx_limit: limit } = unit.node;
  const ratio = used !== null && limit ? Math.min(1, used / limit) : 0;
  // By area, as the eye reads sizes; idle nodes are a little larger than the least, to be hit.
  return Math.max(MIN_RADIUS, MAX_RADIUS * Math.sqrt(Math.max(ratio, 0.06)));
}

export function layout(swarm: Swarm, collapsed: ReadonlySet<string>): Layout {
  const root = swarm.order[0];
  const empty = { nodes: [], byName: new Map(), bounds: { left: 0, top: 0, right: 0, bottom: 0 } };
  if (!root) return empty;
  const shown = (unit: Unit) => (collapsed.has(unit.name) ? [] : unit.children.flatMap((name) => swarm.byName.get(name) ?? []));
  const top = hierarchy(root, shown);
  const rooms = new Map<HierarchyNode<Unit>, Room>();
  top.eachAfter((node) => rooms.set(node, roomFor(node, rooms)));
  const nodes: Placed[] = [];
  place(top, 0, 0, null, rooms, collapsed, nodes);
  return { nodes, byName: new Map(nodes.map((node) => [node.unit.name, node])), bounds: boundsOf(nodes) };
}

function roomFor(node: HierarchyNode<Unit>, rooms: Map<HierarchyNode<Unit>, Room>): Room {
  const children = node.children ?? [];
  const leaves = children.filter((child) => !child.children);
  const inner = children.filter((child) => child.children);
  const rows = Math.max(COLUMN_ROWS, Math.ceil(Math.sqrt(leaves.length * 3)));
  const columns = Math.ceil(leaves.length / rows);
  const below = inner.reduce((sum, child) => sum + (rooms.get(child)?.width ?? COLUMN), columns * COLUMN);
  return { width: Math.max(COLUMN, below), leaves, inner, columns };
}

function place(
  node: HierarchyNode<Unit>,
  left: number,
  y: number,
  parent: Placed | null,
  rooms: Map<HierarchyNode<Unit>, Room>,
  collapsed: ReadonlySet<string>,
  out: Placed[],
): void {
  const room = rooms.get(node);
  if (!room) return;
  const own = placed(node.data, left + room.width / 2, y, parent, collapsed, false);
  out.push(own);
  let x = left;
  const rows = Math.ceil(room.leaves.length / Math.max(1, room.columns));
  room.leaves.forEach((leaf, index) => {
    const [column, row] = [Math.floor(index / rows), index % rows];
    const at = { x: x + column * COLUMN + 24, y: y + LEVEL + row * ROW };
    out.push(placed(leaf.data, at.x, at.y, own, collapsed, true));
  });
  x += room.columns * COLUMN;
  for (const child of room.inner) {
    place(child, x, y + LEVEL, own, rooms, collapsed, out);
    x += rooms.get(child)?.width ?? COLUMN;
  }
}

function placed(unit: Unit, x: number, y: number, parent: Placed | null, collapsed: ReadonlySet<string>, stacked: boolean): Placed {
  return { unit, x, y, radius: radiusOf(unit), parent, collapsed: collapsed.has(unit.name) && unit.children.length > 0, stacked };
}

function boundsOf(nodes: Placed[]): Layout["bounds"] {
  const bounds = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const { x, y, stacked } of nodes) {
    bounds.left = Math.min(bounds.left, x - (stacked ? 24 : COLUMN / 2));
    bounds.right = Math.max(bounds.right, x + (stacked ? COLUMN - 24 : COLUMN / 2));
    bounds.top = Math.min(bounds.top, y - 30);
    bounds.bottom = Math.max(bounds.bottom, y + 36);
  }
  return bounds;
}
