// Everything that the command palette can do: pages, agents, jobs, approvals, switches.

import { ask } from "../lib/actions.svelte";
import type { Live } from "../lib/api";
import { href, PAGE_NAMES, PAGES } from "../lib/route";
import { router } from "../lib/router.svelte";
import { settings } from "../lib/settings.svelte";
import { live } from "../lib/live.svelte";

export interface Command {
  title: string;
  hint: string;
  run: () => void;
}

export function commands(snapshot: Live | null): Command[] {
  return [...pages(), ...switches(), ...agents(snapshot), ...work(snapshot)];
}

function pages(): Command[] {
  return PAGE_NAMES.map((name) => ({
    title: PAGES[name].title,
    hint: `page · g ${PAGES[name].key}`,
    run: () => router.open(router.home(name)),
  }));
}

function switches(): Command[] {
  const flip = (key: "compact" | "animation" | "sound" | "speech" | "captions", title: string): Command => ({
    title: `${settings[key] ? "Switch off" : "Switch on"} ${title}`,
    hint: "setting",
    run: () => (settings[key] = !settings[key]),
  });
  return [
    { title: "Submit a job", hint: "action", run: () => router.go("jobs", null, { new: true }) },
    {
      title: `${settings.theme === "dark" ? "Light" : "Dark"} theme`,
      hint: "setting",
      run: () => (settings.theme = settings.theme === "dark" ? "light" : "dark"),
    },
    flip("sound", "sound"),
    flip("speech", "spoken summaries"),
    flip("compact", "compact view"),
    flip("animation", "animation"),
    { title: "Refresh now", hint: "action", run: () => void live.refresh() },
  ];
}

function agents(snapshot: Live | null): Command[] {
  const workers = snapshot?.tree.filter((node) => node.kind === "worker" && node.role !== null) ?? [];
  return workers.flatMap(({ name, status }) => [
    { title: name, hint: "agent", run: () => router.go("tree", null, { agent: name }) },
    status === "paused"
      ? { title: `Resume ${name}`, hint: "action", run: () => ask("resume", name) }
      : { title: `Pause ${name}`, hint: "action", run: () => ask("pause", name) },
    { title: `Restart ${name}`, hint: "action", run: () => ask("restart", name) },
    { title: `Kill ${name}`, hint: "action", run: () => ask("kill", name) },
  ]);
}

function work(snapshot: Live | null): Command[] {
  const jobs = snapshot?.jobs ?? [];
  const approvals = snapshot?.approvals ?? [];
  return [
    ...approvals.map((one) => ({
      title: `Decide: ${one.action}`,
      hint: "approval",
      run: () => router.open(href("approvals", one.approval_id)),
    })),
    ...jobs.map((job) => ({
      title: job.job_id,
      hint: `job · ${job.state}`,
      run: () => router.go("jobs", job.job_id),
    })),
  ];
}
