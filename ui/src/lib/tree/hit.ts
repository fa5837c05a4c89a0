// Which node is under the pointer: a grid of cells, so that a look costs the same with ten thousand nodes. Pure.

import type { Placed } from "./layout";

const CELL = 96;

export type Grid = Map<string, Placed[]>;

export function gridOf(nodes: readonly Placed[]): Grid {
  const grid: Grid = new Map();
  for (const node of nodes) {
    const key = keyOf(Math.floor(node.x / CELL), Math.floor(node.y / CELL));
    const cell = grid.get(key);
    if (cell) cell.push(node);
    else grid.set(key, [node]);
  }
  return grid;
}

/** The nearest node within its radius plus `reach`, in the layout's coordinates. */
export function hit(grid: Grid, x: number, y: number, reach: number): Placed | null {
  let [found, nearest]: [Placed | null, number] = [null, Infinity];
  const [column, row] = [Math.floor(x / CELL), Math.floor(y / CELL)];
  for (let dc = -1; dc <= 1; dc += 1) {
    for (let dr = -1; dr <= 1; dr += 1) {
      for (const node of grid.get(keyOf(column + dc, row + dr)) ?? []) {
        const distance = Math.hypot(node.x - x, node.y - y);
        if (distance <= node.radius + reach && distance < nearest) [found, nearest] = [node, distance];
      }
    }
  }
  return found;
}

function keyOf(column: number, row: number): string {
  return `${column},${row}`;
}
