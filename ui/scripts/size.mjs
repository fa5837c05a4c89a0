// Weighs the built application as a browser would load it: each file gzipped, and all together.
// Fails above the limit, so that growth is noticed when it happens.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

/** The aim for everything there is, in bytes. */
const LIMIT = 200 * 1024;
const dist = new URL("../dist", import.meta.url).pathname;
const files = readdirSync(dist, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
const sizes = files.map((entry) => {
  const path = join(entry.parentPath, entry.name);
  return { name: path.slice(dist.length + 1), bytes: gzipSync(readFileSync(path), { level: 9 }).length };
});
sizes.sort((a, b) => b.bytes - a.bytes);
const total = sizes.reduce((sum, file) => sum + file.bytes, 0);
for (const { name, bytes } of sizes) console.log(`${String(bytes).padStart(8)}  ${name}`);
console.log(`${String(total).padStart(8)}  in all, of ${LIMIT} allowed`);
process.exitCode = total > LIMIT ? 1 : 0;
