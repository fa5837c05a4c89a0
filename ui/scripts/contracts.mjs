// Generates the wire's types (src/lib/generated) from ../contracts, which is their only source.
// With --check it writes nothing and fails, naming the files, when they differ from the contracts.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

/** The ports that the pages call. */
const PORTS = ["event-stream", "hmi", "orchestrator"];
const contracts = new URL("../../contracts/", import.meta.url);
const generated = new URL("../src/lib/generated/", import.meta.url);

/** Errors reach the pages as words (`client.ts`), and examples say nothing to a compiler. */
function trimmed(document) {
  for (const operation of Object.values(document.paths).flatMap(Object.values)) {
    for (const status of Object.keys(operation.responses)) {
      if (!status.startsWith("2")) delete operation.responses[status];
    }
  }
  delete document.components.responses;
  return JSON.parse(JSON.stringify(document, (key, value) => (key === "example" ? undefined : value)));
}

/** References to `schemas/` become the document's own, as the daemon serves them. */
function bundled(document) {
  const missing = new Set();
  const own = (value) =>
    JSON.parse(JSON.stringify(value), (key, found) => {
      const [, name] = key === "$ref" ? (/^(?:schemas\/)?(\w+)\.json$/.exec(found) ?? []) : [];
      if (name === undefined) return found;
      missing.add(name);
      return `#/components/schemas/${name}`;
    });
  const whole = own(document);
  for (const name of missing) {
    const schema = JSON.parse(readFileSync(new URL(`schemas/${name}.json`, contracts), "utf8"));
    delete schema.examples;
    whole.components.schemas[name] = own(schema);
  }
  return whole;
}

async function typesOf(port) {
  const document = JSON.parse(readFileSync(new URL(`${port}.json`, contracts), "utf8"));
  const tree = await openapiTS(bundled(trimmed(document)), {
    defaultNonNullable: false,
    emptyObjectsUnknown: true,
  });
  return `// Generated from contracts/${port}.json by scripts/contracts.mjs: edit that, then \`npm run generate\`.\n\n${astToString(tree)}`;
}

const check = process.argv.includes("--check");
mkdirSync(generated, { recursive: true });
for (const port of PORTS) {
  const file = new URL(`${port}.ts`, generated);
  const types = await typesOf(port);
  if (!check) {
    writeFileSync(file, types);
    continue;
  }
  const kept = existsSync(file) ? readFileSync(file, "utf8") : null;
  if (kept !== types) {
    console.error(
      `ui/src/lib/generated/${port}.ts is not what contracts/${port}.json says: npm --prefix ui run generate`,
    );
    process.exitCode = 1;
  }
}
