// What is said aloud of an event: short sentences from templates, the same in the captions. Pure.

import type { SwarmEvent, TreeNode } from "../api";
import { stepOf, textOf } from "../format";

const TEMPLATES: Record<string, (agent: string, task: string) => string> = {
  accepted: (agent, task) => `${task} assigned to ${agent}.`,
  completed: (agent, task) => `${agent} has completed ${task}.`,
  failed: (agent, task) => `${agent} failed at ${task}.`,
  awaiting_approval: (agent, task) => `${agent} asks for approval: ${task}.`,
  crashed: (agent) => `${agent} crashed.`,
  restarted: (agent) => `${agent} is back.`,
};

/** The sentence for an event; null where nothing is said. */
export function spoken(event: SwarmEvent): string | null {
  const { data } = event;
  const template = TEMPLATES[textOf(data["event"])];
  const agent = data["agent"] ?? data["actor"];
  if (!template || typeof agent !== "string") return null;
  const detail = data["detail"] as { task?: unknown } | undefined;
  const job = typeof data["job_id"] === "string" ? stepOf(data["job_id"]) : "a task";
  const task = typeof detail?.task === "string" ? stepOf(detail.task) : job;
  return template(agent.replaceAll(/[-_]/g, " "), task.replaceAll(/[-_]/g, " "));
}

/** `corpus auditor is at 40 percent.`, once a quarter. */
export function spokenProgress(agent: string, before: number, after: number): string | null {
  const [was, is] = [Math.floor(before * 4), Math.floor(after * 4)];
  if (is <= was || is === 0 || is >= 4) return null;
  return `${agent.replaceAll(/[-_]/g, " ")} is at ${is * 25} percent.`;
}

/** Which steps have passed a quarter since the picture before. */
export class Quarters {
  #before = new Map<string, number>();

  passed(tree: readonly TreeNode[]): { sentence: string; node: TreeNode }[] {
    const now = new Map<string, number>();
    const out = tree.flatMap((node) => {
      if (!node.step) return [];
      const { job_id, progress } = node.step;
      now.set(job_id, progress);
      const sentence = spokenProgress(node.name, this.#before.get(job_id) ?? progress, progress);
      return sentence === null ? [] : [{ sentence, node }];
    });
    this.#before = now;
    return out;
  }
}
