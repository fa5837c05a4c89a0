// Where the operator is: the address is the only store of a page's state.

import { filtersOf, href, parse, type PageName, type Query, type Route } from "./route";

class Router {
  route: Route | null = $state.raw(parse(location.pathname, location.search));
  /** The filters that each page was left with. */
  readonly #filters = new Map<PageName, Query>();

  constructor() {
    this.#remember();
    addEventListener("popstate", () => this.#read());
  }

  /** To another page; a new entry in the history. */
  go(page: PageName, item?: string | null, query: Query = {}): void {
    this.open(href(page, item, query));
  }

  open(address: string): void {
    if (address !== location.pathname + location.search) history.pushState(null, "", address);
    this.#read();
    scrollTo(0, 0);
  }

  /** The address of a page as it was left: with its filters, without what was open in it. */
  home(page: PageName): string {
    // Read, so that links follow: the filters change with the address only.
    void this.route;
    return href(page, null, this.#filters.get(page));
  }

  get query(): Record<string, string> {
    return this.route?.query ?? {};
  }

  /** Changes some of the page's state; replaces the history's entry unless `push`. */
  set(changes: Query, push = false): void {
    if (!this.route) return;
    const address = href(this.route.page, this.route.item, { ...this.route.query, ...changes });
    if (address === location.pathname + location.search) return;
    if (push) history.pushState(null, "", address);
    else history.replaceState(null, "", address);
    this.#read();
  }

  /** Takes over clicks on links of the application; all others are left to the browser. */
  click = (event: MouseEvent): void => {
    if (
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return;
    const link = (event.target as Element | null)?.closest("a");
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (link.hash || !parse(link.pathname, link.search)) return;
    event.preventDefault();
    this.open(link.pathname + link.search);
  };

  #read(): void {
    this.route = parse(location.pathname, location.search);
    this.#remember();
  }

  #remember(): void {
    if (this.route) this.#filters.set(this.route.page, filtersOf(this.route));
  }
}

export const router = new Router();
