import { describe, expect, it } from "vitest";
import { node, smallTree } from "../testing";
import { along, corners } from "./edges";
import { census, focused, fold, pathTo, subtree } from "./fold";
import { gridOf, hit } from "./hit";
import { layout, radiusOf, refreshed } from "./layout";
import { found, move, rows } from "./outline";
import { counted, rates } from "./rate";
import type { TreeNode } from "../api";

/** A root with `width` supervisors, each with `width` workers. */
function wide(width: number): TreeNode[] {
  const tree = [node(0, "root", null)];
  for (let i = 0; i < width; i += 1) {
    const parent = tree.length;
    tree.push(node(parent, `m${i}-sup`, 0), node(parent + 1, `m${i}`, parent));
    for (let j = 0; j < width; j += 1) tree.push(node(tree.length, `w${i}-${j}`, parent));
  }
  return tree;
}

describe("fold", () => {
  it("draws a supervisor and its worker as one unit", () => {
    const swarm = fold(smallTree());
    expect(swarm.order.map((unit) => [unit.name, unit.parent, unit.level])).toEqual([
      ["root", null, 0],
      ["a", "root", 1],
      ["b", "a", 2],
      ["c", "a", 2],
      ["service", "root", 1],
    ]);
    expect(swarm.byName.get("b")?.restarts).toBe(3);
    expect(swarm.byName.get("a")?.children).toEqual(["b", "c"]);
  });

  it("keeps supervisors when asked to", () => {
    expect(fold(smallTree(), true).order).toHaveLength(8);
  });

  it("finds what is below, the way to it, and a part as a tree of its own", () => {
    const swarm = fold(smallTree());
    expect(subtree(swarm, "a")).toEqual(["a", "b", "c"]);
    expect(pathTo(swarm, "c")).toEqual(["root", "a", "c"]);
    expect(focused(swarm, "a").order.map((unit) => [unit.name, unit.level, unit.parent])).toEqual([
      ["a", 0, null],
      ["b", 1, "a"],
      ["c", 1, "a"],
    ]);
    expect(focused(swarm, "nobody")).toBe(swarm);
  });

  it("counts looks, trouble first", () => {
    expect(census(fold(smallTree()).order)).toEqual([
      { look: "error", count: 1 },
      { look: "running", count: 1 },
      { look: "idle", count: 3 },
    ]);
  });
});

describe("layout", () => {
  it("puts each unit once, with room between them", () => {
    const { nodes } = layout(fold(wide(30)), new Set());
    expect(nodes).toHaveLength(931);
    const places = new Set(nodes.map(({ x, y }) => `${Math.round(x)} ${Math.round(y)}`));
    expect(places.size).toBe(931);
    const sorted = nodes.toSorted((a, b) => a.y - b.y || a.x - b.x);
    sorted.forEach((one, index) => {
      const next = sorted[index + 1];
      if (next && Math.abs(next.y - one.y) < 1) expect(next.x - one.x).toBeGreaterThan(60);
    });
  });

  it("stays nearer to a screen's shape than to a line", () => {
    const { bounds } = layout(fold(wide(30)), new Set());
    const aspect = (bounds.right - bounds.left) / (bounds.bottom - bounds.top);
    expect(aspect).toBeGreaterThan(0.5);
    expect(aspect).toBeLessThan(5);
  });

  it("leaves out what is collapsed", () => {
    const { nodes, byName } = layout(fold(smallTree()), new Set(["a"]));
    expect(nodes.map((one) => one.unit.name)).toEqual(["root", "a", "service"]);
    expect(byName.get("a")?.collapsed).toBe(true);
  });

  it("lays out ten thousand units without a pause that hurts", () => {
    const swarm = fold(wide(100));
    const begin = performance.now();
    expect(layout(swarm, new Set()).nodes).toHaveLength(10_101);
    expect(performance.now() - begin).toBeLessThan(5000);
  });

  it("keeps its places while only facts change", () => {
    const first = layout(fold(smallTree()), new Set());
    const spots = first.nodes.map(({ x, y }) => [x, y]);
    const changed = smallTree().map((one) =>
      one.name === "b" ? { ...one, status: "error" as const, ctx_used: 9, ctx_limit: 9 } : one,
    );
    const second = refreshed(first, fold(changed), new Set());
    expect(second.nodes.map(({ x, y }) => [x, y])).toEqual(spots);
    expect(second.byName.get("b")).toMatchObject({ radius: 24, unit: { look: "error" } });
  });

  it("is made anew when the shape changes", () => {
    const first = layout(fold(smallTree()), new Set());
    const more = fold([...smallTree(), node(9, "late", 1)]);
    const fewer = fold(smallTree().slice(0, -1));
    expect(refreshed(first, more, new Set()).nodes).toHaveLength(6);
    expect(refreshed(first, fewer, new Set()).nodes).toHaveLength(4);
    expect(refreshed(first, fold(smallTree()), new Set(["a"])).nodes).toHaveLength(3);
    expect(
      refreshed(layout(fold(smallTree()), new Set(["a"])), fold(smallTree()), new Set()).nodes,
    ).toHaveLength(5);
  });

  it("sizes by context used: 8 to 48 px", () => {
    const unit = (used: number | null) =>
      fold([node(1, "x", null, { ctx_used: used, ctx_limit: used === null ? null : 100 })]).order[0];
    const width = (used: number | null) => {
      const one = unit(used);
      return one ? 2 * radiusOf(one) : 0;
    };
    expect(width(null)).toBe(8);
    expect(width(100)).toBe(48);
    expect(width(900)).toBe(48);
    expect(width(25)).toBe(28);
  });
});

describe("hit and edges", () => {
  it("finds the node under a point, and nothing beside it", () => {
    const { nodes } = layout(fold(wide(8)), new Set());
    const grid = gridOf(nodes);
    for (const one of nodes) expect(hit(grid, one.x + 2, one.y - 2, 6)).toBe(one);
    const last = nodes.at(-1);
    expect(last && hit(grid, last.x + 60, last.y, 6)).toBeNull();
  });

  it("runs from the parent to the node", () => {
    for (const one of layout(fold(wide(30)), new Set()).nodes) {
      const line = corners(one);
      if (!one.parent) expect(line).toEqual([]);
      else {
        expect(along(line, 0)).toEqual([one.parent.x, one.parent.y]);
        const end = along(line, 1);
        expect(end?.[0]).toBeCloseTo(one.x);
        expect(end?.[1]).toBeCloseTo(one.y);
      }
    }
  });
});

describe("outline", () => {
  const swarm = fold(smallTree());
  const names = (list: ReturnType<typeof rows>) => list.map((row) => row.unit.name);

  it("lists rows with their place among siblings", () => {
    const list = rows(swarm, new Set());
    expect(list.map((row) => [row.unit.name, row.level, row.position, row.size, row.expanded])).toEqual([
      ["root", 1, 1, 1, true],
      ["a", 2, 1, 2, true],
      ["b", 3, 1, 2, null],
      ["c", 3, 2, 2, null],
      ["service", 2, 2, 2, null],
    ]);
  });

  it("hides what is collapsed, but not from a search", () => {
    expect(names(rows(swarm, new Set(["a"])))).toEqual(["root", "a", "service"]);
    expect(names(rows(swarm, new Set(["a"]), "data"))).toEqual(["root", "a", "b"]);
    expect(names(rows(swarm, new Set(), "error"))).toEqual(["root", "a", "c"]);
    expect(swarm.order.some((unit) => found(unit, "  "))).toBe(false);
  });

  it("moves as the tree pattern says", () => {
    const list = rows(swarm, new Set());
    expect(move(list, "a", "ArrowDown")).toEqual({ to: "b" });
    expect(move(list, "root", "ArrowUp")).toEqual({ to: "root" });
    expect(move(list, "a", "ArrowLeft")).toEqual({ close: "a" });
    expect(move(list, "b", "ArrowLeft")).toEqual({ to: "a" });
    expect(move(list, "a", "ArrowRight")).toEqual({ to: "b" });
    expect(move(list, "b", "ArrowRight")).toBeNull();
    expect(move(rows(swarm, new Set(["a"])), "a", "ArrowRight")).toEqual({ open: "a" });
    expect(move(list, null, "End")).toEqual({ to: "service" });
    expect(move(list, "c", "x")).toBeNull();
    expect(move([], null, "ArrowDown")).toBeNull();
  });
});

describe("rates", () => {
  it("are messages a second since the last count", () => {
    const before = counted([node(1, "a", null, { handled: 10 }), node(2, "b", 1, { handled: 5 })], 1000);
    const after = counted(
      [
        node(1, "a", null, { handled: 30 }),
        node(2, "b", 1, { handled: 0 }),
        node(3, "new", 1, { handled: 9 }),
      ],
      3000,
    );
    expect(rates(before, after)).toEqual(new Map([["a", 10]]));
    expect(rates(after, after).size).toBe(0);
  });
});
