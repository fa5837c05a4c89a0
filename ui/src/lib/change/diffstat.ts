// `git diff --stat` as figures: a file with its changed lines, and the sum. Pure.

import { shown } from "./shown";

/** More files than this are counted, not listed. */
export const MOST_FILES = 40;

export interface DiffFile {
  path: string;
  /** Lines, or words such as `Bin 0 -> 12 bytes`. */
  changed: string;
  /** Signs of git's graph, which it scales to the widest. */
  plus: number;
  minus: number;
}

export interface DiffStat {
  files: DiffFile[];
  /** Files that are not listed. */
  more: number;
  sum: string;
}

export function readStat(text: string): DiffStat {
  const lines = shown(text)
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
  const files = lines.flatMap((line) => fileOf(line) ?? []);
  const sum =
    lines.find((line) => /^\d+ files? changed/.test(line)) ?? (files.length > 0 ? "" : (lines[0] ?? ""));
  return { files: files.slice(0, MOST_FILES), more: Math.max(0, files.length - MOST_FILES), sum };
}

function fileOf(line: string): DiffFile | null {
  const at = line.lastIndexOf(" | ");
  if (at < 0) return null;
  const graph = line.slice(at + 3).trim();
  const [, changed = graph, signs = ""] = /^(\d+)(?:\s+([+-]+))?$/.exec(graph) ?? [];
  const plus = [...signs].filter((sign) => sign === "+").length;
  return { path: line.slice(0, at).trim(), changed, plus, minus: signs.length - plus };
}
