// Addresses of pages: a path and a query that hold all of a page's state, so that a link shows the same.

export interface Route {
  page: PageName;
  /** What follows the page's name in the path, such as a job's id. */
  item: string | null;
  query: Record<string, string>;
}

export const PAGES = {
  dashboard: { path: "/", title: "Dashboard", key: "d" },
  tree: { path: "/tree", title: "Tree", key: "t" },
  sequencer: { path: "/sequencer", title: "Sequencer", key: "s" },
  jobs: { path: "/jobs", title: "Jobs", key: "j" },
  approvals: { path: "/approvals", title: "Approvals", key: "a" },
  traces: { path: "/traces", title: "Traces", key: "r" },
  services: { path: "/services", title: "Services", key: "v" },
  resources: { path: "/resources", title: "Resources", key: "u" },
  costs: { path: "/costs", title: "Costs", key: "c" },
  alerts: { path: "/alerts", title: "Alerts", key: "l" },
  settings: { path: "/settings", title: "Settings", key: "," },
} as const;

export type PageName = keyof typeof PAGES;
export const PAGE_NAMES = Object.keys(PAGES) as PageName[];

/** Null for an address that names no page. */
export function parse(pathname: string, search: string): Route | null {
  const [, first = "", ...rest] = pathname.split("/");
  const page = first === "" ? "dashboard" : PAGE_NAMES.find((name) => name === first);
  if (!page || first === "dashboard") return null;
  const item =
    rest
      .filter((part) => part !== "")
      .map(safeDecode)
      .join("/") || null;
  return { page, item, query: Object.fromEntries(new URLSearchParams(search)) };
}

export type Query = Record<string, string | number | boolean | null | undefined>;

/** The address of a page; values that are empty, false or missing are left out. */
export function href(page: PageName, item?: string | null, query: Query = {}): string {
  const path = PAGES[page].path + (item ? `/${encodeURIComponent(item)}` : "");
  const shown = Object.entries(query).filter(
    ([, value]) => value !== null && value !== undefined && value !== "" && value !== false,
  );
  const search = new URLSearchParams(shown.map(([key, value]) => [key, String(value)])).toString();
  return search ? `${path}?${search}` : path;
}

/** What of a page's address is a filter: it stays with the page while one looks at another. */
const FILTERS: Partial<Record<PageName, readonly string[]>> = {
  tree: ["q", "closed", "view"],
  sequencer: ["hours", "speed", "solo", "mute", "all", "tree"],
  jobs: ["state"],
  traces: ["agent", "kind", "outcome", "ms", "self"],
  services: ["q", "state"],
  costs: ["window"],
  alerts: ["severity"],
};

export function filtersOf({ page, query }: Route): Query {
  return Object.fromEntries((FILTERS[page] ?? []).map((name) => [name, query[name]]));
}

function safeDecode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
