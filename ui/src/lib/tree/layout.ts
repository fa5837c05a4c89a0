// Where each node of the tree stands: an organisation chart whose leaves are stacked in blocks. Pure.
//
// Subtrees stand side by side, on shelves where one row would be too wide, and never overlap; leaves of one
// parent form a block of columns. So fifty agents fit a screen with their names, and ten thousand still
// make a picture.

import { hierarchy, type HierarchyNode } from "d3-hierarchy";
import type { Swarm, Unit } from "./fold";

export interface Placed {
  unit: Unit;
  x: number;
  y: number;
  /** 4 to 24: by context used. */
  radius: number;
  parent: Placed | null;
  /** Where the line from the parent runs down beside an upper shelf; null on the first. */
  via: number | null;
  /** It has children that are not shown. */
  collapsed: boolean;
  /** Names stand to the right of stacked leaves, below all others. */
  stacked: boolean;
  /** Room for its name, in the layout's own units. */
  room: number;
  /** Of the first leaf of a column: where the column's last one stands. */
  columnTo: number | null;
}

export interface Bounds {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export interface Layout {
  nodes: Placed[];
  byName: Map<string, Placed>;
  bounds: Bounds;
}

export const COLUMN = 168;
export const ROW = 28;
export const LEVEL = 78;
/** Leaves in one column of a block, before it grows wider. */
const COLUMN_ROWS = 9;
/** One row of subtrees may be this wide before it is broken into shelves. */
const SHELF = 1500;
/** Width to height that shelves aim at: that of a screen beside a panel. */
const ASPECT = 1.6;
/** Room for the line beside an upper shelf. */
const TRUNK = 18;
const MIN_RADIUS = 4;
const MAX_RADIUS = 24;

type Node = HierarchyNode<Unit>;

/** A part of a node's room: one subtree, or the block of all its leaves. */
interface Block {
  width: number;
  height: number;
  node: Node | null;
}

interface Room {
  width: number;
  height: number;
  shelves: Block[][];
  leaves: Node[];
  columns: number;
}

/** A node is 8 px wide without context in use, and 48 px when its context is full. */
export function radiusOf(unit: Unit): number {
  const { ctx_used: used, ctx_limit: limit } = unit.node;
  const ratio = used !== null && limit ? Math.min(1, used / limit) : 0;
  // By area, as the eye reads sizes.
  return MIN_RADIUS + (MAX_RADIUS - MIN_RADIUS) * Math.sqrt(ratio);
}

export function layout(swarm: Swarm, collapsed: ReadonlySet<string>): Layout {
  const root = swarm.order[0];
  if (!root) return { nodes: [], byName: new Map(), bounds: { left: 0, top: 0, right: 0, bottom: 0 } };
  const shown = (unit: Unit) =>
    collapsed.has(unit.name) ? [] : unit.children.flatMap((name) => swarm.byName.get(name) ?? []);
  const top = hierarchy(root, shown);
  const rooms = new Map<Node, Room>();
  top.eachAfter((node) => rooms.set(node, roomFor(node, rooms)));
  const placer = new Placer(rooms, collapsed);
  placer.place(top, 0, 0, null, null);
  const { nodes } = placer;
  return { nodes, byName: new Map(nodes.map((node) => [node.unit.name, node])), bounds: boundsOf(nodes) };
}

/** The same places with new facts, where the tree's shape is as before; else a new layout. */
export function refreshed(before: Layout | null, swarm: Swarm, collapsed: ReadonlySet<string>): Layout {
  if (!before || !sameShape(before, swarm, collapsed)) return layout(swarm, collapsed);
  for (const node of before.nodes) {
    node.unit = swarm.byName.get(node.unit.name) ?? node.unit;
    node.radius = radiusOf(node.unit);
  }
  return { ...before };
}

function sameShape(before: Layout, swarm: Swarm, collapsed: ReadonlySet<string>): boolean {
  let shown = 0;
  for (const unit of swarm.order) {
    const placed = before.byName.get(unit.name);
    if (!placed) continue;
    shown += 1;
    const folded = collapsed.has(unit.name) && unit.children.length > 0;
    if (placed.collapsed !== folded || (placed.parent?.unit.name ?? null) !== unit.parent) return false;
    // New leaves of what is open, and lost ones, change the shape.
    if (!folded && !unit.children.every((child) => before.byName.has(child))) return false;
  }
  return shown === before.nodes.length && shown > 0;
}

function roomFor(node: Node, rooms: Map<Node, Room>): Room {
  const children = node.children ?? [];
  const leaves = children.filter((child) => !child.children);
  const rows = Math.max(COLUMN_ROWS, Math.ceil(Math.sqrt(leaves.length * 3)));
  const columns = Math.ceil(leaves.length / rows);
  const blocks: Block[] = [];
  if (leaves.length > 0) {
    blocks.push({ width: columns * COLUMN, height: Math.ceil(leaves.length / columns) * ROW, node: null });
  }
  for (const child of children) {
    const room = child.children ? rooms.get(child) : undefined;
    if (room) blocks.push({ width: room.width, height: room.height, node: child });
  }
  const shelves = shelve(blocks);
  const size = sizeOf(shelves);
  return { width: Math.max(COLUMN, size.width), height: LEVEL + size.height, shelves, leaves, columns };
}

/** Breaks blocks into the number of rows whose shape is nearest to the aim. */
function shelve(blocks: Block[]): Block[][] {
  const total = blocks.reduce((sum, block) => sum + block.width, 0);
  if (total <= SHELF || blocks.length < 2) return blocks.length > 0 ? [blocks] : [];
  let [best, least] = [[blocks], Infinity];
  for (let count = 1; count <= Math.min(blocks.length, 12); count += 1) {
    const shelves = broken(blocks, total / count);
    const { width, height } = sizeOf(shelves);
    const off = Math.abs(Math.log(width / (height + LEVEL) / ASPECT));
    if (off < least) [best, least] = [shelves, off];
  }
  return best;
}

function broken(blocks: Block[], limit: number): Block[][] {
  const shelves: Block[][] = [[]];
  let used = 0;
  for (const block of blocks) {
    const last = shelves.at(-1);
    if (last && (last.length === 0 || used + block.width / 2 <= limit)) {
      last.push(block);
      used += block.width;
    } else {
      shelves.push([block]);
      used = block.width;
    }
  }
  return shelves;
}

function sizeOf(shelves: Block[][]): { width: number; height: number } {
  const widths = shelves.map((shelf) => shelf.reduce((sum, block) => sum + block.width, 0));
  const heights = shelves.map((shelf) => Math.max(...shelf.map((block) => block.height)));
  const trunk = shelves.length > 1 ? TRUNK : 0;
  return {
    width: Math.max(0, ...widths) + trunk,
    height: heights.reduce((sum, height) => sum + height, 0) + 24 * Math.max(0, shelves.length - 1),
  };
}

class Placer {
  readonly nodes: Placed[] = [];

  constructor(
    readonly rooms: Map<Node, Room>,
    readonly collapsed: ReadonlySet<string>,
  ) {}

  place(node: Node, left: number, y: number, parent: Placed | null, via: number | null): void {
    const room = this.rooms.get(node);
    if (!room) return;
    const own = this.#add(node, left + room.width / 2, y, parent, via, room.width, false);
    let top = y + LEVEL;
    room.shelves.forEach((shelf, index) => {
      const width = shelf.reduce((sum, block) => sum + block.width, 0);
      const trunk = room.shelves.length > 1 ? TRUNK : 0;
      let x = left + trunk + (room.width - trunk - width) / 2;
      const down = index === 0 ? null : left + trunk / 2;
      for (const block of shelf) {
        if (block.node) this.place(block.node, x, top, own, down);
        else this.#stack(room, x, top, own, down);
        x += block.width;
      }
      top += Math.max(...shelf.map((block) => block.height)) + 24;
    });
  }

  #stack(room: Room, x: number, y: number, parent: Placed, via: number | null): void {
    const rows = Math.ceil(room.leaves.length / Math.max(1, room.columns));
    room.leaves.forEach((leaf, index) => {
      const [column, row] = [Math.floor(index / rows), index % rows];
      const placed = this.#add(leaf, x + column * COLUMN + 24, y + row * ROW, parent, via, COLUMN - 40, true);
      if (row === 0) placed.columnTo = y + (Math.min(rows, room.leaves.length - index) - 1) * ROW;
    });
  }

  #add(
    node: Node,
    x: number,
    y: number,
    parent: Placed | null,
    via: number | null,
    room: number,
    stacked: boolean,
  ): Placed {
    const unit = node.data;
    const collapsed = this.collapsed.has(unit.name) && unit.children.length > 0;
    const placed: Placed = {
      unit,
      x,
      y,
      radius: radiusOf(unit),
      parent,
      via,
      collapsed,
      stacked,
      room,
      columnTo: null,
    };
    this.nodes.push(placed);
    return placed;
  }
}

function boundsOf(nodes: Placed[]): Bounds {
  const bounds = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const { x, y, stacked } of nodes) {
    bounds.left = Math.min(bounds.left, x - (stacked ? 24 : COLUMN / 2));
    bounds.right = Math.max(bounds.right, x + (stacked ? COLUMN - 24 : COLUMN / 2));
    bounds.top = Math.min(bounds.top, y - 26);
    bounds.bottom = Math.max(bounds.bottom, y + 34);
  }
  return bounds;
}
