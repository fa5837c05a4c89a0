// A daemon of the tests' own: the debug binary on free ports, in a folder that is gone afterwards, with real
// jobs running one after another. What it answers is all real; only its model vendor is a small server here.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startVendor, type Vendor } from "./vendor";

const REPOSITORY = new URL("../..", import.meta.url).pathname;
const BINARY = process.env["HMI_DAEMON"] ?? join(REPOSITORY, "target/debug/pas");
/** Of the contract; each daemon adds its offset. */
export const PORTS = { orchestrator: 6100, hmi: 6101, events: 6102, gateway: 6120, registry: 6121 };
/** Offsets that leave the ports below those which systems give to clients. */
const OFFSETS = Array.from({ length: 200 }, (_, n) => 3000 + ((n * 7919) % 200) * 100);
const START_MS = 60_000;
const POLL_MS = 50;

export class LiveDaemon {
  #child: ChildProcess;
  #working = true;

  private constructor(
    readonly folder: string,
    readonly offset: number,
    readonly vendor: Vendor,
  ) {
    this.#child = this.#spawn();
  }

  static async start(): Promise<LiveDaemon> {
    const folder = mkdtempSync(join(tmpdir(), "hmi-"));
    copyDocuments(join(folder, "corpus"));
    const daemon = new LiveDaemon(folder, await freeOffset(), await startVendor());
    await daemon.#answers();
    void daemon.#work();
    return daemon;
  }

  /** The folder that its jobs read. */
  get corpus(): string {
    return join(this.folder, "corpus");
  }

  at(port: number): string {
    return `http://127.0.0.1:${port + this.offset}`;
  }

  /** `kill -9`, and a new process on the same folder and ports. */
  async restart(meanwhile: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    await this.#end("SIGKILL");
    await meanwhile();
    this.#child = this.#spawn();
    await this.#answers();
  }

  async stop(): Promise<void> {
    this.#working = false;
    await this.#end("SIGTERM");
    this.vendor.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async post<T = Record<string, unknown>>(port: number, path: string, body: unknown): Promise<T> {
    const init = {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    };
    const answer = await fetch(this.at(port) + path, init);
    if (!answer.ok) throw new Error(`POST ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  }

  async get<T = Record<string, unknown>>(port: number, path: string): Promise<T> {
    const answer = await fetch(this.at(port) + path);
    if (!answer.ok) throw new Error(`GET ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  }

  /** Submits an ingest of the corpus; its id. */
  async ingest(more: Record<string, unknown> = {}): Promise<string> {
    const card = { task: "ingest", inputs: { source: this.corpus }, ...more };
    return String((await this.post(PORTS.orchestrator, "/jobs", card))["job_id"]);
  }

  async until(job: string, state: string): Promise<void> {
    for (;;) {
      const seen = await this.get(PORTS.orchestrator, `/jobs/${job}`);
      if (seen["state"] === state) return;
      await pause();
    }
  }

  /** One ingest after another, so that every page has something to show. */
  async #work(): Promise<void> {
    while (this.#working) {
      // While the daemon is down nobody answers; the next round asks again.
      await this.ingest()
        .then((job) => this.until(job, "done"))
        .catch(pause);
    }
  }

  #spawn(): ChildProcess {
    const log = openSync(join(this.folder, "daemon.log"), "a");
    const flags = ["up", "--workdir", this.folder, "--port-offset", String(this.offset)];
    // Nothing of the caller's environment: no keys, no settings.
    const env = {
      PATH: process.env["PATH"],
      OPENAI_BASE_URL: this.vendor.url,
      OPENAI_API_KEY: "sk-browser-tests",
    };
    return spawn(BINARY, flags, { cwd: this.folder, env, stdio: ["ignore", log, log] });
  }

  async #answers(): Promise<void> {
    for (const begin = Date.now(); Date.now() - begin < START_MS; await pause()) {
      if (this.#child.exitCode !== null) break;
      const healthy = Object.values(PORTS).map((port) => this.get(port, "/health"));
      if ((await Promise.allSettled(healthy)).every((answer) => answer.status === "fulfilled")) return;
    }
    throw new Error(
      `${BINARY} up does not answer:\n${readFileSync(join(this.folder, "daemon.log"), "utf8").slice(-4000)}`,
    );
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill(signal);
    await ended;
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

/** The agents' definitions and what stands at the top of the repository: documents of real people's kind. */
function copyDocuments(to: string): void {
  mkdirSync(to);
  for (const from of [REPOSITORY, join(REPOSITORY, "agents")]) {
    for (const name of readdirSync(from)) {
      if (/\.md$|^LICENSE/.test(name))
        copyFileSync(join(from, name), join(to, name === "README.md" ? `${from.length}-${name}` : name));
    }
  }
}

async function freeOffset(): Promise<number> {
  const from = process.pid % OFFSETS.length;
  for (const offset of [...OFFSETS.slice(from), ...OFFSETS.slice(0, from)]) {
    const all = [...Array.from({ length: 22 }, (_, n) => 6100 + n), 8050, 8051, 8052, 8100, 8101, 8102, 8103];
    if ((await Promise.all(all.map((port) => isFree(port + offset)))).every(Boolean)) return offset;
  }
  throw new Error("no free ports");
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
