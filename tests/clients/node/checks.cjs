// What the client scripts share: arguments, and checks that end the script when one fails. As checks.py beside it.
"use strict";

// The test servers' model repeats what the user said (tests/it/vendor/model.rs).
const PROMPT = "Name three rivers, please: Elbe, Oder and Weser";
const ANSWER = `You said: ${PROMPT}`;

/** The parameters of the tools on offer. */
const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city", "days"],
  additionalProperties: false,
};

/** What the test servers' model makes of them. */
const CALLED = { city: "city", days: 7 };

/** `--name value` pairs. */
function options() {
  const words = process.argv.slice(2);
  const named = {};
  for (let at = 0; at < words.length; at += 2) named[words[at].replace(/^--/, "")] = words[at + 1];
  return named;
}

/** Prints the check; ends the script if it does not hold. */
function check(name, holds, seen = "") {
  console.log(`${holds ? "ok" : "FAILED"}: ${name}${holds ? "" : `: ${JSON.stringify(seen)}`}`);
  if (!holds) process.exit(1);
}

/** A check that two values are the same. */
function equal(name, seen, wanted) {
  check(name, JSON.stringify(seen) === JSON.stringify(wanted), { seen, wanted });
}

/** Runs a script; an error ends it with exit code 1. */
function run(main) {
  main(options()).catch((error) => {
    console.log(`FAILED: ${error.stack ?? error}`);
    process.exit(1);
  });
}

module.exports = { ANSWER, CALLED, PROMPT, SCHEMA, check, equal, run };
