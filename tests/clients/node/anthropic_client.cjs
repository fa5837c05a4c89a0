// Anthropic's client for Node: messages, streams, tools, thinking, documents, counts.
"use strict";

const { Anthropic } = require("@anthropic-ai/sdk");
const { ANSWER, CALLED, PROMPT, SCHEMA, check, equal, run } = require("./checks.cjs");

const ASKED = [{ role: "user", content: PROMPT }];
const TOOLS = ["now", "tomorrow"].map((name) => ({ name, description: `Weather ${name}`, input_schema: SCHEMA }));
const LIMIT = 4000;

run(async (options) => {
  const client = new Anthropic({ baseURL: options.base, apiKey: options.key, maxRetries: 0, timeout: 60_000 });
  const common = { model: options.model, max_tokens: LIMIT };
  const answer = await client.messages.create({ ...common, messages: ASKED, system: "Be brief." });
  equal("messages: text", answer.content[0].text, ANSWER);
  check("messages: usage", answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0, answer.usage);
  equal("stream: text", await client.messages.stream({ ...common, messages: ASKED }).finalText(), ANSWER);
  const calling = await client.messages.stream({ ...common, messages: ASKED, tools: TOOLS }).finalMessage();
  const uses = calling.content.filter((block) => block.type === "tool_use");
  equal("tools: streamed input", uses.map((use) => use.input), [CALLED, CALLED]);
  const results = uses.map((use, at) => ({
    type: "tool_result",
    tool_use_id: use.id,
    content: ["sun", "rain"][at],
    cache_control: { type: "ephemeral" },
  }));
  const turns = [...ASKED, { role: "assistant", content: calling.content }, { role: "user", content: results }];
  const last = await client.messages.create({ ...common, messages: turns, tools: TOOLS });
  equal("tools: results arrive", last.content[0].text, "The tools answered: sun; rain");
  const thinking = { type: "enabled", budget_tokens: 1024 };
  const thought = await client.messages.stream({ ...common, messages: ASKED, thinking }).finalMessage();
  check("thinking: comes with its signature", thought.content[0].signature.length > 0, thought.content);
  const source = { type: "base64", media_type: "application/pdf", data: "JVBERi0=" };
  const parts = [{ type: "document", source }, { type: "text", text: PROMPT }];
  const read = await client.messages.create({ ...common, messages: [{ role: "user", content: parts }] });
  equal("documents: pass", read.content[0].text, ANSWER);
  const betas = ["context-management-2025-06-27"];
  const beta = await client.beta.messages.create({ ...common, messages: ASKED, betas });
  equal("beta: text", beta.content[0].text, ANSWER);
  const count = await client.messages.countTokens({ model: options.model, messages: ASKED });
  check("counts", count.input_tokens > 0, count);
});
