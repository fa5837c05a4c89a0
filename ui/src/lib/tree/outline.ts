// The tree as rows, for the list that keyboards and screen readers use (WAI-ARIA's tree pattern). Pure.

import { score } from "../match";
import type { Swarm, Unit } from "./fold";

export interface Row {
  unit: Unit;
  level: number;
  /** Null for a leaf. */
  expanded: boolean | null;
  /** Its place among its siblings, from 1, and how many they are. */
  position: number;
  size: number;
}

/** Rows from top to bottom. A search shows what matches and the way to it, whatever is collapsed. */
export function rows(swarm: Swarm, collapsed: ReadonlySet<string>, search = ""): Row[] {
  const wanted = search.trim() === "" ? null : matching(swarm, search);
  const out: Row[] = [];
  const visit = (names: string[], level: number) => {
    const shown = wanted ? names.filter((name) => wanted.has(name)) : names;
    shown.forEach((name, index) => {
      const unit = swarm.byName.get(name);
      if (!unit) return;
      const open = wanted !== null || !collapsed.has(name);
      out.push({
        unit,
        level,
        expanded: unit.children.length > 0 ? open : null,
        position: index + 1,
        size: shown.length,
      });
      if (open) visit(unit.children, level + 1);
    });
  };
  visit(
    swarm.order.filter((unit) => unit.parent === null).map((unit) => unit.name),
    1,
  );
  return out;
}

function matching(swarm: Swarm, search: string): Set<string> {
  const keep = new Set<string>();
  for (const unit of swarm.order) {
    if (!found(unit, search)) continue;
    for (let at: Unit | undefined = unit; at && !keep.has(at.name); at = swarm.byName.get(at.parent ?? ""))
      keep.add(at.name);
  }
  return keep;
}

/** Whether a search means this unit: by name, lane, status, or what it is doing. */
export function found(unit: Unit, search: string): boolean {
  const { node } = unit;
  const wanted = search.trim().toLowerCase();
  if (wanted === "") return false;
  const said = [node.lane, node.status, unit.look, node.step?.task, node.role].filter((word) => word != null);
  return (
    score(wanted, unit.name) >= 400 || said.some((word) => String(word).toLowerCase().startsWith(wanted))
  );
}

export type Move = { to: string } | { open: string } | { close: string } | null;

/** What a key does in the tree, as WAI-ARIA's practices have it. */
export function move(list: readonly Row[], current: string | null, key: string, page = 10): Move {
  const at = Math.max(
    0,
    list.findIndex((row) => row.unit.name === current),
  );
  const row = list[at];
  if (!row) return null;
  const go = (index: number): Move => {
    const target = list[Math.min(list.length - 1, Math.max(0, index))];
    return target ? { to: target.unit.name } : null;
  };
  switch (key) {
    case "ArrowDown":
      return go(at + 1);
    case "ArrowUp":
      return go(at - 1);
    case "PageDown":
      return go(at + page);
    case "PageUp":
      return go(at - page);
    case "Home":
      return go(0);
    case "End":
      return go(list.length - 1);
    case "ArrowRight":
      return row.expanded === false ? { open: row.unit.name } : row.expanded ? go(at + 1) : null;
    case "ArrowLeft":
      if (row.expanded) return { close: row.unit.name };
      return row.unit.parent === null ? null : { to: row.unit.parent };
    default:
      return null;
  }
}
