// The outlines of status shapes, as polygons and arcs: one source for Canvas and SVG.

import type { Shape } from "./status";

/** Adds the outline of `shape` around (x, y) to the path. Bars and check are drawn on a full circle. */
export function trace(path: CanvasPath, shape: Shape, x: number, y: number, r: number): void {
  const corners = CORNERS[shape];
  if (!corners) {
    path.moveTo(x + r, y);
    path.arc(x, y, r, 0, Math.PI * 2);
    return;
  }
  corners.forEach(([dx, dy], index) => {
    if (index === 0) path.moveTo(x + dx * r, y + dy * r);
    else path.lineTo(x + dx * r, y + dy * r);
  });
  path.closePath();
}

const eighth = Math.PI / 8;
const octagon = Array.from({ length: 8 }, (_, i): [number, number] => [
  Math.cos(eighth + (i * Math.PI) / 4) * 1.08,
  Math.sin(eighth + (i * Math.PI) / 4) * 1.08,
]);

const CORNERS: Partial<Record<Shape, [number, number][]>> = {
  square: [
    [-0.86, -0.86],
    [0.86, -0.86],
    [0.86, 0.86],
    [-0.86, 0.86],
  ],
  diamond: [
    [0, -1.2],
    [1.2, 0],
    [0, 1.2],
    [-1.2, 0],
  ],
  triangle: [
    [0, -1.15],
    [1.12, 0.85],
    [-1.12, 0.85],
  ],
  wedge: [
    [0, 1.15],
    [1.12, -0.85],
    [-1.12, -0.85],
  ],
  octagon,
};

/** The outline as an SVG path in a box of 16 × 16. */
export function svgPath(shape: Shape): string {
  const corners = CORNERS[shape];
  if (!corners) return "M14 8a6 6 0 1 1-12 0a6 6 0 1 1 12 0z";
  const points = corners.map(([dx, dy]) => `${(8 + dx * 5.6).toFixed(2)} ${(8 + dy * 5.6).toFixed(2)}`);
  return `M${points.join("L")}z`;
}

/** What is drawn inside the outline, as SVG strokes in the same box: the second sign besides colour. */
export const INNER: Partial<Record<Shape, string>> = {
  bars: "M6.3 5.5v5M9.7 5.5v5",
  check: "M5.3 8.2l2 2 3.6-4.2",
  octagon: "M6 6l4 4M10 6l-4 4",
  triangle: "M8 6v3M8 10.8v.2",
  wedge: "M8 5v3M8 9.6v.2",
};
