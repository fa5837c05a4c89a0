// The settings in force: read once, written back at each change, applied to the page's root.

import { DEFAULTS, readSettings, type Settings } from "./settings";

const KEY = "pas.settings";

export const settings: Settings = $state(readSettings(localStorage.getItem(KEY)));

export function resetSettings(): void {
  Object.assign(settings, DEFAULTS, { muted_levels: [] });
}

/** Keeps storage and page in step with the settings for as long as the page lives. */
export function keepSettings(): void {
  $effect(() => localStorage.setItem(KEY, JSON.stringify(settings)));
  $effect(() => {
    const root = document.documentElement;
    root.dataset["theme"] = settings.theme;
    root.dataset["compact"] = String(settings.compact);
    root.dataset["still"] = String(!settings.animation);
  });
}

/** Motion only where it is wanted, here and in the system's settings. */
export function moves(): boolean {
  return settings.animation && !matchMedia("(prefers-reduced-motion: reduce)").matches;
}
