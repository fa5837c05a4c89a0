// The lines between nodes, and the points along them. Pure.

import { LEVEL, type Placed } from "./layout";

/** A stack hangs on a line so far to the left of its leaves. */
export const RAIL = 13;

export type Point = [number, number];

/** Corners of the line from a node's parent to it: down, across, down. */
export function corners(node: Placed): Point[] {
  const { parent, via } = node;
  if (!parent) return [];
  const [x, y] = [node.x, node.y];
  const first = parent.y + LEVEL * 0.55;
  if (node.stacked) {
    const rail = x - RAIL;
    return [
      [parent.x, parent.y],
      [parent.x, first],
      [rail, first],
      [rail, y],
      [x, y],
    ];
  }
  if (via === null)
    return [
      [parent.x, parent.y],
      [parent.x, first],
      [x, first],
      [x, y],
    ];
  const second = y - LEVEL * 0.32;
  return [
    [parent.x, parent.y],
    [parent.x, first],
    [via, first],
    [via, second],
    [x, second],
    [x, y],
  ];
}

/** The point a share (0 to 1) along a line. */
export function along(line: readonly Point[], share: number): Point | null {
  let total = 0;
  for (let i = 1; i < line.length; i += 1) total += length(line[i - 1], line[i]);
  let rest = total * share;
  for (let i = 1; i < line.length; i += 1) {
    const [a, b] = [line[i - 1], line[i]];
    const step = length(a, b);
    if (a && b && (rest <= step || i === line.length - 1)) {
      const part = step === 0 ? 0 : Math.min(1, rest / step);
      return [a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part];
    }
    rest -= step;
  }
  return null;
}

function length(a: Point | undefined, b: Point | undefined): number {
  return a && b ? Math.abs(a[0] - b[0]) + Math.abs(a[1] - b[1]) : 0;
}
