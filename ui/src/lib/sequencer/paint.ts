// Draws the sequencer: rows, notes, marks, time axis and playhead; only what is in view.

import { scaleUtc } from "d3-scale";
import type { Sequencer, SequencerTask } from "../api";
import { trace } from "../shapes";
import { lookOfTask, SHAPES } from "../status";
import type { Colors } from "../tree/paint";
import { doingAt, endOf, stuck } from "./replay";
import type { SeqRow, Span } from "./rows";

export const NAMES = 190;
export const AXIS = 28;
export const NOTE_ROW = 26;

export interface SeqScene {
  data: Sequencer;
  rows: SeqRow[];
  view: Span;
  /** First pixel of the rows that is shown. */
  scroll: number;
  width: number;
  height: number;
  names: number;
  playhead: number;
  selected: string | null;
  hovered: SequencerTask | null;
  colors: Colors;
  format: (at: number) => string;
}

export function xOf(scene: Pick<SeqScene, "view" | "width" | "names">, at: number): number {
  const { view, width, names } = scene;
  return names + ((at - view.from) / (view.to - view.from)) * (width - names);
}

export function timeAt(scene: Pick<SeqScene, "view" | "width" | "names">, x: number): number {
  const { view, width, names } = scene;
  return view.from + ((x - names) / Math.max(1, width - names)) * (view.to - view.from);
}

export function paintSequencer(context: CanvasRenderingContext2D, scene: SeqScene, dpr: number): void {
  const { width, height } = scene;
  context.setTransform(dpr, 0, 0, dpr, 0, 0);
  context.clearRect(0, 0, width, height);
  const first = Math.max(0, Math.floor(scene.scroll / NOTE_ROW));
  const last = Math.min(scene.rows.length, Math.ceil((scene.scroll + height - AXIS) / NOTE_ROW));
  paintRows(context, scene, first, last);
  context.save();
  context.beginPath();
  context.rect(scene.names, 0, width - scene.names, height);
  context.clip();
  paintGrid(context, scene);
  for (let index = first; index < last; index += 1) paintNotes(context, scene, index);
  paintDown(context, scene);
  paintMarks(context, scene, first, last);
  paintPlayhead(context, scene);
  context.restore();
  paintAxis(context, scene);
  paintNames(context, scene, first, last);
}

function yOf(scene: SeqScene, index: number): number {
  return AXIS + index * NOTE_ROW - scene.scroll;
}

function paintRows(context: CanvasRenderingContext2D, scene: SeqScene, first: number, last: number): void {
  context.fillStyle = scene.colors.line;
  context.globalAlpha = 0.28;
  for (let index = first; index < last; index += 1) {
    if (index % 2 === 0) context.fillRect(0, yOf(scene, index), scene.width, NOTE_ROW);
  }
  context.globalAlpha = 1;
}

function ticks(scene: SeqScene): { x: number; label: string }[] {
  const scale = scaleUtc().domain([scene.view.from * 1000, scene.view.to * 1000]);
  return scale.ticks(Math.max(2, Math.floor((scene.width - scene.names) / 110))).map((date) => {
    const at = date.getTime() / 1000;
    const fine =
      scene.view.to - scene.view.from < 8
        ? `.${String(date.getUTCMilliseconds()).padStart(3, "0").slice(0, 2)}`
        : "";
    return { x: xOf(scene, at), label: scene.format(at) + fine };
  });
}

function paintGrid(context: CanvasRenderingContext2D, scene: SeqScene): void {
  context.beginPath();
  for (const { x } of ticks(scene)) {
    context.moveTo(Math.round(x) + 0.5, AXIS);
    context.lineTo(Math.round(x) + 0.5, scene.height);
  }
  context.strokeStyle = scene.colors.line;
  context.lineWidth = 1;
  context.stroke();
}

function paintNotes(context: CanvasRenderingContext2D, scene: SeqScene, index: number): void {
  const row = scene.rows[index];
  if (!row) return;
  const now = scene.data.timestamp;
  let drawnTo = -Infinity;
  for (const task of row.tasks) {
    const [from, to] = [xOf(scene, task.start_time), xOf(scene, endOf(task, now))];
    // Notes of less than a pixel that lie on one already drawn add nothing.
    if (to < scene.names || from > scene.width || (to - from < 1 && to < drawnTo + 1)) continue;
    paintNote(context, scene, task, from, Math.max(3, to - from), yOf(scene, index));
    drawnTo = to;
  }
}

function paintNote(
  context: CanvasRenderingContext2D,
  scene: SeqScene,
  task: SequencerTask,
  x: number,
  width: number,
  y: number,
): void {
  const { colors, selected, hovered, playhead, data } = scene;
  const running = task.end_time == null;
  const look = stuck(task, data.timestamp) ? "error" : lookOfTask(task.status);
  const [top, height] = [y + 4, NOTE_ROW - 8];
  context.fillStyle = colors[look];
  context.globalAlpha = task.start_time > playhead ? 0.18 : running ? 0.35 : 0.55 + 0.4 * task.progress;
  context.beginPath();
  context.roundRect(x, top, width, height, Math.min(4, width / 2));
  context.fill();
  if (running && task.progress_known) {
    context.globalAlpha = 0.9;
    context.fillRect(x, top, width * task.progress, height);
  }
  context.globalAlpha = 1;
  if (task.cut_at !== undefined) paintUntold(context, scene, task.cut_at, x, width, top, height);
  for (const wait of task.waits ?? []) paintWait(context, scene, task, wait, x, width, top, height);
  if (task.task_id === selected || task === hovered) {
    context.strokeStyle = colors.text;
    context.lineWidth = task.task_id === selected ? 2 : 1;
    context.stroke();
  }
  if (width > 46) paintLabel(context, scene, task, look, x, width, y, running || task.start_time > playhead);
}

/** Where the daemon was down no note is drawn, and it is said why. */
function paintDown(context: CanvasRenderingContext2D, scene: SeqScene): void {
  const { colors, names, width, height } = scene;
  for (const { from, to, stopped } of scene.data.down ?? []) {
    const [left, right] = [Math.max(names, xOf(scene, from)), Math.min(width, xOf(scene, to))];
    if (right < names || left > width) continue;
    const wide = Math.max(2, right - left);
    context.fillStyle = colors.bg;
    context.fillRect(left, AXIS, wide, height - AXIS);
    context.save();
    context.beginPath();
    context.rect(left, AXIS, wide, height - AXIS);
    context.clip();
    context.beginPath();
    for (let x = left - height; x < left + wide; x += 9) {
      context.moveTo(x, height);
      context.lineTo(x + height, 0);
    }
    context.strokeStyle = stopped ? colors.dim : colors.error;
    context.globalAlpha = 0.4;
    context.lineWidth = 1;
    context.stroke();
    context.restore();
    const words = stopped ? "daemon stopped" : "daemon down";
    context.font = "600 11px system-ui, sans-serif";
    if (wide < context.measureText(words).width + 12) continue;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const [middle, half] = [left + wide / 2, context.measureText(words).width / 2 + 5];
    context.fillStyle = colors.bg;
    context.fillRect(middle - half, AXIS + 6, half * 2, 18);
    context.fillStyle = stopped ? colors.text : colors.error;
    context.fillText(words, middle, AXIS + 15);
  }
}

/** The part of a note from which on nothing is told: empty. */
function paintUntold(
  context: CanvasRenderingContext2D,
  scene: SeqScene,
  cutAt: number,
  x: number,
  width: number,
  top: number,
  height: number,
): void {
  const from = Math.max(x, xOf(scene, cutAt));
  context.clearRect(from, top + 1, Math.max(0, x + width - from - 1), height - 2);
}

/** The part of a note in which its task waited: in the colour of what it waited for, and less high. */
function paintWait(
  context: CanvasRenderingContext2D,
  scene: SeqScene,
  task: SequencerTask,
  wait: NonNullable<SequencerTask["waits"]>[number],
  x: number,
  width: number,
  top: number,
  height: number,
): void {
  const from = Math.max(x, xOf(scene, wait.from));
  const to = Math.min(x + width, xOf(scene, wait.to ?? endOf(task, scene.data.timestamp)));
  if (to - from < 1) return;
  context.fillStyle = scene.colors.bg;
  context.fillRect(from, top, to - from, height);
  context.fillStyle = scene.colors[lookOfTask(wait.status)];
  context.globalAlpha = 0.8;
  context.fillRect(from, top + height * 0.35, to - from, height * 0.3);
  context.globalAlpha = 1;
}

function paintLabel(
  context: CanvasRenderingContext2D,
  { colors }: SeqScene,
  task: SequencerTask,
  look: keyof typeof SHAPES,
  x: number,
  width: number,
  y: number,
  pale: boolean,
): void {
  const left = x + 11;
  context.beginPath();
  trace(context, SHAPES[look], left, y + NOTE_ROW / 2, 4);
  context.fillStyle = pale ? colors.text : colors.bg;
  context.fill();
  context.font = "600 11.5px system-ui, sans-serif";
  context.textAlign = "left";
  context.textBaseline = "middle";
  const letters = Math.floor((width - 26) / 6.3);
  if (letters > 2)
    context.fillText(
      task.name.length > letters ? `${task.name.slice(0, letters - 1)}…` : task.name,
      left + 9,
      y + NOTE_ROW / 2 + 0.5,
    );
}

function paintMarks(context: CanvasRenderingContext2D, scene: SeqScene, first: number, last: number): void {
  const marks = scene.data.marks ?? [];
  const rowOf = new Map(scene.rows.slice(first, last).map((row, index) => [row.serviceId, first + index]));
  const bad = (mark: { kind: string }) => mark.kind === "crashed" || mark.kind === "hung";
  // Trouble last, so that it lies above the recovery that follows within milliseconds.
  for (const mark of [...marks.filter((one) => !bad(one)), ...marks.filter(bad)]) {
    const index = rowOf.get(mark.agent_id);
    if (index === undefined) continue;
    context.beginPath();
    trace(context, bad(mark) ? "octagon" : "ring", xOf(scene, mark.at), yOf(scene, index) + NOTE_ROW / 2, 5);
    context.fillStyle = bad(mark) ? scene.colors.error : scene.colors.done;
    context.strokeStyle = scene.colors.bg;
    context.lineWidth = 1.5;
    context.fill();
    context.stroke();
  }
}

function paintPlayhead(context: CanvasRenderingContext2D, scene: SeqScene): void {
  const x = xOf(scene, scene.playhead);
  context.fillStyle = scene.colors.accent;
  context.fillRect(x - 1, 0, 2, scene.height);
  context.beginPath();
  context.moveTo(x - 7, 0);
  context.lineTo(x + 7, 0);
  context.lineTo(x, 11);
  context.fill();
}

function paintAxis(context: CanvasRenderingContext2D, scene: SeqScene): void {
  const { colors, width } = scene;
  context.fillStyle = colors.dim;
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const { x, label } of ticks(scene))
    if (x > scene.names + 24 && x < width - 24) context.fillText(label, x, 18);
  context.fillStyle = colors.line;
  context.fillRect(0, AXIS - 1, width, 1);
}

function paintNames(context: CanvasRenderingContext2D, scene: SeqScene, first: number, last: number): void {
  const { colors, rows, names } = scene;
  context.save();
  context.beginPath();
  context.rect(0, AXIS, names - 8, scene.height);
  context.clip();
  context.textAlign = "left";
  context.textBaseline = "middle";
  for (let index = first; index < last; index += 1) {
    const row = rows[index];
    if (!row) continue;
    const y = yOf(scene, index) + NOTE_ROW / 2;
    const now = doingAt(scene.data, row.serviceId, scene.playhead);
    context.fillStyle = colors.dim;
    context.font = "10px system-ui, sans-serif";
    context.fillText(row.level.charAt(0).toUpperCase(), 8, y);
    if (now) {
      context.beginPath();
      trace(context, SHAPES[lookOfTask(now.status)], 25, y, 4.5);
      context.fillStyle = colors[lookOfTask(now.status)];
      context.fill();
    }
    context.fillStyle = now ? colors.text : colors.dim;
    context.font = `${now ? "600 " : ""}12px system-ui, sans-serif`;
    const letters = Math.floor((names - 44) / 6.6);
    context.fillText(row.agent.length > letters ? `${row.agent.slice(0, letters - 1)}…` : row.agent, 36, y);
  }
  context.restore();
}
