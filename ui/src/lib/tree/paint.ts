// Draws the tree on a canvas: edges, pulses, nodes by shape, rings by role, badges, names.
//
// What is outside the view is not drawn; what is too small to be told apart is drawn as a dot. Nodes of one
// look share one path, so that ten thousand of them are a handful of fills.

import { trace } from "../shapes";
import { LOOKS, SHAPES, type Look } from "../status";
import { along, corners, RAIL } from "./edges";
import { ROW, type Layout, type Placed } from "./layout";

export interface View {
  x: number;
  y: number;
  k: number;
  width: number;
  height: number;
}

export type Colors = Record<Look | "bg" | "panel" | "line" | "text" | "dim" | "accent", string>;

export interface Scene {
  layout: Layout;
  view: View;
  colors: Colors;
  selected: string | null;
  hovered: string | null;
  /** Dims all others when not null. */
  matched: ReadonlySet<string> | null;
  /** Looks of a replayed moment, instead of the living ones. */
  looks: ReadonlyMap<string, Look> | null;
  /** Messages a second; drawn as pulses while `seconds` is given. */
  rates: ReadonlyMap<string, number>;
  seconds: number | null;
}

/** Below this scale a name would be a smear. */
const NAMES_FROM = 0.5;
const INNER_NAMES_FROM = 0.28;
const DOTS_BELOW = 0.22;
/** More pulses than this are a shimmer that tells nothing. */
const MOST_PULSES = 300;
const PULSE_SECONDS = 1.1;

/** Letters that fit into the width of one font size. */
const LETTERS = 1.8;
const BOLD_LETTERS = 1.58;

/** All that stays as it is until facts, colours or the scale change. */
export function paintStill(context: CanvasRenderingContext2D, scene: Scene, dpr: number): void {
  const { view } = scene;
  const seen = begin(context, scene, dpr);
  paintEdges(context, scene);
  paintNodes(context, scene, seen);
  if (view.k >= DOTS_BELOW) {
    paintRings(context, scene, seen);
    paintBadges(context, scene, seen);
  }
  paintNames(context, scene, seen);
}

/** What moves on top of it: messages under way, and the marks of pointer and choice. */
export function paintMoving(context: CanvasRenderingContext2D, scene: Scene, dpr: number): void {
  const seen = begin(context, scene, dpr);
  if (scene.seconds !== null) paintPulses(context, scene, seen, scene.seconds);
  paintChoice(context, scene);
}

/** Sets the layout's coordinates, and gives the nodes in view. */
function begin(context: CanvasRenderingContext2D, { view, layout }: Scene, dpr: number): Placed[] {
  context.setTransform(view.k * dpr, 0, 0, view.k * dpr, view.x * dpr, view.y * dpr);
  return layout.nodes.filter((node) => inView(node, view, 40));
}

export function lookIn(scene: Pick<Scene, "looks">, node: Placed): Look {
  return scene.looks ? (scene.looks.get(node.unit.name) ?? "idle") : node.unit.look;
}

function inView(node: Placed, { x, y, k, width, height }: View, reach: number): boolean {
  const [sx, sy] = [node.x * k + x, node.y * k + y];
  return sx > -reach - 170 * k && sx < width + reach && sy > -reach && sy < height + reach;
}

function paintEdges(context: CanvasRenderingContext2D, { layout, view, colors }: Scene): void {
  const [top, bottom] = [-view.y / view.k, (view.height - view.y) / view.k];
  const [left, right] = [-view.x / view.k, (view.width - view.x) / view.k];
  context.beginPath();
  for (const node of layout.nodes) {
    const { parent } = node;
    if (!parent || node.y < top - 20 || parent.y > bottom) continue;
    if (Math.max(node.x, parent.x) < left || Math.min(node.x, parent.x, node.via ?? Infinity) > right)
      continue;
    if (node.stacked && node.columnTo === null) {
      if (view.k >= DOTS_BELOW) tick(context, node);
      continue;
    }
    const line = corners(node);
    line.forEach(([x, y], index) => (index === 0 ? context.moveTo(x, y) : context.lineTo(x, y)));
    if (node.columnTo !== null && view.k < DOTS_BELOW) {
      context.moveTo(node.x - RAIL, node.y);
      context.lineTo(node.x - RAIL, node.columnTo);
    }
  }
  context.strokeStyle = colors.line;
  context.lineWidth = Math.max(1, 1.2 * view.k) / view.k;
  context.stroke();
}

/** From the leaf above to this one: the first of a column has the line from the parent. */
function tick(context: CanvasRenderingContext2D, { x, y }: Placed): void {
  context.moveTo(x - RAIL, y - ROW);
  context.lineTo(x - RAIL, y);
  context.lineTo(x, y);
}

function paintPulses(context: CanvasRenderingContext2D, scene: Scene, seen: Placed[], seconds: number): void {
  const { rates, colors, view } = scene;
  context.beginPath();
  let drawn = 0;
  for (const node of seen) {
    const rate = rates.get(node.unit.node.name) ?? 0;
    if (rate <= 0 || drawn >= MOST_PULSES) continue;
    // Up to four dots a line: the busier, the denser, on a scale that the eye can follow.
    const dots = Math.min(4, Math.ceil(Math.log2(1 + rate)));
    const line = corners(node);
    for (let dot = 0; dot < dots; dot += 1) {
      const at = along(line, (seconds / PULSE_SECONDS + dot / dots) % 1);
      if (!at) continue;
      const r = 2.4 / Math.min(1, view.k);
      context.moveTo(at[0] + r, at[1]);
      context.arc(at[0], at[1], r, 0, Math.PI * 2);
      drawn += 1;
    }
  }
  context.fillStyle = colors.accent;
  context.fill();
}

function paintNodes(context: CanvasRenderingContext2D, scene: Scene, seen: Placed[]): void {
  const { view, colors, matched } = scene;
  const groups = new Map<string, Placed[]>();
  for (const node of seen) {
    const key = `${lookIn(scene, node)}${matched && !matched.has(node.unit.name) ? "-" : "+"}`;
    const group = groups.get(key);
    if (group) group.push(node);
    else groups.set(key, [node]);
  }
  for (const look of LOOKS) {
    for (const bright of ["-", "+"]) {
      const group = groups.get(look + bright);
      if (!group) continue;
      context.globalAlpha = bright === "+" ? 1 : 0.25;
      if (view.k < DOTS_BELOW) paintDots(context, group, colors[look], view.k);
      else paintShapes(context, group, look, colors, view.k);
    }
  }
  context.globalAlpha = 1;
}

function paintDots(context: CanvasRenderingContext2D, group: Placed[], color: string, k: number): void {
  context.fillStyle = color;
  for (const { x, y, radius } of group) {
    const r = Math.max(radius, 1.3 / k);
    context.fillRect(x - r, y - r, 2 * r, 2 * r);
  }
}

/** Drawn at least this large, so that a shape is told apart. */
const LEAST_RADIUS = 6;

function sizeOf(node: Placed): number {
  return Math.max(LEAST_RADIUS, node.radius);
}

function paintShapes(
  context: CanvasRenderingContext2D,
  group: Placed[],
  look: Look,
  colors: Colors,
  k: number,
): void {
  const shape = SHAPES[look];
  context.beginPath();
  for (const node of group) trace(context, shape, node.x, node.y, sizeOf(node));
  context.fillStyle = look === "idle" ? colors.panel : colors[look];
  context.strokeStyle = colors[look];
  context.lineWidth = 1.8;
  context.fill();
  context.stroke();
  if (k < 0.4) return;
  context.beginPath();
  for (const node of group) innerMark(context, look, node.x, node.y, sizeOf(node));
  context.strokeStyle = colors.panel;
  context.lineWidth = 1.8;
  context.stroke();
}

function innerMark(context: CanvasRenderingContext2D, look: Look, x: number, y: number, r: number): void {
  const line = (...points: number[]) => {
    for (let i = 0; i < points.length; i += 2) {
      const [px, py] = [x + (points[i] ?? 0) * r, y + (points[i + 1] ?? 0) * r];
      if (i === 0) context.moveTo(px, py);
      else context.lineTo(px, py);
    }
  };
  if (look === "paused") {
    line(-0.3, -0.45, -0.3, 0.45);
    line(0.3, -0.45, 0.3, 0.45);
  } else if (look === "done") line(-0.45, 0.05, -0.1, 0.4, 0.5, -0.4);
  else if (look === "error") {
    line(-0.35, -0.35, 0.35, 0.35);
    line(0.35, -0.35, -0.35, 0.35);
  } else if (look === "blocked") line(0, -0.35, 0, 0.3);
  else if (look === "degraded") line(0, -0.55, 0, 0.1);
}

/** Coordinators have a full ring, system agents a dashed one, executors none. */
function paintRings(context: CanvasRenderingContext2D, { colors }: Scene, seen: Placed[]): void {
  context.lineWidth = 1.3;
  for (const [role, dash] of [
    ["coord", []],
    ["system", [3, 3]],
  ] as const) {
    context.beginPath();
    for (const node of seen) if (node.unit.node.role === role) ring(context, node, 4.5);
    context.setLineDash([...dash]);
    context.strokeStyle = colors.dim;
    context.stroke();
  }
  context.setLineDash([]);
}

function paintChoice(context: CanvasRenderingContext2D, { colors, selected, hovered, layout }: Scene): void {
  for (const [name, width] of [
    [hovered, 1.5],
    [selected, 3],
  ] as const) {
    const node = name === null ? undefined : layout.byName.get(name);
    if (!node) continue;
    context.beginPath();
    ring(context, node, 8.5);
    context.strokeStyle = colors.accent;
    context.lineWidth = width;
    context.stroke();
  }
}

function ring(context: CanvasRenderingContext2D, node: Placed, away: number): void {
  const r = sizeOf(node) + away;
  context.moveTo(node.x + r, node.y);
  context.arc(node.x, node.y, r, 0, Math.PI * 2);
}

function paintBadges(
  context: CanvasRenderingContext2D,
  { colors, view, looks }: Scene,
  seen: Placed[],
): void {
  if (view.k < NAMES_FROM) return;
  context.font = "600 9.5px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const node of seen) {
    const r = sizeOf(node);
    const { depth } = node.unit.node;
    if (node.stacked) continue;
    // Restarts and mailboxes are counted now; of a moment of the past they are not known.
    if (node.unit.restarts > 0 && !looks)
      badge(context, `↻${node.unit.restarts}`, node.x + r + 4, node.y - r - 4, colors.error, colors.panel);
    if (depth > 0 && !looks)
      badge(context, `✉${depth}`, node.x - r - 6, node.y - r - 4, colors.queued, colors.panel);
    if (node.collapsed)
      badge(context, `+${node.unit.children.length}`, node.x, node.y + r + 7, colors.line, colors.text);
  }
}

function badge(
  context: CanvasRenderingContext2D,
  text: string,
  x: number,
  y: number,
  back: string,
  front: string,
): void {
  const width = context.measureText(text).width + 7;
  context.fillStyle = back;
  context.beginPath();
  context.roundRect(x - width / 2, y - 6.5, width, 13, 6);
  context.fill();
  context.fillStyle = front;
  context.fillText(text, x, y + 0.5);
}

function paintNames(context: CanvasRenderingContext2D, scene: Scene, seen: Placed[]): void {
  const { view, colors, matched, selected } = scene;
  // Names keep their size on the screen between these scales, and grow with a closer look.
  const px = view.k > 1 ? 12.5 : 11.5 / Math.max(view.k, 0.62);
  context.textBaseline = "middle";
  for (const node of seen) {
    const inner = !node.stacked;
    if (view.k < (inner ? INNER_NAMES_FROM : NAMES_FROM) && node.unit.name !== selected) continue;
    const bright = !matched || matched.has(node.unit.name);
    context.globalAlpha = bright ? 1 : 0.35;
    context.fillStyle = lookIn(scene, node) === "idle" && !inner ? colors.dim : colors.text;
    context.font = `${inner ? "600 " : ""}${px}px system-ui, sans-serif`;
    const r = sizeOf(node);
    const letters = Math.floor((node.room / px) * (inner ? BOLD_LETTERS : LETTERS));
    const name =
      node.unit.name.length > letters ? `${node.unit.name.slice(0, letters - 1)}…` : node.unit.name;
    if (inner) {
      context.textAlign = "center";
      // A rim in the colour of the ground keeps a name readable on lines and beside its neighbours.
      context.strokeStyle = colors.bg;
      context.lineWidth = 3.5 / view.k;
      context.lineJoin = "round";
      context.strokeText(name, node.x, node.y + r + (node.collapsed ? 22 : 13));
      context.fillText(name, node.x, node.y + r + (node.collapsed ? 22 : 13));
    } else {
      context.textAlign = "left";
      context.fillText(name, node.x + r + 8, node.y);
      if (!scene.looks)
        paintSuffix(context, node, node.x + r + 14 + context.measureText(name).width, px, colors);
    }
  }
  context.globalAlpha = 1;
}

/** The badges of stacked leaves stand behind their names: above them is the next leaf. */
function paintSuffix(
  context: CanvasRenderingContext2D,
  { unit, y }: Placed,
  x: number,
  px: number,
  colors: Colors,
): void {
  const parts: [string, string][] = [];
  if (unit.restarts > 0) parts.push([`↻${unit.restarts}`, colors.error]);
  if (unit.node.depth > 0) parts.push([`✉${unit.node.depth}`, colors.queued]);
  context.font = `600 ${px * 0.88}px system-ui, sans-serif`;
  for (const [text, color] of parts) {
    context.fillStyle = color;
    context.fillText(text, x, y);
    x += context.measureText(text).width + 5;
  }
}

/** The view that shows everything, not larger than life. */
export function fitted(
  { bounds }: Layout,
  width: number,
  height: number,
): { x: number; y: number; k: number } {
  const [w, h] = [Math.max(1, bounds.right - bounds.left), Math.max(1, bounds.bottom - bounds.top)];
  const k = Math.min(1.25, width / (w + 30), height / (h + 30));
  return {
    k,
    x: (width - (bounds.left + bounds.right) * k) / 2,
    y: (height - (bounds.top + bounds.bottom) * k) / 2,
  };
}
